//! Backends on one PostgreSQL hear each other.

use std::collections::BTreeSet;

use domain::TaskId;
use store::PeerUpdate;

use crate::kit::{Bench, kind};

#[tokio::test]
async fn an_ear_hears_what_another_tells_and_not_itself() {
    let bench = Bench::postgres().await;
    let mut one = bench.store.peer_channel().await.unwrap().expect("there may be others");
    let mut other = bench.another().peer_channel().await.unwrap().unwrap();
    let ended: Vec<TaskId> = (0..1000).map(|_| bench.store.new_task_id()).collect();
    let news = PeerUpdate { ended, ready: BTreeSet::from([kind("a"), kind("b")]), ..PeerUpdate::default() };
    one.publish(&news).await.unwrap();
    other.heartbeat().await.unwrap();
    let mut heard = PeerUpdate::default();
    while heard.ended.len() < news.ended.len() || heard.ready.is_empty() {
        let (_, part) = other.recv().await.unwrap();
        heard.ended.extend(part.ended);
        heard.ready.extend(part.ready);
    }
    assert_eq!(heard, news);
    assert_eq!(one.recv().await.unwrap().1, PeerUpdate::default(), "the other's hello comes first");
    drop((one, other));
    bench.finish().await;
}

#[tokio::test]
async fn an_ear_that_does_not_hear_itself_is_deaf() {
    let bench = Bench::postgres().await;
    let mut one = bench.store.peer_channel().await.unwrap().unwrap();
    let mut other = bench.store.peer_channel().await.unwrap().unwrap();
    for _ in 0..3 {
        one.heartbeat().await.unwrap();
        other.publish(&PeerUpdate { any_ended: true, ..PeerUpdate::default() }).await.unwrap();
        // Its own hello came before.
        one.recv().await.unwrap();
    }
    one.heartbeat().await.unwrap();
    assert!(one.heartbeat().await.unwrap_err().is_unavailable());
    drop((one, other));
    bench.finish().await;
}

#[tokio::test]
async fn an_ear_whose_connection_is_ended_says_so() {
    let bench = Bench::postgres().await;
    let mut ear = bench.store.peer_channel().await.unwrap().unwrap();
    let end = "select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name = 'tasker ear'";
    bench.execute(end).await.unwrap();
    assert!(ear.recv().await.unwrap_err().is_unavailable());
    drop(ear);
    bench.finish().await;
}

#[tokio::test]
async fn on_sqlite_there_is_nobody_else() {
    let bench = Bench::sqlite().await;
    assert!(bench.store.peer_channel().await.unwrap().is_none());
    bench.finish().await;
}
