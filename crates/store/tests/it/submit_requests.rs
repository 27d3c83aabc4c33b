//! Requests with idempotency keys: each key is accepted once, with all of its tasks (G2).

use domain::{OwnerId, RequestKey, SubmissionRequest, TaskId, Timestamp};
use store::SubmissionOutcome;
use uuid::Uuid;

use crate::kit::table_dump::dump_tables;
use crate::kit::{ANN, BOB, TestStore, each_database};

const CONTENT: u128 = 1;

fn key(owner: OwnerId, key_hash: u128, content_hash: u128) -> RequestKey {
    let (key_hash, content_hash) = (Uuid::from_u128(key_hash), Uuid::from_u128(content_hash));
    RequestKey { owner, key_hash, content_hash }
}

/// A request of Ann's with so many tasks.
fn request(test: &TestStore, count: usize, key: Option<RequestKey>) -> SubmissionRequest {
    SubmissionRequest { tasks: (0..count).map(|_| test.submission()).collect(), key }
}

fn ids(request: &SubmissionRequest) -> Vec<TaskId> {
    request.tasks.iter().map(|task| task.id).collect()
}

/// A batch whose commit is unknown is repeated with the same ids: that is no other submission.
#[tokio::test]
async fn a_repeated_batch_of_requests_changes_nothing() {
    each_database(|test| async move {
        let batch =
            [request(&test, 1, None), request(&test, 3, Some(key(ANN, 1, CONTENT))), request(&test, 1, None)];
        for round in 0..2 {
            let before = dump_tables(&test.db).await;
            let outcomes = test.store.submit_requests(&batch).await.unwrap();
            assert_eq!(outcomes, vec![SubmissionOutcome::Accepted; 3]);
            assert!(round == 0 || dump_tables(&test.db).await == before);
        }
        assert_eq!(test.store.counts().await.unwrap().created, 5);
    })
    .await;
}

#[tokio::test]
async fn requests_with_new_and_used_keys_and_without_any_share_a_statement() {
    each_database(|test| async move {
        let first = request(&test, 2, Some(key(ANN, 1, CONTENT)));
        test.store.submit_requests(std::slice::from_ref(&first)).await.unwrap();
        test.advance(1).await;
        let batch = [
            request(&test, 1, None),
            request(&test, 2, Some(key(ANN, 1, CONTENT))),
            request(&test, 1, Some(key(ANN, 1, CONTENT + 1))),
            request(&test, 1, Some(key(ANN, 2, CONTENT))),
            request(&test, 1, Some(key(ANN, 2, CONTENT))),
            request(&test, 1, Some(key(BOB, 101, CONTENT))),
        ];
        let outcomes = test.store.submit_requests(&batch).await.unwrap();
        let expected = [
            SubmissionOutcome::Accepted,
            SubmissionOutcome::Repeated(ids(&first)),
            SubmissionOutcome::KeyReused,
            SubmissionOutcome::Accepted,
            SubmissionOutcome::Repeated(ids(&batch[3])),
            SubmissionOutcome::Accepted,
        ];
        assert_eq!(outcomes, expected);
        assert_eq!(test.store.counts().await.unwrap().created, 2 + 3);
        let found = test.store.submitted_under(key(ANN, 2, CONTENT)).await.unwrap();
        assert_eq!(found, Some(SubmissionOutcome::Repeated(ids(&batch[3]))));
        let absent = test.store.submitted_under(key(BOB, 2, CONTENT)).await.unwrap();
        assert_eq!(absent, None, "the key of another owner");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_requests_with_the_same_keys_are_accepted_once() {
    each_database(|test| async move {
        for round in 0..10 {
            let batch = |keys: &mut dyn Iterator<Item = u128>| -> Vec<SubmissionRequest> {
                keys.map(|n| request(&test, 2, Some(key(ANN, round * 100 + n, CONTENT)))).collect()
            };
            let (forward, backward) = (batch(&mut (0..20)), batch(&mut (0..20).rev()));
            let another = test.another();
            let (first, second) =
                tokio::join!(test.store.submit_requests(&forward), another.submit_requests(&backward));
            let (first, second) = (first.unwrap(), second.unwrap());
            for (index, outcome) in first.iter().enumerate() {
                let other = &second[19 - index];
                match (outcome, other) {
                    (SubmissionOutcome::Accepted, SubmissionOutcome::Repeated(found)) => {
                        assert_eq!(*found, ids(&forward[index]));
                    }
                    (SubmissionOutcome::Repeated(found), SubmissionOutcome::Accepted) => {
                        assert_eq!(*found, ids(&backward[19 - index]));
                    }
                    both => panic!("{both:?}"),
                }
            }
        }
        assert_eq!(test.store.counts().await.unwrap().created, 400);
    })
    .await;
}

#[tokio::test]
async fn the_oldest_keys_are_forgotten_a_few_at_a_time() {
    each_database(|test| async move {
        for number in 0..5 {
            let request = request(&test, 1, Some(key(ANN, number, CONTENT)));
            test.store.submit_requests(&[request]).await.unwrap();
            test.advance(10).await;
        }
        let before = Timestamp(test.now() - 15);
        assert_eq!(test.store.prune_idempotency_keys(before, 3).await.unwrap(), 3);
        assert_eq!(test.store.prune_idempotency_keys(before, 3).await.unwrap(), 1);
        let mut left = Vec::new();
        for number in 0..5 {
            let found = test.store.submitted_under(key(ANN, number, CONTENT)).await.unwrap();
            left.extend(found.map(|_| number));
        }
        assert_eq!(left, [4], "the last one was used later");
    })
    .await;
}
