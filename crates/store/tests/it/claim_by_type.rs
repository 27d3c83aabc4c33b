//! Claims by type: the oldest ready tasks first, in turns, none granted twice (G5, G11).

use std::collections::HashSet;
use std::time::Duration;

use domain::{AttemptOutcome, ClaimId, Submission, TaskId};
use store::{ClaimById, Granted, PullRequest, PullResult, Store};
use tokio::task::JoinSet;

use crate::kit::{MILLI, SECOND, SUBJECT, each_database, kind, millis, process, report, worker};

/// No minimum age.
const NOW: Duration = Duration::ZERO;

fn request(name: &str, slots: u32) -> PullRequest {
    PullRequest { claim: ClaimId::random(), worker: process(name), slots, is_first_look: true }
}

fn ids(granted: &[Granted]) -> HashSet<TaskId> {
    granted.iter().map(|granted| granted.grant.id).collect()
}

/// G11: by age, across types.
#[tokio::test]
async fn the_oldest_ready_task_goes_first() {
    each_database(|test| async move {
        let mut tasks = Vec::new();
        for name in ["a", "b", "c", "a", "b"] {
            let task = Submission { type_name: kind(name), ..test.submission() };
            tasks.push(task.id);
            test.store.submit(&[task]).await.unwrap();
            test.advance(1).await;
        }
        let types = [kind("b"), kind("a"), kind("demo.unused")];
        for expected in [vec![tasks[0], tasks[1]], vec![tasks[3], tasks[4]], vec![]] {
            let granted = test.store.claim_by_type(&[request("w1", 2)], &types, NOW).await.unwrap().granted;
            assert_eq!(ids(&granted), expected.into_iter().collect());
            assert!(
                granted
                    .iter()
                    .all(|granted| granted.grant.attempt == 1 && granted.grant.remaining_ms == 5000)
            );
        }
        assert_eq!(test.store.counts().await.unwrap().created, 1, "c was not requested");
    })
    .await;
}

/// Waiting workers take turns: no worker gets a second task before every other has got its first.
#[tokio::test]
async fn waiting_workers_take_turns() {
    each_database(|test| async move {
        let tasks = test.many(3).await;
        let (greedy, modest) = (request("greedy", 5), request("modest", 1));
        let requests = [greedy.clone(), modest.clone()];
        let granted = test.store.claim_by_type(&requests, &[kind("demo.echo")], NOW).await.unwrap().granted;
        assert_eq!(ids(&granted), tasks.into_iter().collect());
        for request in requests {
            let running =
                test.store.grants_under_claim(&request.worker.name, SUBJECT, request.claim).await.unwrap();
            let given: Vec<&Granted> =
                granted.iter().filter(|granted| granted.worker == request.worker.name).collect();
            assert_eq!(given.len(), if request == greedy { 2 } else { 1 });
            assert_eq!(ids(&running).len(), given.len());
            assert!(given.iter().all(|granted| granted.grant.claim == request.claim));
        }
    })
    .await;
}

/// G5: from two Backends and many connections, until every task is granted.
#[tokio::test(flavor = "multi_thread")]
async fn racing_pulls_never_share_a_task() {
    each_database(|test| async move {
        let tasks = test.many(300).await;
        let mut granted = Vec::new();
        while granted.len() < tasks.len() {
            let mut race = JoinSet::new();
            for racer in 0..8 {
                let store = if racer % 2 == 0 { test.store.clone() } else { test.another() };
                let requests = [request(&format!("w{racer}"), 5), request(&format!("v{racer}"), 5)];
                race.spawn(async move {
                    store.claim_by_type(&requests, &[kind("demo.echo")], NOW).await.unwrap().granted
                });
            }
            let round: Vec<Granted> = race.join_all().await.into_iter().flatten().collect();
            assert!(!round.is_empty(), "{} of {} were found", granted.len(), tasks.len());
            granted.extend(round);
        }
        assert_eq!(granted.len(), tasks.len());
        assert_eq!(ids(&granted), tasks.into_iter().collect());
    })
    .await;
}

/// G5: the answer was lost, and the request is repeated at other Backends while the first statement runs. One of them grants
/// tasks; the others refuse the claim.
#[tokio::test(flavor = "multi_thread")]
async fn racing_requests_under_one_claim_are_granted_once() {
    each_database(|test| async move {
        let stores: Vec<Store> = (0..4).map(|_| test.another()).collect();
        for round in 0..100 {
            let tasks = test.many(20).await;
            let same = request("w1", 2);
            let mut race = JoinSet::new();
            for racer in 0..8 {
                let (store, beside) = (stores[racer % 4].clone(), request("w2", u32::from(racer == 0)));
                let requests = [same.clone(), beside];
                race.spawn(async move {
                    store.claim_by_type(&requests, &[kind("demo.echo")], NOW).await.unwrap()
                });
            }
            let pulled: Vec<PullResult> = race.join_all().await;
            let under = |pulled: &PullResult| {
                pulled.granted.iter().filter(|granted| granted.grant.claim == same.claim).count()
            };
            let winners: Vec<&PullResult> = pulled.iter().filter(|pulled| under(pulled) > 0).collect();
            assert_eq!(winners.len(), 1, "round {round}: {pulled:#?}");
            assert!(winners[0].refused.is_empty());
            let others = pulled.iter().filter(|pulled| under(pulled) == 0);
            assert!(
                others.clone().all(|pulled| pulled.refused == [same.claim]),
                "round {round}: {pulled:#?}"
            );
            // The refused requests have raised no floor above the tasks that they did not take.
            let mut taken: HashSet<TaskId> = pulled.iter().flat_map(|pulled| ids(&pulled.granted)).collect();
            taken.extend(ids(&stores[1]
                .claim_by_type(&[request("w3", 20)], &[kind("demo.echo")], NOW)
                .await
                .unwrap()
                .granted));
            assert_eq!(taken, tasks.into_iter().collect(), "round {round}");
        }
    })
    .await;
}

/// G5: while something runs under a claim it is granted nothing more; other requests of the batch are.
#[tokio::test]
async fn a_claim_under_which_a_task_runs_is_granted_nothing_more() {
    each_database(|test| async move {
        let types = [kind("demo.echo")];
        let tasks = test.many(9).await;
        let same = request("w1", 2);
        let pull =
            async |requests: &[PullRequest]| test.store.claim_by_type(requests, &types, NOW).await.unwrap();
        let first = pull(std::slice::from_ref(&same)).await;
        assert_eq!((first.granted.len(), first.refused.len()), (2, 0));
        let second_look = PullRequest { is_first_look: false, ..same.clone() };
        for again in [&same, &second_look] {
            let beside = request("w2", 1);
            let pulled = pull(&[again.clone(), beside.clone()]).await;
            assert_eq!(pulled.refused, [same.claim]);
            assert_eq!(pulled.granted.len(), 1);
            assert_eq!(pulled.granted[0].grant.claim, beside.claim);
        }
        test.report(&first.granted[0].grant, crate::kit::result("1")).await;
        assert_eq!(pull(std::slice::from_ref(&same)).await.refused, [same.claim], "one task still runs");
        test.report(&first.granted[1].grant, crate::kit::result("1")).await;
        let anew = pull(std::slice::from_ref(&same)).await;
        assert_eq!((anew.granted.len(), anew.refused.len()), (2, 0));
        // At the deadline the tasks still run; after it they count as ended, even before the sweep.
        test.advance(5 * SECOND).await;
        assert_eq!(pull(std::slice::from_ref(&same)).await.refused, [same.claim]);
        test.advance(1).await;
        assert_eq!(pull(std::slice::from_ref(&same)).await.granted.len(), 2);
        let rest = pull(&[request("w3", 9)]).await;
        assert_eq!(
            rest.granted.len(),
            tasks.len() - 2 - 2 - 2 - 2,
            "tasks of refused requests are found at once"
        );
        // Without ready tasks only the claims of new requests are checked.
        assert_eq!(pull(std::slice::from_ref(&same)).await.refused, [same.claim]);
        assert!(pull(std::slice::from_ref(&second_look)).await.refused.is_empty());
    })
    .await;
}

/// G5: the tasks that still run under a claim, with the time that is left: the answer to a repeated request.
#[tokio::test]
async fn grants_under_a_claim_are_those_that_still_run() {
    each_database(|test| async move {
        test.many(4).await;
        let request = request("w1", 4);
        let granted = test
            .store
            .claim_by_type(std::slice::from_ref(&request), &[kind("demo.echo")], NOW)
            .await
            .unwrap()
            .granted;
        test.report(&granted[0].grant, crate::kit::result("1")).await;
        test.report(&granted[1].grant, AttemptOutcome::Released).await;
        test.advance(2 * SECOND).await;
        let running =
            test.store.grants_under_claim(&request.worker.name, SUBJECT, request.claim).await.unwrap();
        assert_eq!(ids(&running), ids(&granted[2..]));
        assert!(running.iter().all(|granted| granted.grant.remaining_ms == 3000));
        assert!(
            test.store.grants_under_claim(&worker("w2"), SUBJECT, request.claim).await.unwrap().is_empty()
        );
        assert!(
            test.store
                .grants_under_claim(&request.worker.name, SUBJECT, ClaimId::random())
                .await
                .unwrap()
                .is_empty()
        );
        test.advance(3 * SECOND).await;
        assert_eq!(
            test.store.grants_under_claim(&request.worker.name, SUBJECT, request.claim).await.unwrap().len(),
            2,
            "at the deadline"
        );
        test.advance(1).await;
        assert!(
            test.store
                .grants_under_claim(&request.worker.name, SUBJECT, request.claim)
                .await
                .unwrap()
                .is_empty()
        );
    })
    .await;
}

/// G3: a task past its `startWithin` is skipped; one at its very end is granted.
#[tokio::test]
async fn a_task_that_may_not_start_any_more_is_skipped() {
    each_database(|test| async move {
        let hasty = Submission { start_within: millis(10), ..test.submission() };
        let edge = Submission { start_within: millis(11), ..test.submission() };
        test.store.submit(&[hasty, edge.clone()]).await.unwrap();
        test.advance(11 * MILLI).await;
        let granted =
            test.store.claim_by_type(&[request("w1", 5)], &[kind("demo.echo")], NOW).await.unwrap().granted;
        assert_eq!(ids(&granted), HashSet::from([edge.id]));
    })
    .await;
}

/// G11: a raised floor hides no work: a task that is released, or submitted after none was found, is found by the next
/// request.
#[tokio::test]
async fn a_scan_that_found_nothing_hides_no_later_task() {
    each_database(|test| async move {
        let types = [kind("demo.echo")];
        let pull = |slots| {
            let store = test.store.clone();
            let types = types.clone();
            async move { store.claim_by_type(&[request("w1", slots)], &types, NOW).await.unwrap().granted }
        };
        for round in 0..3 {
            assert!(pull(1).await.is_empty());
            test.advance(10 * SECOND).await;
            assert!(pull(1).await.is_empty());
            let id = test.created().await;
            let granted = pull(2).await;
            assert_eq!(ids(&granted), HashSet::from([id]), "round {round}");
            test.advance(SECOND).await;
            let reports = [report(&granted[0].grant, AttemptOutcome::Released)];
            test.settle(&reports).await;
            assert_eq!(pull(2).await[0].grant.attempt, 2, "round {round}");
        }
    })
    .await;
}

/// G11: a request with a minimum age skips younger tasks, to the microsecond, and raises no floor above them: neither for
/// the next such request nor for one with a lower minimum.
#[tokio::test]
async fn a_minimum_age_skips_younger_tasks() {
    each_database(|test| async move {
        let types = [kind("demo.echo")];
        let pull = |millis| {
            let (store, types) = (test.store.clone(), types.clone());
            async move {
                ids(&store
                    .claim_by_type(&[request("w1", 1)], &types, Duration::from_millis(millis))
                    .await
                    .unwrap()
                    .granted)
            }
        };
        for _ in 0..3 {
            let first = test.created().await;
            test.advance(100 * MILLI).await;
            let second = test.created().await;
            for _ in 0..2 {
                assert!(pull(1000).await.is_empty());
                test.advance(100 * MILLI).await;
                assert!(pull(60_000).await.is_empty());
            }
            test.advance(700 * MILLI - 1).await;
            assert!(pull(1000).await.is_empty(), "a microsecond too young");
            test.advance(1).await;
            assert_eq!(pull(1000).await, HashSet::from([first]));
            assert!(pull(1000).await.is_empty());
            assert_eq!(pull(0).await, HashSet::from([second]));
        }
    })
    .await;
}

/// A corrupt row is left out of the answer, and the other grants are delivered.
#[tokio::test]
async fn a_corrupt_task_does_not_fail_the_others() {
    each_database(|test| async move {
        let tasks = test.many(3).await;
        let whole = Submission { type_name: kind("demo.sleep"), ..test.submission() };
        test.store.submit(std::slice::from_ref(&whole)).await.unwrap();
        test.execute("update task set parameters = 'what' where type = 'demo.echo'").await.unwrap();
        let request = request("w1", 4);
        let types = [kind("demo.echo"), kind("demo.sleep")];
        let granted =
            test.store.claim_by_type(std::slice::from_ref(&request), &types, NOW).await.unwrap().granted;
        assert_eq!(ids(&granted), HashSet::from([whole.id]));
        let running =
            test.store.grants_under_claim(&request.worker.name, SUBJECT, request.claim).await.unwrap();
        assert_eq!(ids(&running), HashSet::from([whole.id]));
        let claims: Vec<ClaimById> = tasks
            .iter()
            .chain([&whole.id])
            .map(|id| ClaimById {
                id: *id,
                claim: request.claim,
                worker: request.worker.clone(),
                by_name: false,
            })
            .collect();
        assert_eq!(ids(&test.store.claim_by_id(&claims).await.unwrap()), HashSet::from([whole.id]));
        test.advance(5 * SECOND + 1).await;
        assert_eq!(test.store.expire().await.unwrap().ended.len(), 4, "they end by their TTL");
    })
    .await;
}

#[tokio::test]
async fn without_slots_or_types_nothing_is_granted() {
    each_database(|test| async move {
        test.created().await;
        assert!(test.store.claim_by_type(&[], &[kind("demo.echo")], NOW).await.unwrap().granted.is_empty());
        assert!(
            test.store
                .claim_by_type(&[request("w1", 0)], &[kind("demo.echo")], NOW)
                .await
                .unwrap()
                .granted
                .is_empty()
        );
        assert!(test.store.claim_by_type(&[request("w1", 1)], &[], NOW).await.unwrap().granted.is_empty());
    })
    .await;
}
