//! Reports: a result counts once, under its grant and before the deadline; a release makes the task ready again (G3, G4, G6,
//! G7, G17).

use domain::{AttemptOutcome, ClaimId, Grant, Reason, Report, SettleResult, Status, Timestamp};

use crate::kit::table_dump::dump_tables;
use crate::kit::{ANN, MILLI, SECOND, TestStore, attributed, each_database, failure, millis, report, result};

/// A running task and the last instant at which its result counts.
async fn at_the_deadline(test: &TestStore) -> Grant {
    let grant = test.running().await;
    test.advance(5 * SECOND).await;
    grant
}

/// G7: the deadline itself is in time.
#[tokio::test]
async fn a_result_at_the_deadline_finishes() {
    each_database(|test| async move {
        let grant = at_the_deadline(&test).await;
        assert_eq!(test.report(&grant, result("42")).await, SettleResult::Finished);
        let task = test.task(grant.id).await;
        assert_eq!((task.status, task.reason, task.error), (Status::Finished, None, None));
        assert_eq!(task.end_date, task.deadline);
        assert_eq!(test.result(grant.id).await.as_deref(), Some("42"));
    })
    .await;
}

/// G6, G7: a microsecond later it is refused: the answer has its lateness, and its content is stored nowhere.
#[tokio::test]
async fn a_result_after_the_deadline_is_refused() {
    each_database(|test| async move {
        let grant = at_the_deadline(&test).await;
        test.advance(1).await;
        assert_eq!(test.report(&grant, result("\"too late\"")).await, SettleResult::Late { late_by_ms: 1 });
        let task = test.task(grant.id).await;
        assert_eq!((task.status, task.reason), (Status::Cancelled, Some(Reason::LateResult)));
        assert_eq!(task.end_date, Some(Timestamp(test.now())));
        assert_eq!(test.result(grant.id).await, None);
        assert!(!format!("{:?}", dump_tables(&test.db).await).contains("too late"));
        test.advance(2 * SECOND).await;
        let again = test.report(&grant, result("\"too late\"")).await;
        assert_eq!(again, SettleResult::Late { late_by_ms: 2001 }, "how late this report is");
    })
    .await;
}

/// G7: a check constraint refuses a FINISHED after the deadline, whoever inserts it.
#[tokio::test]
async fn the_check_refuses_a_late_finish() {
    each_database(|test| async move {
        let insert = |statement| test.execute(statement);
        insert(
            "insert into outcome (id, owner, type, status, attempt, started_at, ended_at, ttl_ms, result) select id, owner, \
            type, 'FINISHED', 1, 1000, 2000, 1, '1' from task",
        )
        .await
        .expect("nothing to insert");
        test.created().await;
        for late in [
            "insert into outcome (id, owner, type, status, attempt, started_at, ended_at, ttl_ms, result) select id, owner, \
            type, 'FINISHED', 1, 1000, 2001, 1, '1' from task",
            "insert into outcome (id, owner, type, status, attempt, started_at, ended_at, ttl_ms, result) select id, owner, \
            type, 'FINISHED', 1, 1000, 999, 1, '1' from task",
            "insert into outcome (id, owner, type, status, attempt, started_at, ended_at, ttl_ms) select id, owner, \
            type, 'FINISHED', 1, 1000, 1000, 1 from task",
            "insert into outcome (id, owner, type, status, attempt, started_at, ended_at, ttl_ms, result) select id, owner, \
            type, 'CANCELLED', 1, 1000, 1000, 1, '1' from task",
            "insert into outcome (id, owner, type, status, attempt, ended_at, result) select id, owner, \
            type, 'FINISHED', 1, 1000, '1' from task",
        ] {
            let refusal = insert(late).await.unwrap_err();
            let refusal = refusal.into_database_error().expect("the error comes from the database");
            assert!(refusal.is_check_violation(), "{refusal} for {late}");
        }
    })
    .await;
}

/// G6: a report with another claim, or of an older attempt, has no effect.
#[tokio::test]
async fn a_foreign_report_is_stale() {
    each_database(|test| async move {
        let grant = test.running().await;
        let before = dump_tables(&test.db).await;
        let foreign = Grant { claim: ClaimId::random(), ..grant.clone() };
        let older = Grant { attempt: grant.attempt - 1, ..grant.clone() };
        for grant in [&foreign, &older] {
            for reported in [result("666"), failure("no"), AttemptOutcome::Released] {
                assert_eq!(test.report(grant, reported).await, SettleResult::Stale);
            }
        }
        assert_eq!(dump_tables(&test.db).await, before);
        let unknown = Grant { id: test.store.new_task_id(), ..grant };
        assert_eq!(test.report(&unknown, result("1")).await, SettleResult::Unknown);
    })
    .await;
}

/// G6: a report with another claim in the same batch does not affect the valid one, in either order.
#[tokio::test]
async fn a_foreign_report_does_not_hide_the_valid_one() {
    each_database(|test| async move {
        for foreign_first in [true, false] {
            let grant = test.running().await;
            let foreign = Grant { claim: ClaimId::random(), attempt: 7, ..grant.clone() };
            let mut reports = vec![report(&grant, result("1")), report(&foreign, result("666"))];
            let mut expected = vec![SettleResult::Finished, SettleResult::Stale];
            if foreign_first {
                reports.reverse();
                expected.reverse();
            }
            assert_eq!(test.settle(&reports).await, expected);
            assert_eq!(test.result(grant.id).await.as_deref(), Some("1"));
        }
    })
    .await;
}

/// G4, G6: the answer was lost; the repeated report gets the same answer.
#[tokio::test]
async fn a_repeated_report_changes_nothing() {
    each_database(|test| async move {
        let grant = test.running().await;
        assert_eq!(test.report(&grant, result("1")).await, SettleResult::Finished);
        let before = dump_tables(&test.db).await;
        test.advance(10 * SECOND).await;
        assert_eq!(test.report(&grant, result("1")).await, SettleResult::Finished, "however late the repeat");
        assert_eq!(test.report(&grant, result("2")).await, SettleResult::Finished);
        assert_eq!(test.report(&grant, failure("no")).await, SettleResult::Stale);
        assert_eq!(test.report(&grant, AttemptOutcome::Released).await, SettleResult::Stale);
        assert_eq!(dump_tables(&test.db).await, before);

        let twice = test.running().await;
        let reports = [report(&twice, result("1")), report(&twice, result("1"))];
        assert_eq!(
            test.settle(&reports).await,
            [SettleResult::Finished, SettleResult::Finished],
            "in one batch"
        );
    })
    .await;
}

/// G3: a failure in time stores the operation's error.
#[tokio::test]
async fn a_failure_cancels() {
    each_database(|test| async move {
        let grant = at_the_deadline(&test).await;
        let cancelled = SettleResult::Cancelled { reason: Reason::OperationFailed };
        assert_eq!(test.report(&grant, failure("division by zero")).await, cancelled);
        let task = test.task(grant.id).await;
        assert_eq!((task.status, task.reason), (Status::Cancelled, Some(Reason::OperationFailed)));
        assert_eq!(task.error.as_deref(), Some("division by zero"));
        assert_eq!(test.report(&grant, failure("again")).await, cancelled);
        assert_eq!(test.report(&grant, result("1")).await, cancelled);
    })
    .await;
}

/// G7: a late failure counts as an expiry.
#[tokio::test]
async fn a_late_failure_is_an_expiry() {
    each_database(|test| async move {
        let grant = at_the_deadline(&test).await;
        test.advance(1500 * MILLI).await;
        assert_eq!(test.report(&grant, failure("too slow")).await, SettleResult::Late { late_by_ms: 1500 });
        let task = test.task(grant.id).await;
        assert_eq!(
            (task.status, task.reason, task.error),
            (Status::Cancelled, Some(Reason::TtlExpired), None)
        );
    })
    .await;
}

/// G17: a released task is ready at once, with a new `startWithin`, and keeps its attempt number.
#[tokio::test]
async fn a_released_task_is_ready_at_once() {
    each_database(|test| async move {
        let grant = at_the_deadline(&test).await;
        assert_eq!(test.report(&grant, AttemptOutcome::Released).await, SettleResult::Released);
        let task = test.task(grant.id).await;
        assert_eq!((task.status, task.attempts, task.start_date), (Status::Created, 1, None));
        assert_eq!((task.worker_name, task.deadline), (None, None));
        assert_eq!(
            test.report(&grant, AttemptOutcome::Released).await,
            SettleResult::Released,
            "the answer was lost"
        );
        assert_eq!(test.report(&grant, result("1")).await, SettleResult::Stale, "the grant was released");

        test.advance(60 * SECOND).await;
        let again = test.claim(grant.id, "w2").await.expect("startWithin is counted from the release");
        assert_eq!(again.attempt, 2, "a claim raises the attempt");
        assert_eq!(
            test.report(&grant, result("1")).await,
            SettleResult::Stale,
            "the report is of the older attempt"
        );
        let settled = test.store.settle(&[attributed("w2", report(&again, result("2")))]).await.unwrap();
        assert_eq!(settled, [SettleResult::Finished]);
        assert_eq!(test.result(grant.id).await.as_deref(), Some("2"));
    })
    .await;
}

/// G7: a release after the deadline does not make the task ready again.
#[tokio::test]
async fn a_late_release_is_refused() {
    each_database(|test| async move {
        let grant = at_the_deadline(&test).await;
        test.advance(1).await;
        assert_eq!(test.report(&grant, AttemptOutcome::Released).await, SettleResult::Late { late_by_ms: 1 });
        assert_eq!(test.status(grant.id).await, Status::Running, "the sweep will end it");
        assert_eq!(test.store.expire().await.unwrap().ended[0].reason, Some(Reason::TtlExpired));
    })
    .await;
}

/// G4, G12: a report after a cancellation is answered with the reason.
#[tokio::test]
async fn a_report_after_a_cancellation_is_answered_with_the_reason() {
    each_database(|test| async move {
        let grant = test.running().await;
        test.store.cancel(ANN, &[grant.id]).await.unwrap();
        let cancelled = SettleResult::Cancelled { reason: Reason::Requested };
        for reported in [result("1"), failure("no"), AttemptOutcome::Released] {
            assert_eq!(test.report(&grant, reported).await, cancelled);
        }
    })
    .await;
}

/// A batch with every kind of report is answered in its order.
#[tokio::test]
async fn answers_stand_in_the_order_of_the_reports() {
    each_database(|test| async move {
        let mut grants = Vec::new();
        for ttl in [5000, 5000, 5000, 1, 1] {
            let task = domain::Submission { ttl: millis(ttl), ..test.submission() };
            test.store.submit(std::slice::from_ref(&task)).await.unwrap();
            grants.push(test.claim(task.id, "w1").await.unwrap());
        }
        test.advance(2 * MILLI).await;
        let outcomes = [result("1"), failure("no"), AttemptOutcome::Released, result("2"), failure("late")];
        let mut reports: Vec<Report> =
            grants.iter().zip(outcomes).map(|(grant, outcome)| report(grant, outcome)).collect();
        reports.push(Report { id: test.store.new_task_id(), ..reports[0].clone() });
        reports.reverse();
        let mut settled = test.settle(&reports).await;
        settled.reverse();
        let expected = [
            SettleResult::Finished,
            SettleResult::Cancelled { reason: Reason::OperationFailed },
            SettleResult::Released,
            SettleResult::Late { late_by_ms: 1 },
            SettleResult::Late { late_by_ms: 1 },
            SettleResult::Unknown,
        ];
        assert_eq!(settled, expected);
        assert!(test.store.settle(&[]).await.unwrap().is_empty());
    })
    .await;
}
