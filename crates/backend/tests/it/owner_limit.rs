//! The limit of an owner's unfinished tasks.

use std::num::NonZeroU32;

use backend::Settings;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::kit::test_backend::on_each_database_with;
use crate::kit::until::until;

fn at_most_three(settings: &mut Settings) {
    settings.max_unfinished_per_owner = NonZeroU32::new(3);
}

#[tokio::test]
async fn an_owner_with_too_many_unfinished_tasks_is_refused_until_one_has_ended() {
    on_each_database_with(at_most_three, async |service| {
        let (user, other, worker) = (service.user(), service.user(), service.worker());
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(user.submit_echo().await);
        }
        worker.claim_one(&ids[0], "w").await;
        let body = json!({"type": "ECHO", "ttl": 60_000});
        let refused = user.submit(body.clone()).await;
        assert_eq!(refused.problem(), (429, "too-many-unfinished".to_owned()));
        assert_eq!(refused.header("retry-after"), Some("1"));
        assert!(refused.text.contains("you have 3 unfinished tasks"), "{}", refused.text);
        other.submit_echo().await;
        user.cancel(&ids[1]).await.expect_status(200);
        until("a task has ended", async || user.submit(body.clone()).await.status == 201).await;
        let list: Value = user.get("/api/Task").await.ok();
        assert_eq!(list["tasks"].as_array().unwrap().len(), 4);
    })
    .await;
}

/// The documented excess: submissions that come while the owner's tasks are counted for the first time are accepted.
#[tokio::test]
async fn concurrent_submissions_exceed_the_limit_by_those_during_one_count_at_most() {
    on_each_database_with(at_most_three, async |service| {
        let user = service.user();
        user.submit_echo().await;
        let submissions =
            join_all((0..50).map(|_| user.submit(json!({"type": "ECHO", "ttl": 60_000})).into_future()))
                .await;
        let accepted = submissions.iter().filter(|answer| answer.status == 201).count();
        assert_eq!(accepted, 2, "this Backend has counted the first, and counts what it accepts");
        assert!(submissions.iter().all(|answer| matches!(answer.status, 201 | 429)));
    })
    .await;
}
