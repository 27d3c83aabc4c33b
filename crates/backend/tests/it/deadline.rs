//! Deadlines: a task ends when its time to live is over, or when nobody has claimed it in time.

use std::time::Duration;

use domain::{Reason, Status, TaskList, Ttl};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::test_backend::{on_each_database, on_each_database_with, on_each_database_with_set_clock};
use crate::kit::until::until;

#[tokio::test]
async fn the_deadline_timer_ends_overdue_tasks_long_before_the_periodic_check() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        // The periodic check comes in an hour; each way to claim a task sets the timer.
        let submit = async || user.submit(json!({"type": "ECHO", "ttl": 100})).await.id();
        let (claimed_by_patch, claimed_by_id) = (submit().await, submit().await);
        worker.claim_by_patch(&claimed_by_patch, "w").await.expect_status(200);
        worker.claim_one(&claimed_by_id, "w").await;
        let claimed_by_type = submit().await;
        assert_eq!(worker.claim_by_type(Uuid::new_v4(), "w", "ECHO", 1, 0).await.grants().len(), 1);
        for id in [claimed_by_patch, claimed_by_id, claimed_by_type] {
            let task = user.wait_for_end(&id).await;
            assert_eq!((&task["status"], &task["reason"]), (&json!("CANCELLED"), &json!("TTL_EXPIRED")));
            let date = |name: &str| task[name].as_str().unwrap().to_owned();
            assert!(date("endDate") >= date("deadline"), "{task}");
            assert_eq!(task["error"], json!(null));
        }
    })
    .await;
}

#[tokio::test]
async fn an_earlier_deadline_sets_the_timer_and_a_later_one_does_not() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let later = user.submit_echo().await;
        worker.claim_one(&later, "w").await;
        for ttl in [200, 50] {
            let earlier = user.submit(json!({"type": "ECHO", "ttl": ttl})).await.id();
            worker.claim_one(&earlier, "w").await;
            assert_eq!(user.wait_for_end(&earlier).await["reason"], "TTL_EXPIRED");
        }
        assert_eq!(user.task(&later).await["status"], "RUNNING");
    })
    .await;
}

#[tokio::test]
async fn a_task_that_nobody_claims_in_time_is_cancelled_by_the_periodic_check() {
    let adjust = |settings: &mut backend::Settings| {
        settings.start_within = Ttl::try_from(50).unwrap();
        settings.check_period = Duration::from_millis(20);
    };
    on_each_database_with(adjust, async |service| {
        let user = service.user();
        let task = user.wait_for_end(&user.submit_echo().await).await;
        assert_eq!((&task["status"], &task["reason"]), (&json!("CANCELLED"), &json!("NOT_STARTED")));
        assert_eq!((&task["startDate"], &task["workerName"]), (&json!(null), &json!(null)));
        assert!(task["endDate"].is_string());
    })
    .await;
}

#[tokio::test]
async fn a_task_that_finished_in_time_stays_finished_after_its_deadline() {
    on_each_database_with(
        |settings| settings.check_period = Duration::from_millis(20),
        async |service| {
            let (user, worker) = (service.user(), service.worker());
            let submit = async || user.submit(json!({"type": "ECHO", "ttl": 200})).await.id();
            let (in_time, too_late) = (submit().await, submit().await);
            let grant = worker.claim_one(&in_time, "w").await;
            assert_eq!(worker.report(&grant, json!({"result": 1})).await, json!({"became": "finished"}));
            let finished = user.task(&in_time).await;
            worker.claim_one(&too_late, "w").await;
            assert_eq!(user.wait_for_end(&too_late).await["reason"], "TTL_EXPIRED");
            assert_eq!(
                user.task(&in_time).await,
                finished,
                "the sweep that ended the other task changed nothing of it"
            );
            assert_eq!(user.result(&in_time).await.ok::<Value>(), json!({"result": 1}));
        },
    )
    .await;
}

/// The database's clock stands still while the tasks are claimed, so that all have the same deadline.
#[tokio::test]
async fn of_ten_thousand_running_tasks_that_expire_together_each_ends_as_expired() {
    const BATCHES: usize = 10;
    const BATCH: usize = 1000;
    let adjust = |settings: &mut backend::Settings| settings.check_period = Duration::from_millis(20);
    on_each_database_with_set_clock(adjust, async |service| {
        let (owner, worker) = (Uuid::new_v4(), service.worker());
        for _ in 0..BATCHES {
            let ids = service.submit_to_store(owner, "ECHO", BATCH).await;
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            let grants = worker.claim_by_ids(Uuid::new_v4(), "w", &ids).await.grants();
            assert_eq!(grants.len(), BATCH);
        }
        assert_eq!(service.store.counts().await.unwrap().running, (BATCHES * BATCH) as u64);
        service.advance_clock(Ttl::DEFAULT_MAX.duration() + Duration::from_millis(1)).await;
        until("no task runs", async || service.store.counts().await.unwrap().running == 0).await;
        let user = service.with_token(service.issuer.token(&owner.to_string(), &["User"]));
        let (mut ended, mut before) = (0, String::new());
        loop {
            let page: TaskList = user.get(&format!("/api/Task/?limit=1000{before}")).await.ok();
            let Some(last) = page.tasks.last() else { break };
            before = format!("&before={}", last.id);
            for task in &page.tasks {
                let expected = (Status::Cancelled, Some(Reason::TtlExpired));
                assert_eq!((task.status, task.reason), expected, "{task:?}");
            }
            ended += page.tasks.len();
        }
        assert_eq!(ended, BATCHES * BATCH);
    })
    .await;
}
