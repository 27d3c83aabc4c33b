//! Schedules: what their owner says of them, and what their owner is shown.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::openapi_checked_client::ApiClient;
use crate::kit::test_backend::{on_each_database, on_each_database_with};
use crate::kit::until::until;

/// A schedule that does not run while a test runs.
fn yearly() -> Value {
    json!({"cron": "@yearly", "task": {"type": "ECHO", "parameters": {"n": 1}, "ttl": 5000}})
}

#[tokio::test]
async fn a_schedule_is_created_replaced_read_listed_and_deleted() {
    on_each_database(async |service| {
        let user = service.user();
        let put = |body: Value| user.put("/api/Schedule/Nightly.report-1").json(body);
        let created = put(yearly()).await.expect_status(201);
        assert_eq!(created.header("location"), Some("/api/Schedule/Nightly.report-1"));
        let created: Value = created.read();
        assert_eq!(
            (&created["cron"], &created["timeZone"], &created["everyMs"]),
            (&json!("@yearly"), &json!("UTC"), &Value::Null)
        );
        assert_eq!(
            (&created["missed"], &created["overlap"], &created["paused"]),
            (&json!("one"), &json!("allow"), &json!(false))
        );
        assert_eq!(created["task"], yearly()["task"]);
        assert_eq!(created["nextRuns"].as_array().unwrap().len(), 3);
        assert_eq!((&created["lastTask"], &created["lastError"]), (&Value::Null, &Value::Null));

        let again: Value = put(yearly()).await.ok();
        assert_eq!(again, created, "the same request changes nothing");
        let hourly =
            json!({"everyMs": 3_600_000, "missed": "all", "overlap": "skip", "task": yearly()["task"]});
        let replaced: Value = put(hourly).await.ok();
        assert_eq!(
            (&replaced["everyMs"], &replaced["missed"], &replaced["overlap"]),
            (&json!(3_600_000), &json!("all"), &json!("skip"))
        );
        assert_eq!(replaced["creationDate"], created["creationDate"]);
        assert_eq!(user.get("/api/Schedule/Nightly.report-1").await.ok::<Value>(), replaced);

        user.put("/api/Schedule/another").json(yearly()).await.expect_status(201);
        let list: Value = user.get("/api/Schedule").await.ok();
        let names: Vec<&str> = list["schedules"]
            .as_array()
            .unwrap()
            .iter()
            .map(|schedule| schedule["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["Nightly.report-1", "another"]);
        assert_eq!(
            (&list["schedules"][0]["type"], &list["schedules"][0]["nextRun"]),
            (&json!("ECHO"), &replaced["nextRuns"][0])
        );

        let delete = || user.call(Method::DELETE, "/api/Schedule/Nightly.report-1");
        delete().await.expect_status(204);
        assert_eq!(delete().await.problem(), (404, "no-such-schedule".to_owned()));
        assert_eq!(user.get("/api/Schedule/Nightly.report-1").await.problem().0, 404);
    })
    .await;
}

#[tokio::test]
async fn the_schedule_of_another_is_as_one_that_is_not_there() {
    on_each_database(async |service| {
        let (user, other) = (service.user(), service.user());
        user.put("/api/Schedule/mine").json(yearly()).await.expect_status(201);
        let missing = (404, "no-such-schedule".to_owned());
        assert_eq!(other.get("/api/Schedule/mine").await.problem(), missing);
        assert_eq!(other.call(Method::DELETE, "/api/Schedule/mine").await.problem(), missing);
        for action in ["run", "pause", "resume"] {
            assert_eq!(
                other.post(&format!("/api/Schedule/mine/{action}")).await.problem(),
                missing,
                "{action}"
            );
        }
        assert_eq!(other.get("/api/Schedule").await.ok::<Value>(), json!({"schedules": []}));
        other.put("/api/Schedule/mine").json(yearly()).await.expect_status(201);
        let worker = service.worker();
        assert_eq!(
            worker.get("/api/Schedule").await.problem().0,
            403,
            "a worker has no tasks, and no schedules"
        );
        assert_eq!(service.get("/api/Schedule").await.status, 401);
    })
    .await;
}

#[tokio::test]
async fn a_broken_rule_is_reported_with_its_place() {
    on_each_database(async |service| {
        let user = service.user();
        let task = json!({"type": "ECHO", "ttl": 5000});
        for (body, pointer, part) in [
            (json!({"cron": "61 * * * *", "task": task}), "/cron", "5 fields"),
            (json!({"cron": "* * * *", "task": task}), "/cron", "number of fields"),
            (json!({"cron": "0 0 30 2 *", "task": task}), "/cron", "never matches"),
            (json!({"cron": 5, "task": task}), "/cron", "string"),
            (json!({"task": task}), "/cron", "either cron or everyMs"),
            (json!({"cron": "@daily", "timeZone": "Mars/Phobos", "task": task}), "/timeZone", "IANA"),
            (json!({"everyMs": 1000, "timeZone": "UTC", "task": task}), "/timeZone", "belongs to cron"),
            (json!({"everyMs": 999, "task": task}), "/everyMs", "1000 to"),
            (json!({"everyMs": "1h", "task": task}), "/everyMs", "1000 to"),
            (json!({"everyMs": 1000, "cron": "@daily", "task": task}), "/everyMs", "either cron or everyMs"),
            (json!({"everyMs": 1000, "missed": "some", "task": task}), "/missed", "skip, one, all"),
            (json!({"everyMs": 1000, "overlap": 1, "task": task}), "/overlap", "allow, skip"),
            (json!({"everyMs": 1000}), "/task", "missing"),
            (json!({"everyMs": 1000, "task": 5}), "/task", "an object with"),
            (json!({"everyMs": 1000, "task": {"ttl": 5000}}), "/task/type", "missing"),
            (json!({"everyMs": 1000, "task": {"type": "ECO", "ttl": 5000}}), "/task/type", "did you mean ECHO?"),
            (json!({"everyMs": 1000, "task": {"type": "ECHO", "ttl": 0}}), "/task/ttl", "at least 1"),
            (json!({"everyMs": 1000, "task": {"type": "ECHO", "ttl": 1, "deley": 1}}), "/task/deley", "no field"),
            (json!({"everyMs": 1000, "task": {"type": "LOGIN", "ttl": 1, "parameters": {"lenth": 1}}}), "/task/parameters/lenth", "did you mean length?"),
            (json!({"everyMs": 1000, "task": {"type": "ECHO", "ttl": 1, "delayMs": 1}}), "/task/delayMs", "the schedule says when"),
            (json!({"everyMs": 1000, "task": {"type": "ECHO", "ttl": 1, "notBefore": "2020-02-29T00:00:00Z"}}), "/task/notBefore", "the schedule says when"),
            (json!({"every": 1000, "task": task}), "/every", "did you mean everyMs?"),
        ] {
            let answer = user.put("/api/Schedule/bad").json(body.clone()).await.expect_status(422);
            let errors = answer.errors();
            assert!(errors.get(pointer).is_some_and(|detail| detail.contains(part)), "{body}: {errors:?}");
        }
        let all = json!({"cron": "x", "task": {"type": "LOGIN", "ttl": 0, "delayMs": 1, "parameters": {"length": 0}}});
        let errors = user.put("/api/Schedule/bad").json(all).await.expect_status(422).errors();
        let pointers: Vec<&str> = errors.keys().map(String::as_str).collect();
        assert_eq!(pointers, ["/cron", "/task/delayMs", "/task/parameters/length", "/task/ttl"], "all at once");
        let named = user.put("/api/Schedule/two%20words").json(yearly()).await;
        assert_eq!(named.problem(), (400, "malformed".to_owned()));
        assert_eq!(user.get("/api/Schedule").await.ok::<Value>(), json!({"schedules": []}));
    })
    .await;
}

#[tokio::test]
async fn a_run_by_hand_submits_the_task_and_leaves_the_schedule_as_it_is() {
    on_each_database(async |service| {
        let user = service.user();
        let before: Value = user.put("/api/Schedule/now").json(yearly()).await.expect_status(201).read();
        let run = user.post("/api/Schedule/now/run").await;
        let location = run.header("location").unwrap().to_owned();
        let id = run.id();
        assert_eq!(location, format!("/api/Task/{id}"));
        let task = user.task(&id).await;
        assert_eq!((&task["schedule"], &task["scheduledFor"]), (&json!("now"), &Value::Null));
        assert_eq!(
            (&task["type"], &task["parameters"], &task["ttl"]),
            (&json!("ECHO"), &json!({"n": 1}), &json!(5000))
        );
        assert_eq!(user.get("/api/Schedule/now").await.ok::<Value>(), before);
        let own = user.submit_echo().await;
        assert_eq!(user.task(&own).await["schedule"], Value::Null);
    })
    .await;
}

#[tokio::test]
async fn a_paused_schedule_has_no_next_run_until_it_is_resumed() {
    on_each_database(async |service| {
        let user = service.user();
        let created: Value = user.put("/api/Schedule/s").json(yearly()).await.expect_status(201).read();
        for _ in 0..2 {
            let paused: Value = user.post("/api/Schedule/s/pause").await.ok();
            assert_eq!((&paused["paused"], &paused["nextRuns"]), (&json!(true), &json!([])));
        }
        let replaced: Value = user.put("/api/Schedule/s").json(yearly()).await.ok();
        assert_eq!(
            (&replaced["paused"], &replaced["nextRuns"]),
            (&json!(true), &json!([])),
            "it stays paused"
        );
        user.post("/api/Schedule/s/run").await.id();
        for _ in 0..2 {
            let resumed: Value = user.post("/api/Schedule/s/resume").await.ok();
            assert_eq!((&resumed["paused"], &resumed["nextRuns"]), (&json!(false), &created["nextRuns"]));
        }
    })
    .await;
}

#[tokio::test]
async fn an_owner_has_no_more_schedules_than_the_limit() {
    on_each_database(async |service| {
        let owner = Uuid::new_v4();
        let user = service.with_token(service.issuer.token(&owner.to_string(), &["User"]));
        user.put("/api/Schedule/s").json(yearly()).await.expect_status(201);
        let (copy, id) = if service.is_postgres() {
            ("select i from generate_series(1, 999) as g (i)", format!("'{owner}'"))
        } else {
            let numbers = "with recursive g (i) as (select 1 union all select i + 1 from g where i < 999) select i from g";
            (numbers, format!("x'{}'", owner.simple()))
        };
        service
            .execute_sql(format!(
                "insert into schedule (owner, name, created_at, revision, every_ms, anchor_at, missed, overlap, type, task)
                select {id}, 'copy-' || i, 0, 1, 1000, 0, 'one', 'allow', 'ECHO', '{{}}' from ({copy}) copies"
            ))
            .await;
        let refused = user.put("/api/Schedule/one-more").json(yearly()).await;
        assert_eq!(refused.problem(), (409, "too-many-schedules".to_owned()));
        user.put("/api/Schedule/s").json(yearly()).await.expect_status(200);
        assert_eq!(user.get("/api/Schedule").await.ok::<Value>()["schedules"].as_array().unwrap().len(), 1000);
        user.call(Method::DELETE, "/api/Schedule/copy-7").await.expect_status(204);
        user.put("/api/Schedule/one-more").json(yearly()).await.expect_status(201);
    })
    .await;
}

/// The periodic check runs once, at the start: the Backend that has accepted a schedule knows its times.
#[tokio::test]
async fn a_schedule_runs_at_its_times_and_a_waiting_worker_is_granted_its_tasks() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let every_second = json!({"everyMs": 1000, "task": {"type": "ECHO", "ttl": 60_000}});
        let created: Value =
            user.put("/api/Schedule/tick").json(every_second).await.expect_status(201).read();
        for run in 0..2 {
            let grants = worker.claim_by_type(Uuid::new_v4(), "w", "ECHO", 1, 30_000).await.grants();
            let task = user.task(&grants[0].id.to_string()).await;
            assert_eq!(
                (&task["schedule"], &task["scheduledFor"]),
                (&json!("tick"), &created["nextRuns"][run])
            );
            let [created, scheduled] =
                ["creationDate", "scheduledFor"].map(|name| task[name].as_str().unwrap());
            assert!(scheduled <= created, "not before its time: {task}");
        }
        let last = user.get("/api/Schedule/tick").await.ok::<Value>();
        assert_ne!(last["lastTask"], Value::Null);
        user.post("/api/Schedule/tick/pause").await.expect_status(200);
    })
    .await;
}

/// The Backend that has accepted a schedule may be gone: the others find it by their periodic check.
#[tokio::test]
async fn a_schedule_that_another_backend_has_accepted_runs_too() {
    let check_often = |settings: &mut backend::Settings| settings.check_period = Duration::from_millis(20);
    on_each_database_with(check_often, async |service| {
        let user = service.user();
        user.put("/api/Schedule/s").json(yearly()).await.expect_status(201);
        service.execute_sql("update schedule set next_at = 1000000".to_owned()).await;
        until("the schedule runs", async || has_run(&user, "s").await).await;
        let schedule: Value = user.get("/api/Schedule/s").await.ok();
        assert!(schedule["nextRuns"][0].as_str().unwrap() > "2026", "{schedule}");
    })
    .await;
}

async fn has_run(user: &ApiClient<'_>, name: &str) -> bool {
    user.get(&format!("/api/Schedule/{name}")).await.ok::<Value>()["lastTask"] != Value::Null
}
