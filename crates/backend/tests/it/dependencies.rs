//! Tasks that wait for other tasks to finish, and take their results as parameters.

use std::time::Duration;

use domain::{Grant, SubjectId};
use serde_json::{Value, json};
use testkit::TestDatabase;
use uuid::Uuid;

use crate::kit::openapi_checked_client::ApiClient;
use crate::kit::test_backend::{TestBackend, on_each_database, on_each_database_with};

/// An hour: no test waits for what the task's time would do.
const TTL: u64 = 3_600_000;

async fn submit_after(user: &ApiClient<'_>, parents: &[&str]) -> String {
    user.submit(json!({"type": "ECHO", "ttl": TTL, "after": parents})).await.id()
}

/// The next task that is ready.
async fn claim(worker: &ApiClient<'_>) -> Grant {
    let grants = worker.claim_by_type(Uuid::new_v4(), "w", "ECHO", 1, 30_000).await.grants();
    grants.into_iter().next().expect("a task is ready in time")
}

async fn finish(worker: &ApiClient<'_>, id: &str, result: Value) {
    let grant = worker.claim_one(id, "w").await;
    assert_eq!(worker.report(&grant, json!({"result": result})).await["became"], "finished");
}

/// The reason and the error of a task that was cancelled.
async fn cancelled(user: &ApiClient<'_>, id: &str) -> (Value, Value) {
    let task = user.wait_for_end(id).await;
    assert_eq!(task["status"], "CANCELLED", "{task}");
    (task["reason"].clone(), task["error"].clone())
}

#[tokio::test]
async fn a_task_is_ready_when_all_its_parents_have_finished() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let [first, second] = [user.submit_echo().await, user.submit_echo().await];
        finish(&worker, &first, json!(1)).await;
        let body =
            json!({"type": "ECHO", "ttl": TTL, "after": [first, second, first], "startWithinMs": 60_000});
        let child = user.submit(body).await.id();
        let task = user.task(&child).await;
        assert_eq!((&task["status"], &task["after"]), (&json!("CREATED"), &json!([first, second])));
        assert_eq!(worker.claim_by_ids(Uuid::new_v4(), "w", &[&child]).await.grants(), []);
        let created: Value = user.get("/api/Task?status=CREATED").await.ok();
        assert_eq!(created["tasks"].as_array().unwrap().len(), 2, "{created}");
        finish(&worker, &second, json!(2)).await;
        assert_eq!(claim(&worker).await.id.to_string(), child);
        // Parents that have finished before are waited for no longer.
        let late = submit_after(&user, &[&first, &second]).await;
        assert_eq!(claim(&worker).await.id.to_string(), late);
    })
    .await;
}

#[tokio::test]
async fn a_parent_that_does_not_finish_cancels_the_tasks_that_wait_and_those_that_wait_for_them() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let [parent, other] = [user.submit_echo().await, user.submit_echo().await];
        let child = submit_after(&user, &[&parent, &other]).await;
        let grandchild = submit_after(&user, &[&child]).await;
        let unrelated = submit_after(&user, &[&other]).await;
        user.cancel(&parent).await.expect_status(200);
        let failed = |of: &str| (json!("DEPENDENCY_FAILED"), json!(format!("task {of} did not finish")));
        assert_eq!(cancelled(&user, &grandchild).await, failed(&child));
        assert_eq!(cancelled(&user, &child).await, failed(&parent));
        // It is cancelled as soon as it is submitted.
        let late = submit_after(&user, &[&parent]).await;
        assert_eq!(cancelled(&user, &late).await, failed(&parent));
        let grant = worker.claim_one(&other, "w").await;
        assert_eq!(worker.report(&grant, json!({"error": "no"})).await["became"], "cancelled");
        assert_eq!(cancelled(&user, &unrelated).await, failed(&other));
    })
    .await;
}

#[tokio::test]
async fn a_blocked_task_can_be_cancelled_and_a_retried_parent_is_waited_for() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let retried = json!({"type": "ECHO", "ttl": TTL, "maxAttempts": 2, "retry": {"backoffMs": 0}});
        let parent = user.submit(retried).await.id();
        let [child, unwanted] =
            [submit_after(&user, &[&parent]).await, submit_after(&user, &[&parent]).await];
        let cancelled: Value = user.cancel(&unwanted).await.ok();
        assert_eq!((&cancelled["reason"], &cancelled["attempts"]), (&json!("REQUESTED"), &json!(0)));
        assert_eq!(worker.report(&claim(&worker).await, json!({"error": "no"})).await["became"], "retried");
        let again = claim(&worker).await;
        assert_eq!(again.id.to_string(), parent, "the child is not ready while its parent is tried again");
        worker.report(&again, json!({"result": 1})).await;
        assert_eq!(claim(&worker).await.id.to_string(), child);
        assert_eq!(user.task(&unwanted).await["reason"], "REQUESTED");
    })
    .await;
}

#[tokio::test]
async fn results_of_parents_become_members_of_the_parameters() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let [first, second] = [user.submit_echo().await, user.submit_echo().await];
        let from = json!({"big": first, "other": second});
        let parameters = json!({"own": true});
        let body = json!({"type": "ECHO", "ttl": TTL, "parameters": parameters, "after": [first, second], "parametersFrom": from});
        let child = user.submit(body).await.id();
        let task = user.task(&child).await;
        assert_eq!((&task["parameters"], &task["parametersFrom"]), (&parameters, &from));
        let odd = r#"{ "n": 18446744073709551616,  "e": 1.0e2 }"#;
        let grant = worker.claim_one(&first, "w").await;
        let (attempt, claim_id) = (grant.attempt, grant.claim);
        let report = format!(
            r#"{{"worker": "w", "reports": [{{"id": "{first}", "type": "ECHO", "attempt": {attempt}, "claim": "{claim_id}", "reported": {{"result": {odd}}}}}]}}"#
        );
        worker.post("/api/Task/results").body(report).await.expect_status(200);
        finish(&worker, &second, Value::Null).await;
        let grant = claim(&worker).await;
        let expected = format!(r#"{{"own":true,"big":{odd},"other":null}}"#);
        assert_eq!((grant.id.to_string(), grant.parameters.unwrap().text()), (child.clone(), &*expected));
        assert!(user.get(&format!("/api/Task/{child}")).await.text.contains(&expected));
        // Submitted again, it has these parameters and waits for nothing.
        let again = user.post(&format!("/api/Task/{child}/rerun")).await.id();
        let grant = worker.claim_one(&again, "w").await;
        assert_eq!(grant.parameters.unwrap().text(), expected);
    })
    .await;
}

#[tokio::test]
async fn complete_parameters_that_break_the_schema_cancel_the_task() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
        let operation = json!({"type": "COUNT", "version": 1, "parameters": schema, "result": {}});
        service.admin().put("/api/Operation/COUNT").json(operation).await.expect_status(200);
        let parent = user.submit_echo().await;
        let body = json!({"type": "COUNT", "ttl": TTL, "after": [parent], "parametersFrom": {"n": parent}});
        let child = user.submit(body).await.id();
        let grandchild = submit_after(&user, &[&child]).await;
        finish(&worker, &parent, json!("one")).await;
        let (reason, error) = cancelled(&user, &child).await;
        assert_eq!(reason, "DEPENDENCY_FAILED");
        let error = error.as_str().unwrap();
        assert!(
            error.starts_with(
                "the results of the tasks that it waited for make no valid parameters: /parameters/n: "
            ),
            "{error}"
        );
        assert_eq!(cancelled(&user, &grandchild).await.0, "DEPENDENCY_FAILED");
    })
    .await;
}

#[tokio::test]
async fn a_task_waits_for_tasks_of_its_owner_only_and_every_fault_has_its_place() {
    on_each_database(async |service| {
        let user = service.user();
        let own = user.submit_echo().await;
        let other = service.with_token(service.issuer.token(&Uuid::new_v4().to_string(), &["User"]));
        let foreign = other.submit_echo().await;
        let refused = async |body: Value| {
            let mut task = json!({"type": "ECHO", "ttl": TTL});
            task.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
            let refused = user.submit(task).await;
            assert_eq!(refused.problem(), (422, "dependency-invalid".to_owned()), "{}", refused.text);
            refused.errors().into_iter().map(|(pointer, detail)| format!("{pointer}: {detail}")).collect::<Vec<_>>()
        };
        let unknown = Uuid::new_v4().to_string();
        let none = "you have no such task";
        assert_eq!(
            refused(json!({"after": [own, foreign, unknown]})).await,
            [format!("/after/1: {none}"), format!("/after/2: {none}")]
        );
        assert_eq!(refused(json!({"after": [7, "x"]})).await, [0, 1].map(|at| format!("/after/{at}: a task id must be a UUID")));
        for list in [json!("x"), json!(vec![own.clone(); 101])] {
            assert_eq!(refused(json!({"after": list})).await, ["/after: after must be a list of at most 100 task ids"]);
        }
        assert_eq!(
            refused(json!({"after": [own], "parameters": {"a/b": 1}, "parametersFrom": {"a/b": own, "c": foreign}})).await,
            [
                "/parametersFrom/a~1b: parameters has a member \"a/b\" already".to_owned(),
                format!("/parametersFrom/c: task {foreign} must be one of after"),
            ]
        );
        assert_eq!(
            refused(json!({"after": [own], "parameters": [1], "parametersFrom": {"a": own}})).await,
            ["/parameters: parameters must be an object, since results become members of it"]
        );
        let batch = json!({"tasks": [{"type": "ECHO", "ttl": TTL}, {"type": "ECHO", "ttl": TTL, "after": [foreign]}]});
        let refused = user.post("/api/Task/batch").json(batch).await.expect_status(422);
        assert_eq!(refused.errors()["/tasks/1/after/0"], none);
        let schedule = json!({"everyMs": 60_000, "task": {"type": "ECHO", "ttl": TTL, "after": [own]}});
        let refused = user.put("/api/Schedule/s").json(schedule).await.expect_status(422);
        assert_eq!(refused.errors()["/task/after"], "the schedule says when its task runs: leave after out");
        let listed: Value = user.get("/api/Task").await.ok();
        assert_eq!(listed["tasks"].as_array().unwrap().len(), 1, "nothing that was refused is stored");
    })
    .await;
}

#[tokio::test]
async fn many_tasks_that_wait_for_one_are_all_freed_in_one_batch_or_several() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let parent = user.submit_echo().await;
        let tasks =
            vec![json!({"type": "ECHO", "ttl": TTL, "after": [parent]}); store::RESOLVE_BATCH_SIZE + 1];
        let accepted: Value =
            user.post("/api/Task/batch").json(json!({"tasks": tasks})).await.expect_status(201).read();
        let last = accepted["ids"].as_array().unwrap().last().unwrap().as_str().unwrap().to_owned();
        finish(&worker, &parent, json!(1)).await;
        let mut freed = Vec::new();
        while freed.len() < tasks.len() {
            let grants = worker.claim_by_type(Uuid::new_v4(), "w", "ECHO", 500, 30_000).await.grants();
            assert!(!grants.is_empty(), "only {} of {} tasks are ready", freed.len(), tasks.len());
            freed.extend(grants.into_iter().map(|grant| grant.id.to_string()));
        }
        assert!(freed.contains(&last));
    })
    .await;
}

#[tokio::test]
async fn a_parent_that_ends_at_another_backend_frees_the_tasks_of_this_one() {
    let one = TestBackend::start(TestDatabase::postgres().await, |_| {}).await;
    let other = one.start_another(|_| {}).await;
    one.peer_connection_is_up().await;
    let user = one.user();
    let parent = user.submit_echo().await;
    let child = submit_after(&user, &[&parent]).await;
    let worker = other.worker();
    finish(&worker, &parent, json!(1)).await;
    assert_eq!(claim(&worker).await.id.to_string(), child);
    other.shut_down().await.0.close().await;
    one.finish().await;
}

/// The other Backend, or one that is started again, does what a killed one has left undone.
#[tokio::test]
async fn what_a_backend_has_left_undone_is_done_by_the_periodic_check() {
    let often = |settings: &mut backend::Settings| settings.check_period = Duration::from_millis(5);
    on_each_database_with(often, async |service| {
        let (user, worker) = (service.user(), service.worker());
        let parent = user.submit_echo().await;
        let child = submit_after(&user, &[&parent]).await;
        // As if a Backend had been killed between the commit and what follows it: no signal tells of the end.
        let admin = SubjectId(Uuid::new_v4());
        service.store.cancel_as_admin(admin, parent.parse().unwrap()).await.unwrap();
        assert_eq!(cancelled(&user, &child).await.0, "DEPENDENCY_FAILED");
        assert_eq!(worker.claim_by_ids(Uuid::new_v4(), "w", &[&child]).await.grants(), []);
    })
    .await;
}
