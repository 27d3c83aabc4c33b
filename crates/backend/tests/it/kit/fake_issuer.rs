//! A fake OpenID Connect issuer: a discovery document, a JWKS, and tokens with any header and claims.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

/// The `kid` of the one signing key.
pub(crate) const KID: &str = "test-key";

/// A running issuer.
#[derive(Clone)]
pub(crate) struct FakeIssuer {
    pub(crate) url: String,
    state: Arc<IssuerState>,
}

/// What the routes share.
#[derive(Default)]
struct IssuerState {
    url: OnceLock<String>,
    discovery_count: AtomicUsize,
    is_unavailable: AtomicBool,
    is_redirecting: AtomicBool,
    revocations: Mutex<Vec<Value>>,
}

impl FakeIssuer {
    /// Starts it on a free port.
    pub(crate) async fn start(tracker: &TaskTracker) -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", tcp.local_addr().unwrap());
        let state = Arc::new(IssuerState::default());
        state.url.set(url.clone()).unwrap();
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/elsewhere", get(metadata))
            .route("/keys", get(keys))
            .route("/revocations", get(revocations))
            .with_state(state.clone());
        tracker.spawn(async move { axum::serve(tcp, router).await.unwrap() });
        Self { url, state }
    }

    /// How often the discovery document was requested.
    pub(crate) fn discovery_count(&self) -> usize {
        self.state.discovery_count.load(Ordering::SeqCst)
    }

    /// From now on discovery fails with 502, or works again.
    pub(crate) fn set_unavailable(&self, is_unavailable: bool) {
        self.state.is_unavailable.store(is_unavailable, Ordering::SeqCst);
    }

    /// From now on discovery is redirected to another path, or no more.
    pub(crate) fn set_redirecting(&self, is_redirecting: bool) {
        self.state.is_redirecting.store(is_redirecting, Ordering::SeqCst);
    }

    /// From now on the tokens of this subject are revoked if their generation is an earlier one.
    pub(crate) fn revoke(&self, subject: &str, generation: i64) {
        let subject = web::revocation::subject_digest(subject);
        self.state.revocations.lock().unwrap().push(json!({"subject": subject, "generation": generation}));
    }

    /// The header of a valid token.
    pub(crate) fn header() -> Value {
        json!({"alg": "RS256", "typ": "at+jwt", "kid": KID})
    }

    /// The claims of a valid token.
    pub(crate) fn claims(&self, subject: &str, roles: &[&str]) -> Value {
        let now = now();
        json!({
            "iss": self.url, "aud": "TaskerWebAPI", "sub": subject, "client_id": "tasker_backend", "jti": "1",
            "iat": now, "nbf": now, "exp": now + 3600, "scope": "openid profile TaskerWebAPI", "roles": roles,
        })
    }

    /// A valid token.
    pub(crate) fn token(&self, subject: &str, roles: &[&str]) -> String {
        sign(&Self::header(), &self.claims(subject, roles).to_string())
    }
}

/// A token with this header and these claims, signed by RS256 with the issuer's key whatever the header says.
pub(crate) fn sign(header: &Value, claims: &str) -> String {
    let message = unsigned(header, claims);
    let mut signature = vec![0; key_pair().public_modulus_len()];
    key_pair().sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
    format!("{message}.{}", encode(&signature))
}

/// The signing input of a token: its header and claims (RFC 7515).
pub(crate) fn unsigned(header: &Value, claims: &str) -> String {
    format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.as_bytes()))
}

/// Base64url without padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The public key as a JWK.
pub(crate) fn jwk() -> Value {
    let key = key_pair().public_key();
    json!({
        "kty": "RSA", "use": "sig", "alg": "RS256", "kid": KID,
        "n": encode(key.modulus().big_endian_without_leading_zero()),
        "e": encode(key.exponent().big_endian_without_leading_zero()),
    })
}

/// Now, in seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the issuer is another process with its own clock")]
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn key_pair() -> &'static RsaKeyPair {
    static PAIR: OnceLock<RsaKeyPair> = OnceLock::new();
    PAIR.get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
}

async fn discovery(State(state): State<Arc<IssuerState>>) -> Result<Json<Value>, Response> {
    state.discovery_count.fetch_add(1, Ordering::SeqCst);
    if state.is_unavailable.load(Ordering::SeqCst) {
        return Err(StatusCode::BAD_GATEWAY.into_response());
    }
    if state.is_redirecting.load(Ordering::SeqCst) {
        return Err(Redirect::temporary("/elsewhere").into_response());
    }
    Ok(metadata(State(state)).await)
}

/// The discovery document.
async fn metadata(State(state): State<Arc<IssuerState>>) -> Json<Value> {
    let url = state.url.get().unwrap();
    let (keys, revocations) = (format!("{url}/keys"), format!("{url}/revocations"));
    Json(json!({"issuer": url, "jwks_uri": keys, "tasker_revocations_uri": revocations}))
}

/// The list of revoked tokens.
async fn revocations(State(state): State<Arc<IssuerState>>) -> Json<Value> {
    Json(json!({"revocations": *state.revocations.lock().unwrap()}))
}

/// The JWKS: a key of a type that no verifier knows, which is to be ignored, and the signing key.
async fn keys() -> Json<Value> {
    Json(json!({"keys": [{"kty": "LATTICE", "kid": "future", "x": "?"}, jwk()]}))
}
