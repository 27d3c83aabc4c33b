//! Reports: a result counts once, by its grant and by its deadline; a release hands the task on (G3, G4, G6, G7, G17).

use domain::{ClaimId, Grant, Reason, Report, ReportOutcome, SettleResult, Status, Timestamp};

use crate::kit::table_dump::books;
use crate::kit::{ANN, Bench, MILLI, SECOND, each_database, failure, millis, report, result};

/// A running task and the last instant at which its result counts.
async fn at_the_deadline(bench: &Bench) -> Grant {
    let grant = bench.running().await;
    bench.advance(5 * SECOND).await;
    grant
}

/// G7: the deadline itself is in time.
#[tokio::test]
async fn a_result_at_the_deadline_finishes() {
    each_database(|bench| async move {
        let grant = at_the_deadline(&bench).await;
        assert_eq!(bench.report(&grant, result("42")).await, SettleResult::Finished);
        let task = bench.task(grant.id).await;
        assert_eq!((task.status, task.reason, task.error), (Status::Finished, None, None));
        assert_eq!(task.end_date, task.deadline);
        assert_eq!(bench.result(grant.id).await.as_deref(), Some("42"));
    })
    .await;
}

/// G6, G7: a microsecond later it is refused: its lateness is told, its content is nowhere.
#[tokio::test]
async fn a_result_after_the_deadline_is_refused() {
    each_database(|bench| async move {
        let grant = at_the_deadline(&bench).await;
        bench.advance(1).await;
        assert_eq!(bench.report(&grant, result("\"too late\"")).await, SettleResult::Late { late_by_ms: 1 });
        let task = bench.task(grant.id).await;
        assert_eq!((task.status, task.reason), (Status::Cancelled, Some(Reason::LateResult)));
        assert_eq!(task.end_date, Some(Timestamp(bench.now())));
        assert_eq!(bench.result(grant.id).await, None);
        assert!(!format!("{:?}", books(&bench.db).await).contains("too late"));
        bench.advance(2 * SECOND).await;
        let again = bench.report(&grant, result("\"too late\"")).await;
        assert_eq!(again, SettleResult::Late { late_by_ms: 2001 }, "how late this report is");
    })
    .await;
}

/// G7: the database itself does not hold a FINISHED past its deadline, whoever writes it.
#[tokio::test]
async fn the_check_refuses_a_late_finish() {
    each_database(|bench| async move {
        let insert = |statement| bench.execute(statement);
        insert(
            "insert into outcome (id, owner, type, status, attempt, started, ended, ttl, result) select id, owner, \
            type, 'FINISHED', 1, 1000, 2000, 1, '1' from task",
        )
        .await
        .expect("nothing to insert");
        bench.created().await;
        for late in [
            "insert into outcome (id, owner, type, status, attempt, started, ended, ttl, result) select id, owner, \
            type, 'FINISHED', 1, 1000, 2001, 1, '1' from task",
            "insert into outcome (id, owner, type, status, attempt, started, ended, ttl, result) select id, owner, \
            type, 'FINISHED', 1, 1000, 999, 1, '1' from task",
            "insert into outcome (id, owner, type, status, attempt, started, ended, ttl) select id, owner, \
            type, 'FINISHED', 1, 1000, 1000, 1 from task",
            "insert into outcome (id, owner, type, status, attempt, started, ended, ttl, result) select id, owner, \
            type, 'CANCELLED', 1, 1000, 1000, 1, '1' from task",
            "insert into outcome (id, owner, type, status, attempt, ended, result) select id, owner, \
            type, 'FINISHED', 1, 1000, '1' from task",
        ] {
            let refusal = insert(late).await.unwrap_err();
            let refusal = refusal.into_database_error().expect("the database speaks");
            assert!(refusal.is_check_violation(), "{refusal} for {late}");
        }
    })
    .await;
}

/// G6: a report by another claim, or by an older grant, moves nothing.
#[tokio::test]
async fn a_foreign_report_is_stale() {
    each_database(|bench| async move {
        let grant = bench.running().await;
        let before = books(&bench.db).await;
        let foreign = Grant { claim: ClaimId::random(), ..grant.clone() };
        let older = Grant { attempt: grant.attempt - 1, ..grant.clone() };
        for grant in [&foreign, &older] {
            for reported in [result("666"), failure("no"), ReportOutcome::Released] {
                assert_eq!(bench.report(grant, reported).await, SettleResult::Stale);
            }
        }
        assert_eq!(books(&bench.db).await, before);
        let unknown = Grant { id: bench.store.new_task_id(), ..grant };
        assert_eq!(bench.report(&unknown, result("1")).await, SettleResult::Unknown);
    })
    .await;
}

/// G6: a foreign report in the same batch takes nothing away from the holder's, in whatever order they stand.
#[tokio::test]
async fn a_foreign_report_does_not_hide_the_true_one() {
    each_database(|bench| async move {
        for foreign_first in [true, false] {
            let grant = bench.running().await;
            let foreign = Grant { claim: ClaimId::random(), attempt: 7, ..grant.clone() };
            let mut reports = vec![report(&grant, result("1")), report(&foreign, result("666"))];
            let mut expected = vec![SettleResult::Finished, SettleResult::Stale];
            if foreign_first {
                reports.reverse();
                expected.reverse();
            }
            assert_eq!(bench.store.settle(&reports).await.unwrap(), expected);
            assert_eq!(bench.result(grant.id).await.as_deref(), Some("1"));
        }
    })
    .await;
}

/// G4, G6: the answer was lost; the report is sent again and hears the same.
#[tokio::test]
async fn a_repeated_report_changes_nothing() {
    each_database(|bench| async move {
        let grant = bench.running().await;
        assert_eq!(bench.report(&grant, result("1")).await, SettleResult::Finished);
        let before = books(&bench.db).await;
        bench.advance(10 * SECOND).await;
        assert_eq!(
            bench.report(&grant, result("1")).await,
            SettleResult::Finished,
            "however late the repeat"
        );
        assert_eq!(bench.report(&grant, result("2")).await, SettleResult::Finished);
        assert_eq!(bench.report(&grant, failure("no")).await, SettleResult::Stale);
        assert_eq!(bench.report(&grant, ReportOutcome::Released).await, SettleResult::Stale);
        assert_eq!(books(&bench.db).await, before);

        let twice = bench.running().await;
        let reports = [report(&twice, result("1")), report(&twice, result("1"))];
        assert_eq!(bench.store.settle(&reports).await.unwrap(), [SettleResult::Finished; 2], "in one batch");
    })
    .await;
}

/// G3: a failure in time keeps what the operation said.
#[tokio::test]
async fn a_failure_cancels() {
    each_database(|bench| async move {
        let grant = at_the_deadline(&bench).await;
        let cancelled = SettleResult::Cancelled { reason: Reason::OperationFailed };
        assert_eq!(bench.report(&grant, failure("division by zero")).await, cancelled);
        let task = bench.task(grant.id).await;
        assert_eq!((task.status, task.reason), (Status::Cancelled, Some(Reason::OperationFailed)));
        assert_eq!(task.error.as_deref(), Some("division by zero"));
        assert_eq!(bench.report(&grant, failure("again")).await, cancelled);
        assert_eq!(bench.report(&grant, result("1")).await, cancelled);
    })
    .await;
}

/// G7: a late failure is an expiry.
#[tokio::test]
async fn a_late_failure_is_an_expiry() {
    each_database(|bench| async move {
        let grant = at_the_deadline(&bench).await;
        bench.advance(1500 * MILLI).await;
        assert_eq!(bench.report(&grant, failure("too slow")).await, SettleResult::Late { late_by_ms: 1500 });
        let task = bench.task(grant.id).await;
        assert_eq!(
            (task.status, task.reason, task.error),
            (Status::Cancelled, Some(Reason::TtlExpired), None)
        );
    })
    .await;
}

/// G17: what a stopping worker hands back is ready at once, with a new time to start, and keeps its fence.
#[tokio::test]
async fn a_released_task_is_ready_at_once() {
    each_database(|bench| async move {
        let grant = at_the_deadline(&bench).await;
        assert_eq!(bench.report(&grant, ReportOutcome::Released).await, SettleResult::Released);
        let task = bench.task(grant.id).await;
        assert_eq!((task.status, task.attempt, task.start_date), (Status::Created, 1, None));
        assert_eq!((task.worker_name, task.deadline), (None, None));
        assert_eq!(
            bench.report(&grant, ReportOutcome::Released).await,
            SettleResult::Released,
            "the answer was lost"
        );
        assert_eq!(bench.report(&grant, result("1")).await, SettleResult::Stale, "it gave the task away");

        bench.advance(60 * SECOND).await;
        let again = bench.claim(grant.id, "w2").await.expect("startWithin is counted from the release");
        assert_eq!(again.attempt, 2, "a claim raises the fence");
        assert_eq!(bench.report(&grant, result("1")).await, SettleResult::Stale, "the older grant");
        assert_eq!(bench.report(&again, result("2")).await, SettleResult::Finished);
        assert_eq!(bench.result(grant.id).await.as_deref(), Some("2"));
    })
    .await;
}

/// G7: nobody gets a second life after the deadline.
#[tokio::test]
async fn a_late_release_is_refused() {
    each_database(|bench| async move {
        let grant = at_the_deadline(&bench).await;
        bench.advance(1).await;
        assert_eq!(bench.report(&grant, ReportOutcome::Released).await, SettleResult::Late { late_by_ms: 1 });
        assert_eq!(bench.status(grant.id).await, Status::Running, "the sweep will end it");
        assert_eq!(bench.store.expire().await.unwrap()[0].reason, Some(Reason::TtlExpired));
    })
    .await;
}

/// G4, G12: a report after a cancellation hears the reason.
#[tokio::test]
async fn a_report_after_a_cancellation_hears_why() {
    each_database(|bench| async move {
        let grant = bench.running().await;
        bench.store.cancel(ANN, &[grant.id]).await.unwrap();
        let cancelled = SettleResult::Cancelled { reason: Reason::Requested };
        for reported in [result("1"), failure("no"), ReportOutcome::Released] {
            assert_eq!(bench.report(&grant, reported).await, cancelled);
        }
    })
    .await;
}

/// A batch of everything is answered in its own order.
#[tokio::test]
async fn answers_stand_in_the_order_of_the_reports() {
    each_database(|bench| async move {
        let mut grants = Vec::new();
        for ttl in [5000, 5000, 5000, 1, 1] {
            let task = domain::Submission { ttl: millis(ttl), ..bench.submission() };
            bench.store.submit(std::slice::from_ref(&task)).await.unwrap();
            grants.push(bench.claim(task.id, "w1").await.unwrap());
        }
        bench.advance(2 * MILLI).await;
        let said = [result("1"), failure("no"), ReportOutcome::Released, result("2"), failure("late")];
        let mut reports: Vec<Report> =
            grants.iter().zip(said).map(|(grant, said)| report(grant, said)).collect();
        reports.push(Report { id: bench.store.new_task_id(), ..reports[0].clone() });
        reports.reverse();
        let mut settled = bench.store.settle(&reports).await.unwrap();
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
        assert!(bench.store.settle(&[]).await.unwrap().is_empty());
    })
    .await;
}
