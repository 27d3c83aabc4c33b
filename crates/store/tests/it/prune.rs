//! Pruning: ended tasks that were submitted long ago are deleted, a limited number at a time; unfinished ones never are (G1, G18).

use domain::{Status, Timestamp};

use crate::kit::{ANN, SECOND, each_database, result};

/// G1: only ended tasks, and only those submitted before the given instant.
#[tokio::test]
async fn only_old_ended_tasks_are_deleted() {
    each_database(|test| async move {
        let waiting = test.created().await;
        let running = test.running().await;
        let finished = test.running().await;
        for grant in [&running, &finished] {
            test.report_progress(grant, 50).await;
        }
        test.report(&finished, result("1")).await;
        let cancelled = test.created().await;
        test.store.cancel(ANN, &[cancelled]).await.unwrap();
        test.advance(SECOND).await;
        let young = test.running().await;
        test.report(&young, result("1")).await;

        let before = Timestamp(test.now());
        assert_eq!(test.store.prune(before, 100).await.unwrap(), 2);
        for gone in [finished.id, cancelled] {
            assert_eq!(test.store.get(ANN, gone).await.unwrap(), None);
        }
        assert_eq!(test.number("select count(*) from outcome").await, 1);
        assert_eq!(test.number("select count(*) from progress").await, 1, "that of the running task");
        assert_eq!(test.status(waiting).await, Status::Created);
        assert_eq!(test.status(running.id).await, Status::Running);
        assert_eq!(test.status(young.id).await, Status::Finished);
        assert_eq!(test.store.prune(before, 100).await.unwrap(), 0);
    })
    .await;
}

/// The labels of a task are deleted with it, and those of another are not.
#[tokio::test]
async fn labels_are_deleted_with_their_task() {
    each_database(|test| async move {
        let labelled = |labels: &str| domain::Submission {
            options: serde_json::from_str(labels).unwrap(),
            ..test.submission()
        };
        let (old, waiting) = (
            labelled(r#"{"labels": {"team": "it's \"a\"", "run": ""}}"#),
            labelled(r#"{"labels": {"team": "a"}}"#),
        );
        test.store.submit(&[old.clone(), test.submission(), waiting]).await.unwrap();
        assert_eq!(test.number("select count(*) from task_label").await, 3);
        test.store.submit(std::slice::from_ref(&old)).await.unwrap();
        assert_eq!(test.number("select count(*) from task_label").await, 3, "a repeated submission");
        test.store.cancel(ANN, &[old.id]).await.unwrap();
        test.advance(SECOND).await;
        assert_eq!(test.store.prune(Timestamp(test.now()), 100).await.unwrap(), 1);
        assert_eq!(test.number("select count(*) from task_label").await, 1);
        assert_eq!(test.number("select count(*) from task_label where value = 'a'").await, 1);
    })
    .await;
}

/// G18: the oldest first, up to the limit.
#[tokio::test]
async fn pruning_deletes_the_oldest_up_to_the_limit() {
    each_database(|test| async move {
        let tasks = test.many(25).await;
        test.store.cancel(ANN, &tasks).await.unwrap();
        test.advance(SECOND).await;
        let before = Timestamp(test.now());
        for (left, gone) in [(15, 10), (5, 10), (0, 5), (0, 0)] {
            assert_eq!(test.store.prune(before, 10).await.unwrap(), gone);
            let counts = test.store.counts().await.unwrap();
            assert_eq!((counts.accepted, counts.cancelled), (left, left));
            let page =
                test.store.list(ANN, &domain::TaskFilter::UNFILTERED, domain::PageRequest::FIRST).await;
            let rest = page.unwrap().tasks;
            let newest: Vec<_> = tasks.iter().rev().take(rest.len()).copied().collect();
            assert_eq!(rest.into_iter().map(|row| row.id).collect::<Vec<_>>(), newest);
        }
    })
    .await;
}

/// Pruning returns the space to the file system.
#[tokio::test]
async fn a_pruned_sqlite_file_shrinks() {
    let test = crate::kit::TestStore::sqlite().await;
    let big = domain::RawJson::of(&"x".repeat(100_000)).unwrap();
    let mut tasks = Vec::new();
    for _ in 0..20 {
        tasks.push(domain::Submission { parameters: Some(big.clone()), ..test.submission() });
    }
    test.store.submit(&tasks).await.unwrap();
    let ids: Vec<_> = tasks.iter().map(|task| task.id).collect();
    test.store.cancel(ANN, &ids).await.unwrap();
    let before = test.number("select page_count from pragma_page_count").await;
    test.advance(SECOND).await;
    assert_eq!(test.store.prune(Timestamp(test.now()), 100).await.unwrap(), 20);
    let after = test.number("select page_count from pragma_page_count").await;
    assert!(after < before / 4, "{before} pages, then {after}");
    test.finish().await;
}
