//! Claims by type: the oldest first, shared fairly, none twice (G5, G11).

use std::collections::HashSet;
use std::time::Duration;

use domain::{ClaimId, ReportOutcome, Submission, TaskId};
use store::{ClaimById, Granted, PullRequest, PullResult, Store};
use tokio::task::JoinSet;

use crate::kit::{MILLI, SECOND, each_database, kind, millis, report, worker};

/// No age is asked for.
const NOW: Duration = Duration::ZERO;

fn puller(name: &str, slots: u32) -> PullRequest {
    PullRequest { claim: ClaimId::random(), worker: worker(name), slots, new: true }
}

fn ids(granted: &[Granted]) -> HashSet<TaskId> {
    granted.iter().map(|granted| granted.grant.id).collect()
}

/// G11: the order of age, across types.
#[tokio::test]
async fn the_oldest_ready_task_goes_first() {
    each_database(|bench| async move {
        let mut tasks = Vec::new();
        for name in ["a", "b", "c", "a", "b"] {
            let task = Submission { name: kind(name), ..bench.submission() };
            tasks.push(task.id);
            bench.store.submit(&[task]).await.unwrap();
            bench.advance(1).await;
        }
        let types = [kind("b"), kind("a"), kind("nobody.asks")];
        for expected in [vec![tasks[0], tasks[1]], vec![tasks[3], tasks[4]], vec![]] {
            let granted = bench.store.claim_by_type(&[puller("w1", 2)], &types, NOW).await.unwrap().granted;
            assert_eq!(ids(&granted), expected.into_iter().collect());
            assert!(
                granted
                    .iter()
                    .all(|granted| granted.grant.attempt == 1 && granted.grant.remaining_ms == 5000)
            );
        }
        assert_eq!(bench.store.counts().await.unwrap().created, 1, "c was not asked for");
    })
    .await;
}

/// Waiting workers take turns: nobody's second task before everybody's first.
#[tokio::test]
async fn waiting_workers_take_turns() {
    each_database(|bench| async move {
        let tasks = bench.many(3).await;
        let (greedy, modest) = (puller("greedy", 5), puller("modest", 1));
        let pullers = [greedy.clone(), modest.clone()];
        let granted = bench.store.claim_by_type(&pullers, &[kind("demo.echo")], NOW).await.unwrap().granted;
        assert_eq!(ids(&granted), tasks.into_iter().collect());
        for puller in pullers {
            let held = bench.store.grants_under_claim(&puller.worker, puller.claim).await.unwrap();
            let given: Vec<&Granted> =
                granted.iter().filter(|granted| granted.worker == puller.worker).collect();
            assert_eq!(given.len(), if puller == greedy { 2 } else { 1 });
            assert_eq!(ids(&held).len(), given.len());
            assert!(given.iter().all(|granted| granted.grant.claim == puller.claim));
        }
    })
    .await;
}

/// G5: from two Backends and many connections; together they empty the table.
#[tokio::test(flavor = "multi_thread")]
async fn racing_pulls_never_share_a_task() {
    each_database(|bench| async move {
        let tasks = bench.many(300).await;
        let mut granted = Vec::new();
        while granted.len() < tasks.len() {
            let mut race = JoinSet::new();
            for racer in 0..8 {
                let store = if racer % 2 == 0 { bench.store.clone() } else { bench.another() };
                let pullers = [puller(&format!("w{racer}"), 5), puller(&format!("v{racer}"), 5)];
                race.spawn(async move {
                    store.claim_by_type(&pullers, &[kind("demo.echo")], NOW).await.unwrap().granted
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

/// G5: the answer was lost, and the ask is repeated at another Backend while the first statement is under way. One of them
/// grants; the others say that they did not.
#[tokio::test(flavor = "multi_thread")]
async fn racing_asks_under_one_claim_are_granted_once() {
    each_database(|bench| async move {
        let stores: Vec<Store> = (0..4).map(|_| bench.another()).collect();
        for round in 0..100 {
            let tasks = bench.many(20).await;
            let same = puller("w1", 2);
            let mut race = JoinSet::new();
            for racer in 0..8 {
                let (store, beside) = (stores[racer % 4].clone(), puller("w2", u32::from(racer == 0)));
                let pullers = [same.clone(), beside];
                race.spawn(
                    async move { store.claim_by_type(&pullers, &[kind("demo.echo")], NOW).await.unwrap() },
                );
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
            // Nothing of what the others might have taken is hidden behind a floor of theirs.
            let mut taken: HashSet<TaskId> = pulled.iter().flat_map(|pulled| ids(&pulled.granted)).collect();
            taken.extend(ids(&stores[1]
                .claim_by_type(&[puller("w3", 20)], &[kind("demo.echo")], NOW)
                .await
                .unwrap()
                .granted));
            assert_eq!(taken, tasks.into_iter().collect(), "round {round}");
        }
    })
    .await;
}

/// G5: as long as something runs under a claim, it is granted nothing more; the others beside it are.
#[tokio::test]
async fn a_claim_under_which_something_runs_is_granted_nothing_more() {
    each_database(|bench| async move {
        let types = [kind("demo.echo")];
        let tasks = bench.many(9).await;
        let same = puller("w1", 2);
        let pull =
            async |pullers: &[PullRequest]| bench.store.claim_by_type(pullers, &types, NOW).await.unwrap();
        let first = pull(std::slice::from_ref(&same)).await;
        assert_eq!((first.granted.len(), first.refused.len()), (2, 0));
        let looked = PullRequest { new: false, ..same.clone() };
        for again in [&same, &looked] {
            let beside = puller("w2", 1);
            let pulled = pull(&[again.clone(), beside.clone()]).await;
            assert_eq!(pulled.refused, [same.claim]);
            assert_eq!(pulled.granted.len(), 1);
            assert_eq!(pulled.granted[0].grant.claim, beside.claim);
        }
        bench.report(&first.granted[0].grant, crate::kit::result("1")).await;
        assert_eq!(pull(std::slice::from_ref(&same)).await.refused, [same.claim], "one runs still");
        bench.report(&first.granted[1].grant, crate::kit::result("1")).await;
        let anew = pull(std::slice::from_ref(&same)).await;
        assert_eq!((anew.granted.len(), anew.refused.len()), (2, 0));
        // At the deadline it runs; after it, swept or not, nothing does.
        bench.advance(5 * SECOND).await;
        assert_eq!(pull(std::slice::from_ref(&same)).await.refused, [same.claim]);
        bench.advance(1).await;
        assert_eq!(pull(std::slice::from_ref(&same)).await.granted.len(), 2);
        let rest = pull(&[puller("w3", 9)]).await;
        assert_eq!(rest.granted.len(), tasks.len() - 2 - 2 - 2 - 2, "what was refused is found at once");
        // With nothing to give, only who is new is told.
        assert_eq!(pull(std::slice::from_ref(&same)).await.refused, [same.claim]);
        assert!(pull(std::slice::from_ref(&looked)).await.refused.is_empty());
    })
    .await;
}

/// G5: what still runs under a claim, with the time that is left: the answer to a repeated ask.
#[tokio::test]
async fn what_is_held_is_what_still_runs() {
    each_database(|bench| async move {
        bench.many(4).await;
        let puller = puller("w1", 4);
        let granted = bench
            .store
            .claim_by_type(std::slice::from_ref(&puller), &[kind("demo.echo")], NOW)
            .await
            .unwrap()
            .granted;
        bench.report(&granted[0].grant, crate::kit::result("1")).await;
        bench.report(&granted[1].grant, ReportOutcome::Released).await;
        bench.advance(2 * SECOND).await;
        let held = bench.store.grants_under_claim(&puller.worker, puller.claim).await.unwrap();
        assert_eq!(ids(&held), ids(&granted[2..]));
        assert!(held.iter().all(|held| held.grant.remaining_ms == 3000));
        assert!(bench.store.grants_under_claim(&worker("w2"), puller.claim).await.unwrap().is_empty());
        assert!(bench.store.grants_under_claim(&puller.worker, ClaimId::random()).await.unwrap().is_empty());
        bench.advance(3 * SECOND).await;
        assert_eq!(
            bench.store.grants_under_claim(&puller.worker, puller.claim).await.unwrap().len(),
            2,
            "the last microsecond"
        );
        bench.advance(1).await;
        assert!(bench.store.grants_under_claim(&puller.worker, puller.claim).await.unwrap().is_empty());
    })
    .await;
}

/// G3: a pull passes over what its time to start has passed, and takes what stands on the edge.
#[tokio::test]
async fn a_pull_passes_over_what_may_not_start_any_more() {
    each_database(|bench| async move {
        let hasty = Submission { start_within: millis(10), ..bench.submission() };
        let edge = Submission { start_within: millis(11), ..bench.submission() };
        bench.store.submit(&[hasty, edge.clone()]).await.unwrap();
        bench.advance(11 * MILLI).await;
        let granted =
            bench.store.claim_by_type(&[puller("w1", 5)], &[kind("demo.echo")], NOW).await.unwrap().granted;
        assert_eq!(ids(&granted), HashSet::from([edge.id]));
    })
    .await;
}

/// G11: the floor below which a pull does not look never hides work: what is handed back, or submitted after the lane
/// was found empty, is found by the next pull.
#[tokio::test]
async fn an_empty_lane_hides_nothing_that_comes_later() {
    each_database(|bench| async move {
        let types = [kind("demo.echo")];
        let pull = |slots| {
            let store = bench.store.clone();
            let types = types.clone();
            async move { store.claim_by_type(&[puller("w1", slots)], &types, NOW).await.unwrap().granted }
        };
        for round in 0..3 {
            assert!(pull(1).await.is_empty());
            bench.advance(10 * SECOND).await;
            assert!(pull(1).await.is_empty());
            let id = bench.created().await;
            let granted = pull(2).await;
            assert_eq!(ids(&granted), HashSet::from([id]), "round {round}");
            bench.advance(SECOND).await;
            let reports = [report(&granted[0].grant, ReportOutcome::Released)];
            bench.store.settle(&reports).await.unwrap();
            assert_eq!(pull(2).await[0].grant.attempt, 2, "round {round}");
        }
    })
    .await;
}

/// G11: what has not been ready for so long is left alone until it has, to the microsecond, and hides nothing behind a
/// floor: neither from the next such pull nor from one that asks for less.
#[tokio::test]
async fn a_pull_that_asks_for_an_age_leaves_the_young_alone() {
    each_database(|bench| async move {
        let types = [kind("demo.echo")];
        let pull = |millis| {
            let (store, types) = (bench.store.clone(), types.clone());
            async move {
                ids(&store
                    .claim_by_type(&[puller("w1", 1)], &types, Duration::from_millis(millis))
                    .await
                    .unwrap()
                    .granted)
            }
        };
        for _ in 0..3 {
            let first = bench.created().await;
            bench.advance(100 * MILLI).await;
            let second = bench.created().await;
            for _ in 0..2 {
                assert!(pull(1000).await.is_empty());
                bench.advance(100 * MILLI).await;
                assert!(pull(60_000).await.is_empty());
            }
            bench.advance(700 * MILLI - 1).await;
            assert!(pull(1000).await.is_empty(), "a microsecond is left");
            bench.advance(1).await;
            assert_eq!(pull(1000).await, HashSet::from([first]));
            assert!(pull(1000).await.is_empty());
            assert_eq!(pull(0).await, HashSet::from([second]));
        }
    })
    .await;
}

/// A row that makes no sense is granted to nobody, and the grants beside it arrive.
#[tokio::test]
async fn a_corrupt_task_takes_no_other_with_it() {
    each_database(|bench| async move {
        let tasks = bench.many(3).await;
        let whole = Submission { name: kind("demo.sleep"), ..bench.submission() };
        bench.store.submit(std::slice::from_ref(&whole)).await.unwrap();
        bench.execute("update task set parameters = 'what' where type = 'demo.echo'").await.unwrap();
        let puller = puller("w1", 4);
        let types = [kind("demo.echo"), kind("demo.sleep")];
        let granted =
            bench.store.claim_by_type(std::slice::from_ref(&puller), &types, NOW).await.unwrap().granted;
        assert_eq!(ids(&granted), HashSet::from([whole.id]));
        let held = bench.store.grants_under_claim(&puller.worker, puller.claim).await.unwrap();
        assert_eq!(ids(&held), HashSet::from([whole.id]));
        let asks: Vec<ClaimById> = tasks
            .iter()
            .chain([&whole.id])
            .map(|id| ClaimById {
                id: *id,
                claim: puller.claim,
                worker: puller.worker.clone(),
                by_name: false,
            })
            .collect();
        assert_eq!(ids(&bench.store.claim_by_id(&asks).await.unwrap()), HashSet::from([whole.id]));
        bench.advance(5 * SECOND + 1).await;
        assert_eq!(bench.store.expire().await.unwrap().len(), 4, "they end by their TTL");
    })
    .await;
}

#[tokio::test]
async fn no_slots_or_no_types_is_no_work() {
    each_database(|bench| async move {
        bench.created().await;
        assert!(bench.store.claim_by_type(&[], &[kind("demo.echo")], NOW).await.unwrap().granted.is_empty());
        assert!(
            bench
                .store
                .claim_by_type(&[puller("w1", 0)], &[kind("demo.echo")], NOW)
                .await
                .unwrap()
                .granted
                .is_empty()
        );
        assert!(bench.store.claim_by_type(&[puller("w1", 1)], &[], NOW).await.unwrap().granted.is_empty());
    })
    .await;
}
