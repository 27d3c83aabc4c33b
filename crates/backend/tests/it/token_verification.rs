//! Access tokens: those that are refused and those that are accepted, and the keys that verify them.

use base64::Engine;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::fake_issuer::{FakeIssuer, KID, encode, jwk, now, sign, unsigned};
use crate::kit::test_backend::{TestBackend, on_each_database};
use crate::kit::until::until;

/// The challenge for an invalid token (RFC 6750), without its realm.
const INVALID: &str = r#"Bearer error="invalid_token""#;

/// How a request with this token is answered: status and challenge.
async fn answer_to(service: &TestBackend, token: String) -> (u16, Option<String>) {
    let answer = service.with_token(token).get("/api/Task").await;
    (answer.status, answer.header("www-authenticate").map(|challenge| without_realm(service, challenge)))
}

/// A challenge without its realm, which is the issuer whose tokens the Backend accepts.
fn without_realm(service: &TestBackend, challenge: &str) -> String {
    let realm = format!("Bearer realm=\"{}\"", service.issuer.url);
    let rest = challenge.strip_prefix(&realm).unwrap_or_else(|| panic!("{challenge} names no realm"));
    format!("Bearer{}", rest.trim_start_matches(','))
}

/// The header of a valid token with some fields changed.
fn header(changed: Value) -> Value {
    with_changes(FakeIssuer::header(), changed)
}

/// An object with some fields changed; `null` removes a field.
fn with_changes(mut value: Value, changed: Value) -> Value {
    for (name, to) in changed.as_object().unwrap() {
        match to {
            Value::Null => drop(value.as_object_mut().unwrap().remove(name)),
            to => value[name] = to.clone(),
        }
    }
    value
}

#[tokio::test]
async fn a_token_with_an_invalid_header_is_refused() {
    on_each_database(async |service| {
        let claims = service.issuer.claims(&Uuid::new_v4().to_string(), &["User"]).to_string();
        assert_eq!(answer_to(service, sign(&FakeIssuer::header(), &claims)).await, (200, None));
        let refused = [
            json!({"alg": "none"}),
            json!({"alg": "None"}),
            json!({"alg": ""}),
            json!({"alg": null}),
            json!({"alg": "HS256"}),
            json!({"alg": "RS512"}),
            json!({"alg": "PS256"}),
            json!({"alg": "ES256"}),
            json!({"typ": "JWT"}),
            json!({"typ": "logout+jwt"}),
            json!({"typ": null}),
            json!({"typ": ""}),
            json!({"kid": null}),
            json!({"kid": ""}),
            json!({"kid": "../../etc/passwd"}),
            json!({"kid": "' or 1=1"}),
            json!({"kid": "http://127.0.0.1:1/key"}),
            json!({"kid": "future"}),
            json!({"kid": 7}),
            json!({"kid": null, "jwk": jwk()}),
            json!({"kid": null, "jku": "http://127.0.0.1:1/keys"}),
            json!({"kid": null, "x5u": "http://127.0.0.1:1/"}),
            json!({"kid": null, "x5c": ["AAAA"]}),
            json!({"crit": ["b64"], "b64": false}),
            json!({"crit": ["exp"]}),
            json!({"crit": []}),
        ];
        for changed in refused {
            let token = sign(&header(changed.clone()), &claims);
            assert_eq!(answer_to(service, token).await, (401, Some(INVALID.to_owned())), "{changed}");
        }
        for typ in ["AT+JWT", "application/at+jwt"] {
            assert_eq!(answer_to(service, sign(&header(json!({"typ": typ})), &claims)).await.0, 200, "{typ}");
        }
        let hmac =
            aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, jwk()["n"].as_str().unwrap().as_bytes());
        let message = unsigned(&header(json!({"alg": "HS256"})), &claims);
        let with_confused_algorithm =
            format!("{message}.{}", encode(aws_lc_rs::hmac::sign(&hmac, message.as_bytes()).as_ref()));
        assert_eq!(answer_to(service, with_confused_algorithm).await, (401, Some(INVALID.to_owned())));
    })
    .await;
}

#[tokio::test]
async fn a_token_with_invalid_claims_is_refused() {
    on_each_database(async |service| {
        let claims = service.issuer.claims(&Uuid::new_v4().to_string(), &["User"]);
        let (url, now) = (&service.issuer.url, now());
        let refused = [
            json!({"iss": "https://evil.example"}),
            json!({"iss": format!("{url}/")}),
            json!({"iss": null}),
            json!({"iss": "http://127.0.0.1:1"}),
            json!({"iss": [url, "x"]}),
            json!({"aud": null}),
            json!({"aud": "tasker_backend"}),
            json!({"aud": ["a", "b"]}),
            json!({"aud": []}),
            json!({"aud": "taskerwebapi"}),
            json!({"exp": now - 61}),
            json!({"nbf": now + 61}),
            json!({"exp": null}),
            json!({"exp": "4000000000"}),
            json!({"exp": -1}),
            json!({"exp": 1e30}),
            json!({"exp": true}),
            json!({"sub": null}),
            json!({"sub": 7}),
            json!({"roles": "Admin"}),
            json!({"roles": [7]}),
        ];
        for changed in refused {
            let token =
                sign(&FakeIssuer::header(), &with_changes(claims.clone(), changed.clone()).to_string());
            assert_eq!(answer_to(service, token).await, (401, Some(INVALID.to_owned())), "{changed}");
        }
        let with_duplicate_claim =
            claims.to_string().replacen('{', &format!(r#"{{"sub":"{}","#, Uuid::new_v4()), 1);
        assert_eq!(answer_to(service, sign(&FakeIssuer::header(), &with_duplicate_claim)).await.0, 401);
        for accepted in
            [json!({"aud": ["other", "TaskerWebAPI"]}), json!({"nbf": null}), json!({"exp": now - 5})]
        {
            let token =
                sign(&FakeIssuer::header(), &with_changes(claims.clone(), accepted.clone()).to_string());
            assert_eq!(answer_to(service, token).await.0, 200, "{accepted}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_malformed_token_is_refused() {
    on_each_database(async |service| {
        let claims = service.issuer.claims(&Uuid::new_v4().to_string(), &["User"]).to_string();
        let valid = sign(&FakeIssuer::header(), &claims);
        let parts: Vec<&str> = valid.split('.').collect();
        let [head, payload, signature] = parts[..] else { panic!() };
        let with_other_role = encode(claims.replace("\"User\"", "\"Admin\"").as_bytes());
        let padded = base64::engine::general_purpose::URL_SAFE.encode(claims.as_bytes());
        for malformed in [
            format!("{head}.{payload}"),
            format!("{head}.{payload}."),
            format!("{head}.{payload}.{signature}.{signature}.{signature}"),
            format!("{head}.{with_other_role}.{signature}"),
            format!("{head}.{padded}=.{signature}"),
            format!("{head}.{payload}.{}", &signature[..signature.len() - 8]),
            format!("{head}.!!!.{signature}"),
            format!("{head}.{payload}.{}", "A".repeat(64 * 1024)),
            "x".to_owned(),
            String::new(),
        ] {
            let beginning: String = malformed.chars().take(40).collect();
            assert_eq!(answer_to(service, malformed).await, (401, Some(INVALID.to_owned())), "{beginning}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_bearer_token_is_read_from_one_authorization_header_only() {
    on_each_database(async |service| {
        let token = service.user().token.unwrap();
        let anonymous = service.anonymous();
        let without_token = [
            anonymous.get("/api/Task"),
            anonymous.get("/api/Task").header("Authorization", "Basic YTpi"),
            anonymous.get("/api/Task").header("X-Role", "Admin").header("Cookie", &format!("token={token}")),
        ];
        for request in without_token {
            let answer = request.await;
            assert_eq!(answer.problem(), (401, "unauthenticated".to_owned()));
            assert_eq!(without_realm(service, answer.header("www-authenticate").unwrap()), "Bearer");
        }
        let in_the_query = anonymous.get(&format!("/api/Task?access_token={token}")).await;
        assert_eq!(in_the_query.problem(), (400, "malformed".to_owned()));
        let bearer = format!("Bearer {token}");
        let twice = anonymous
            .get("/api/Task")
            .header("Authorization", &bearer)
            .header("Authorization", &bearer)
            .await;
        assert_eq!(twice.problem(), (401, "invalid-token".to_owned()));
        assert_eq!(anonymous.get("/api/Task").header("Authorization", "Bearer").await.problem().0, 401);
        anonymous
            .get("/api/Task")
            .header("Authorization", &format!("bEARER {token}"))
            .await
            .expect_status(200);
    })
    .await;
}

#[tokio::test]
async fn roles_and_scope_come_from_the_signed_claims() {
    on_each_database(async |service| {
        let subject = Uuid::new_v4().to_string();
        let token = |changed: Value| {
            let claims = with_changes(service.issuer.claims(&subject, &["User"]), changed);
            service.with_token(sign(&FakeIssuer::header(), &claims.to_string()))
        };
        for scope in
            [json!("openid"), json!(""), json!(null), json!("openid TaskerWebAPI2"), json!("taskerwebapi")]
        {
            let answer = token(json!({"scope": scope})).get("/api/Task").await;
            assert_eq!(answer.problem(), (403, "insufficient-scope".to_owned()), "{scope}");
            let challenge = r#"Bearer error="insufficient_scope", scope="TaskerWebAPI""#;
            assert_eq!(without_realm(service, answer.header("www-authenticate").unwrap()), challenge);
        }
        for roles in [json!([]), json!(null), json!(["Worker"]), json!(["user"]), json!(["Admins"])] {
            let answer = token(json!({"roles": roles})).get("/api/Task").header("X-Role", "Admin").await;
            assert_eq!(answer.problem(), (403, "role-missing".to_owned()), "{roles}");
        }
        let client = token(json!({"sub": "tasker-worker", "roles": ["Worker"]}));
        for (method, path) in [(Method::GET, "/api/Task"), (Method::POST, "/api/Task")] {
            let answer = client.call(method, path).await;
            assert_eq!(answer.problem(), (403, "role-missing".to_owned()), "its role is Worker");
        }
        client.heartbeat("w", &[]).await.expect_status(200);
        client.get("/api/Operation").await.expect_status(200);
    })
    .await;
}

/// An OAuth client with a token of its own is an owner like an account: the same one with every token.
#[tokio::test]
async fn a_client_with_the_role_user_owns_the_tasks_that_it_submits() {
    on_each_database(async |service| {
        let client = |id: &str| service.with_token(service.issuer.token(id, &["User"]));
        let (first, other) = (client("nightly-reports"), client("invoices"));
        let id = first.submit_echo().await;
        let renewed = client("nightly-reports");
        assert_eq!(renewed.task(&id).await["status"], "CREATED");
        let list: Value = renewed.get("/api/Task").await.ok();
        assert_eq!(list["tasks"][0]["id"], *id);
        for other in [other, service.user()] {
            assert_eq!(
                other.get(&format!("/api/Task/{id}")).await.problem(),
                (404, "no-such-task".to_owned())
            );
        }
        renewed.cancel(&id).await.expect_status(200);
    })
    .await;
}

#[tokio::test]
async fn tokens_with_unknown_keys_cause_one_request_for_the_jwks_however_many_they_are() {
    on_each_database(async |service| {
        let claims = service.issuer.claims(&Uuid::new_v4().to_string(), &["User"]).to_string();
        service.user().get("/api/Task").await.expect_status(200);
        let before = service.issuer.discovery_count();
        let flood =
            (0..200).map(|n| answer_to(service, sign(&header(json!({"kid": format!("k{n}")})), &claims)));
        for (status, _) in futures_util::future::join_all(flood).await {
            assert_eq!(status, 401);
        }
        assert!(service.issuer.discovery_count() <= before + 1);
        assert_eq!(answer_to(service, sign(&header(json!({"kid": KID})), &claims)).await.0, 200);
    })
    .await;
}

#[tokio::test]
async fn during_an_outage_of_identity_known_keys_are_accepted_and_unknown_ones_are_not() {
    on_each_database(async |service| {
        let user = service.user();
        user.submit_echo().await;
        service.issuer.set_unavailable(true);
        service.user().submit_echo().await;
        let claims = service.issuer.claims(&Uuid::new_v4().to_string(), &["User"]).to_string();
        let with_unknown_key = sign(&header(json!({"kid": "new"})), &claims);
        let status = answer_to(service, with_unknown_key).await.0;
        assert!(matches!(status, 401 | 503), "{status}: the key is unknown, or Identity is unavailable");
    })
    .await;
}

#[tokio::test]
async fn a_backend_started_during_an_outage_of_identity_answers_503_until_the_outage_ends() {
    on_each_database(async |service| {
        // The check fetches the keys if the Backend has not done so yet.
        service.get("/health/ready").await.expect_status(200);
        service.issuer.set_unavailable(true);
        let restarted = service.start_another(|_| {}).await;
        let user = restarted.user();
        let answer = user.get("/api/Task").await;
        assert_eq!(answer.problem(), (503, "unavailable".to_owned()));
        assert_eq!(answer.header("retry-after"), Some("1"));
        let unready = restarted.get("/health/ready").await;
        assert_eq!(unready.problem(), (503, "unavailable".to_owned()));
        assert!(unready.text.contains("keys of Identity: "), "{}", unready.text);
        assert_eq!(service.get("/health/ready").await.status, 200, "known keys are enough");
        service.issuer.set_unavailable(false);
        until("Identity's keys are fetched", async || user.get("/api/Task").await.status == 200).await;
        user.submit_echo().await;
        assert_eq!(restarted.get("/health/ready").await.status, 200);
        restarted.shut_down().await;
    })
    .await;
}

#[tokio::test]
async fn the_jwks_is_never_fetched_by_way_of_a_redirect() {
    on_each_database(async |service| {
        service.issuer.set_redirecting(true);
        let restarted = service.start_another(|_| {}).await;
        let user = restarted.user();
        assert_eq!(user.get("/api/Task").await.problem(), (503, "unavailable".to_owned()));
        service.issuer.set_redirecting(false);
        until("Identity's keys are fetched", async || user.get("/api/Task").await.status == 200).await;
        restarted.shut_down().await;
    })
    .await;
}

#[tokio::test]
async fn a_revoked_token_is_refused_and_one_that_was_issued_later_is_accepted() {
    on_each_database(async |service| {
        let subject = Uuid::new_v4().to_string();
        let token = |generation: i64| {
            let claims = service.issuer.claims(&subject, &["User"]);
            sign(&FakeIssuer::header(), &with_changes(claims, json!({"generation": generation})).to_string())
        };
        let backend = service.start_another(|_| {}).await;
        assert_eq!(answer_to(&backend, token(7)).await, (200, None));
        service.issuer.revoke(&subject, 8);
        until("the list is fetched", async || answer_to(&backend, token(7)).await.0 == 401).await;
        assert_eq!(answer_to(&backend, token(7)).await, (401, Some(INVALID.to_owned())));
        assert_eq!(
            answer_to(&backend, service.issuer.token(&subject, &["User"])).await.0,
            401,
            "no generation"
        );
        assert_eq!(answer_to(&backend, token(8)).await, (200, None));
        backend.user().submit_echo().await;
        backend.shut_down().await;
    })
    .await;
}

#[tokio::test]
async fn readiness_says_when_the_revoked_tokens_cannot_be_fetched() {
    on_each_database(async |service| {
        let subject = Uuid::new_v4().to_string();
        service.issuer.revoke(&subject, 1);
        let backend = service.start_another(|_| {}).await;
        let token = service.issuer.token(&subject, &["User"]);
        until("the list is fetched", async || answer_to(&backend, token.clone()).await.0 == 401).await;
        service.issuer.set_unavailable(true);
        let is_degraded = async || {
            let ready = backend.get("/health/ready").await;
            assert_eq!(ready.status, 200);
            ready.text.contains("the list of revoked tokens cannot be fetched")
        };
        until("readiness is degraded", is_degraded).await;
        assert_eq!(answer_to(&backend, token).await.0, 401, "what is known is still refused");
        service.issuer.set_unavailable(false);
        until("readiness is good again", async || !is_degraded().await).await;
        backend.shut_down().await;
    })
    .await;
}
