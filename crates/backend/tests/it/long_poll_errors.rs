//! Waiting claim requests that end in an error: the problem names the kind of error.

use uuid::Uuid;

use crate::kit::test_backend::on_each_database;

#[tokio::test]
async fn a_claim_request_that_is_repeated_while_it_waits_is_a_duplicate_and_no_outage() {
    on_each_database(async |service| {
        let worker = service.worker();
        let claim = Uuid::new_v4();
        let mut waiting = std::pin::pin!(worker.claim_by_type(claim, "w", "ECHO", 1, 30_000).into_future());
        // The request is repeated until a repetition comes after the first request.
        let answer = loop {
            tokio::select! {
                answer = &mut waiting => break answer,
                repeated = worker.claim_by_type(claim, "w", "ECHO", 1, 0).into_future() => {
                    assert!(matches!(repeated.status, 200 | 409), "{}", repeated.text);
                }
            }
        };
        assert_eq!(answer.problem(), (409, "duplicate-claim".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn a_failed_query_of_a_database_that_answers_is_an_internal_error_and_no_outage() {
    on_each_database(async |service| {
        let worker = service.worker();
        service.execute_sql("alter table unfinished_task rename to renamed".to_owned()).await;
        let answer = worker.claim_by_type(Uuid::new_v4(), "w", "ECHO", 1, 30_000).await;
        service.execute_sql("alter table renamed rename to unfinished_task".to_owned()).await;
        assert_eq!(answer.problem(), (500, "internal".to_owned()));
    })
    .await;
}
