//! Streams of events: how they are requested and read.

use client::{ClientError, Credentials, StreamItem};
use domain::{Status, TaskEventKind};

use crate::kit::scripted_server::ScriptedServer;

const MINE: &str = "/api/Task/events";

const EVENT: &str = r#"{"event":"ended","id":"01938a3e-0000-7000-8000-000000000001","type":"ECHO","status":"CANCELLED","reason":"REQUESTED","attempt":0,"workerName":null,"creationDate":"2026-11-24T09:30:00.125Z","startDate":null,"endDate":"2026-11-24T09:30:01Z","progress":null}"#;

#[tokio::test]
async fn a_stream_is_read_item_by_item_and_what_is_unknown_is_skipped() {
    let server = ScriptedServer::start().await;
    let client = server.client_as(Credentials::Token("t".into()));
    let unknown = "id: 6\nevent: newKind\ndata: {\"event\":\"newKind\"}\n\n";
    server.events(MINE, &format!(":\n\nid: 5\nevent: ended\ndata: {EVENT}\n\n{unknown}:\n\nid:\nevent: reset\ndata: {{}}\n\nid: 7\n"));
    let mut stream = client.follow_tasks(Some("4")).await.unwrap();
    assert_eq!(stream.last_id(), Some("4"));
    let Some(StreamItem::Event(event)) = stream.next().await.unwrap() else { panic!("an event") };
    assert_eq!((event.event, event.status), (TaskEventKind::Ended, Status::Cancelled));
    assert_eq!(stream.last_id(), Some("5"));
    assert_eq!(stream.next().await.unwrap(), Some(StreamItem::Reset));
    assert_eq!(stream.last_id(), None, "a reset forgets the last event");
    assert_eq!(stream.next().await.unwrap(), None, "half an event is none");
    let requests = server.requests(MINE);
    assert_eq!(requests[0].header("last-event-id"), "4");
    assert_eq!(
        (requests[0].header("accept"), requests[0].header("authorization")),
        ("text/event-stream", "Bearer t")
    );
}

#[tokio::test]
async fn a_stream_is_requested_again_with_another_token_and_fails_with_the_problem() {
    let server = ScriptedServer::start().await;
    server.token("old", 3600);
    server.token("new", 3600);
    server.problem(MINE, 401, "the token is revoked");
    server.events(MINE, ":\n\n");
    let client = server.client();
    assert_eq!(client.follow_tasks(None).await.unwrap().next().await.unwrap(), None);
    assert_eq!(server.requests(MINE)[1].header("authorization"), "Bearer new");
    let all = "/api/Admin/Task/events";
    server.problem(all, 403, "this requires the role Admin");
    let refused = client.follow_all_tasks(None).await.unwrap_err();
    assert!(matches!(&refused, ClientError::Refused { problem, .. } if problem.status == 403), "{refused:?}");
}
