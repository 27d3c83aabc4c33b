//! Notifications between Backends on one PostgreSQL.

use std::collections::BTreeSet;

use database::DatabaseError;
use domain::TaskId;
use store::PeerUpdate;

use crate::kit::{TestStore, kind};

#[tokio::test]
async fn a_channel_receives_the_updates_of_peers_and_not_its_own() {
    let test = TestStore::postgres().await;
    let mut one = test.store.peer_channel().await.unwrap().expect("PostgreSQL has notifications");
    let mut other = test.another().peer_channel().await.unwrap().unwrap();
    let ended: Vec<TaskId> = (0..1000).map(|_| test.store.new_task_id()).collect();
    let update = PeerUpdate { ended, ready: BTreeSet::from([kind("a"), kind("b")]), ..PeerUpdate::default() };
    one.publish(&update).await.unwrap();
    other.send_keepalive(true).await.unwrap();
    let mut received = PeerUpdate::default();
    while received.ended.len() < update.ended.len() || received.ready.is_empty() {
        let (_, part) = other.recv().await.unwrap();
        received.ended.extend(part.ended);
        received.ready.extend(part.ready);
    }
    assert_eq!(received, update);
    let heartbeat = PeerUpdate { wants_changes: Some(true), ..PeerUpdate::default() };
    assert_eq!(one.recv().await.unwrap().1, heartbeat, "the heartbeat of the other comes first");
    drop((one, other));
    test.finish().await;
}

#[tokio::test]
async fn a_channel_that_does_not_receive_its_own_heartbeat_is_lost() {
    let test = TestStore::postgres().await;
    let mut one = test.store.peer_channel().await.unwrap().unwrap();
    let mut other = test.store.peer_channel().await.unwrap().unwrap();
    for _ in 0..3 {
        one.send_keepalive(false).await.unwrap();
        other.publish(&PeerUpdate { any_ended: true, ..PeerUpdate::default() }).await.unwrap();
        // Its own heartbeat came before.
        one.recv().await.unwrap();
    }
    one.send_keepalive(false).await.unwrap();
    let lost = one.send_keepalive(false).await.unwrap_err();
    assert!(matches!(lost, DatabaseError::NotificationsLost), "{lost:?}");
    assert!(lost.is_unavailable(), "another connection may receive them");
    drop((one, other));
    test.finish().await;
}

#[tokio::test]
async fn a_channel_whose_connection_ends_fails() {
    let test = TestStore::postgres().await;
    let mut channel = test.store.peer_channel().await.unwrap().unwrap();
    let end = "select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name = 'tasker notifications'";
    test.execute(end).await.unwrap();
    assert!(channel.recv().await.unwrap_err().is_unavailable());
    drop(channel);
    test.finish().await;
}

#[tokio::test]
async fn on_sqlite_there_are_no_peers() {
    let test = TestStore::sqlite().await;
    assert!(test.store.peer_channel().await.unwrap().is_none());
    test.finish().await;
}
