//! The published OpenAPI document is the one that the code describes, and the service keeps to it.

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::kit::{PASSWORD, each_database, password_grant};

fn document() -> Value {
    serde_json::to_value(identity::openapi()).unwrap()
}

/// The operations of the document: path, method, description.
fn operations(document: &Value) -> Vec<(String, Method, Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, operation)| {
            (path.clone(), method.to_uppercase().parse().unwrap(), operation.clone())
        })
    });
    operations.collect()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "golden files are rewritten on request")]
fn the_published_document_is_the_one_of_the_code() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/identity-openapi.json");
    let generated = format!("{}\n", serde_json::to_string_pretty(&identity::openapi()).unwrap());
    if std::env::var("UPDATE_GOLDEN").is_ok() {
        std::fs::write(file, &generated).unwrap();
    }
    let published = std::fs::read_to_string(file).unwrap_or_default();
    assert!(published == generated, "`make golden` rewrites docs/identity-openapi.json");
}

#[test]
fn the_document_lists_every_operation_under_a_name_of_its_own() {
    let document = document();
    let mut names: Vec<String> = operations(&document)
        .iter()
        .map(|(path, method, operation)| {
            format!("{} = {method} {path}", operation["operationId"].as_str().unwrap())
        })
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "authorizeDevice = POST /connect/deviceauthorization",
            "changePassword = PUT /api/User/{name}/password",
            "changeUser = PATCH /api/User/{name}",
            "checkLiveness = GET /health/live",
            "checkReadiness = GET /health/ready",
            "createInvitation = POST /api/Invitation",
            "createUser = POST /api/User",
            "deleteUser = DELETE /api/User/{name}",
            "explainProblemType = GET /errors/{slug}",
            "getMetadata = GET /.well-known/openid-configuration",
            "getOAuthMetadata = GET /.well-known/oauth-authorization-server",
            "getPublicKeys = GET /.well-known/openid-configuration/jwks",
            "getUser = GET /api/User/{name}",
            "getUserInfo = GET /connect/userinfo",
            "inspectToken = POST /connect/introspect",
            "issueToken = POST /connect/token",
            "listProblemTypes = GET /errors",
            "listRevocations = GET /connect/revocations",
            "listUsers = GET /api/User",
            "postUserInfo = POST /connect/userinfo",
            "resetPassword = POST /api/User/{name}/reset",
            "revokeToken = POST /connect/revocation",
            "unlockUser = POST /api/User/{name}/unlock",
        ]
    );
}

#[tokio::test]
async fn the_document_is_served_and_every_operation_of_it_exists() {
    each_database(|service| async move {
        let served = service.json("/swagger/v1/swagger.json").await;
        assert_eq!(served, document());
        for (path, method, operation) in operations(&served) {
            let answer = service
                .request(method.as_str(), &path.replace("{name}", "ann").replace("{slug}", "no-such-user"))
                .send()
                .await
                .unwrap();
            // Those for clients read their form first.
            let security = operation["security"].as_array().unwrap();
            let needs_token = !security.contains(&json!({})) && security[0].get("client").is_none();
            assert_eq!(answer.status() == 401, needs_token, "{method} {path}: {}", answer.status());
            assert!(![404, 405].contains(&answer.status().as_u16()), "{method} {path}: {}", answer.status());
        }
    })
    .await;
}

#[tokio::test]
async fn answers_are_those_that_the_document_describes() {
    each_database(|service| async move {
        service.register_admin("root").await;
        let token = service.token("root").await;
        for (method, path, template, body, status) in [
            ("GET", "/api/User", "/api/User", "", 200),
            ("GET", "/api/User?limit=0", "/api/User", "", 400),
            ("GET", "/api/User/ROOT", "/api/User/{name}", "", 200),
            ("GET", "/api/User/nobody", "/api/User/{name}", "", 404),
            ("POST", "/api/User", "/api/User", r#"{"name": "ann"}"#, 201),
            ("POST", "/api/User", "/api/User", r#"{"name": "ann"}"#, 409),
            ("POST", "/api/User", "/api/User", r#"["ann"]"#, 422),
            ("POST", "/api/User", "/api/User", "{", 400),
            ("PATCH", "/api/User/root", "/api/User/{name}", r#"{"role": "User"}"#, 409),
            ("POST", "/api/User/ann/reset", "/api/User/{name}/reset", "", 200),
            ("POST", "/api/User/ann/unlock", "/api/User/{name}/unlock", "", 204),
            ("POST", "/api/Invitation", "/api/Invitation", r#"{"role": "Worker"}"#, 201),
            ("DELETE", "/api/User/root", "/api/User/{name}", "", 409),
            ("DELETE", "/api/User/ann", "/api/User/{name}", "", 204),
            ("GET", "/connect/userinfo", "/connect/userinfo", "", 200),
            ("GET", "/connect/revocations", "/connect/revocations", "", 200),
            ("GET", "/.well-known/openid-configuration", "/.well-known/openid-configuration", "", 200),
            (
                "GET",
                "/.well-known/openid-configuration/jwks",
                "/.well-known/openid-configuration/jwks",
                "",
                200,
            ),
            ("GET", "/health/ready", "/health/ready", "", 200),
            ("GET", "/health/ready?x=1", "/health/ready", "", 400),
            ("GET", "/errors", "/errors", "", 200),
            ("GET", "/errors/last-administrator", "/errors/{slug}", "", 200),
            ("GET", "/errors/nothing", "/errors/{slug}", "", 404),
        ] {
            let request = service.request(method, path).bearer_auth(&token);
            let request = request.header("content-type", "application/json").body(body);
            assert_documented(method, template, request.send().await.unwrap(), status).await;
        }
    })
    .await;
}

#[tokio::test]
async fn answers_of_the_token_endpoint_are_those_that_the_document_describes() {
    each_database(|service| async move {
        service.register("ann").await;
        let unknown = [("grant_type", "client_credentials"), ("client_id", "x"), ("client_secret", "y")];
        for (form, status) in [
            (password_grant("ann", PASSWORD), 200),
            (password_grant("ann", "a guess"), 400),
            (unknown.to_vec(), 401),
        ] {
            let answer = service.post("/connect/token", &form).send().await.unwrap();
            assert_documented("POST", "/connect/token", answer, status).await;
        }
    })
    .await;
}

/// Asserts that an answer has this status, and the headers, the media type and the members that the document names.
async fn assert_documented(method: &str, template: &str, answer: Response, status: u16) {
    let document = document();
    let what = format!("{method} {template} {status}");
    assert_eq!(answer.status(), status, "{what}");
    let described = &document["paths"][template][method.to_lowercase()]["responses"][status.to_string()];
    assert!(described.is_object(), "{what}");
    for header in described["headers"].as_object().unwrap().keys() {
        assert!(answer.headers().contains_key(header), "{what}: {header}");
    }
    let Some(media_type) = answer.headers().get(CONTENT_TYPE) else { return };
    let media_type = media_type.to_str().unwrap().to_owned();
    let schema = described["content"][&media_type]["schema"]["$ref"].as_str();
    let schema = schema.unwrap_or_else(|| panic!("{what}: no {media_type}"));
    let shape = document.pointer(&schema[1..]).unwrap();
    assert_members(shape, &answer.json().await.unwrap(), &what);
}

/// Asserts that an object has the members that its schema requires, and no others.
fn assert_members(shape: &Value, body: &Value, what: &str) {
    let properties = shape["properties"].as_object().unwrap();
    for name in body.as_object().unwrap().keys() {
        assert!(properties.contains_key(name), "{what}: {name} is not in the document");
    }
    for name in shape["required"].as_array().unwrap() {
        assert!(body.get(name.as_str().unwrap()).is_some(), "{what}: {name} is missing");
    }
}

#[tokio::test]
async fn a_form_in_another_encoding_is_refused_in_the_format_of_its_endpoint() {
    each_database(|service| async move {
        for (path, media_type) in
            [("/connect/token", "application/json"), ("/Auth/Login", "text/html; charset=utf-8")]
        {
            let request = service.post(path, &[]).header("content-encoding", "br");
            let refused = request.send().await.unwrap();
            assert_eq!(refused.status(), 415, "{path}");
            assert_eq!(refused.headers()["content-type"], media_type, "{path}");
            assert_eq!(refused.headers()["accept-encoding"], "gzip, identity", "{path}");
        }
    })
    .await;
}

/// The body of an operation as the document shows it, and its media type.
fn example_body<'a>(document: &'a Value, operation: &'a Value) -> Option<(&'a str, &'a Value)> {
    let (media_type, content) = operation["requestBody"]["content"].as_object()?.iter().next()?;
    let schema = content["schema"]["$ref"].as_str().and_then(|reference| document.pointer(&reference[1..]));
    Some((media_type, schema.and_then(|schema| schema["examples"].get(0)).expect("a body has an example")))
}

#[tokio::test]
async fn the_example_of_every_request_is_answered_as_the_document_says() {
    each_database(|service| async move {
        service.register_admin("root").await;
        let root = service.token("root").await;
        let document = document();
        // The accounts have the password of the examples.
        let create = async |name: &str| {
            let account = json!({"name": name, "password": "seven-green-herons"}).to_string();
            let request = service.request("POST", "/api/User").bearer_auth(&root);
            let created =
                request.header(CONTENT_TYPE, "application/json").body(account).send().await.unwrap();
            assert_eq!(created.status(), 201);
        };
        create("bea").await;
        for (number, (path, method, operation)) in operations(&document).into_iter().enumerate() {
            let (name, mut token) = (format!("ann{number}"), root.clone());
            if path.contains("{name}") {
                create(&name).await;
            }
            if operation["operationId"] == "changePassword" {
                let own =
                    service.request_token(&name, "seven-green-herons").await.json::<Value>().await.unwrap();
                own["access_token"].as_str().unwrap().clone_into(&mut token);
            }
            let sent = path.replace("{name}", &name).replace("{slug}", "no-such-user");
            let request = service.request(method.as_str(), &sent).bearer_auth(token);
            let answer = match example_body(&document, &operation) {
                None => request.send().await,
                Some(("application/json", body)) => {
                    request.header(CONTENT_TYPE, "application/json").body(body.to_string()).send().await
                }
                Some((_, form)) => {
                    let fields = form.as_object().unwrap().iter();
                    let fields = fields.map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
                    let fields: Vec<_> = fields
                        .map(|field| if field.0 == "username" { ("username", "bea") } else { field })
                        .collect();
                    service.post(&sent, &fields).send().await
                }
            };
            let status = answer.unwrap().status().as_u16();
            assert!((200..300).contains(&status), "{method} {path}: {status}");
            assert!(operation["responses"][status.to_string()].is_object(), "{method} {path}: {status}");
        }
    })
    .await;
}
