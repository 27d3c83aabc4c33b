//! Dropped futures: a call that is dropped before it is done is applied as a whole or not at all, and leaves every connection
//! usable (G1, G16, G18).

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use database::Db;
use domain::{RawJson, Submission};
use sqlx::{AssertSqlSafe, Connection};
use store::PullRequest;

use crate::kit::{ANN, TestStore, attributed, claim_by, each_database, kind, process, report, result};

/// Far longer than the time between two full scans of the due tasks.
const MAX_WAIT: Duration = Duration::from_mins(1);

/// Polls `call` at most `polls` times, then drops it.
async fn abandon<T>(call: impl Future<Output = T>, polls: usize) {
    let mut call = Box::pin(call);
    for _ in 0..polls {
        let ready = poll_fn(|context| Poll::Ready(Pin::as_mut(&mut call).poll(context).is_ready())).await;
        if ready {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Checks that every connection that writes answers and is in no transaction.
async fn assert_clean(test: &TestStore) {
    match &test.db {
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

/// G1, G18: a batch is accepted as a whole or not at all.
#[tokio::test]
async fn a_dropped_submission_is_whole_or_absent() {
    each_database(|test| async move {
        for polls in 0..60 {
            let batch: Vec<_> = (0..5).map(|_| test.submission()).collect();
            abandon(test.store.submit(&batch), polls).await;
        }
        assert_clean(&test).await;
        let counts = test.store.counts().await.unwrap();
        assert!(counts.balance() && counts.accepted % 5 == 0, "{counts:?}");
        test.created().await;
    })
    .await;
}

/// G5, G18: a claim whose future was dropped can be repeated and is granted.
#[tokio::test]
async fn a_dropped_claim_can_be_repeated() {
    each_database(|test| async move {
        for polls in 0..60 {
            let claim = claim_by(test.created().await, "w1");
            abandon(test.store.claim_by_id(std::slice::from_ref(&claim)), polls).await;
            let grant = test.claim_with(claim).await.expect("the same claim is granted");
            assert_eq!(grant.attempt, 1);
        }
        assert_clean(&test).await;
    })
    .await;
}

/// G6, G18: the other methods.
#[tokio::test]
async fn dropped_calls_leave_every_task_in_one_status() {
    each_database(|test| async move {
        for polls in 0..40 {
            let (settled, released) = (test.running().await, test.running().await);
            let reports =
                [report(&settled, result("1")), report(&released, domain::AttemptOutcome::Released)]
                    .map(|report| attributed("w1", report));
            abandon(test.store.settle(&reports), polls).await;
            abandon(test.store.cancel(ANN, &[test.created().await]), polls).await;
            let request = PullRequest {
                claim: domain::ClaimId::random(),
                worker: process("w1"),
                slots: 2,
                is_first_look: true,
            };
            // Of a type of its own: a statement whose future was dropped may go on, and would take the next round's tasks.
            let ready = Submission { type_name: kind("demo.pulled"), ..test.submission() };
            test.store.submit(&[ready]).await.unwrap();
            abandon(test.store.claim_by_type(&[request], &[kind("demo.pulled")], Duration::ZERO), polls)
                .await;
            test.advance(61_000_000).await;
            abandon(test.store.expire(), polls).await;
        }
        assert_clean(&test).await;
        assert!(test.store.counts().await.unwrap().balance());
        // The last claim may have been granted after the clock was advanced. Its deadline may also lie below the scan floor, where
        // only the full scan of every few seconds looks.
        test.advance(61_000_000).await;
        let began = Instant::now();
        while test.number("select count(*) from unfinished_task where phase = 2").await > 0 {
            test.store.expire().await.unwrap();
            assert!(began.elapsed() < MAX_WAIT, "an overdue task is not ended");
        }
    })
    .await;
}

/// G16: a full disk is a temporary failure: the transaction has no effect, and once there is room the next one succeeds.
#[tokio::test]
async fn connections_work_after_a_full_disk() {
    let test = TestStore::sqlite().await;
    let Db::Sqlite(pools) = &test.db else { unreachable!("it was opened as SQLite") };
    let (pages,): (i64,) = sqlx::query_as("pragma page_count").fetch_one(&pools.write).await.unwrap();
    // The limit holds for this connection only: the one that replaces it has room.
    let limit = format!("pragma max_page_count = {}", pages + 4);
    sqlx::query(AssertSqlSafe(limit)).execute(&pools.write).await.unwrap();
    let big = || {
        let json = format!("\"{}\"", "x".repeat(100_000));
        Submission { parameters: Some(RawJson::parse(json).unwrap()), ..test.submission() }
    };
    let full = test.store.submit(&[big()]).await.unwrap_err();
    assert!(full.is_unavailable(), "{full:?}");
    test.store.submit(&[big()]).await.unwrap();
    assert_clean(&test).await;
    assert_eq!(test.store.counts().await.unwrap().accepted, 1);
    test.finish().await;
}
