//! Submissions with an `Idempotency-Key`: however often one is sent, it makes one task (G2).

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};
use testkit::TestDatabase;
use uuid::Uuid;

use crate::kit::openapi_checked_client::{ApiClient, ApiRequest, ApiResponse};
use crate::kit::test_backend::{
    TestBackend, on_each_database, on_each_database_with, on_each_database_with_set_clock,
};
use crate::kit::until::until;

fn echo(user: &ApiClient<'_>, key: &str, number: u32) -> ApiRequest {
    user.submit(json!({"type": "ECHO", "parameters": number, "ttl": 60_000})).header("Idempotency-Key", key)
}

fn is_replayed(answer: &ApiResponse) -> bool {
    answer.header("idempotent-replayed") == Some("true")
}

async fn count_tasks(user: &ApiClient<'_>) -> usize {
    user.get("/api/Task").await.ok::<Value>()["tasks"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_repeated_submission_is_answered_with_the_same_task_also_by_another_backend() {
    on_each_database(async |service| {
        let user = service.user();
        let first = echo(&user, "\"order-17\"", 1).await.expect_status(201);
        assert!(!is_replayed(&first));
        let other = service.start_another(|_| {}).await;
        let at_other = ApiClient { url: &other.url, ..user.clone() };
        for request in [
            echo(&user, "\"order-17\"", 1),
            echo(&user, "order-17", 1),
            echo(&at_other, "order-17", 1),
            echo(&user, "order-17", 1).prefer("return=minimal").header("traceparent", "00-0-0-0"),
        ] {
            let repeated = request.await.expect_status(201);
            assert!(is_replayed(&repeated));
            assert_eq!(repeated.header("location"), first.header("location"));
            assert_eq!(repeated.text, first.text);
        }
        let id: String = first.read();
        let shown = echo(&user, "order-17", 1).prefer("return=representation").await.expect_status(201);
        assert_eq!(shown.read::<Value>()["id"], json!(id));
        user.cancel(&id).await.expect_status(200);
        assert_eq!(echo(&user, "order-17", 1).await.id(), id, "also when the task has ended");
        assert_eq!(count_tasks(&user).await, 1);
        other.shut_down().await;
    })
    .await;
}

#[tokio::test]
async fn a_key_is_for_one_body_of_one_user() {
    on_each_database(async |service| {
        let (user, other) = (service.user(), service.user());
        let id = echo(&user, "k", 1).await.id();
        let reused = echo(&user, "k", 2).await;
        assert_eq!(reused.problem(), (422, "idempotency-key-reused".to_owned()));
        assert_ne!(echo(&other, "k", 1).await.id(), id);
        assert_ne!(echo(&user, "k2", 1).await.id(), id);
        assert_eq!((count_tasks(&user).await, count_tasks(&other).await), (2, 1));
    })
    .await;
}

#[tokio::test]
async fn requests_that_race_with_one_key_at_two_backends_make_one_task() {
    on_each_database(async |service| {
        let user = service.user();
        let other = service.start_another(|_| {}).await;
        let at_other = ApiClient { url: &other.url, ..user.clone() };
        for round in 0..20 {
            let key = format!("round-{round}");
            let requests = (0..8).map(|n| echo(if n % 2 == 0 { &user } else { &at_other }, &key, round));
            let plain = [user.submit_echo(), at_other.submit_echo()];
            let (answers, _) = tokio::join!(join_all(requests.map(ApiRequest::into_future)), join_all(plain));
            let replayed = answers.iter().filter(|answer| is_replayed(answer)).count();
            let ids: Vec<String> = answers.into_iter().map(ApiResponse::id).collect();
            assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
            assert_eq!(replayed, 7, "one of them has made the task");
        }
        assert_eq!(service.store.counts().await.unwrap().accepted, 20 + 40);
        other.shut_down().await;
    })
    .await;
}

#[tokio::test]
async fn a_refused_submission_does_not_use_up_its_key() {
    on_each_database(async |service| {
        let user = service.user();
        let refused = user.submit(json!({"type": "ECHO", "ttl": 0})).header("Idempotency-Key", "k").await;
        assert_eq!(refused.problem(), (422, "ttl-zero".to_owned()));
        let accepted = echo(&user, "k", 1).await;
        assert!(!is_replayed(&accepted));
        accepted.id();
    })
    .await;
}

#[tokio::test]
async fn a_repeated_submission_is_answered_alike_whatever_has_changed_since() {
    let adjust = |settings: &mut backend::Settings| {
        settings.max_unfinished_per_owner = Some(1.try_into().unwrap());
    };
    on_each_database_with(adjust, async |service| {
        let (user, worker) = (service.user(), service.worker());
        let brief = || user.submit(json!({"type": "BRIEF", "ttl": 1500})).header("Idempotency-Key", "k");
        let definition = json!({"type": "NEW", "parameters": {}, "result": {}});
        worker.put("/api/Operation/NEW").json(definition).await;
        let new = || user.submit(json!({"type": "NEW", "ttl": 1500})).header("Idempotency-Key", "new");
        let id = new().await.id();
        assert_eq!(brief().await.problem().0, 429, "the user has as many tasks as an owner may have");
        assert_eq!(new().await.id(), id, "no further task");
        user.cancel(&id).await.expect_status(200);
        worker.call(reqwest::Method::DELETE, "/api/Operation/NEW").await.expect_status(204);
        assert_eq!(new().await.id(), id, "the type is gone");
        assert_eq!(user.submit(json!({"type": "NEW", "ttl": 1500})).await.problem().0, 422);
    })
    .await;
}

#[tokio::test]
async fn a_malformed_key_is_refused() {
    on_each_database(async |service| {
        let user = service.user();
        for key in ["", "\"\"", "two words", "\"open", &"k".repeat(256)] {
            let refused = echo(&user, key, 1).await;
            assert_eq!(refused.problem(), (400, "malformed".to_owned()), "{key:?}");
            assert!(
                refused.text.contains("Idempotency-Key: an idempotency key is 1 to 255"),
                "{}",
                refused.text
            );
        }
        let two = echo(&user, "a", 1).header("Idempotency-Key", "b").await;
        assert_eq!(two.problem(), (400, "malformed".to_owned()));
        assert_eq!(count_tasks(&user).await, 0);
    })
    .await;
}

#[tokio::test]
async fn keys_are_forgotten_after_a_day_and_not_before() {
    on_each_database_with_set_clock(
        |_| {},
        async |service| {
            let user = service.user();
            let old = echo(&user, "old", 1).await.id();
            service.advance_clock(Duration::from_hours(2)).await;
            let newer = echo(&user, "newer", 1).await.id();
            service.advance_clock(Duration::from_hours(23)).await;
            // A Backend prunes when it starts.
            let pruning = service.start_another(|_| {}).await;
            // A request at the moment of the pruning is answered that it may be repeated.
            let is_forgotten = async || {
                let answer = echo(&user, "old", 1).await;
                answer.status != 409 && answer.id() != old
            };
            until("the key of a day ago is forgotten", is_forgotten).await;
            assert_eq!(echo(&user, "newer", 1).await.id(), newer);
            pruning.shut_down().await;
        },
    )
    .await;
}

/// The transaction of another Backend that inserts the key and does not end.
#[tokio::test]
async fn a_submission_whose_key_is_being_submitted_is_answered_409_and_may_be_repeated() {
    let service = TestBackend::start(TestDatabase::postgres().await, |_| {}).await;
    let owner = Uuid::new_v4();
    let user = service.with_token(service.issuer.token(&owner.to_string(), &["User"]));
    let mut connection = PgConnection::connect(&service.database().url).await.unwrap();
    connection.execute("begin").await.unwrap();
    let insert = "insert into idempotency (owner, key_hash, content_hash, tasks, created_at)
        select $1, encode(substring(sha256(uuid_send($1) || convert_to('k', 'UTF8')) from 1 for 16), 'hex')::uuid, $1, '[]', 0";
    sqlx::query(insert).bind(owner).execute(&mut connection).await.unwrap();
    let (under_way, plain) = tokio::join!(echo(&user, "k", 1).into_future(), user.submit_echo());
    assert_eq!(under_way.header("retry-after"), Some("1"));
    assert_eq!(under_way.problem(), (409, "submission-under-way".to_owned()));
    assert_eq!(user.task(&plain).await["status"], "CREATED", "a request without a key beside it is accepted");
    connection.execute("rollback").await.unwrap();
    let accepted = echo(&user, "k", 1).await;
    assert!(!is_replayed(&accepted));
    accepted.id();
    service.finish().await;
}
