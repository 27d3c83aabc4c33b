//! The runs of schedules, on databases whose clock the test sets: days on which clocks change, missed runs, overlaps, tasks that are
//! refused, several Backends.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::TestDatabase;

use crate::kit::openapi_checked_client::ApiClient;
use crate::kit::test_backend::{TestBackend, on_each_database_with_set_clock};
use crate::kit::until::until;

const MINUTE: Duration = Duration::from_mins(1);

/// Where the clocks of these tests begin.
const START: &str = "2027-01-15T08:00:00Z";

fn check_often(settings: &mut backend::Settings) {
    settings.check_period = Duration::from_millis(5);
}

fn echo() -> Value {
    json!({"type": "ECHO", "ttl": 3_600_000})
}

async fn put(user: &ApiClient<'_>, name: &str, body: Value) -> Value {
    let answer = user.put(&format!("/api/Schedule/{name}")).json(body).await;
    assert!(answer.status == 200 || answer.status == 201, "{}", answer.text);
    answer.read()
}

async fn schedule(user: &ApiClient<'_>, name: &str) -> Value {
    user.get(&format!("/api/Schedule/{name}")).await.ok()
}

/// Moves the clock, and returns when the schedule has been moved on to a time after the new one. `now` is the clock.
async fn advance(service: &TestBackend, user: &ApiClient<'_>, now: &mut Timestamp, by: Duration, name: &str) {
    *now = now.plus_micros(i64::try_from(by.as_micros()).unwrap());
    service.advance_clock(by).await;
    let now = *now;
    let has_moved_on = async || {
        let schedule = schedule(user, name).await;
        schedule["nextRuns"][0].as_str().is_none_or(|next| next.parse::<Timestamp>().unwrap() > now)
    };
    until("the schedule runs", has_moved_on).await;
}

/// The times for which the user's tasks were submitted, each with how many there are, by schedule.
async fn scheduled_times(user: &ApiClient<'_>) -> BTreeMap<String, BTreeMap<String, usize>> {
    let list: Value = user.get("/api/Task").await.ok();
    let mut times: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for task in list["tasks"].as_array().unwrap() {
        let task = user.task(task["id"].as_str().unwrap()).await;
        let text = |name: &str| task[name].as_str().unwrap().to_owned();
        *times.entry(text("schedule")).or_default().entry(text("scheduledFor")).or_default() += 1;
    }
    times
}

/// The same of one schedule, each time of which must have one task.
async fn times_of(user: &ApiClient<'_>, name: &str) -> Vec<String> {
    let times = scheduled_times(user).await.remove(name).unwrap_or_default();
    assert!(times.values().all(|tasks| *tasks == 1), "a time has one task: {times:?}");
    times.into_keys().map(|time| time.replace(":00.000Z", "Z")).collect()
}

#[tokio::test]
async fn on_the_days_on_which_clocks_change_each_time_has_one_task() {
    on_each_database_with_set_clock(check_often, async |service| {
        let mut now: Timestamp = START.parse().unwrap();
        for (zone, cron, from, expected) in [
            // 02:30 does not exist: 03:00.
            ("America/New_York", "30 2 * * *", "2027-03-14T05:00:00Z", vec!["2027-03-14T07:00Z"]),
            (
                "Europe/Berlin",
                "*/20 2,4 * * *",
                "2027-03-27T23:00:00Z",
                vec!["2027-03-28T01:00Z", "2027-03-28T02:00Z", "2027-03-28T02:20Z", "2027-03-28T02:40Z"],
            ),
            // 02:30 exists twice: the first of the two.
            ("Europe/Berlin", "30 2 * * *", "2027-10-30T23:00:00Z", vec!["2027-10-31T00:30Z"]),
            // Every hour goes by the time that passes.
            (
                "America/New_York",
                "30 * * * *",
                "2027-11-07T04:00:00Z",
                vec![
                    "2027-11-07T04:30Z",
                    "2027-11-07T05:30Z",
                    "2027-11-07T06:30Z",
                    "2027-11-07T07:30Z",
                    "2027-11-07T08:30Z",
                ],
            ),
        ] {
            let user = service.user();
            let from: Timestamp = from.parse().unwrap();
            service.advance_clock(Duration::from_micros(from.micros_since(now).cast_unsigned())).await;
            now = from;
            put(&user, "clocks", json!({"cron": cron, "timeZone": zone, "task": echo()})).await;
            for _ in 0..10 {
                advance(service, &user, &mut now, 30 * MINUTE, "clocks").await;
            }
            user.call(Method::DELETE, "/api/Schedule/clocks").await.expect_status(204);
            assert_eq!(times_of(&user, "clocks").await, expected, "{cron} in {zone}");
        }
    })
    .await;
}

#[tokio::test]
async fn missed_runs_are_skipped_or_made_up_for() {
    on_each_database_with_set_clock(check_often, async |service| {
        let (user, mut now) = (service.user(), START.parse().unwrap());
        for missed in ["skip", "one", "all"] {
            let body = json!({"cron": "* * * * *", "missed": missed, "task": echo()});
            put(&user, missed, body).await;
        }
        put(&user, "seconds", json!({"cron": "* * * * * *", "missed": "all", "task": echo()})).await;
        // Nothing has run for ten minutes and eleven seconds.
        for name in ["skip", "one", "all", "seconds"] {
            let by = if name == "skip" { 10 * MINUTE + Duration::from_secs(11) } else { Duration::ZERO };
            advance(service, &user, &mut now, by, name).await;
        }
        assert_eq!(times_of(&user, "skip").await, Vec::<String>::new());
        assert!(
            schedule(&user, "skip").await["lastError"]["detail"].as_str().unwrap().contains("was missed")
        );
        assert_eq!(times_of(&user, "one").await, ["2027-01-15T08:10Z"]);
        let all: Vec<String> = (1..=10).map(|minute| format!("2027-01-15T08:{minute:02}Z")).collect();
        assert_eq!(times_of(&user, "all").await, all);
        let seconds = times_of(&user, "seconds").await;
        assert_eq!((seconds.len(), seconds.last().unwrap().as_str()), (100, "2027-01-15T08:10:11.000Z"));
        let error = schedule(&user, "seconds").await["lastError"]["detail"].clone();
        assert!(error.as_str().unwrap().contains("only the last 100"), "{error}");
        // From then on all of them run again.
        user.call(Method::DELETE, "/api/Schedule/seconds").await.expect_status(204);
        for name in ["skip", "one", "all"] {
            let by = if name == "skip" { Duration::from_secs(50) } else { Duration::ZERO };
            advance(service, &user, &mut now, by, name).await;
            assert_eq!(times_of(&user, name).await.last().unwrap(), "2027-01-15T08:11Z", "{name}");
            assert_eq!(schedule(&user, name).await["lastError"], Value::Null);
        }
    })
    .await;
}

#[tokio::test]
async fn a_run_is_skipped_while_the_last_task_has_not_ended_if_the_schedule_says_so() {
    on_each_database_with_set_clock(check_often, async |service| {
        let (user, mut now) = (service.user(), START.parse().unwrap());
        put(&user, "s", json!({"everyMs": 60_000, "overlap": "skip", "task": echo()})).await;
        advance(service, &user, &mut now, MINUTE, "s").await;
        let first = schedule(&user, "s").await["lastTask"].clone();
        advance(service, &user, &mut now, MINUTE, "s").await;
        let skipped = schedule(&user, "s").await;
        assert_eq!(skipped["lastTask"], first);
        assert_eq!(skipped["lastError"]["detail"], "the task of the last run has not ended");
        user.cancel(first["id"].as_str().unwrap()).await.expect_status(200);
        advance(service, &user, &mut now, MINUTE, "s").await;
        assert_eq!(times_of(&user, "s").await, ["2027-01-15T08:01Z", "2027-01-15T08:03Z"]);
        assert_eq!(schedule(&user, "s").await["lastError"], Value::Null);
    })
    .await;
}

#[tokio::test]
async fn a_task_that_is_refused_is_shown_and_the_schedule_goes_on() {
    on_each_database_with_set_clock(check_often, async |service| {
        let (user, admin, mut now) = (service.user(), service.admin(), START.parse().unwrap());
        let register =
            || admin.put("/api/Operation/RARE").json(json!({"type": "RARE", "parameters": {}, "result": {}}));
        register().await.expect_status(200);
        put(&user, "s", json!({"everyMs": 60_000, "task": {"type": "RARE", "ttl": 1000}})).await;
        admin.call(Method::DELETE, "/api/Operation/RARE").await.expect_status(204);
        advance(service, &user, &mut now, MINUTE, "s").await;
        let refused = schedule(&user, "s").await;
        assert!(
            refused["lastError"]["detail"].as_str().unwrap().contains("there is no type RARE"),
            "{refused}"
        );
        assert_eq!(refused["lastTask"], Value::Null);
        let run = user.post("/api/Schedule/s/run").await.expect_status(422).errors();
        assert!(run.contains_key("/task/type"), "{run:?}");
        register().await.expect_status(200);
        advance(service, &user, &mut now, MINUTE, "s").await;
        assert_eq!(schedule(&user, "s").await["lastError"], Value::Null);
        assert_eq!(times_of(&user, "s").await, ["2027-01-15T08:02Z"]);
    })
    .await;
}

#[tokio::test]
async fn the_limit_of_unfinished_tasks_holds_for_schedules() {
    let limit = |settings: &mut backend::Settings| {
        check_often(settings);
        settings.max_unfinished_per_owner = std::num::NonZeroU32::new(2);
    };
    on_each_database_with_set_clock(limit, async |service| {
        let (user, mut now) = (service.user(), START.parse().unwrap());
        put(&user, "s", json!({"everyMs": 60_000, "task": echo()})).await;
        for _ in 0..3 {
            advance(service, &user, &mut now, MINUTE, "s").await;
        }
        assert_eq!(times_of(&user, "s").await, ["2027-01-15T08:01Z", "2027-01-15T08:02Z"]);
        let error = schedule(&user, "s").await["lastError"]["detail"].clone();
        assert!(error.as_str().unwrap().contains("2 unfinished tasks"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_schedule_that_is_paused_or_deleted_does_not_run() {
    on_each_database_with_set_clock(check_often, async |service| {
        let (user, mut now) = (service.user(), START.parse().unwrap());
        for name in ["paused", "deleted", "other"] {
            put(&user, name, json!({"everyMs": 60_000, "task": echo()})).await;
        }
        user.post("/api/Schedule/paused/pause").await.expect_status(200);
        user.call(Method::DELETE, "/api/Schedule/deleted").await.expect_status(204);
        advance(service, &user, &mut now, 3 * MINUTE, "other").await;
        user.post("/api/Schedule/paused/resume").await.expect_status(200);
        advance(service, &user, &mut now, MINUTE, "paused").await;
        advance(service, &user, &mut now, Duration::ZERO, "other").await;
        let times = scheduled_times(&user).await;
        assert!(!times.contains_key("deleted"), "{times:?}");
        assert_eq!(
            times_of(&user, "paused").await,
            ["2027-01-15T08:04Z"],
            "what passed meanwhile was not missed"
        );
    })
    .await;
}

/// Each Backend tries to run every schedule at each of its times, and so do both at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_several_backends_each_time_has_one_task() {
    const SCHEDULES: usize = 20;
    const STEPS: usize = 15;
    let one = TestBackend::start_with_set_clock(TestDatabase::postgres().await, check_often).await;
    let other = one.start_another(check_often).await;
    let (user, mut now) = (one.user(), START.parse().unwrap());
    for number in 0..SCHEDULES {
        put(&user, &format!("s{number}"), json!({"everyMs": 1000, "missed": "all", "task": echo()})).await;
    }
    for _ in 0..STEPS {
        advance(&one, &user, &mut now, Duration::from_secs(1), "s0").await;
    }
    for number in 0..SCHEDULES {
        advance(&one, &user, &mut now, Duration::ZERO, &format!("s{number}")).await;
    }
    let times = scheduled_times(&user).await;
    assert_eq!(times.len(), SCHEDULES);
    for (name, times) in times {
        assert_eq!(times.len(), STEPS, "{name}: {times:?}");
        assert!(times.values().all(|tasks| *tasks == 1), "{name}: {times:?}");
    }
    other.shut_down().await.0.close().await;
    one.finish().await;
}
