//! Retention: what ended long ago is forgotten, a few at a time; what has not ended never is (G1, G18).

use domain::{Status, Timestamp};

use crate::kit::{ANN, SECOND, each_database, result};

/// G1: only what has ended, and only what was submitted before.
#[tokio::test]
async fn only_old_ended_tasks_are_forgotten() {
    each_database(|bench| async move {
        let waiting = bench.created().await;
        let running = bench.running().await;
        let finished = bench.running().await;
        bench.report(&finished, result("1")).await;
        let cancelled = bench.created().await;
        bench.store.cancel(ANN, &[cancelled]).await.unwrap();
        bench.advance(SECOND).await;
        let young = bench.running().await;
        bench.report(&young, result("1")).await;

        let before = Timestamp(bench.now());
        assert_eq!(bench.store.prune(before, 100).await.unwrap(), 2);
        for gone in [finished.id, cancelled] {
            assert_eq!(bench.store.get(ANN, gone).await.unwrap(), None);
        }
        assert_eq!(bench.number("select count(*) from outcome").await, 1);
        assert_eq!(bench.status(waiting).await, Status::Created);
        assert_eq!(bench.status(running.id).await, Status::Running);
        assert_eq!(bench.status(young.id).await, Status::Finished);
        assert_eq!(bench.store.prune(before, 100).await.unwrap(), 0);
    })
    .await;
}

/// G18: a little at a time, the oldest first, and the books balance after each.
#[tokio::test]
async fn a_prune_takes_the_oldest_few() {
    each_database(|bench| async move {
        let tasks = bench.many(25).await;
        bench.store.cancel(ANN, &tasks).await.unwrap();
        bench.advance(SECOND).await;
        let before = Timestamp(bench.now());
        for (left, gone) in [(15, 10), (5, 10), (0, 5), (0, 0)] {
            assert_eq!(bench.store.prune(before, 10).await.unwrap(), gone);
            let counts = bench.store.counts().await.unwrap();
            assert_eq!((counts.accepted, counts.cancelled), (left, left));
            let kept = bench.store.list(ANN, domain::Page::FIRST).await.unwrap();
            let newest: Vec<_> = tasks.iter().rev().take(kept.len()).copied().collect();
            assert_eq!(kept.into_iter().map(|row| row.id).collect::<Vec<_>>(), newest);
        }
    })
    .await;
}

/// A SQLite file gives what was forgotten back to the disk.
#[tokio::test]
async fn a_pruned_file_shrinks() {
    let bench = crate::kit::Bench::sqlite().await;
    let big = domain::RawJson::of(&"x".repeat(100_000)).unwrap();
    let mut tasks = Vec::new();
    for _ in 0..20 {
        tasks.push(domain::Submission { parameters: Some(big.clone()), ..bench.submission() });
    }
    bench.store.submit(&tasks).await.unwrap();
    let ids: Vec<_> = tasks.iter().map(|task| task.id).collect();
    bench.store.cancel(ANN, &ids).await.unwrap();
    let before = bench.number("select page_count from pragma_page_count").await;
    bench.advance(SECOND).await;
    assert_eq!(bench.store.prune(Timestamp(bench.now()), 100).await.unwrap(), 20);
    let after = bench.number("select page_count from pragma_page_count").await;
    assert!(after < before / 4, "{before} pages, then {after}");
    bench.finish().await;
}
