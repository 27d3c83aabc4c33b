//! Parameters and results are returned byte for byte (G1, G14).

use domain::{AttemptOutcome, RawJson, SettleResult};

use crate::kit::{ANN, TestStore, each_database, failure, json};

/// Documents that decoding and encoding again would change.
fn odd() -> Vec<String> {
    [
        "null",
        "\"\"",
        "{\t\"spaces\" : [ 1 ,2 ]\r\n}",
        r#"{"twice":1,"twice":2}"#,
        "[9223372036854775807, -9223372036854775808, 18446744073709551615]",
        "[1.0, 1e2, 1E+02, -0, -0.0, 123456789012345678901234567890.123456789]",
        r#"{"nul":"\u0000","end":"\u0000"}"#,
        r#"["\ud800", "\u00e9", "\/", "\"\\'", "'; drop table task; --"]"#,
        r#"{"emoji":"🦀🏳️","text":"ß→中文é","":""}"#,
        r#"["{not an array}", "\\N", "NULL", "%s $1 ?1"]"#,
    ]
    .map(str::to_owned)
    .into()
}

/// 256 KiB of text with every kind of character that needs escaping.
fn big() -> String {
    let text = "\"\\\u{7f}é🦀 ".repeat(256 * 1024 / 16);
    serde_json::to_string(&text).unwrap()
}

/// G14: for each document, in one batch.
#[tokio::test]
async fn parameters_and_results_return_unchanged() {
    each_database(|test| async move {
        let documents: Vec<String> = odd().into_iter().chain([big()]).collect();
        let mut batch = Vec::new();
        for document in &documents {
            batch.push(domain::Submission { parameters: Some(json(document)), ..test.submission() });
        }
        test.store.submit(&batch).await.unwrap();
        for (submitted, document) in batch.iter().zip(&documents) {
            assert_eq!(test.task(submitted.id).await.parameters.map(String::from).as_ref(), Some(document));
            let grant = test.claim(submitted.id, "w1").await.unwrap();
            assert_eq!(grant.parameters.as_ref().map(RawJson::text), Some(&**document));
            assert_eq!(
                test.report(&grant, AttemptOutcome::Result(json(document))).await,
                SettleResult::Finished
            );
            assert_eq!(test.result(submitted.id).await.as_ref(), Some(document));
        }
    })
    .await;
}

/// G14: the document `null` differs from no document.
#[tokio::test]
async fn null_is_not_absent() {
    each_database(|test| async move {
        for parameters in [None, Some(json("null"))] {
            let task = domain::Submission { parameters: parameters.clone(), ..test.submission() };
            test.store.submit(std::slice::from_ref(&task)).await.unwrap();
            assert_eq!(test.task(task.id).await.parameters, parameters);
            assert_eq!(test.claim(task.id, "w1").await.unwrap().parameters, parameters);
        }
        let grant = test.running().await;
        assert_eq!(test.store.result(ANN, grant.id).await.unwrap().unwrap().result, None);
        assert_eq!(test.report(&grant, AttemptOutcome::Result(json("null"))).await, SettleResult::Finished);
        assert_eq!(test.store.result(ANN, grant.id).await.unwrap().unwrap().result, Some(json("null")));
    })
    .await;
}

/// G14: an error may be any text; NUL, the one character that PostgreSQL cannot store, is replaced.
#[tokio::test]
async fn an_error_may_be_any_text() {
    each_database(|test| async move {
        for (reported, stored) in [
            ("", ""),
            ("it \"broke\"\r\n\tat 🦀 \\u0000", "it \"broke\"\r\n\tat 🦀 \\u0000"),
            ("before\0after", "before\u{fffd}after"),
        ] {
            let grant = test.running().await;
            test.report(&grant, failure(reported)).await;
            assert_eq!(test.task(grant.id).await.error.as_deref(), Some(stored));
        }
    })
    .await;
}

/// G1: accepted tasks are there after the database is opened again.
#[tokio::test]
async fn accepted_tasks_are_there_after_a_restart() {
    for test in [TestStore::sqlite().await, TestStore::postgres().await] {
        let submission = test.submission();
        test.store.submit(std::slice::from_ref(&submission)).await.unwrap();
        test.store.close().await;
        let reopened = TestStore { db: test.scratch.open(), ..test };
        let reopened = TestStore { store: reopened.another(), ..reopened };
        let task = reopened.task(submission.id).await;
        assert_eq!(
            (task.parameters, task.type_name, task.ttl),
            (submission.parameters, submission.type_name, submission.ttl)
        );
        reopened.finish().await;
    }
}

/// G14: names keep their case and special characters.
#[tokio::test]
async fn names_return_unchanged() {
    each_database(|test| async move {
        let name = "rig 7 · Köln \"'\\ 🦀".repeat(10);
        let id = test.created().await;
        test.claim(id, &name).await.unwrap();
        assert_eq!(test.task(id).await.worker_name.unwrap().as_str(), name);
    })
    .await;
}
