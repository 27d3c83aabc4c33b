//! Callers that hang up: a verb dropped in the middle leaves nothing half done and no connection spoilt (G1, G16, G18).

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use database::Db;
use domain::{RawJson, Submission};
use sqlx::{AssertSqlSafe, Connection};
use store::PullRequest;

use crate::kit::{ANN, Bench, ask, each_database, kind, report, result, worker};

/// Polls `verb` so many times, then drops it: the caller has gone.
async fn abandon<T>(verb: impl Future<Output = T>, polls: usize) {
    let mut verb = Box::pin(verb);
    for _ in 0..polls {
        let ready = poll_fn(|context| Poll::Ready(Pin::as_mut(&mut verb).poll(context).is_ready())).await;
        if ready {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Every connection that writes is outside a transaction and answers.
async fn assert_clean(bench: &Bench) {
    match &bench.db {
        Db::Postgres(pools) => {
            let mut all = Vec::new();
            for _ in 0..pools.write.size() {
                all.push(pools.write.acquire().await.unwrap());
            }
            for connection in &mut all {
                connection.ping().await.unwrap();
                let state = "select count(*) from pg_stat_activity where datname = current_database() \
                    and state like 'idle in transaction%'";
                let (open,): (i64,) = sqlx::query_as(state).fetch_one(&mut **connection).await.unwrap();
                assert_eq!(open, 0, "a transaction was left open");
            }
        }
        Db::Sqlite(pools) => {
            let mut writer = pools.write.acquire().await.unwrap();
            let transaction = writer.begin_with("begin immediate").await.expect("it is in no transaction");
            transaction.rollback().await.unwrap();
        }
    }
}

/// G1, G18: a submission is accepted or it is not.
#[tokio::test]
async fn a_dropped_submission_is_whole_or_absent() {
    each_database(|bench| async move {
        for polls in 0..60 {
            let batch: Vec<_> = (0..5).map(|_| bench.submission()).collect();
            abandon(bench.store.submit(&batch), polls).await;
        }
        assert_clean(&bench).await;
        let counts = bench.store.counts().await.unwrap();
        assert!(counts.balance() && counts.accepted % 5 == 0, "{counts:?}");
        bench.created().await;
    })
    .await;
}

/// G5, G18: a claim whose answer nobody hears is still a claim, and the same claim hears it later.
#[tokio::test]
async fn a_dropped_claim_can_be_asked_again() {
    each_database(|bench| async move {
        for polls in 0..60 {
            let ask = ask(bench.created().await, "w1");
            abandon(bench.store.claim_by_id(std::slice::from_ref(&ask)), polls).await;
            let grant = bench.ask(ask).await.expect("the same claim is granted");
            assert_eq!(grant.attempt, 1);
        }
        assert_clean(&bench).await;
    })
    .await;
}

/// G6, G18: the other verbs.
#[tokio::test]
async fn dropped_verbs_leave_the_books_balanced() {
    each_database(|bench| async move {
        for polls in 0..40 {
            let (settled, released) = (bench.running().await, bench.running().await);
            let reports = [report(&settled, result("1")), report(&released, domain::ReportOutcome::Released)];
            abandon(bench.store.settle(&reports), polls).await;
            abandon(bench.store.cancel(ANN, &[bench.created().await]), polls).await;
            let puller =
                PullRequest { claim: domain::ClaimId::random(), worker: worker("w1"), slots: 2, new: true };
            // Of a type of its own: a pull that was hung up on goes on, and would take the next round's tasks.
            let ready = Submission { name: kind("demo.pulled"), ..bench.submission() };
            bench.store.submit(&[ready]).await.unwrap();
            abandon(bench.store.claim_by_type(&[puller], &[kind("demo.pulled")], Duration::ZERO), polls)
                .await;
            bench.advance(61_000_000).await;
            abandon(bench.store.expire(), polls).await;
        }
        assert_clean(&bench).await;
        assert!(bench.store.counts().await.unwrap().balance());
        // The last pull may have gone on after the clock had moved.
        bench.advance(61_000_000).await;
        while !bench.store.expire().await.unwrap().is_empty() {}
        assert_eq!(bench.number("select count(*) from live where phase = 2").await, 0);
    })
    .await;
}

/// G16: a full disk is an outage that passes: nothing is half done, and when there is room again work goes on.
#[tokio::test]
async fn a_full_disk_spoils_no_connection() {
    let bench = Bench::sqlite().await;
    let Db::Sqlite(pools) = &bench.db else { unreachable!("it was opened as SQLite") };
    let (pages,): (i64,) = sqlx::query_as("pragma page_count").fetch_one(&pools.write).await.unwrap();
    // The limit is the connection's own: the one that replaces it has room.
    let limit = format!("pragma max_page_count = {}", pages + 4);
    sqlx::query(AssertSqlSafe(limit)).execute(&pools.write).await.unwrap();
    let big = || {
        let text = format!("\"{}\"", "x".repeat(100_000));
        Submission { parameters: Some(RawJson::parse(text).unwrap()), ..bench.submission() }
    };
    let full = bench.store.submit(&[big()]).await.unwrap_err();
    assert!(full.is_unavailable(), "{full:?}");
    bench.store.submit(&[big()]).await.unwrap();
    assert_clean(&bench).await;
    assert_eq!(bench.store.counts().await.unwrap().accepted, 1);
    bench.finish().await;
}
