//! Invalid submissions: the problem names the rule that is broken and the place where.

use serde_json::{Value, json};

use crate::kit::test_backend::on_each_database;

#[tokio::test]
async fn each_rule_about_the_ttl_has_a_problem_of_its_own() {
    on_each_database(async |service| {
        let user = service.user();
        for (ttl, slug) in [
            ("", "ttl-missing"),
            (r#","ttl": 0"#, "ttl-zero"),
            (r#","ttl": -1"#, "ttl-negative"),
            (r#","ttl": 1.5"#, "ttl-fractional"),
            (r#","ttl": 1e3"#, "ttl-fractional"),
            (r#","ttl": 604800001"#, "ttl-too-large"),
            (r#","ttl": 9223372036854775808"#, "ttl-too-large"),
            (r#","ttl": 99999999999999999999999999"#, "ttl-too-large"),
            (r#","ttl": "5000""#, "ttl-not-a-number"),
            (r#","ttl": null"#, "ttl-not-a-number"),
            (r#","ttl": {}"#, "ttl-not-a-number"),
        ] {
            let answer = user.post("/api/Task").body(format!(r#"{{"type": "ECHO"{ttl}}}"#)).await;
            assert_eq!(answer.problem(), (422, slug.to_owned()), "{ttl}");
            assert!(answer.errors().contains_key("/ttl"), "{ttl}");
        }
        user.submit(json!({"type": "ECHO", "ttl": 604_800_000})).await.id();
    })
    .await;
}

#[tokio::test]
async fn an_operation_bounds_the_ttl_of_its_tasks() {
    on_each_database(async |service| {
        let user = service.user();
        let id = user.submit(json!({"type": "BRIEF"})).await.id();
        assert_eq!(user.task(&id).await["ttl"], 1000);
        user.submit(json!({"type": "BRIEF", "ttl": 2000})).await.id();
        let answer = user.submit(json!({"type": "BRIEF", "ttl": 2001})).await;
        assert_eq!(answer.problem(), (422, "ttl-too-large".to_owned()));
        assert!(answer.errors()["/ttl"].contains("2000"));
    })
    .await;
}

#[tokio::test]
async fn an_unknown_type_is_answered_with_the_known_types() {
    on_each_database(async |service| {
        let user = service.user();
        let answer = user.submit(json!({"type": "LOGN", "ttl": 1000})).await;
        assert_eq!(answer.problem(), (422, "unknown-type".to_owned()));
        let detail = &answer.errors()["/type"];
        assert_eq!(detail, "there is no type LOGN (known: BRIEF, ECHO, LOGIN); did you mean LOGIN?");
        for (name, slug) in [
            (json!("two words"), "type-malformed"),
            (json!(""), "type-malformed"),
            (json!(7), "type-malformed"),
            (json!(null), "type-malformed"),
        ] {
            let answer = user.submit(json!({"type": name, "ttl": 1000})).await;
            assert_eq!(answer.problem(), (422, slug.to_owned()));
            assert!(answer.errors().contains_key("/type"));
        }
        let answer = user.submit(json!({"ttl": 1000})).await;
        assert_eq!(answer.problem(), (422, "type-missing".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn unknown_and_duplicate_fields_are_refused() {
    on_each_database(async |service| {
        let user = service.user();
        let refused_fields = async |body: &'static str| {
            let answer = user.post("/api/Task").body(body).await;
            assert_eq!(answer.problem(), (422, "unknown-field".to_owned()), "{body}");
            answer.errors()
        };
        let errors = refused_fields(
            r#"{"type": "ECHO", "parametres": {}, "ttl": 1000, "us/er": 1, "status": "FINISHED"}"#,
        )
        .await;
        assert_eq!(errors["/parametres"], r#"there is no field "parametres"; did you mean parameters?"#);
        assert_eq!(errors.keys().collect::<Vec<_>>(), ["/parametres", "/status", "/us~1er"]);
        for duplicate in
            [r#"{"type": "ECHO", "ttl": 1000, "ttl": 2000}"#, r#"{"type": "ECHO", "ttl": 1000, "TTL": 1000}"#]
        {
            assert_eq!(refused_fields(duplicate).await.len(), 1);
        }
    })
    .await;
}

#[tokio::test]
async fn parameters_are_validated_by_the_schema_and_every_error_is_answered() {
    on_each_database(async |service| {
        let user = service.user();
        let body = json!({"type": "LOGIN", "ttl": 0, "parameters": {
            "lenght": 1, "length": 0, "alphabet": 7, "style": {"color": "red"}, "a/b~c": 1,
        }});
        let answer = user.submit(body).await;
        assert_eq!(answer.problem(), (422, "ttl-zero".to_owned()));
        let errors = answer.errors();
        let pointers: Vec<&str> = errors.keys().map(|pointer| &**pointer).collect();
        assert_eq!(
            pointers,
            [
                "/parameters/alphabet",
                "/parameters/a~1b~0c",
                "/parameters/lenght",
                "/parameters/length",
                "/parameters/style/color",
                "/ttl",
            ]
        );
        assert_eq!(errors["/parameters/lenght"], r#"there is no parameter "lenght"; did you mean length?"#);
        assert_eq!(
            errors["/parameters/style/color"],
            r#"there is no parameter "color"; did you mean colour?"#
        );
        let long = "x".repeat(100_000);
        let answer = user.submit(json!({"type": "LOGIN", "ttl": 1, "parameters": {"alphabet": long}})).await;
        assert_eq!(answer.problem(), (422, "parameters-refused".to_owned()));
        assert!(answer.text.len() < 1000, "the value is not repeated in the problem");
    })
    .await;
}

#[tokio::test]
async fn absent_null_and_empty_parameters_validate_alike_and_come_back_as_they_were_sent() {
    on_each_database(async |service| {
        let user = service.user();
        for (sent, back) in [("", "null"), (r#","parameters":null"#, "null"), (r#","parameters":{}"#, "{}")] {
            let id = user.post("/api/Task").body(format!(r#"{{"type":"LOGIN","ttl":9{sent}}}"#)).await.id();
            let task = user.get(&format!("/api/Task/{id}")).await.text;
            assert!(task.contains(&format!(r#""parameters":{back},"status""#)), "{task}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_that_is_not_json_is_answered_400_and_json_of_another_shape_422() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        for body in
            ["", "{", "ttl=5000", r#"{"type": "ECHO", "ttl": 1000} x"#, "{\"type\": \"\u{1}\"}", "[1,]"]
        {
            for path in ["/api/Task", "/api/Task/request", "/api/Task/results", "/api/Worker/heartbeat"] {
                let client = if path == "/api/Task" { &user } else { &worker };
                let answer = client.post(path).body(body).await;
                assert_eq!(answer.problem(), (400, "malformed".to_owned()), "{path} {body}");
            }
        }
        assert_eq!(user.post("/api/Task").body(&b"{\"type\": \"\xff\"}"[..]).await.problem().0, 400);
        for body in ["null", "[]", "7", r#""ECHO""#] {
            for path in ["/api/Task", "/api/Task/request", "/api/Task/results", "/api/Worker/heartbeat"] {
                let client = if path == "/api/Task" { &user } else { &worker };
                let answer = client.post(path).body(body).await;
                assert_eq!(answer.problem(), (422, "wrong-shape".to_owned()), "{path} {body}");
                assert!(answer.errors().contains_key(""), "the pointer to the whole body");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn parameters_that_cannot_be_decoded_are_refused() {
    on_each_database(async |service| {
        let user = service.user();
        let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        for parameters in [&*deep, r#""\ud800""#, "1e400", r#"[{"a": 1, "a": 1}]"#] {
            let body = format!(r#"{{"type": "ECHO", "ttl": 1000, "parameters": {parameters}}}"#);
            let answer = user.post("/api/Task").body(body).await;
            assert_eq!(answer.problem(), (422, "parameters-unreadable".to_owned()));
            assert!(answer.errors().contains_key("/parameters"));
        }
    })
    .await;
}

#[tokio::test]
async fn parameters_may_have_256_kib_and_not_a_byte_more() {
    on_each_database(async |service| {
        let user = service.user();
        let body = |bytes: usize| {
            let text = "x".repeat(bytes - 2);
            format!(r#"{{"type": "ECHO", "ttl": 1000, "parameters": "{text}"}}"#)
        };
        let limit = 256 * 1024;
        let id = user.post("/api/Task").body(body(limit)).await.id();
        assert_eq!(user.task(&id).await["parameters"].as_str().unwrap().len(), limit - 2);
        let answer = user.post("/api/Task").body(body(limit + 1)).await;
        assert_eq!(answer.problem(), (413, "parameters-too-large".to_owned()));
        let answer = user.post("/api/Task").body(body(limit + 64 * 1024)).await;
        assert_eq!(answer.problem(), (413, "body-too-large".to_owned()));
        let list: Value = user.get("/api/Task").await.ok();
        assert_eq!(list["tasks"].as_array().unwrap().len(), 1, "no refused submission has created a task");
    })
    .await;
}

/// Schemas and documents of a few hundred bytes that a validator without limits tries in exponential time and memory.
#[tokio::test]
async fn schemas_and_parameters_that_would_take_too_much_work_are_refused() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let register = async |name: &str, parameters: Value| {
            let operation = json!({"type": name, "version": 1, "parameters": parameters, "result": {}});
            worker.put(&format!("/api/Operation/{name}")).json(operation).await
        };
        let mut chain = json!({"d24": {"type": "integer"}});
        for number in 0..24 {
            let next = json!({"$ref": format!("#/$defs/d{}", number + 1)});
            chain[format!("d{number}")] = json!({"anyOf": [next, next]});
        }
        let answer = register("CHAIN", json!({"$ref": "#/$defs/d0", "$defs": chain})).await;
        assert_eq!(answer.problem(), (422, "schema-refused".to_owned()));
        assert!(answer.errors()["/parameters"].contains("too many for one value"), "{:?}", answer.errors());

        let branch = |op: &str| {
            json!({"type": "object", "required": ["op", "args"], "properties": {
                "op": {"const": op}, "args": {"type": "array", "items": {"$ref": "#/$defs/Expr"}}}})
        };
        let value = json!({"type": "object", "required": ["op", "value"], "properties": {
            "op": {"const": "Value"}, "value": {"type": "integer"}}});
        let expression = json!({"oneOf": [branch("And"), branch("Or"), branch("Not"), value]});
        register("EXPR", json!({"$ref": "#/$defs/Expr", "$defs": {"Expr": expression}}))
            .await
            .expect_status(200);
        let nested = |value: Value| {
            let innermost = json!({"op": "Value", "value": value});
            (0..40).fold(innermost, |inner, _| json!({"op": "And", "args": [inner]}))
        };
        user.submit(json!({"type": "EXPR", "ttl": 5000, "parameters": nested(json!(1))})).await.id();
        let answer =
            user.submit(json!({"type": "EXPR", "ttl": 5000, "parameters": nested(json!("x"))})).await;
        assert_eq!(answer.problem(), (422, "parameters-refused".to_owned()));
    })
    .await;
}
