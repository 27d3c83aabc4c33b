//! Services start in any order: a worker waits for its account, for Identity and for the Backend; a final refusal ends it.

use client::Credentials;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use worker::{Operations, Worker, WorkerError, builtin};

use crate::kit::probe_operation::{LONG_TTL, run_worker, settings};
use crate::kit::scripted_backend::{Backend, Fault, OPERATIONS, TOKENS, in_time};

#[tokio::test]
async fn a_worker_waits_for_its_account_and_for_the_backend() {
    let mut backend = Backend::start();
    for fault in [Fault::Unavailable, Fault::Problem(401), Fault::Problem(401)] {
        backend.fail(TOKENS, fault);
    }
    backend.fail(OPERATIONS, Fault::ConnectionClosed);
    backend.fail(OPERATIONS, Fault::Problem(403));
    let credentials =
        Credentials::Client { identity: backend.address.clone(), id: "rig".into(), secret: "s".into() };
    let operations = Operations::new().with(builtin::Echo);
    let worker = Worker::new(backend.client_as(credentials), operations, settings(1));
    let stop = CancellationToken::new();
    let running = TaskTracker::new().spawn(worker.run(stop.clone()));
    let id = backend.add_task("ECHO", "[]", LONG_TTL);
    assert_eq!(backend.report().await.id, id);
    stop.cancel();
    in_time(running).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_conflict_at_registration_is_final() {
    let backend = Backend::start();
    backend.fail(OPERATIONS, Fault::Problem(409));
    let worker = Worker::new(backend.client(), Operations::new().with(builtin::Echo), settings(1));
    let error = in_time(Box::pin(worker.run(CancellationToken::new()))).await.unwrap_err();
    assert_eq!(error.to_string(), "the Backend refuses to register operation ECHO, version 1");
    let WorkerError::OperationRefused { source, .. } = error else { panic!("{error}") };
    assert_eq!(source.to_string(), "the script of the test says so");
}

#[tokio::test]
async fn a_worker_that_waits_for_the_backend_can_be_stopped() {
    let client = client::Client::new(client::Settings {
        backends: vec!["http://127.0.0.1:9".to_owned()],
        credentials: Credentials::Token("t".into()),
        ca: None,
    });
    let worker = Worker::new(client.unwrap(), Operations::new().with(builtin::Echo), settings(1));
    let stop = CancellationToken::new();
    let running = TaskTracker::new().spawn(worker.run(stop.clone()));
    stop.cancel();
    in_time(running).await.unwrap().unwrap();
}

#[tokio::test]
async fn registered_schemas_carry_bounds_defaults_and_descriptions() {
    let mut backend = Backend::start();
    let (worker, _) = run_worker(&backend, settings(1));
    let login = loop {
        let operation = backend.registration().await;
        if operation.name.as_str() == "GENERATE_LOGIN" {
            break operation;
        }
    };
    let length = &login.parameters["properties"]["length"];
    assert_eq!(login.parameters["additionalProperties"], false);
    assert_eq!(
        (&length["minimum"], &length["maximum"], &length["default"]),
        (&1.into(), &1000.into(), &10.into())
    );
    assert_eq!(length["description"], "How many characters.");
    assert_eq!(login.result["type"], "string");
    worker.stopped().await;
}
