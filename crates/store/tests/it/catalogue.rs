//! The catalogue: a registered version never changes, and the highest one counts.

use domain::{Operation, QueueName, TtlBounds};
use serde_json::json;
use store::RegisterError;
use tokio::task::JoinSet;

use crate::kit::{each_database, kind, millis};

fn operation(name: &str, version: u32) -> Operation {
    Operation {
        name: kind(name),
        version,
        queue: QueueName::default(),
        parameters: json!({ "type": "object", "maxProperties": u64::MAX }),
        result: json!(true),
        ttl: TtlBounds { default: Some(millis(1000)), max: None },
        isolation: domain::Isolation::Async,
    }
}

#[tokio::test]
async fn the_highest_version_wins() {
    each_database(|bench| async move {
        for operation in [operation("b", 2), operation("a", 1), operation("b", 10), operation("b", 9)] {
            bench.store.register(&operation).await.unwrap();
        }
        let catalogue = bench.store.catalogue().await.unwrap();
        assert_eq!(catalogue, [operation("a", 1), operation("b", 10)]);
    })
    .await;
}

#[tokio::test]
async fn the_same_definition_again_changes_nothing() {
    each_database(|bench| async move {
        bench.store.register(&operation("a", 1)).await.unwrap();
        bench.store.register(&operation("a", 1)).await.unwrap();
        assert_eq!(bench.store.catalogue().await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn another_definition_under_the_same_version_is_refused() {
    each_database(|bench| async move {
        bench.store.register(&operation("a", 1)).await.unwrap();
        let other = Operation { result: json!({ "type": "integer" }), ..operation("a", 1) };
        let refusal = bench.store.register(&other).await.unwrap_err();
        assert!(matches!(refusal, RegisterError::Conflict { version: 1, .. }));
        assert!(refusal.to_string().ends_with("give yours a higher version"), "{refusal}");
        assert_eq!(bench.store.catalogue().await.unwrap(), [operation("a", 1)]);
    })
    .await;
}

/// A doc comment or a schema's title is no part of a definition; what was registered first stays.
#[tokio::test]
async fn the_same_definition_in_other_words_changes_nothing() {
    each_database(|bench| async move {
        let told = |title: &str| Operation {
            parameters: json!({ "type": "object", "title": title, "properties": { "title": { "description": title } } }),
            ..operation("a", 1)
        };
        bench.store.register(&told("old")).await.unwrap();
        bench.store.register(&told("new")).await.unwrap();
        assert_eq!(bench.store.catalogue().await.unwrap(), [told("old")]);
        let other = Operation { parameters: json!({ "type": "object", "properties": {} }), ..told("new") };
        bench.store.register(&other).await.unwrap_err();
    })
    .await;
}

/// A row that a newer Tasker wrote hides no other, and cannot be registered over.
#[tokio::test]
async fn an_operation_that_cannot_be_read_hides_no_other() {
    each_database(|bench| async move {
        for name in ["a", "b", "c"] {
            bench.store.register(&operation(name, 1)).await.unwrap();
        }
        let newer = r#"update operation set spec = '{"type":"b","parameters":{},"result":{},"newer":1}' where type = 'b'"#;
        bench.execute(newer).await.unwrap();
        for _ in 0..2 {
            assert_eq!(bench.store.catalogue().await.unwrap(), [operation("a", 1), operation("c", 1)]);
        }
        let refusal = bench.store.register(&operation("b", 1)).await.unwrap_err();
        assert!(matches!(refusal, RegisterError::Conflict { version: 1, .. }));
        bench.store.register(&operation("b", 2)).await.unwrap();
        assert_eq!(bench.store.catalogue().await.unwrap()[1], operation("b", 2));
    })
    .await;
}

/// Workers that start together register together: one definition wins, the others are told.
#[tokio::test(flavor = "multi_thread")]
async fn racing_registrations_agree() {
    each_database(|bench| async move {
        let mut race = JoinSet::new();
        for racer in 0..16 {
            let store = bench.another();
            let mine = Operation { result: json!(racer % 2 == 0), ..operation("a", 1) };
            race.spawn(async move { (store.register(&mine).await.is_ok(), mine) });
        }
        let registered = bench.store.catalogue().await.unwrap();
        for (accepted, mine) in race.join_all().await {
            let registered = bench.store.catalogue().await.unwrap();
            assert_eq!(accepted, registered == [mine]);
        }
        assert!(registered.len() <= 1);
    })
    .await;
}
