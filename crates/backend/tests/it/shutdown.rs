//! A polite stop: whoever waits is answered at once, what is in hand is finished, and the service returns.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::service::each;

#[tokio::test]
async fn a_stop_answers_everyone_who_waits_and_the_service_returns() {
    each(async |service| {
        let again = service.again(|_| {}).await;
        let (ann, rig) = (again.user(), again.worker());
        let id = ann.created().await;
        rig.granted(&id, "w").await;
        let waits = ann.get(&format!("/api/Task/{id}")).prefer("wait=60").into_future();
        let submits = ann.submit(json!({"type": "BRIEF"})).prefer("wait=60").into_future();
        let pulls = rig.pull(Uuid::new_v4(), "w", "ECHO", 1, 30_000).into_future();
        let stop = async {
            // The submission has come this far, so have those that were sent before it.
            while ann.get("/api/Task").await.ok::<Value>()["tasks"].as_array().unwrap().len() < 2 {}
            again.stop.cancel();
        };
        let (waited, submitted, pulled, ()) = tokio::join!(waits, submits, pulls, stop);
        assert_eq!(waited.ok::<Value>()["status"], "RUNNING");
        assert_eq!(submitted.is(201).read::<Value>()["status"], "CREATED");
        assert!(pulled.grants().is_empty());
        again.stopped().await;
    })
    .await;
}
