//! A worker asks for certain tasks: by the original's PATCH, or under a claim.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::service::each;

#[tokio::test]
async fn permission_is_the_workers_name_and_asking_again_is_fine() {
    each(async |service| {
        let (ann, rig) = (service.user(), service.worker());
        let id = ann.created().await;
        for _ in 0..2 {
            assert_eq!(rig.ask(&id, "rig%207").await.ok::<String>(), "rig 7");
        }
        let task = ann.task(&id).await;
        assert_eq!(
            (&task["status"], &task["workerName"], &task["attempt"]),
            (&json!("RUNNING"), &json!("rig 7"), &json!(1))
        );
        assert_eq!(rig.ask(&id, "another").await.problem(), (409, "not-granted".to_owned()));
        ann.cancel(&id).await.is(200);
        assert_eq!(rig.ask(&id, "rig%207").await.problem(), (409, "not-granted".to_owned()), "it has ended");
        assert_eq!(
            rig.ask(&Uuid::new_v4().to_string(), "w").await.problem(),
            (404, "no-such-task".to_owned())
        );
    })
    .await;
}

#[tokio::test]
async fn a_worker_without_a_name_is_not_understood() {
    each(async |service| {
        let id = service.user().created().await;
        let long = format!("?workerName={}", "x".repeat(5000));
        for query in [
            "",
            "?",
            "?workerName=",
            "?workerName=%0A",
            "?workerName=%FF",
            "?workerName=a&workerName=b",
            &long,
        ] {
            let answer =
                service.worker().call(Method::PATCH, &format!("/api/Task/request/{id}{query}")).await;
            assert_eq!(answer.problem(), (400, "malformed".to_owned()), "{query}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_grant_itself_is_the_answer_if_it_is_preferred_and_a_report_can_use_it() {
    each(async |service| {
        let (ann, rig) = (service.user(), service.worker());
        let id = ann.created().await;
        let mut claims = Vec::new();
        for _ in 0..2 {
            let answer = rig.ask(&id, "w").prefer("return=representation, wait=9").await;
            assert_eq!(answer.header("preference-applied"), Some("return=representation"));
            claims.push(answer.grants().remove(0));
        }
        assert_eq!(claims[0].claim, claims[1].claim);
        assert!(claims[1].remaining_ms <= claims[0].remaining_ms && claims[0].remaining_ms <= 60_000);
        assert_eq!(rig.report(&claims[1], json!({"result": 1})).await, json!({"became": "finished"}));
        assert_eq!(ann.task(&id).await["status"], "FINISHED");
    })
    .await;
}

#[tokio::test]
async fn the_service_api_is_for_workers_and_admins() {
    each(async |service| {
        let (ann, boss) = (service.user(), service.admin());
        let id = ann.created().await;
        for (method, path) in [
            (Method::PATCH, &*format!("/api/Task/request/{id}?workerName=w")),
            (Method::POST, "/api/Task/request"),
            (Method::POST, "/api/Task/results"),
            (Method::POST, "/api/Worker/heartbeat"),
            (Method::PUT, "/api/Operation/ECHO"),
        ] {
            assert_eq!(
                ann.call(method.clone(), path).await.problem(),
                (403, "role-missing".to_owned()),
                "{path}"
            );
            assert_eq!(
                service.nobody().call(method, path).await.problem(),
                (401, "unauthenticated".to_owned()),
                "{path}"
            );
        }
        assert_eq!(ann.task(&id).await["status"], "CREATED");
        boss.ask(&id, "w").await.is(200);
    })
    .await;
}

#[tokio::test]
async fn of_a_hundred_racing_asks_one_wins() {
    each(async |service| {
        let (ann, rig) = (service.user(), service.worker());
        let id = ann.created().await;
        let asks = (0..100).map(|n| rig.ask(&id, &format!("w{n}")).into_future());
        let answers = futures_util::future::join_all(asks).await;
        let winners: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
        assert_eq!(winners.len(), 1);
        assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 409)));
        let task = ann.task(&id).await;
        assert_eq!(winners[0].read::<Value>(), task["workerName"]);
        assert_eq!(task["attempt"], 1);
    })
    .await;
}

#[tokio::test]
async fn an_ask_for_several_tasks_is_granted_what_is_free() {
    each(async |service| {
        let (ann, rig) = (service.user(), service.worker());
        let (first, second, taken) = (ann.created().await, ann.created().await, ann.created().await);
        rig.granted(&taken, "another").await;
        let claim = Uuid::new_v4();
        let absent = Uuid::new_v4().to_string();
        let ask = [&*second, &first, &first, &taken, &absent];
        let grants = rig.claim(claim, "w", &ask).await.grants();
        let mut ids: Vec<String> = grants.iter().map(|grant| grant.id.to_string()).collect();
        ids.sort();
        assert_eq!(ids, [first.clone(), second.clone()]);
        assert!(grants.iter().all(|grant| grant.claim.0 == claim && grant.attempt == 1));
        let again = rig.claim(claim, "w", &ask).await.grants();
        assert_eq!(again.len(), 2, "the same claim, the same grants");
        assert!(again.iter().all(|grant| grant.attempt == 1));
        assert!(
            rig.claim(Uuid::new_v4(), "w", &ask).await.grants().is_empty(),
            "another claim is another ask"
        );
    })
    .await;
}

#[tokio::test]
async fn asks_that_break_a_rule_are_refused() {
    each(async |service| {
        let rig = service.worker();
        let many: Vec<Uuid> = (0..1001).map(|_| Uuid::new_v4()).collect();
        let pull = |types: Value, slots: Value| json!({"pull": {"types": types, "slots": slots}});
        for (wanted, slug) in [
            (json!({"ids": []}), "ids-out-of-range"),
            (json!({"ids": many}), "ids-out-of-range"),
            (json!({"ids": ["x"]}), "wrong-shape"),
            (json!({}), "wrong-shape"),
            (json!({"ids": [], "pull": {}}), "wrong-shape"),
            (pull(json!([]), json!(1)), "pull-out-of-range"),
            (pull(json!(["ECHO"]), json!(0)), "pull-out-of-range"),
            (pull(json!(["ECHO"]), json!(1001)), "pull-out-of-range"),
            (json!({"pull": {"types": ["ECHO"], "slots": 1, "minAgeMs": 60_001}}), "min-age-out-of-range"),
            (pull(json!(["two words"]), json!(1)), "wrong-shape"),
            (pull(json!(["ECHO"]), json!(-1)), "wrong-shape"),
        ] {
            let ask = json!({"claim": Uuid::new_v4(), "worker": "w", "wanted": wanted});
            let answer = rig.post("/api/Task/request").json(ask.clone()).await;
            assert_eq!(answer.problem(), (422, slug.to_owned()), "{ask}");
            if slug == "min-age-out-of-range" {
                assert!(answer.faults().contains_key("/wanted/pull/minAgeMs"), "{}", answer.text);
            }
        }
        let unknown =
            json!({"claim": Uuid::new_v4(), "worker": "w", "wanted": {"ids": [Uuid::new_v4()]}, "wait": 1});
        assert_eq!(rig.post("/api/Task/request").json(unknown).await.problem().0, 422);
    })
    .await;
}

#[tokio::test]
async fn a_worker_may_decline_what_it_was_offered_with_its_claim_or_without_one() {
    each(async |service| {
        let (ann, rig) = (service.user(), service.worker());
        let (mine, foreign) = (ann.created().await, ann.created().await);
        let ask = |ids: &[&str], declined: &[&str]| {
            let declined: Vec<_> = declined.iter().map(|id| json!({"id": id, "type": "ECHO"})).collect();
            json!({"claim": Uuid::new_v4(), "worker": "w", "wanted": {"ids": ids}, "declined": declined})
        };
        let request = |ask| rig.post("/api/Task/request").json(ask);
        assert_eq!(request(ask(&[&mine], &[&foreign])).await.grants().len(), 1);
        assert!(request(ask(&[], &[&foreign])).await.grants().is_empty());
        assert_eq!(ann.task(&foreign).await["status"], "CREATED");
        let unknown = Uuid::new_v4().to_string();
        assert!(request(ask(&[], &[&unknown])).await.grants().is_empty(), "it is nobody's by now");
        assert_eq!(request(ask(&[], &[])).await.problem(), (422, "ids-out-of-range".to_owned()));
        let many: Vec<&str> = vec![&unknown; 1001];
        assert_eq!(request(ask(&[], &many)).await.problem(), (422, "too-many-declined".to_owned()));
    })
    .await;
}
