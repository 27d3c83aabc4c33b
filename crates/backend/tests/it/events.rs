//! Streams of events: of one task, of a user's tasks, of all tasks; their ends, and how a reader continues.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use testkit::TestDatabase;
use uuid::Uuid;

use crate::kit::event_reader::{EventReader, SentEvent};
use crate::kit::fake_issuer::{FakeIssuer, now, sign};
use crate::kit::openapi_checked_client::ApiClient;
use crate::kit::test_backend::{TestBackend, on_each_database};
use crate::kit::until::until;

const MINE: &str = "/api/Task/events";
const ALL: &str = "/api/Admin/Task/events";

fn of_task(id: &str) -> String {
    format!("/api/Task/{id}/events")
}

/// Opens a stream about several tasks. On PostgreSQL the first connection to other Backends brings another `reset`: it is waited for.
async fn open_several(service: &TestBackend, client: &ApiClient<'_>, path: &str) -> EventReader {
    service.peer_connection_is_up().await;
    let mut reader = EventReader::open(client, path, None).await;
    assert_eq!(reader.expect("reset").await.id, None);
    reader
}

/// Reads events until one is about the end of a task.
async fn until_end(reader: &mut EventReader) -> Vec<SentEvent> {
    let mut events = Vec::new();
    loop {
        let event = reader.next().await.expect("the stream goes on");
        let is_end = event.kind == "ended";
        events.push(event);
        if is_end {
            return events;
        }
    }
}

#[tokio::test]
async fn the_stream_of_a_task_begins_with_the_task_as_it_is_and_ends_with_it() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let id = user.submit_echo().await;
        let mut reader = EventReader::open(&user, &of_task(&id), None).await;
        let created = reader.expect("created").await;
        assert_eq!((&created.id, &created.data["status"]), (&None, &json!("CREATED")));
        let first = worker.claim_one(&id, "w").await;
        let started = reader.expect("started").await.data;
        let task = user.task(&id).await;
        for member in ["id", "type", "status", "reason", "workerName", "creationDate", "startDate", "endDate"]
        {
            assert_eq!(started[member], task[member], "{member}");
        }
        assert_eq!((&started["attempt"], &task["attempts"]), (&json!(1), &json!(1)));
        worker.report(&first, json!("released")).await;
        assert_eq!(reader.expect("attemptEnded").await.data["attempt"], 1);
        let mut late = EventReader::open(&user, &of_task(&id), None).await;
        let released = late.expect("attemptEnded").await.data;
        assert_eq!((&released["status"], &released["reason"]), (&json!("CREATED"), &Value::Null));
        assert_eq!((&released["workerName"], &released["startDate"]), (&json!("w"), &started["startDate"]));
        let second = worker.claim_one(&id, "w").await;
        assert_eq!(reader.expect("started").await.data["attempt"], 2);
        assert_eq!(late.expect("started").await.data["attempt"], 2);
        worker.report(&second, json!({"result": 7})).await;
        for reader in [&mut reader, &mut late] {
            let ended = reader.expect("ended").await;
            assert_eq!((&ended.data["status"], &ended.data["reason"]), (&json!("FINISHED"), &Value::Null));
            assert_eq!(ended.id.as_deref(), Some("ended"));
            assert_eq!(reader.next().await, None);
        }
        let mut after_end = EventReader::open(&user, &of_task(&id), None).await;
        assert_eq!(after_end.expect("ended").await.data["attempt"], 2);
        assert_eq!(after_end.next().await, None);
        let again = user.get(&of_task(&id)).header("Last-Event-ID", "ended").await;
        assert_eq!(again.status, 204, "an EventSource stops to connect");
    })
    .await;
}

#[tokio::test]
async fn a_stream_has_each_way_in_which_a_task_ends() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let mut reader = open_several(service, &user, MINE).await;
        let mut reason_of_end = async |id: &str| {
            let events = until_end(&mut reader).await;
            assert!(events.iter().all(|event| event.data["id"] == id), "{events:?}");
            let kinds: BTreeSet<&str> = events.iter().map(|event| event.kind.as_str()).collect();
            assert!(kinds.contains("created"), "{kinds:?}");
            events.last().unwrap().data["reason"].clone()
        };
        let failed = user.submit_echo().await;
        let grant = worker.claim_one(&failed, "w").await;
        worker.report(&grant, json!({"error": "it broke"})).await;
        assert_eq!(reason_of_end(&failed).await, "OPERATION_FAILED");
        let cancelled = user.submit_echo().await;
        user.cancel(&cancelled).await.expect_status(200);
        assert_eq!(reason_of_end(&cancelled).await, "REQUESTED");
        let expired = user.submit(json!({"type": "ECHO", "ttl": 50})).await.id();
        worker.claim_one(&expired, "w").await;
        assert_eq!(reason_of_end(&expired).await, "TTL_EXPIRED");
        let lost = user.submit_echo().await;
        worker.claim_one(&lost, "restarted").await;
        worker.another_process().heartbeat("restarted", &[]).await.expect_status(200);
        assert_eq!(reason_of_end(&lost).await, "WORKER_LOST");
    })
    .await;
}

#[tokio::test]
async fn a_user_reads_the_own_events_and_an_administrator_those_of_everybody_without_texts() {
    on_each_database(async |service| {
        let (ann, bob, admin, worker) = (service.user(), service.user(), service.admin(), service.worker());
        let mut of_ann = open_several(service, &ann, MINE).await;
        let mut of_all = open_several(service, &admin, ALL).await;
        let mut of_admin = open_several(service, &admin, MINE).await;
        let mut ids = Vec::new();
        for user in [&bob, &ann, &admin] {
            let id = user.submit(json!({"type": "ECHO", "ttl": 60_000, "parameters": "secret"})).await.id();
            let grant = worker.claim_one(&id, "w").await;
            worker.report(&grant, json!({"error": "secret"})).await;
            ids.push(id);
        }
        for (reader, id) in [(&mut of_ann, &ids[1]), (&mut of_admin, &ids[2])] {
            for kind in ["created", "started", "ended"] {
                let event = reader.expect(kind).await;
                assert_eq!((&event.data["id"], event.data.get("owner")), (&json!(id), None));
            }
        }
        let mut owners = BTreeSet::new();
        for _ in 0..9 {
            let event = of_all.next().await.unwrap();
            owners.insert(event.data["owner"].as_str().unwrap().to_owned());
            assert!(!event.data.to_string().contains("secret"), "{event:?}");
        }
        assert_eq!(owners.len(), 3);
        ann.get(ALL).await.expect_status(403);
        worker.get(MINE).await.expect_status(403);
        service.anonymous().get(MINE).await.expect_status(401);
        bob.get(&of_task(&ids[1])).await.expect_status(404);
        admin.get(&of_task(&ids[1])).await.expect_status(404);
    })
    .await;
}

#[tokio::test]
async fn a_reader_that_connects_again_continues_after_its_last_event() {
    on_each_database(async |service| {
        let (user, other) = (service.user(), service.user());
        let mut reader = open_several(service, &user, MINE).await;
        let mut of_other = open_several(service, &other, MINE).await;
        let first = user.submit_echo().await;
        let last = reader.expect("created").await.id.unwrap();
        let foreign = other.submit_echo().await;
        let foreign_id = of_other.expect("created").await.id.unwrap();
        drop(reader);
        let second = user.submit_echo().await;
        user.cancel(&first).await.expect_status(200);
        let mut reader = EventReader::open(&user, MINE, Some(&last)).await;
        let created = reader.expect("created").await;
        assert_eq!(created.data["id"], json!(second));
        assert_eq!(reader.expect("ended").await.data["id"], json!(first));
        let mut again = EventReader::open(&user, MINE, created.id.as_deref()).await;
        assert_eq!(again.expect("ended").await.data["id"], json!(first));
        for unknown in [Uuid::new_v4().simple().to_string(), foreign_id, "ended".to_owned(), "é".to_owned()]
        {
            let mut reader = EventReader::open(&user, MINE, Some(&unknown)).await;
            reader.expect("reset").await;
            other.submit_echo().await;
            let next = user.submit_echo().await;
            assert_eq!(reader.expect("created").await.data["id"], json!(next), "{foreign} is another's");
        }
    })
    .await;
}

#[tokio::test]
async fn a_stream_ends_with_its_token() {
    on_each_database(async |service| {
        let subject = Uuid::new_v4().to_string();
        let mut claims = service.issuer.claims(&subject, &["User"]);
        // Ten seconds of leeway: it is valid for one more.
        claims["exp"] = json!(now() - 9);
        let user = service.with_token(sign(&FakeIssuer::header(), &claims.to_string()));
        let id = user.submit_echo().await;
        let mut readers =
            [EventReader::open(&user, MINE, None).await, EventReader::open(&user, &of_task(&id), None).await];
        for reader in &mut readers {
            reader.next().await.unwrap();
            while let Some(event) = reader.next().await {
                assert_eq!(event.kind, "reset", "the connection to other Backends was made");
            }
        }
        until("the token is refused", async || user.get("/api/Task").await.status == 401).await;
        user.get(MINE).await.expect_status(401);
    })
    .await;
}

#[tokio::test]
async fn a_reader_whose_token_is_revoked_receives_no_further_event() {
    on_each_database(async |service| {
        let subject = Uuid::new_v4().to_string();
        let backend = service.start_another(|_| {}).await;
        let user = backend.with_token(service.issuer.token(&subject, &["User"]));
        let (id, worker) = (user.submit_echo().await, backend.worker());
        let mut reader = EventReader::open(&user, MINE, None).await;
        reader.expect("reset").await;
        service.issuer.revoke(&subject, 1);
        until("the token is refused", async || user.get("/api/Task").await.status == 401).await;
        worker.claim_one(&id, "w").await;
        while let Some(event) = reader.next().await {
            assert_eq!(event.kind, "reset", "the connection to other Backends was made");
        }
        drop(worker);
        backend.shut_down().await;
    })
    .await;
}

#[tokio::test]
async fn streams_end_when_the_service_stops() {
    for database in [TestDatabase::sqlite(), TestDatabase::postgres().await] {
        let service = TestBackend::start(database, |_| {}).await;
        let user = service.user();
        let id = user.submit_echo().await;
        let mut mine = open_several(&service, &user, MINE).await;
        let mut of_task = EventReader::open(&user, &of_task(&id), None).await;
        of_task.expect("created").await;
        service.stop.cancel();
        assert_eq!((mine.next().await, of_task.next().await), (None, None));
        service.finish().await;
    }
}

/// The id of a task of which the reader at another Backend has received `created`: from then on that Backend is notified.
async fn created_elsewhere(user: &ApiClient<'_>, reader: &mut EventReader) -> String {
    loop {
        let id = user.submit_echo().await;
        loop {
            let event = reader.next().await.expect("the stream goes on");
            if event.data["id"] == json!(id) {
                return id;
            }
            if event.kind == "reset" {
                break;
            }
        }
    }
}

#[tokio::test]
async fn the_event_of_an_attempt_that_failed_says_why() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let retry = json!({"backoffMs": 3_600_000});
        let id =
            user.submit(json!({"type": "ECHO", "ttl": 60_000, "maxAttempts": 2, "retry": retry})).await.id();
        let mut reader = EventReader::open(&user, &of_task(&id), None).await;
        reader.expect("created").await;
        let grant = worker.claim_one(&id, "w").await;
        reader.expect("started").await;
        worker.report(&grant, json!({"error": "out of paper"})).await;
        let mut late = EventReader::open(&user, &of_task(&id), None).await;
        for reader in [&mut reader, &mut late] {
            let event = reader.expect("attemptEnded").await.data;
            let told = [&event["status"], &event["reason"], &event["workerName"], &event["endDate"]];
            assert_eq!(told, [&json!("CREATED"), &json!("OPERATION_FAILED"), &json!("w"), &Value::Null]);
        }
    })
    .await;
}

#[tokio::test]
async fn events_cross_backends() {
    let one = TestBackend::start(TestDatabase::postgres().await, |_| {}).await;
    let other = one.start_another(|_| {}).await;
    let (user, admin, worker) = (one.user(), one.admin(), one.worker());
    let elsewhere = other.with_token(user.token.clone().unwrap());
    let mut reader = EventReader::open(&elsewhere, MINE, None).await;
    reader.expect("reset").await;
    let id = created_elsewhere(&user, &mut reader).await;
    let mut of_task = EventReader::open(&elsewhere, &of_task(&id), None).await;
    let mut of_all = EventReader::open(&other.with_token(admin.token.clone().unwrap()), ALL, None).await;
    of_task.expect("created").await;
    of_all.expect("reset").await;
    let grant = worker.claim_one(&id, "w").await;
    worker.report(&grant, json!("released")).await;
    let grant = worker.claim_one(&id, "w").await;
    worker.report(&grant, json!({"result": 1})).await;
    for reader in [&mut reader, &mut of_task, &mut of_all] {
        let events = until_end(reader).await;
        let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
        assert_eq!(kinds, ["started", "attemptEnded", "started", "ended"]);
        assert_eq!(events[3].data["status"], "FINISHED");
    }
    drop((reader, of_all));
    other.shut_down().await.0.close().await;
    one.finish().await;
}

#[tokio::test]
async fn a_reader_is_sent_a_reset_when_the_connection_to_the_other_backends_was_lost() {
    let one = TestBackend::start(TestDatabase::postgres().await, |_| {}).await;
    one.peer_connection_is_up().await;
    let user = one.user();
    let id = user.submit_echo().await;
    let mut mine = EventReader::open(&user, MINE, None).await;
    let mut of_task = EventReader::open(&user, &of_task(&id), None).await;
    mine.expect("reset").await;
    of_task.expect("created").await;
    // Another Backend cancels it while this one is not connected.
    let ended = format!(
        "with gone as (delete from unfinished_task where id = '{id}' returning *)
        insert into outcome (id, owner, type, status, reason, attempt, ended_at)
        select id, owner, type, 'CANCELLED', 'NOT_STARTED', 0, now_us() from gone"
    );
    one.execute_sql(ended).await;
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name like 'tasker %'";
    one.execute_sql(cut.to_owned()).await;
    mine.expect("reset").await;
    assert_eq!(of_task.expect("ended").await.data["reason"], "NOT_STARTED");
    assert_eq!(of_task.next().await, None);
    drop(mine);
    one.finish().await;
}
