//! Claims by type: a worker claims whatever task is ready, and waits for one if there is none.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use domain::Task;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};
use testkit::TestDatabase;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::kit::openapi_checked_client::ApiResponse;
use crate::kit::step_observers::ClaimQueries;
use crate::kit::test_backend::{TestBackend, on_each_database, on_each_database_with};

#[tokio::test]
async fn a_claim_by_type_takes_the_oldest_tasks_and_no_more_than_its_slots() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        assert!(worker.claim_by_type(Uuid::new_v4(), "w", "ECHO", 5, 0).await.grants().is_empty());
        let mut waiting = Vec::new();
        for _ in 0..5 {
            waiting.push(user.submit_echo().await);
        }
        let other = user.submit(json!({"type": "BRIEF"})).await.id();
        let ids = async |slots| -> Vec<String> {
            let grants = worker.claim_by_type(Uuid::new_v4(), "w", "ECHO", slots, 0).await.grants();
            let mut ids: Vec<String> = grants.iter().map(|grant| grant.id.to_string()).collect();
            ids.sort();
            ids
        };
        assert_eq!(ids(2).await, waiting[..2]);
        assert_eq!(ids(1000).await, waiting[2..]);
        assert_eq!(user.task(&other).await["status"], "CREATED");
    })
    .await;
}

#[tokio::test]
async fn a_waiting_claim_request_is_answered_when_a_task_is_submitted() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let requests = join_all((0..5).map(|n| {
            worker.claim_by_type(Uuid::new_v4(), &format!("w{n}"), "ECHO", 1, 30_000).into_future()
        }));
        let submits = join_all((0..5).map(|_| user.submit_echo()));
        let (answers, mut submitted) = tokio::join!(requests, submits);
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
async fn a_waiting_claim_request_is_answered_with_nothing_when_its_wait_is_over() {
    on_each_database(async |service| {
        let answer = service.worker().claim_by_type(Uuid::new_v4(), "w", "ECHO", 1, 30).await;
        assert!(answer.grants().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_repeated_claim_is_answered_with_the_same_grants_and_the_time_that_is_left() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        for _ in 0..3 {
            user.submit_echo().await;
        }
        let claim = Uuid::new_v4();
        let first = worker.claim_by_type(claim, "w", "ECHO", 2, 0).await.grants();
        let repeated = worker.claim_by_type(claim, "w", "ECHO", 2, 0).await.grants();
        assert_eq!((first.len(), repeated.len()), (2, 2));
        for grant in &repeated {
            let before = first
                .iter()
                .find(|before| before.id == grant.id)
                .expect("a repeated claim is granted no new task");
            assert_eq!((grant.attempt, grant.claim), (before.attempt, before.claim));
            assert!(grant.remaining_ms <= before.remaining_ms);
        }
        for grant in &first {
            worker.report(grant, json!({"result": 1})).await;
        }
        let new = worker.claim_by_type(claim, "w", "ECHO", 2, 0).await.grants();
        assert_eq!(new.len(), 1, "once all its tasks are settled, the claim takes new ones");
    })
    .await;
}

#[tokio::test]
async fn held_ms_is_the_time_from_the_claim_request_to_the_grant() {
    let queries = ClaimQueries::new();
    let _guard = metrics::set_default_local_recorder(&queries);
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let (before, began) = (queries.finished(), Instant::now());
        // The task comes when the request waits, and may be granted when it is 200 ms old: so long the request is held.
        let request = worker.claim_older(200, "w", 30_000).into_future();
        let submit = async {
            queries.more_than(before).await;
            user.submit_echo().await
        };
        let (answer, _) = tokio::join!(request, submit);
        let elapsed = began.elapsed().as_millis();
        let answer: Value = answer.ok();
        let held_ms = u128::from(answer["heldMs"].as_u64().unwrap());
        // The age is counted by the database's clock, which may be adjusted meanwhile.
        assert!((190..=elapsed).contains(&held_ms), "{answer} after {elapsed} ms");
        assert!(answer["tasks"][0]["remainingMs"].as_u64().unwrap() <= 60_000);
    })
    .await;
}

#[tokio::test]
async fn a_waiting_worker_that_disconnects_loses_no_task() {
    let queries = ClaimQueries::new();
    let _guard = metrics::set_default_local_recorder(&queries);
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        for number in 0..10 {
            let before = queries.finished();
            let connection = send_claim_request(service, &worker.token.clone().unwrap(), number).await;
            queries.more_than(before).await;
            drop(connection);
        }
        let id = user.submit_echo().await;
        let grants = worker.claim_by_type(Uuid::new_v4(), "alive", "ECHO", 1, 30_000).await.grants();
        assert_eq!(grants[0].id.to_string(), id);
        assert_eq!(
            worker.report_as("alive", &grants[0], json!({"result": 1})).await,
            json!({"became": "finished"})
        );
    })
    .await;
}

/// Sends a claim request that waits, on a connection of its own.
async fn send_claim_request(service: &TestBackend, token: &str, number: usize) -> TcpStream {
    let pull = json!({"types": ["ECHO"], "slots": 1});
    let worker = format!("dead{number}");
    let (claim, instance) = (Uuid::new_v4(), Uuid::new_v4());
    let request = json!({"claim": claim, "worker": worker, "instance": instance, "wanted": {"pull": pull}, "waitMs": 30_000});
    let body = request.to_string();
    let head = format!("POST /api/Task/request HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n");
    let mut connection = TcpStream::connect(service.url.trim_start_matches("http://")).await.unwrap();
    let message = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    connection.write_all(message.as_bytes()).await.unwrap();
    connection
}

#[tokio::test]
async fn a_thousand_waiting_workers_share_the_tasks_and_none_gets_more_than_its_slots() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let mut requests: FuturesUnordered<_> = (0..1000)
            .map(|n| worker.claim_by_type(Uuid::new_v4(), &format!("w{n}"), "ECHO", 8, 30_000).into_future())
            .collect();
        let submits = async {
            let mut ids = BTreeSet::new();
            for _ in 0..20 {
                ids.insert(user.submit_echo().await);
            }
            ids
        };
        // The requests that are granted nothing are dropped once all tasks are granted.
        let grants = async {
            let mut granted = Vec::new();
            while granted.len() < 20 {
                let grants = requests.next().await.expect("a request that waits").grants();
                assert!(grants.len() <= 8, "{} tasks for 8 slots", grants.len());
                granted.extend(grants.iter().map(|grant| grant.id.to_string()));
            }
            granted
        };
        let (granted, submitted) = tokio::join!(grants, submits);
        assert_eq!(granted.len(), 20, "each task is granted once");
        assert_eq!(BTreeSet::from_iter(granted), submitted);
    })
    .await;
}

#[tokio::test]
async fn every_waiting_worker_gets_a_task_if_there_are_enough_for_all_slots() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let requests = (0..50)
            .map(|n| worker.claim_by_type(Uuid::new_v4(), &format!("w{n}"), "ECHO", 2, 30_000).into_future());
        let submits = join_all((0..100).map(|_| user.submit_echo()));
        let (answers, _) = tokio::join!(join_all(requests), submits);
        for answer in answers {
            let granted = answer.grants().len();
            assert!((1..=2).contains(&granted), "{granted} tasks for 2 slots");
        }
    })
    .await;
}

#[tokio::test]
async fn a_released_task_goes_to_another_waiting_worker() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let id = user.submit_echo().await;
        let grant = worker.claim_one(&id, "stopping").await;
        let next = worker.claim_by_type(Uuid::new_v4(), "next", "ECHO", 1, 30_000).into_future();
        let release = worker.report_as("stopping", &grant, json!("released"));
        let (next, settled) = tokio::join!(next, release);
        assert_eq!(settled, json!({"became": "released"}));
        let grants = next.grants();
        assert_eq!((grants[0].id.to_string(), grants[0].attempt), (id, 2));
    })
    .await;
}

#[tokio::test]
async fn a_claim_request_is_held_no_longer_than_half_the_silence_that_loses_a_worker() {
    let adjust = |settings: &mut backend::Settings| settings.worker_lost = Duration::from_millis(400);
    on_each_database_with(adjust, async |service| {
        let began = Instant::now();
        let answer = service.worker().claim_by_type(Uuid::new_v4(), "w", "ECHO", 1, 30_000).await;
        assert!(answer.grants().is_empty());
        assert!(began.elapsed() >= Duration::from_millis(200) && began.elapsed() < Duration::from_secs(20));
    })
    .await;
}

#[tokio::test]
async fn a_claim_request_repeated_while_it_is_served_is_granted_nothing_more() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        for _ in 0..20 {
            let ids = join_all((0..6).map(|_| user.submit_echo())).await;
            let claim = Uuid::new_v4();
            let answers =
                join_all((0..3).map(|_| worker.claim_by_type(claim, "w", "ECHO", 2, 0).into_future())).await;
            let mut granted: Vec<String> = Vec::new();
            for grants in answers.into_iter().filter_map(ApiResponse::grants_unless_duplicate) {
                granted.extend(grants.iter().map(|grant| grant.id.to_string()));
            }
            granted.sort();
            granted.dedup();
            assert_eq!(granted.len(), 2, "two slots, however often the request was repeated");
            for id in &ids {
                let is_running = user.task(id).await["status"] == "RUNNING";
                assert_eq!(is_running, granted.contains(id));
                user.cancel(id).await.expect_status(200);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_claim_request_for_a_type_that_is_not_registered_waits_until_it_is() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let request = worker.claim_by_type(Uuid::new_v4(), "w", "NEW", 1, 30_000).into_future();
        let register_and_submit = async {
            assert!(worker.claim_by_type(Uuid::new_v4(), "w", "NEVER", 1, 50).await.grants().is_empty());
            let new = json!({"type": "NEW", "parameters": {}, "result": {}});
            worker.put("/api/Operation/NEW").json(new).await.expect_status(200);
            user.submit(json!({"type": "NEW", "ttl": 60_000})).await.id()
        };
        let (answer, id) = tokio::join!(request, register_and_submit);
        assert_eq!(answer.grants()[0].id.to_string(), id);
    })
    .await;
}

/// G11: an idle worker takes over what a busy one has left waiting.
#[tokio::test]
async fn a_claim_request_with_a_minimum_age_is_answered_when_a_task_has_been_ready_for_so_long() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        for _ in 0..3 {
            // One request comes before its task, and one after it.
            let early = worker.claim_older(200, "idle", 30_000).into_future();
            let (early, submitted) =
                tokio::join!(early, async { [user.submit_echo().await, user.submit_echo().await] });
            let late = worker.claim_older(200, "idle", 30_000).await;
            let granted = [early, late].map(|answer| answer.grants()[0].id.to_string());
            assert_eq!(granted, submitted);
            for id in granted {
                let task: Task = user.get(&format!("/api/Task/{id}")).await.ok();
                let ready = task.start_date.unwrap().micros_since(task.creation_date);
                // Dates have whole milliseconds.
                assert!(ready >= 199_000, "{ready} us");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn claim_requests_with_different_minimum_ages_are_served_apart() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let idle = worker.claim_older(60_000, "idle", 1000).into_future();
        let busy = worker.claim_by_type(Uuid::new_v4(), "busy", "ECHO", 1, 30_000).into_future();
        let submits = async { [user.submit_echo().await, user.submit_echo().await] };
        let (idle, busy, submitted) = tokio::join!(idle, busy, submits);
        assert!(idle.grants().is_empty(), "no task has been ready for a minute");
        assert_eq!(busy.grants()[0].id.to_string(), submitted[0]);
    })
    .await;
}

/// On PostgreSQL only: in SQLite no lock can make a read wait.
#[tokio::test]
async fn a_wait_that_a_caller_prefers_lengthens_no_request_that_does_not_wait() {
    let short = |settings: &mut backend::Settings| settings.request_timeout = Duration::from_millis(300);
    let service = TestBackend::start(TestDatabase::postgres().await, short).await;
    let user = service.user();
    user.get("/api/Task").await.expect_status(200);
    let mut other = PgConnection::connect(&service.database().url).await.unwrap();
    other.execute("begin").await.unwrap();
    other.execute("lock table task in access exclusive mode").await.unwrap();
    let began = Instant::now();
    let answer = user.get("/api/Task").prefer("wait=60").await;
    let took = began.elapsed();
    other.execute("rollback").await.unwrap();
    assert_eq!(answer.problem(), (503, "timed-out".to_owned()));
    assert!(took < Duration::from_secs(10), "{took:?}");
    service.finish().await;
}
