//! An issuer of the tests' own: discovery, keys, and tokens with whatever in them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
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

/// The name of the one key.
pub(crate) const KID: &str = "test-key";

/// A running issuer.
#[derive(Clone)]
pub(crate) struct Issuer {
    pub(crate) url: String,
    door: Arc<Door>,
}

#[derive(Default)]
struct Door {
    url: OnceLock<String>,
    fetches: AtomicUsize,
    away: AtomicBool,
    moved: AtomicBool,
}

impl Issuer {
    pub(crate) async fn up(tracker: &TaskTracker) -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", tcp.local_addr().unwrap());
        let door = Arc::new(Door::default());
        door.url.set(url.clone()).unwrap();
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/elsewhere", get(described))
            .route("/keys", get(keys))
            .with_state(door.clone());
        tracker.spawn(async move { axum::serve(tcp, router).await.unwrap() });
        Self { url, door }
    }

    /// How often somebody came for the keys.
    pub(crate) fn fetches(&self) -> usize {
        self.door.fetches.load(Ordering::SeqCst)
    }

    /// From now on it answers nobody, or everybody again.
    pub(crate) fn is_away(&self, away: bool) {
        self.door.away.store(away, Ordering::SeqCst);
    }

    /// From now on it sends those who ask for its description to another address, or no more.
    pub(crate) fn is_moved(&self, moved: bool) {
        self.door.moved.store(moved, Ordering::SeqCst);
    }

    /// The header of a good token.
    pub(crate) fn header() -> Value {
        json!({"alg": "RS256", "typ": "at+jwt", "kid": KID})
    }

    /// The claims of a good token.
    pub(crate) fn claims(&self, subject: &str, roles: &[&str]) -> Value {
        let now = now();
        json!({
            "iss": self.url, "aud": "TaskerWebAPI", "sub": subject, "client_id": "tasker_backend", "jti": "1",
            "iat": now, "nbf": now, "exp": now + 3600, "scope": "openid profile TaskerWebAPI", "roles": roles,
        })
    }

    pub(crate) fn token(&self, subject: &str, roles: &[&str]) -> String {
        sign(&Self::header(), &self.claims(subject, roles).to_string())
    }
}

/// A token of exactly these parts, signed with the issuer's key whatever its header says.
pub(crate) fn sign(header: &Value, claims: &str) -> String {
    let message = unsigned(header, claims);
    let mut signature = vec![0; pair().public_modulus_len()];
    pair().sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
    format!("{message}.{}", encode(&signature))
}

/// The part of a token that is signed.
pub(crate) fn unsigned(header: &Value, claims: &str) -> String {
    format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.as_bytes()))
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The public key as a JWK.
pub(crate) fn jwk() -> Value {
    let key = pair().public_key();
    json!({
        "kty": "RSA", "use": "sig", "alg": "RS256", "kid": KID,
        "n": encode(key.modulus().big_endian_without_leading_zero()),
        "e": encode(key.exponent().big_endian_without_leading_zero()),
    })
}

/// Now, in seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "an issuer has a clock of its own")]
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn pair() -> &'static RsaKeyPair {
    static PAIR: OnceLock<RsaKeyPair> = OnceLock::new();
    PAIR.get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
}

async fn discovery(State(door): State<Arc<Door>>) -> Result<Json<Value>, Response> {
    door.fetches.fetch_add(1, Ordering::SeqCst);
    if door.away.load(Ordering::SeqCst) {
        return Err(StatusCode::BAD_GATEWAY.into_response());
    }
    if door.moved.load(Ordering::SeqCst) {
        return Err(Redirect::temporary("/elsewhere").into_response());
    }
    Ok(described(State(door)).await)
}

async fn described(State(door): State<Arc<Door>>) -> Json<Value> {
    let url = door.url.get().unwrap();
    Json(json!({"issuer": url, "jwks_uri": format!("{url}/keys")}))
}

/// Another key of a kind that nobody knows spoils nothing.
async fn keys() -> Json<Value> {
    Json(json!({"keys": [{"kty": "LATTICE", "kid": "future", "x": "?"}, jwk()]}))
}
