//! A worker asks for whatever waits, and waits for it.

use std::time::{Duration, Instant};

use domain::Task;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::kit::service::{WorkerCaller, each, each_with};

#[tokio::test]
async fn a_pull_takes_the_oldest_of_its_types_and_no_more_than_its_slots() {
    each(async |service| {
        let (ann, rig) = (service.user(), service.worker());
        assert!(rig.pull(Uuid::new_v4(), "w", "ECHO", 5, 0).await.grants().is_empty());
        let mut waiting = Vec::new();
        for _ in 0..5 {
            waiting.push(ann.created().await);
        }
        let other = ann.submit(json!({"type": "BRIEF"})).await.id();
        let ids = async |slots| -> Vec<String> {
            let grants = rig.pull(Uuid::new_v4(), "w", "ECHO", slots, 0).await.grants();
            let mut ids: Vec<String> = grants.iter().map(|grant| grant.id.to_string()).collect();
            ids.sort();
            ids
        };
        assert_eq!(ids(2).await, waiting[..2]);
        assert_eq!(ids(1000).await, waiting[2..]);
        assert_eq!(ann.task(&other).await["status"], "CREATED");
    })
    .await;
}

#[tokio::test]
async fn a_pull_that_waits_is_answered_when_a_task_comes() {
    each(async |service| {
        let (ann, rig) = (service.user(), service.worker());
        let pulls = join_all(
            (0..5).map(|n| rig.pull(Uuid::new_v4(), &format!("w{n}"), "ECHO", 1, 30_000).into_future()),
        );
        let submits = join_all((0..5).map(|_| ann.created()));
        let (answers, mut submitted) = tokio::join!(pulls, submits);
        let mut granted: Vec<String> = Vec::new();
        for answer in answers {
            let grants = answer.grants();
            assert_eq!(grants.len(), 1, "one slot, one task");
            granted.push(grants[0].id.to_string());
        }
        granted.sort();
        submitted.sort();
        assert_eq!(granted, submitted);
    })
    .await;
}

#[tokio::test]
async fn a_waiting_pull_is_answered_with_nothing_when_its_time_is_up() {
    each(async |service| {
        let answer = service.worker().pull(Uuid::new_v4(), "w", "ECHO", 1, 30).await;
        assert!(answer.grants().is_empty());
    })
    .await;
}

#[tokio::test]
async fn the_same_claim_is_answered_by_the_same_grants_and_the_time_that_is_left() {
    each(async |service| {
        let (ann, rig) = (service.user(), service.worker());
        for _ in 0..3 {
            ann.created().await;
        }
        let claim = Uuid::new_v4();
        let first = rig.pull(claim, "w", "ECHO", 2, 0).await.grants();
        let again = rig.pull(claim, "w", "ECHO", 2, 0).await.grants();
        assert_eq!((first.len(), again.len()), (2, 2));
        for grant in &again {
            let before = first.iter().find(|before| before.id == grant.id).expect("no new ones");
            assert_eq!((grant.attempt, grant.claim), (before.attempt, before.claim));
            assert!(grant.remaining_ms <= before.remaining_ms);
        }
        for grant in &first {
            rig.report(grant, json!({"result": 1})).await;
        }
        let new = rig.pull(claim, "w", "ECHO", 2, 0).await.grants();
        assert_eq!(new.len(), 1, "nothing runs under the claim any more");
    })
    .await;
}

#[tokio::test]
async fn held_ms_is_the_time_from_the_ask_to_the_claim() {
    each(async |service| {
        let (ann, rig) = (service.user(), service.worker());
        let early = rig.pull(Uuid::new_v4(), "w", "ECHO", 1, 30_000).into_future();
        let held = Duration::from_millis(300);
        // Somebody else's pull that waits in vain is our measure of time.
        let late = async {
            rig.pull(Uuid::new_v4(), "v", "BRIEF", 1, 300).await.grants();
            ann.created().await
        };
        let (answer, _) = tokio::join!(early, late);
        let answer: Value = answer.ok();
        let held_ms = u128::from(answer["heldMs"].as_u64().unwrap());
        assert!(held_ms > held.as_millis() / 2, "{answer}");
        assert!(answer["tasks"][0]["remainingMs"].as_u64().unwrap() <= 60_000);
    })
    .await;
}

#[tokio::test]
async fn a_waiting_worker_that_hangs_up_loses_no_task() {
    each(async |service| {
        let (ann, rig) = (service.user(), service.worker());
        for n in 0..10 {
            let wire = hold(service, &rig.token.clone().unwrap(), n).await;
            drop(wire);
        }
        let id = ann.created().await;
        let grants = rig.pull(Uuid::new_v4(), "alive", "ECHO", 1, 30_000).await.grants();
        assert_eq!(grants[0].id.to_string(), id);
        assert_eq!(rig.report(&grants[0], json!({"result": 1})).await, json!({"became": "finished"}));
    })
    .await;
}

/// A pull whose answer nobody will read.
async fn hold(service: &WorkerCaller, token: &str, number: usize) -> TcpStream {
    let pull = json!({"types": ["ECHO"], "slots": 1});
    let ask = json!({"claim": Uuid::new_v4(), "worker": format!("dead{number}"), "wanted": {"pull": pull}, "waitMs": 30_000});
    let body = ask.to_string();
    let head = format!("POST /api/Task/request HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n");
    let mut wire = TcpStream::connect(service.url.trim_start_matches("http://")).await.unwrap();
    let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    wire.write_all(request.as_bytes()).await.unwrap();
    wire
}

#[tokio::test]
async fn a_thousand_waiting_workers_share_the_tasks_and_none_waits_in_vain() {
    each(async |service| {
        let (ann, rig) = (service.user(), service.worker());
        let pulls =
            (0..1000).map(|n| rig.pull(Uuid::new_v4(), &format!("w{n}"), "ECHO", 8, 3000).into_future());
        let submits = async {
            for _ in 0..20 {
                ann.created().await;
            }
        };
        let (answers, ()) = tokio::join!(join_all(pulls), submits);
        let granted: usize = answers.into_iter().map(|answer| answer.grants().len()).sum();
        assert_eq!(granted, 20);
    })
    .await;
}

#[tokio::test]
async fn a_released_task_goes_to_another_waiting_worker() {
    each(async |service| {
        let (ann, rig) = (service.user(), service.worker());
        let id = ann.created().await;
        let grant = rig.granted(&id, "stopping").await;
        let next = rig.pull(Uuid::new_v4(), "next", "ECHO", 1, 30_000).into_future();
        let release = rig.report(&grant, json!("released"));
        let (next, settled) = tokio::join!(next, release);
        assert_eq!(settled, json!({"became": "released"}));
        let grants = next.grants();
        assert_eq!((grants[0].id.to_string(), grants[0].attempt), (id, 2));
    })
    .await;
}

#[tokio::test]
async fn an_ask_is_held_no_longer_than_half_the_silence_that_loses_a_worker() {
    let adjust = |settings: &mut backend::Settings| settings.worker_lost = Duration::from_millis(400);
    each_with(adjust, async |service| {
        let began = Instant::now();
        let answer = service.worker().pull(Uuid::new_v4(), "w", "ECHO", 1, 30_000).await;
        assert!(answer.grants().is_empty());
        assert!(began.elapsed() >= Duration::from_millis(200) && began.elapsed() < Duration::from_secs(20));
    })
    .await;
}

#[tokio::test]
async fn an_ask_that_is_repeated_while_it_is_under_way_is_granted_nothing_more() {
    each(async |service| {
        let (ann, rig) = (service.user(), service.worker());
        for _ in 0..20 {
            let ids = join_all((0..6).map(|_| ann.created())).await;
            let claim = Uuid::new_v4();
            let asks = join_all((0..3).map(|_| rig.pull(claim, "w", "ECHO", 2, 0).into_future())).await;
            let mut granted: Vec<String> = Vec::new();
            for answer in asks {
                if answer.status != 200 {
                    assert_eq!(answer.problem(), (409, "duplicate-claim".to_owned()));
                    continue;
                }
                granted.extend(answer.grants().iter().map(|grant| grant.id.to_string()));
            }
            granted.sort();
            granted.dedup();
            assert_eq!(granted.len(), 2, "two slots, however often it was asked");
            for id in &ids {
                let running = ann.task(id).await["status"] == "RUNNING";
                assert_eq!(running, granted.contains(id));
                ann.cancel(id).await.is(200);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn an_ask_for_a_type_that_nobody_knows_yet_is_held_until_it_is_known() {
    each(async |service| {
        let (ann, rig) = (service.user(), service.worker());
        let ask = rig.pull(Uuid::new_v4(), "w", "NEW", 1, 30_000).into_future();
        let meanwhile = async {
            assert!(rig.pull(Uuid::new_v4(), "w", "NEVER", 1, 50).await.grants().is_empty());
            let new = json!({"type": "NEW", "parameters": {}, "result": {}});
            rig.put("/api/Operation/NEW").json(new).await.is(200);
            ann.submit(json!({"type": "NEW", "ttl": 60_000})).await.id()
        };
        let (answer, id) = tokio::join!(ask, meanwhile);
        assert_eq!(answer.grants()[0].id.to_string(), id);
    })
    .await;
}

/// G11: an idle worker takes over what waits for a busy one.
#[tokio::test]
async fn a_waiting_pull_with_an_age_is_answered_when_a_task_has_been_ready_for_so_long() {
    each(async |service| {
        let (ann, rig) = (service.user(), service.worker());
        for _ in 0..3 {
            // One is asked for before it comes, one after.
            let early = rig.pull_older(200, "idle", 30_000).into_future();
            let (early, submitted) =
                tokio::join!(early, async { [ann.created().await, ann.created().await] });
            let late = rig.pull_older(200, "idle", 30_000).await;
            let granted = [early, late].map(|answer| answer.grants()[0].id.to_string());
            assert_eq!(granted, submitted);
            for id in granted {
                let task: Task = ann.get(&format!("/api/Task/{id}")).await.ok();
                let ready = task.start_date.unwrap().micros_since(task.creation_date);
                // The dates are told in whole milliseconds.
                assert!(ready >= 199_000, "{ready} us");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn pulls_of_different_ages_share_no_statement() {
    each(async |service| {
        let (ann, rig) = (service.user(), service.worker());
        let idle = rig.pull_older(60_000, "idle", 1000).into_future();
        let busy = rig.pull(Uuid::new_v4(), "busy", "ECHO", 1, 30_000).into_future();
        let submits = async { [ann.created().await, ann.created().await] };
        let (idle, busy, submitted) = tokio::join!(idle, busy, submits);
        assert!(idle.grants().is_empty(), "nothing has waited for a minute");
        assert_eq!(busy.grants()[0].id.to_string(), submitted[0]);
    })
    .await;
}
