//! Who is asking: every token that does not count, and the ones that do.

use base64::Engine;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::fake_issuer::{FakeIssuer, KID, encode, jwk, now, sign, unsigned};
use crate::kit::test_backend::{TestBackend, on_each_database};

const INVALID: &str = r#"Bearer error="invalid_token""#;

/// What a token gets: status and challenge.
async fn told(service: &TestBackend, token: String) -> (u16, Option<String>) {
    let answer = service.with_token(token).get("/api/Task").await;
    (answer.status, answer.header("www-authenticate").map(str::to_owned))
}

fn header(changed: Value) -> Value {
    changes(FakeIssuer::header(), changed)
}

/// `null` takes a field away.
fn changes(mut value: Value, changed: Value) -> Value {
    for (name, to) in changed.as_object().unwrap() {
        match to {
            Value::Null => drop(value.as_object_mut().unwrap().remove(name)),
            to => value[name] = to.clone(),
        }
    }
    value
}

#[tokio::test]
async fn a_token_with_a_wrong_header_does_not_count() {
    on_each_database(async |service| {
        let claims = service.issuer.claims(&Uuid::new_v4().to_string(), &["User"]).to_string();
        assert_eq!(told(service, sign(&FakeIssuer::header(), &claims)).await, (200, None));
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
            assert_eq!(told(service, token).await, (401, Some(INVALID.to_owned())), "{changed}");
        }
        for typ in ["AT+JWT", "application/at+jwt"] {
            assert_eq!(told(service, sign(&header(json!({"typ": typ})), &claims)).await.0, 200, "{typ}");
        }
        let hmac =
            aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, jwk()["n"].as_str().unwrap().as_bytes());
        let message = unsigned(&header(json!({"alg": "HS256"})), &claims);
        let confused =
            format!("{message}.{}", encode(aws_lc_rs::hmac::sign(&hmac, message.as_bytes()).as_ref()));
        assert_eq!(told(service, confused).await, (401, Some(INVALID.to_owned())));
    })
    .await;
}

#[tokio::test]
async fn a_token_with_wrong_claims_does_not_count() {
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
            let token = sign(&FakeIssuer::header(), &changes(claims.clone(), changed.clone()).to_string());
            assert_eq!(told(service, token).await, (401, Some(INVALID.to_owned())), "{changed}");
        }
        let twice = claims.to_string().replacen('{', &format!(r#"{{"sub":"{}","#, Uuid::new_v4()), 1);
        assert_eq!(told(service, sign(&FakeIssuer::header(), &twice)).await.0, 401);
        for good in [json!({"aud": ["other", "TaskerWebAPI"]}), json!({"nbf": null}), json!({"exp": now - 5})]
        {
            let token = sign(&FakeIssuer::header(), &changes(claims.clone(), good.clone()).to_string());
            assert_eq!(told(service, token).await.0, 200, "{good}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_token_that_is_out_of_shape_does_not_count() {
    on_each_database(async |service| {
        let claims = service.issuer.claims(&Uuid::new_v4().to_string(), &["User"]).to_string();
        let good = sign(&FakeIssuer::header(), &claims);
        let parts: Vec<&str> = good.split('.').collect();
        let [head, payload, signature] = parts[..] else { panic!() };
        let promoted = encode(claims.replace("\"User\"", "\"Admin\"").as_bytes());
        let padded = base64::engine::general_purpose::URL_SAFE.encode(claims.as_bytes());
        for bad in [
            format!("{head}.{payload}"),
            format!("{head}.{payload}."),
            format!("{head}.{payload}.{signature}.{signature}.{signature}"),
            format!("{head}.{promoted}.{signature}"),
            format!("{head}.{padded}=.{signature}"),
            format!("{head}.{payload}.{}", &signature[..signature.len() - 8]),
            format!("{head}.!!!.{signature}"),
            format!("{head}.{payload}.{}", "A".repeat(64 * 1024)),
            "x".to_owned(),
            String::new(),
        ] {
            let shown: String = bad.chars().take(40).collect();
            assert_eq!(told(service, bad).await, (401, Some(INVALID.to_owned())), "{shown}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_bearer_token_stands_once_in_its_header_and_nowhere_else() {
    on_each_database(async |service| {
        let token = service.user().token.unwrap();
        let nobody = service.anonymous();
        let bare = [
            nobody.get("/api/Task"),
            nobody.get(&format!("/api/Task?access_token={token}")),
            nobody.get("/api/Task").header("Authorization", "Basic YTpi"),
            nobody.get("/api/Task").header("X-Role", "Admin").header("Cookie", &format!("token={token}")),
        ];
        for call in bare {
            let answer = call.await;
            assert_eq!(answer.problem(), (401, "unauthenticated".to_owned()));
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
        let bearer = format!("Bearer {token}");
        let twice =
            nobody.get("/api/Task").header("Authorization", &bearer).header("Authorization", &bearer).await;
        assert_eq!(twice.problem(), (401, "invalid-token".to_owned()));
        assert_eq!(nobody.get("/api/Task").header("Authorization", "Bearer").await.problem().0, 401);
        nobody.get("/api/Task").header("Authorization", &format!("bEARER {token}")).await.expect_status(200);
    })
    .await;
}

#[tokio::test]
async fn roles_and_scope_come_from_the_signed_claims() {
    on_each_database(async |service| {
        let subject = Uuid::new_v4().to_string();
        let token = |changed: Value| {
            let claims = changes(service.issuer.claims(&subject, &["User"]), changed);
            service.with_token(sign(&FakeIssuer::header(), &claims.to_string()))
        };
        for scope in
            [json!("openid"), json!(""), json!(null), json!("openid TaskerWebAPI2"), json!("taskerwebapi")]
        {
            let answer = token(json!({"scope": scope})).get("/api/Task").await;
            assert_eq!(answer.problem(), (403, "insufficient-scope".to_owned()), "{scope}");
            let challenge = r#"Bearer error="insufficient_scope", scope="TaskerWebAPI""#;
            assert_eq!(answer.header("www-authenticate"), Some(challenge));
        }
        for roles in [json!([]), json!(null), json!(["Worker"]), json!(["user"]), json!(["Admins"])] {
            let answer = token(json!({"roles": roles})).get("/api/Task").header("X-Role", "Admin").await;
            assert_eq!(answer.problem(), (403, "role-missing".to_owned()), "{roles}");
        }
        let client = token(json!({"sub": "tasker-worker", "roles": ["User", "Worker", "Admin"]}));
        for (method, path) in [(Method::GET, "/api/Task"), (Method::POST, "/api/Task")] {
            let answer = client.call(method, path).await;
            assert_eq!(answer.problem(), (403, "role-missing".to_owned()), "a client is no user");
        }
        client.heartbeat("w", &[]).await.expect_status(200);
        client.get("/api/Operation").await.expect_status(200);
    })
    .await;
}

#[tokio::test]
async fn unknown_keys_cause_one_fetch_however_many_tokens_name_them() {
    on_each_database(async |service| {
        let claims = service.issuer.claims(&Uuid::new_v4().to_string(), &["User"]).to_string();
        service.user().get("/api/Task").await.expect_status(200);
        let before = service.issuer.discovery_count();
        let flood = (0..200).map(|n| told(service, sign(&header(json!({"kid": format!("k{n}")})), &claims)));
        for (status, _) in futures_util::future::join_all(flood).await {
            assert_eq!(status, 401);
        }
        assert!(service.issuer.discovery_count() <= before + 1);
        assert_eq!(told(service, sign(&header(json!({"kid": KID})), &claims)).await.0, 200);
    })
    .await;
}

#[tokio::test]
async fn while_identity_is_away_known_keys_count_and_unknown_ones_are_told_to_wait() {
    on_each_database(async |service| {
        let user = service.user();
        user.submit_echo().await;
        service.issuer.set_unavailable(true);
        service.user().submit_echo().await;
        let claims = service.issuer.claims(&Uuid::new_v4().to_string(), &["User"]).to_string();
        let stranger = sign(&header(json!({"kid": "new"})), &claims);
        let status = told(service, stranger).await.0;
        assert!(matches!(status, 401 | 503), "{status}: it was asked a moment ago, or it is away");
    })
    .await;
}

#[tokio::test]
async fn a_backend_that_has_never_seen_identity_says_so_and_serves_when_it_comes() {
    on_each_database(async |service| {
        service.issuer.set_unavailable(true);
        let cold = service.start_another(|_| {}).await;
        let user = cold.user();
        let answer = user.get("/api/Task").await;
        assert_eq!(answer.problem(), (503, "unavailable".to_owned()));
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(service.get("/health/ready").await.status, 200, "what needs no token is served");
        service.issuer.set_unavailable(false);
        while user.get("/api/Task").await.status == 503 {}
        user.submit_echo().await;
        cold.shut_down().await;
    })
    .await;
}

#[tokio::test]
async fn keys_are_taken_from_the_issuer_itself_and_from_nowhere_it_points_to() {
    on_each_database(async |service| {
        service.issuer.set_redirecting(true);
        let cold = service.start_another(|_| {}).await;
        let user = cold.user();
        assert_eq!(user.get("/api/Task").await.problem(), (503, "unavailable".to_owned()));
        service.issuer.set_redirecting(false);
        while user.get("/api/Task").await.status == 503 {}
        cold.shut_down().await;
    })
    .await;
}
