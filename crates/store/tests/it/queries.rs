//! Queries: an owner's own tasks, newest first, and ready tasks, oldest first (G11, G13, G18).

use domain::{
    OwnerId, PageRequest, Status, Submission, TaskFilter, TaskId, TaskOrder, TaskSummary, Timestamp,
};
use store::Page;

use crate::kit::{ANN, BOB, SECOND, TestStore, each_database, kind, result};

async fn list(test: &TestStore, owner: OwnerId, page: PageRequest) -> Vec<TaskSummary> {
    test.store.list(owner, &TaskFilter::UNFILTERED, page).await.unwrap().tasks
}

/// Every page of a list of Ann's.
async fn whole_list(test: &TestStore, filter: &TaskFilter, mut page: PageRequest) -> Vec<(TaskId, Status)> {
    let mut found = Vec::new();
    loop {
        let Page { tasks, next } = test.store.list(ANN, filter, page).await.unwrap();
        found.extend(tasks.iter().map(|row| (row.id, row.status)));
        let Some(next) = next else { return found };
        page = page.next_page(next);
    }
}

/// G13: another owner's task looks like one that does not exist.
#[tokio::test]
async fn no_owner_sees_the_tasks_of_another() {
    each_database(|test| async move {
        let grant = test.running().await;
        test.report(&grant, result("1")).await;
        for id in [grant.id, test.created().await, test.store.new_task_id()] {
            assert_eq!(test.store.get(BOB, id).await.unwrap(), None);
            assert_eq!(test.store.result(BOB, id).await.unwrap(), None);
        }
        assert_eq!(list(&test, BOB, PageRequest::FIRST).await, []);
        let page = PageRequest { before: Some(grant.id), ..PageRequest::newest(10) };
        assert_eq!(list(&test, BOB, page).await, []);
    })
    .await;
}

/// G13: pages of one owner's tasks, newest first, each task once, while others are submitted.
#[tokio::test]
async fn a_list_is_read_page_by_page() {
    each_database(|test| async move {
        let mut mine = Vec::new();
        for n in 0..25 {
            let owner = if n % 5 == 4 { BOB } else { ANN };
            let task = Submission { owner, ..test.submission() };
            if owner == ANN {
                mine.push(task.id);
            }
            test.store.submit(&[task]).await.unwrap();
        }
        mine.reverse();
        let mut page = PageRequest::newest(6);
        let mut seen: Vec<TaskId> = Vec::new();
        loop {
            let Page { tasks, next } = test.store.list(ANN, &TaskFilter::UNFILTERED, page).await.unwrap();
            assert!(tasks.len() <= 6);
            seen.extend(tasks.iter().map(|row| row.id));
            let Some(next) = next else { break };
            page = page.next_page(next);
            test.created().await;
        }
        assert_eq!(seen, mine);
        assert_eq!(list(&test, ANN, PageRequest::newest(0)).await, []);
    })
    .await;
}

/// G18: a list, a single read and the counts show the same statuses.
#[tokio::test]
async fn a_list_shows_every_status() {
    each_database(|test| async move {
        let created = test.created().await;
        let running = test.running().await;
        let finished = test.running().await;
        test.report(&finished, result("1")).await;
        let cancelled = test.created().await;
        test.store.cancel(ANN, &[cancelled]).await.unwrap();
        let rows = list(&test, ANN, PageRequest::FIRST).await;
        let rows: Vec<_> = rows.into_iter().map(|row| (row.id, row.status)).collect();
        let expected = [
            (cancelled, Status::Cancelled),
            (finished.id, Status::Finished),
            (running.id, Status::Running),
            (created, Status::Created),
        ];
        assert_eq!(rows, expected);
        for (id, status) in expected {
            assert_eq!(test.store.result(ANN, id).await.unwrap().unwrap().status, status);
        }
        let counts = test.store.counts().await.unwrap();
        assert_eq!((counts.accepted, counts.created, counts.running), (4, 1, 1));
        assert_eq!((counts.finished, counts.cancelled), (1, 1));
    })
    .await;
}

/// G18: each status is found by its filter, with the other conditions and page by page; nobody else's tasks are.
#[tokio::test]
async fn a_list_has_the_tasks_that_pass_its_filter() {
    each_database(|test| async move {
        let began = test.now();
        let mut tasks: Vec<(TaskId, Status, &str, i64)> = Vec::new();
        for n in 0..48 {
            test.advance(SECOND).await;
            let name = if n % 3 == 0 { "a" } else { "b" };
            let owner = if n % 8 == 7 { BOB } else { ANN };
            let task = Submission { type_name: kind(name), owner, ..test.submission() };
            let (id, status) = (task.id, Status::ALL[n / 2 % 4]);
            test.store.submit(&[task]).await.unwrap();
            match status {
                Status::Created => {}
                Status::Running => drop(test.claim(id, "w1").await.unwrap()),
                Status::Finished => {
                    drop(test.report(&test.claim(id, "w1").await.unwrap(), result("1")).await);
                }
                Status::Cancelled => drop(test.store.cancel(owner, &[id]).await.unwrap()),
            }
            if owner == ANN {
                tasks.insert(0, (id, status, name, test.now()));
            }
        }
        let middle = began + 9 * SECOND;
        let dates = [
            (None, None),
            (Some(middle), None),
            (None, Some(middle)),
            (Some(middle), Some(began + 33 * SECOND)),
        ];
        let statuses = [None].into_iter().chain(Status::ALL.iter().map(|status| Some(*status)));
        let filters = statuses.flat_map(|status| [None, Some(kind("a"))].map(|name| (status, name)));
        let filters = filters.flat_map(|(status, name)| dates.map(|dates| (status, name.clone(), dates)));
        let filters = filters
            .flat_map(|filter| [TaskOrder::Newest, TaskOrder::Oldest].map(|order| (filter.clone(), order)));
        for ((status, type_name, (after, before)), order) in filters {
            let [created_after, created_before] = [after, before].map(|date| date.map(Timestamp));
            let filter =
                TaskFilter { status, type_name, created_after, created_before, ..TaskFilter::UNFILTERED };
            let passes = |(_, status, name, at): &&(TaskId, Status, &str, i64)| {
                filter.status.is_none_or(|wanted| wanted == *status)
                    && filter.type_name.as_ref().is_none_or(|wanted| wanted.as_str() == *name)
                    && after.is_none_or(|after| after <= *at)
                    && before.is_none_or(|before| *at < before)
            };
            let mut expected: Vec<(TaskId, Status)> =
                tasks.iter().filter(passes).map(|(id, status, ..)| (*id, *status)).collect();
            if order == TaskOrder::Oldest {
                expected.reverse();
            }
            let page = PageRequest { order, ..PageRequest::newest(2) };
            assert_eq!(whole_list(&test, &filter, page).await, expected, "{filter:?}");
        }
    })
    .await;
}

/// A page reads a bounded number of rows: of a rare type among many tasks it has fewer tasks than requested, or none, and goes on.
#[tokio::test]
async fn a_page_of_a_rare_type_ends_after_a_bounded_number_of_rows() {
    each_database(|test| async move {
        let rare = Submission { type_name: kind("rare"), ..test.submission() };
        let first = rare.id;
        test.store.submit(std::slice::from_ref(&rare)).await.unwrap();
        test.advance(SECOND).await;
        test.insert_ended(ANN, 60_000).await;
        test.advance(SECOND).await;
        let last = Submission { id: test.store.new_task_id(), ..rare };
        test.store.submit(std::slice::from_ref(&last)).await.unwrap();
        let filter = TaskFilter { type_name: Some(kind("rare")), ..TaskFilter::UNFILTERED };
        for (order, expected) in
            [(TaskOrder::Newest, [last.id, first]), (TaskOrder::Oldest, [first, last.id])]
        {
            let page = PageRequest { order, ..PageRequest::newest(10) };
            let read = test.store.list(ANN, &filter, page).await.unwrap();
            assert_eq!(read.tasks.iter().map(|task| task.id).collect::<Vec<_>>(), expected[..1]);
            let rest = test.store.list(ANN, &filter, page.next_page(read.next.unwrap())).await.unwrap();
            assert_eq!(rest.tasks.iter().map(|task| task.id).collect::<Vec<_>>(), expected[1..]);
            assert_eq!(rest.next, None);
            let filter = TaskFilter { type_name: Some(kind("none")), ..TaskFilter::UNFILTERED };
            assert_eq!(whole_list(&test, &filter, page).await, []);
        }
    })
    .await;
}

/// However long a page is requested, it has at most 1,000 tasks.
#[tokio::test]
async fn a_page_has_at_most_a_thousand_tasks() {
    each_database(|test| async move {
        test.many(1001).await;
        let rows = list(&test, ANN, PageRequest::newest(u32::MAX)).await;
        assert_eq!(rows.len(), 1000);
    })
    .await;
}

/// G11: ready tasks of the given types that have been ready for long enough, the oldest first.
#[tokio::test]
async fn ready_tasks_are_listed_oldest_first() {
    each_database(|test| async move {
        let began = test.now();
        let mut tasks = Vec::new();
        for name in ["a", "b", "c", "a", "b"] {
            let task = Submission { type_name: kind(name), ..test.submission() };
            tasks.push(task.id);
            test.store.submit(&[task]).await.unwrap();
            test.advance(SECOND).await;
        }
        test.claim(tasks[0], "w1").await.unwrap();
        let types = [kind("b"), kind("a")];
        let since = Timestamp(began + 3 * SECOND);
        let ready = test.store.ready_tasks(&types, since, 10).await.unwrap();
        assert_eq!(ready.iter().map(|task| task.id).collect::<Vec<_>>(), [tasks[1], tasks[3]]);
        assert_eq!((ready[0].attempt, ready[0].since), (0, Timestamp(began + SECOND)));
        assert_eq!((&ready[0].type_name, ready[0].queue.as_str()), (&kind("b"), "default"));
        let ready = test.store.ready_tasks(&types, since.plus_micros(-1), 10).await.unwrap();
        assert_eq!(
            ready.iter().map(|task| task.id).collect::<Vec<_>>(),
            [tasks[1]],
            "the other is too young"
        );
        let ready = test.store.ready_tasks(&types, since.plus_micros(SECOND), 2).await.unwrap();
        assert_eq!(ready.iter().map(|task| task.id).collect::<Vec<_>>(), [tasks[1], tasks[3]], "at most two");
        assert_eq!(test.store.ready_tasks(&[], since, 10).await.unwrap(), []);
    })
    .await;
}

/// A type that cannot be read is named in the error, since the row stands for all tasks of the type.
#[tokio::test]
async fn a_corrupt_type_is_named_in_the_error() {
    each_database(|test| async move {
        test.created().await;
        test.execute("update unfinished_task set type = 'no type'").await.unwrap();
        let error = test.store.type_loads().await.unwrap_err();
        let expected = "row of type \"no type\" of unfinished_task has an invalid value: ";
        assert!(error.to_string().starts_with(expected), "{error}");
    })
    .await;
}

/// G11: a released task has been ready since its release.
#[tokio::test]
async fn a_released_task_is_ready_since_its_release() {
    each_database(|test| async move {
        let grant = test.running().await;
        test.advance(SECOND).await;
        test.report(&grant, domain::AttemptOutcome::Released).await;
        let types = [grant.type_name];
        let now = Timestamp(test.now());
        assert_eq!(test.store.ready_tasks(&types, now.plus_micros(-1), 10).await.unwrap(), []);
        let ready = test.store.ready_tasks(&types, now, 10).await.unwrap();
        assert_eq!((ready[0].id, ready[0].attempt, ready[0].since), (grant.id, 1, now));
    })
    .await;
}
