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
        isolation: domain::Isolation::Process,
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
