//! Signs of life: what a worker must stop, and what it loses by its silence.

use std::time::Duration;

use serde_json::{Value, json};

use crate::kit::service::{WorkerCaller, each, each_with};

#[tokio::test]
async fn the_answer_names_what_must_stop() {
    each(async |service| {
        let (ann, rig) = (service.user(), service.worker());
        let (runs, cancelled, released) = (ann.created().await, ann.created().await, ann.created().await);
        let brief = ann.submit(json!({"type": "ECHO", "ttl": 50})).await.id();
        for id in [&runs, &cancelled, &brief] {
            rig.granted(id, "w").await;
        }
        let first = rig.granted(&released, "w").await;
        rig.report(&first, json!("released")).await;
        rig.granted(&released, "w").await;
        ann.cancel(&cancelled).await.is(200);
        ann.ended(&brief).await;
        let held = [(&*runs, 1), (&*cancelled, 1), (&*brief, 1), (&*released, 1), (&*released, 2)];
        let heard: Value = rig.beat("w", &held).await.ok();
        let mut stop: Vec<(String, u64)> = Vec::new();
        for held in heard["stop"].as_array().unwrap() {
            stop.push((held["id"].as_str().unwrap().to_owned(), held["attempt"].as_u64().unwrap()));
        }
        stop.sort();
        let mut expected = vec![(cancelled, 1), (brief, 1), (released.clone(), 1)];
        expected.sort();
        assert_eq!(stop, expected);
        let heard: Value = rig.beat("another", &[(&runs, 1)]).await.ok();
        assert_eq!(heard["stop"].as_array().unwrap().len(), 1, "it is not another's to run");
    })
    .await;
}

#[tokio::test]
async fn workers_are_listed_for_those_who_serve_and_for_nobody_else() {
    each(async |service| {
        let rig = service.worker();
        rig.beat("b", &[]).await.is(200);
        rig.beat("a", &[]).await.is(200);
        let list: Value = rig.get("/api/Worker").await.ok();
        let workers = list["workers"].as_array().unwrap();
        assert_eq!(workers.len(), 2);
        assert_eq!((&workers[0]["name"], &workers[1]["slots"]), (&json!("a"), &json!(8)));
        assert_eq!(workers[0]["types"], json!(["ECHO"]));
        service.user().get("/api/Worker").await.is(403);
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_falls_silent_loses_its_tasks_and_one_that_never_spoke_does_not() {
    let adjust = |settings: &mut backend::Settings| {
        settings.worker_lost = Duration::from_millis(300);
        settings.check_period = Duration::from_millis(50);
    };
    each_with(adjust, async |service| {
        let (ann, rig) = (service.user(), service.worker());
        let (lost, kept) = (ann.created().await, ann.created().await);
        rig.beat("speaks", &[]).await.is(200);
        let grant = rig.granted(&lost, "speaks").await;
        rig.ask(&kept, "original").await.is(200);
        let task = ann.ended(&lost).await;
        assert_eq!((&task["status"], &task["reason"]), (&json!("CANCELLED"), &json!("WORKER_LOST")));
        assert_eq!(ann.task(&kept).await["status"], "RUNNING");
        let heard: Value = rig.beat("speaks", &[(&lost, 1)]).await.ok();
        assert_eq!(heard["stop"][0]["id"], *lost);
        assert_eq!(rig.report(&grant, json!({"result": 1})).await["reason"], "WORKER_LOST");
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_has_started_anew_ends_what_its_predecessor_held() {
    each(async |service| {
        let (ann, rig) = (service.user(), service.worker());
        let (lost, kept) = (ann.created().await, ann.created().await);
        rig.beat("w", &[]).await.is(200);
        let grant = rig.granted(&lost, "w").await;
        rig.granted(&kept, "another").await;
        let first = json!({"worker": "w", "slots": 8, "types": ["ECHO"], "running": [], "first": true});
        let begin = async || {
            let heard: Value = rig.post("/api/Worker/heartbeat").json(first.clone()).await.ok();
            assert_eq!(heard["stop"], json!([]));
        };
        let (task, ()) = tokio::join!(ann.ended(&lost), begin());
        begin().await;
        assert_eq!((&task["status"], &task["reason"]), (&json!("CANCELLED"), &json!("WORKER_LOST")));
        assert_eq!(ann.task(&kept).await["status"], "RUNNING");
        let settled = rig.report(&grant, json!({"result": 1})).await;
        assert_eq!(settled["reason"], "WORKER_LOST", "the predecessor lives after all, and is told");
        let own = rig.granted(&ann.created().await, "w").await;
        rig.beat("w", &[]).await.is(200);
        assert_eq!(rig.report(&own, json!({"result": 1})).await, json!({"became": "finished"}));
    })
    .await;
}

#[tokio::test]
async fn nobody_is_lost_by_the_silence_of_a_backend_that_was_away() {
    let adjust = |settings: &mut backend::Settings| {
        settings.worker_lost = Duration::from_millis(500);
        settings.check_period = Duration::from_millis(50);
    };
    each_with(adjust, async |service| {
        let (ann, rig) = (service.user(), service.worker());
        rig.beat("w", &[]).await.is(200);
        let id = ann.created().await;
        rig.granted(&id, "w").await;
        service.stop.cancel();
        // While it is away, time passes: as much as a worker may be silent.
        let scratch = testkit::Scratch::sqlite();
        let clock = WorkerCaller::up(scratch, |_| {}).await;
        clock.worker().pull(uuid::Uuid::new_v4(), "w", "ECHO", 1, 700).await.is(200);
        clock.down().await;
        let again = service.again(adjust).await;
        let brief = again.bearer(ann.token.clone().unwrap());
        let due = brief.submit(json!({"type": "ECHO", "ttl": 1})).await.id();
        let rig = again.bearer(rig.token.clone().unwrap());
        rig.granted(&due, "original").await;
        brief.ended(&due).await;
        let heard: Value = rig.beat("w", &[(&id, 1)]).await.ok();
        assert_eq!(heard["stop"], json!([]));
        assert_eq!(brief.task(&id).await["status"], "RUNNING");
        again.stopped().await;
    })
    .await;
}
