//! Reads: an owner's own tasks, newest first, and what may be offered again (G11, G13, G18).

use domain::{Page, Status, Submission, TaskId, Timestamp};

use crate::kit::{ANN, BOB, SECOND, each_database, kind, result};

/// G13: another's task is as absent as one that never was.
#[tokio::test]
async fn nobody_sees_anothers_tasks() {
    each_database(|bench| async move {
        let grant = bench.running().await;
        bench.report(&grant, result("1")).await;
        for id in [grant.id, bench.created().await, bench.store.new_task_id()] {
            assert_eq!(bench.store.get(BOB, id).await.unwrap(), None);
            assert_eq!(bench.store.result(BOB, id).await.unwrap(), None);
        }
        assert_eq!(bench.store.list(BOB, Page::FIRST).await.unwrap(), []);
        let page = Page { before: Some(grant.id), limit: 10 };
        assert_eq!(bench.store.list(BOB, page).await.unwrap(), []);
    })
    .await;
}

/// G13: pages of one owner's tasks, newest first, each task once, whatever others do in between.
#[tokio::test]
async fn a_list_is_read_page_by_page() {
    each_database(|bench| async move {
        let mut mine = Vec::new();
        for n in 0..25 {
            let owner = if n % 5 == 4 { BOB } else { ANN };
            let task = Submission { owner, ..bench.submission() };
            if owner == ANN {
                mine.push(task.id);
            }
            bench.store.submit(&[task]).await.unwrap();
        }
        mine.reverse();
        let mut page = Page { before: None, limit: 6 };
        let mut seen: Vec<TaskId> = Vec::new();
        loop {
            let rows = bench.store.list(ANN, page).await.unwrap();
            let Some(last) = rows.last() else { break };
            assert!(rows.len() <= 6);
            page = page.after(last.id);
            seen.extend(rows.iter().map(|row| row.id));
            bench.created().await;
        }
        assert_eq!(seen, mine);
        assert_eq!(bench.store.list(ANN, Page { before: None, limit: 0 }).await.unwrap(), []);
    })
    .await;
}

/// G18: a list shows each task's status as it is.
#[tokio::test]
async fn a_list_shows_every_status() {
    each_database(|bench| async move {
        let created = bench.created().await;
        let running = bench.running().await;
        let finished = bench.running().await;
        bench.report(&finished, result("1")).await;
        let cancelled = bench.created().await;
        bench.store.cancel(ANN, &[cancelled]).await.unwrap();
        let rows = bench.store.list(ANN, Page::FIRST).await.unwrap();
        let rows: Vec<_> = rows.into_iter().map(|row| (row.id, row.status)).collect();
        let expected = [
            (cancelled, Status::Cancelled),
            (finished.id, Status::Finished),
            (running.id, Status::Running),
            (created, Status::Created),
        ];
        assert_eq!(rows, expected);
        for (id, status) in expected {
            assert_eq!(bench.store.result(ANN, id).await.unwrap().unwrap().status, status);
        }
        let counts = bench.store.counts().await.unwrap();
        assert_eq!((counts.accepted, counts.created, counts.running), (4, 1, 1));
        assert_eq!((counts.finished, counts.cancelled), (1, 1));
    })
    .await;
}

/// The longest page that one statement reads.
#[tokio::test]
async fn a_page_is_never_longer_than_the_longest() {
    each_database(|bench| async move {
        bench.many(1001).await;
        let rows = bench.store.list(ANN, Page { before: None, limit: u32::MAX }).await.unwrap();
        assert_eq!(rows.len(), 1000);
    })
    .await;
}

/// G11: what is offered again has been ready for long enough, is of a type that somebody runs, and the oldest comes
/// first.
#[tokio::test]
async fn the_oldest_ready_tasks_are_offered_again() {
    each_database(|bench| async move {
        let began = bench.now();
        let mut tasks = Vec::new();
        for name in ["a", "b", "c", "a", "b"] {
            let task = Submission { name: kind(name), ..bench.submission() };
            tasks.push(task.id);
            bench.store.submit(&[task]).await.unwrap();
            bench.advance(SECOND).await;
        }
        bench.claim(tasks[0], "w1").await.unwrap();
        let types = [kind("b"), kind("a")];
        let since = Timestamp(began + 3 * SECOND);
        let ready = bench.store.ready_tasks(&types, since, 10).await.unwrap();
        assert_eq!(ready.iter().map(|task| task.id).collect::<Vec<_>>(), [tasks[1], tasks[3]]);
        assert_eq!((ready[0].attempt, ready[0].since), (0, Timestamp(began + SECOND)));
        assert_eq!((&ready[0].name, ready[0].queue.as_str()), (&kind("b"), "default"));
        let ready = bench.store.ready_tasks(&types, since.plus_micros(-1), 10).await.unwrap();
        assert_eq!(
            ready.iter().map(|task| task.id).collect::<Vec<_>>(),
            [tasks[1]],
            "the other is too young"
        );
        let ready = bench.store.ready_tasks(&types, since.plus_micros(SECOND), 2).await.unwrap();
        assert_eq!(
            ready.iter().map(|task| task.id).collect::<Vec<_>>(),
            [tasks[1], tasks[3]],
            "at most so many"
        );
        assert_eq!(bench.store.ready_tasks(&[], since, 10).await.unwrap(), []);
    })
    .await;
}

/// G11: a task that was handed back is as young as its release.
#[tokio::test]
async fn a_released_task_is_offered_by_its_new_age() {
    each_database(|bench| async move {
        let grant = bench.running().await;
        bench.advance(SECOND).await;
        bench.report(&grant, domain::ReportOutcome::Released).await;
        let types = [grant.name];
        let now = Timestamp(bench.now());
        assert_eq!(bench.store.ready_tasks(&types, now.plus_micros(-1), 10).await.unwrap(), []);
        let ready = bench.store.ready_tasks(&types, now, 10).await.unwrap();
        assert_eq!((ready[0].id, ready[0].attempt, ready[0].since), (grant.id, 1, now));
    })
    .await;
}
