//! The catalogue: a registered version never changes, and the highest version is the one that is used.

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
        description: String::new(),
        isolation: domain::ExecutionIsolation::Async,
    }
}

#[tokio::test]
async fn the_highest_version_wins() {
    each_database(|test| async move {
        for operation in [operation("b", 2), operation("a", 1), operation("b", 10), operation("b", 9)] {
            test.store.register(&operation).await.unwrap();
        }
        let catalogue = test.store.catalogue().await.unwrap();
        assert_eq!(catalogue, [operation("a", 1), operation("b", 10)]);
    })
    .await;
}

#[tokio::test]
async fn the_same_definition_again_changes_nothing() {
    each_database(|test| async move {
        test.store.register(&operation("a", 1)).await.unwrap();
        test.store.register(&operation("a", 1)).await.unwrap();
        assert_eq!(test.store.catalogue().await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn another_definition_under_the_same_version_is_refused() {
    each_database(|test| async move {
        test.store.register(&operation("a", 1)).await.unwrap();
        let other = Operation { result: json!({ "type": "integer" }), ..operation("a", 1) };
        let refusal = test.store.register(&other).await.unwrap_err();
        assert!(matches!(refusal, RegisterError::Conflict { version: 1, .. }));
        assert!(refusal.to_string().ends_with("give yours a higher version"), "{refusal}");
        assert_eq!(test.store.catalogue().await.unwrap(), [operation("a", 1)]);
    })
    .await;
}

/// Doc comments and titles are no part of a definition; the first registered text stays.
#[tokio::test]
async fn an_equivalent_definition_changes_nothing() {
    each_database(|test| async move {
        let titled = |title: &str| Operation {
            parameters: json!({ "type": "object", "title": title, "properties": { "title": { "description": title } } }),
            ..operation("a", 1)
        };
        test.store.register(&titled("old")).await.unwrap();
        test.store.register(&titled("new")).await.unwrap();
        assert_eq!(test.store.catalogue().await.unwrap(), [titled("old")]);
        let other = Operation { parameters: json!({ "type": "object", "properties": {} }), ..titled("new") };
        test.store.register(&other).await.unwrap_err();
    })
    .await;
}

/// A definition that this Tasker cannot read is left out of the catalogue, and its version stays taken.
#[tokio::test]
async fn an_unreadable_definition_does_not_hide_the_others() {
    each_database(|test| async move {
        for name in ["a", "b", "c"] {
            test.store.register(&operation(name, 1)).await.unwrap();
        }
        let newer = r#"update operation set spec = '{"type":"b","parameters":{},"result":{},"newer":1}' where type = 'b'"#;
        test.execute(newer).await.unwrap();
        for _ in 0..2 {
            assert_eq!(test.store.catalogue().await.unwrap(), [operation("a", 1), operation("c", 1)]);
        }
        let refusal = test.store.register(&operation("b", 1)).await.unwrap_err();
        assert!(matches!(refusal, RegisterError::Conflict { version: 1, .. }));
        test.store.register(&operation("b", 2)).await.unwrap();
        assert_eq!(test.store.catalogue().await.unwrap()[1], operation("b", 2));
    })
    .await;
}

/// Workers that start at the same time register at the same time: one definition is registered, the others are refused.
#[tokio::test(flavor = "multi_thread")]
async fn racing_registrations_agree() {
    each_database(|test| async move {
        let mut race = JoinSet::new();
        for racer in 0..16 {
            let store = test.another();
            let mine = Operation { result: json!(racer % 2 == 0), ..operation("a", 1) };
            race.spawn(async move { (store.register(&mine).await.is_ok(), mine) });
        }
        let registered = test.store.catalogue().await.unwrap();
        for (accepted, mine) in race.join_all().await {
            let registered = test.store.catalogue().await.unwrap();
            assert_eq!(accepted, registered == [mine]);
        }
        assert!(registered.len() <= 1);
    })
    .await;
}
