//! The catalogue: a registered version never changes, and the highest version is the one that is used.

use domain::{Operation, QueueName, SubjectId, TtlBounds};
use serde_json::json;
use store::{RegisterError, Registered, Registrant, RemoveError};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::kit::{SUBJECT, each_database, kind, millis};

const MINE: Registrant = Registrant::Subject(SUBJECT);
const OTHER: Registrant = Registrant::Subject(SubjectId(Uuid::nil()));
const ADMIN: Registrant = Registrant::Admin(SubjectId(Uuid::max()));

fn operation(name: &str, version: u32) -> Operation {
    Operation {
        name: kind(name),
        version,
        queue: QueueName::default(),
        parameters: json!({ "type": "object", "maxProperties": u64::MAX }),
        result: json!(true),
        ttl: TtlBounds { default: Some(millis(1000)), max: None },
        description: String::new(),
        defaults: domain::SubmissionDefaults::default(),
        maxima: domain::SubmissionMaxima::default(),
        isolation: domain::ExecutionIsolation::Async,
    }
}

#[tokio::test]
async fn the_highest_version_wins() {
    each_database(|test| async move {
        for operation in [operation("b", 2), operation("a", 1), operation("b", 10), operation("b", 9)] {
            test.store.register(&operation, MINE).await.unwrap();
        }
        let catalogue = test.store.catalogue().await.unwrap();
        assert_eq!(catalogue, [operation("a", 1), operation("b", 10)]);
    })
    .await;
}

#[tokio::test]
async fn the_same_definition_again_changes_nothing() {
    each_database(|test| async move {
        assert_eq!(test.store.register(&operation("a", 1), MINE).await.unwrap(), Registered::New);
        for by in [MINE, OTHER, Registrant::Tasker] {
            assert_eq!(test.store.register(&operation("a", 1), by).await.unwrap(), Registered::Before);
        }
        assert_eq!(test.store.catalogue().await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn another_definition_under_the_same_version_is_refused() {
    each_database(|test| async move {
        test.store.register(&operation("a", 1), MINE).await.unwrap();
        let other = Operation { result: json!({ "type": "integer" }), ..operation("a", 1) };
        let refusal = test.store.register(&other, MINE).await.unwrap_err();
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
        test.store.register(&titled("old"), MINE).await.unwrap();
        test.store.register(&titled("new"), MINE).await.unwrap();
        assert_eq!(test.store.catalogue().await.unwrap(), [titled("old")]);
        let other = Operation { parameters: json!({ "type": "object", "properties": {} }), ..titled("new") };
        test.store.register(&other, MINE).await.unwrap_err();
    })
    .await;
}

/// A definition that this Tasker cannot read is left out of the catalogue, and its version stays taken.
#[tokio::test]
async fn an_unreadable_definition_does_not_hide_the_others() {
    each_database(|test| async move {
        for name in ["a", "b", "c"] {
            test.store.register(&operation(name, 1), MINE).await.unwrap();
        }
        let newer = r#"update operation set spec = '{"type":"b","parameters":{},"result":{},"newer":1}' where type = 'b'"#;
        test.execute(newer).await.unwrap();
        for _ in 0..2 {
            assert_eq!(test.store.catalogue().await.unwrap(), [operation("a", 1), operation("c", 1)]);
        }
        let refusal = test.store.register(&operation("b", 1), MINE).await.unwrap_err();
        assert!(matches!(refusal, RegisterError::Conflict { version: 1, .. }));
        test.store.register(&operation("b", 2), MINE).await.unwrap();
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
            race.spawn(async move { (store.register(&mine, MINE).await.is_ok(), mine) });
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

/// A type belongs to who registered it first, and Tasker's to nobody; only an administrator changes those of others.
#[tokio::test]
async fn a_type_belongs_to_who_registered_it_first() {
    each_database(|test| async move {
        let register = async |operation: Operation, by| test.store.register(&operation, by).await;
        let is_foreign = |result| matches!(result, Err(RegisterError::Foreign(_)));
        register(operation("mine", 1), MINE).await.unwrap();
        register(operation("built.in", 1), Registrant::Tasker).await.unwrap();
        assert!(is_foreign(register(operation("mine", 2), OTHER).await));
        assert!(is_foreign(register(operation("built.in", 2), OTHER).await));
        assert_eq!(test.store.catalogue().await.unwrap(), [operation("built.in", 1), operation("mine", 1)]);
        register(operation("mine", 2), ADMIN).await.unwrap();
        register(operation("mine", 3), MINE).await.unwrap();
        register(operation("built.in", 2), ADMIN).await.unwrap();
        assert!(is_foreign(register(operation("built.in", 3), OTHER).await));
        register(operation("built.in", 3), Registrant::Tasker).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_operation_is_removed_by_its_owner_and_by_administrators() {
    each_database(|test| async move {
        let remove =
            async |name: &str, version, by| test.store.remove_operation(&kind(name), version, by).await;
        for (name, version) in [("a", 1), ("a", 2), ("demo.echo", 1)] {
            test.store.register(&operation(name, version), MINE).await.unwrap();
        }
        assert!(matches!(remove("b", None, ADMIN).await, Err(RemoveError::Unknown)));
        assert!(matches!(remove("a", Some(3), ADMIN).await, Err(RemoveError::Unknown)));
        assert!(matches!(remove("a", None, OTHER).await, Err(RemoveError::Foreign)));
        remove("a", Some(2), MINE).await.unwrap();
        assert_eq!(test.store.catalogue().await.unwrap(), [operation("a", 1), operation("demo.echo", 1)]);
        remove("a", Some(1), MINE).await.unwrap();
        assert!(matches!(remove("a", None, MINE).await, Err(RemoveError::Unknown)));
        test.store.register(&operation("a", 1), OTHER).await.unwrap();
        assert!(matches!(remove("a", None, MINE).await, Err(RemoveError::Foreign)), "it is the other's now");

        test.created().await;
        assert!(matches!(remove("demo.echo", None, MINE).await, Err(RemoveError::Awaited)));
        remove("demo.echo", None, ADMIN).await.unwrap();
        assert_eq!(test.store.catalogue().await.unwrap(), [operation("a", 1)]);
        assert!(test.store.known_types().await.unwrap().contains(&kind("demo.echo")));
    })
    .await;
}

/// A version is registered or its type removed, whichever of two racing calls comes first: no type has a version and no owner.
#[tokio::test(flavor = "multi_thread")]
async fn a_registration_that_races_a_removal_is_kept_or_gone() {
    each_database(|test| async move {
        for version in 1..20 {
            let (one, other) = (test.another(), test.another());
            test.store.register(&operation("a", version), MINE).await.unwrap();
            let next = operation("a", version + 1);
            let mut race = JoinSet::new();
            race.spawn(async move { one.register(&next, MINE).await.is_ok() });
            race.spawn(async move { other.remove_operation(&kind("a"), None, ADMIN).await.is_ok() });
            assert_eq!(race.join_all().await, [true, true]);
            let versions = test.number("select count(*) from operation").await;
            let removed = test.number("select count(*) from operation_type where is_removed").await;
            assert_eq!(versions == 0, removed == 1, "{versions} versions");
        }
    })
    .await;
}
