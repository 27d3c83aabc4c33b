//! The limit of the requests of each caller.

use std::num::NonZeroU32;

use backend::Settings;
use serde_json::json;

use crate::kit::test_backend::{on_each_database, on_each_database_with};
use crate::kit::until::until;

fn two_a_minute(settings: &mut Settings) {
    settings.requests_per_minute = NonZeroU32::new(2);
}

#[tokio::test]
async fn a_caller_is_told_what_is_left_and_refused_when_nothing_is() {
    on_each_database_with(two_a_minute, async |service| {
        let (user, other, worker) = (service.user(), service.user(), service.worker());
        let policy = Some("\"requests\";q=2;w=60");
        let first = user.get("/api/Task").await.expect_status(200);
        assert_eq!(
            (first.header("ratelimit-policy"), first.header("ratelimit")),
            (policy, Some("\"requests\";r=1;t=30"))
        );
        let second = user.get("/api/Operation").await.expect_status(200);
        assert!(
            second.header("ratelimit").unwrap().starts_with("\"requests\";r=0;t="),
            "every request counts"
        );
        let refused = user.submit(json!({"type": "ECHO", "ttl": 60_000})).await;
        assert_eq!(refused.problem(), (429, "too-many-requests".to_owned()));
        assert!((1..=30).contains(&refused.header("retry-after").unwrap().parse().unwrap()));
        assert!(refused.header("ratelimit").unwrap().starts_with("\"requests\";r=0;t="));
        assert_eq!(refused.header("ratelimit-policy"), policy);
        other.get("/api/Task").await.expect_status(200);
        assert_eq!(service.anonymous().get("/api/Task").await.expect_status(401).header("ratelimit"), None);
        for _ in 0..4 {
            let answer = worker.heartbeat("w", &[]).await.expect_status(200);
            assert_eq!(answer.header("ratelimit"), None, "requests of workers do not count");
        }
    })
    .await;
}

#[tokio::test]
async fn a_refused_caller_is_answered_again_after_a_while() {
    let sixty = |settings: &mut Settings| settings.requests_per_minute = NonZeroU32::new(60);
    on_each_database_with(sixty, async |service| {
        let user = service.user();
        let status = async || user.get("/api/Operation").await.status;
        until("a request too many is refused", async || status().await == 429).await;
        until("a later request is answered", async || status().await == 200).await;
    })
    .await;
}

#[tokio::test]
async fn without_the_setting_there_is_no_limit() {
    on_each_database(async |service| {
        let answer = service.user().get("/api/Task").await.expect_status(200);
        assert_eq!((answer.header("ratelimit"), answer.header("ratelimit-policy")), (None, None));
    })
    .await;
}
