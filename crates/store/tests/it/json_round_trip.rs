//! What was submitted and what was returned come back byte for byte (G1, G14).

use domain::{RawJson, ReportOutcome, SettleResult};

use crate::kit::{ANN, Bench, each_database, failure, json};

/// Documents that a re-encoder would spoil.
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

/// 256 KiB of text with everything in it that needs escaping.
fn big() -> String {
    let text = "\"\\\u{7f}é🦀 ".repeat(256 * 1024 / 16);
    serde_json::to_string(&text).unwrap()
}

/// G14: for each document, alone and as one of a batch.
#[tokio::test]
async fn parameters_and_results_return_unchanged() {
    each_database(|bench| async move {
        let documents: Vec<String> = odd().into_iter().chain([big()]).collect();
        let mut batch = Vec::new();
        for document in &documents {
            batch.push(domain::Submission { parameters: Some(json(document)), ..bench.submission() });
        }
        bench.store.submit(&batch).await.unwrap();
        for (submitted, document) in batch.iter().zip(&documents) {
            assert_eq!(bench.task(submitted.id).await.parameters.map(String::from).as_ref(), Some(document));
            let grant = bench.claim(submitted.id, "w1").await.unwrap();
            assert_eq!(grant.parameters.as_ref().map(RawJson::text), Some(&**document));
            assert_eq!(
                bench.report(&grant, ReportOutcome::Result(json(document))).await,
                SettleResult::Finished
            );
            assert_eq!(bench.result(submitted.id).await.as_ref(), Some(document));
        }
    })
    .await;
}

/// G14: `null` is a document, and not the absence of one.
#[tokio::test]
async fn null_is_not_absent() {
    each_database(|bench| async move {
        for parameters in [None, Some(json("null"))] {
            let task = domain::Submission { parameters: parameters.clone(), ..bench.submission() };
            bench.store.submit(std::slice::from_ref(&task)).await.unwrap();
            assert_eq!(bench.task(task.id).await.parameters, parameters);
            assert_eq!(bench.claim(task.id, "w1").await.unwrap().parameters, parameters);
        }
        let grant = bench.running().await;
        assert_eq!(bench.store.result(ANN, grant.id).await.unwrap().unwrap().result, None);
        assert_eq!(bench.report(&grant, ReportOutcome::Result(json("null"))).await, SettleResult::Finished);
        assert_eq!(bench.store.result(ANN, grant.id).await.unwrap().unwrap().result, Some(json("null")));
    })
    .await;
}

/// G14: an error is any text that a process can print; the one character that PostgreSQL cannot hold is replaced, and
/// the reports that share its batch go through.
#[tokio::test]
async fn an_error_may_be_any_text() {
    each_database(|bench| async move {
        for (said, kept) in [
            ("", ""),
            ("it \"broke\"\r\n\tat 🦀 \\u0000", "it \"broke\"\r\n\tat 🦀 \\u0000"),
            ("before\0after", "before\u{fffd}after"),
        ] {
            let grant = bench.running().await;
            bench.report(&grant, failure(said)).await;
            assert_eq!(bench.task(grant.id).await.error.as_deref(), Some(kept));
        }
    })
    .await;
}

/// G1: what has been accepted is there for whoever opens the database next.
#[tokio::test]
async fn what_was_accepted_is_there_after_a_restart() {
    for bench in [Bench::sqlite().await, Bench::postgres().await] {
        let submission = bench.submission();
        bench.store.submit(std::slice::from_ref(&submission)).await.unwrap();
        bench.store.close().await;
        let reopened = Bench { db: bench.scratch.open(), ..bench };
        let reopened = Bench { store: reopened.another(), ..reopened };
        let task = reopened.task(submission.id).await;
        assert_eq!(
            (task.parameters, task.name, task.ttl),
            (submission.parameters, submission.name, submission.ttl)
        );
        reopened.finish().await;
    }
}

/// G14: names keep their case and their signs.
#[tokio::test]
async fn names_return_unchanged() {
    each_database(|bench| async move {
        let name = "rig 7 · Köln \"'\\ 🦀".repeat(10);
        let id = bench.created().await;
        bench.claim(id, &name).await.unwrap();
        assert_eq!(bench.task(id).await.worker_name.unwrap().as_str(), name);
    })
    .await;
}
