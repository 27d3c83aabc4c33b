//! No task outlives its time to live.

use std::time::Duration;

use domain::Ttl;
use serde_json::{Value, json};

use crate::kit::service::{each, each_with};

#[tokio::test]
async fn the_alarm_ends_what_is_overdue_long_before_the_periodic_check() {
    each(async |service| {
        let (ann, rig) = (service.user(), service.worker());
        // The check comes in an hour; each way to a grant sets the alarm.
        let submit = async || ann.submit(json!({"type": "ECHO", "ttl": 100})).await.id();
        let (patched, asked) = (submit().await, submit().await);
        rig.ask(&patched, "w").await.is(200);
        rig.granted(&asked, "w").await;
        let pulled = submit().await;
        assert_eq!(rig.pull(uuid::Uuid::new_v4(), "w", "ECHO", 1, 0).await.grants().len(), 1);
        for id in [patched, asked, pulled] {
            let task = ann.ended(&id).await;
            assert_eq!((&task["status"], &task["reason"]), (&json!("CANCELLED"), &json!("TTL_EXPIRED")));
            let date = |name: &str| task[name].as_str().unwrap().to_owned();
            assert!(date("endDate") >= date("deadline"), "{task}");
            assert_eq!(task["error"], json!(null));
        }
    })
    .await;
}

#[tokio::test]
async fn a_nearer_deadline_moves_the_alarm_and_a_farther_one_does_not() {
    each(async |service| {
        let (ann, rig) = (service.user(), service.worker());
        let far = ann.created().await;
        rig.granted(&far, "w").await;
        for ttl in [200, 50] {
            let near = ann.submit(json!({"type": "ECHO", "ttl": ttl})).await.id();
            rig.granted(&near, "w").await;
            assert_eq!(ann.ended(&near).await["reason"], "TTL_EXPIRED");
        }
        assert_eq!(ann.task(&far).await["status"], "RUNNING");
    })
    .await;
}

#[tokio::test]
async fn a_task_that_nobody_claims_in_time_ends_by_the_check() {
    let adjust = |settings: &mut backend::Settings| {
        settings.start_within = Ttl::try_from(50).unwrap();
        settings.check_period = Duration::from_millis(20);
    };
    each_with(adjust, async |service| {
        let ann = service.user();
        let task = ann.ended(&ann.created().await).await;
        assert_eq!((&task["status"], &task["reason"]), (&json!("CANCELLED"), &json!("NOT_STARTED")));
        assert_eq!((&task["startDate"], &task["workerName"]), (&json!(null), &json!(null)));
        assert!(task["endDate"].is_string());
    })
    .await;
}

#[tokio::test]
async fn what_finished_in_time_stays_finished() {
    each_with(
        |settings| settings.check_period = Duration::from_millis(20),
        async |service| {
            let (ann, rig) = (service.user(), service.worker());
            let submit = async || ann.submit(json!({"type": "ECHO", "ttl": 200})).await.id();
            let (enforce_timeout, too_late) = (submit().await, submit().await);
            let grant = rig.granted(&enforce_timeout, "w").await;
            assert_eq!(rig.report(&grant, json!({"result": 1})).await, json!({"became": "finished"}));
            let finished = ann.task(&enforce_timeout).await;
            rig.granted(&too_late, "w").await;
            assert_eq!(ann.ended(&too_late).await["reason"], "TTL_EXPIRED");
            assert_eq!(ann.task(&enforce_timeout).await, finished, "nothing of it changed");
            assert_eq!(ann.result(&enforce_timeout).await.ok::<Value>(), json!({"result": 1}));
        },
    )
    .await;
}

#[tokio::test]
async fn an_ended_task_is_forgotten_when_it_is_old_enough() {
    each(async |service| {
        let ann = service.user();
        let (kept, old) = (ann.created().await, ann.created().await);
        ann.cancel(&old).await.is(200);
        let again = service.again(|settings| settings.keep_ended = Duration::ZERO).await;
        let ann = again.bearer(ann.token.clone().unwrap());
        while ann.get(&format!("/api/Task/{old}")).await.status == 200 {}
        assert_eq!(ann.task(&kept).await["status"], "CREATED");
        again.stopped().await;
    })
    .await;
}
