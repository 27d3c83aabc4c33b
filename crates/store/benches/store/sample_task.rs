//! The sample task that every case submits.

use domain::{OwnerId, RawJson, Submission, Ttl, TypeName};
use store::Store;
use uuid::Uuid;

/// The type of every task.
pub(crate) fn task_type() -> TypeName {
    "bench.noop".parse().unwrap()
}

/// A new submission with 120 bytes of parameters and a TTL that outlasts the measurement.
pub(crate) fn sample_submission(store: &Store) -> Submission {
    Submission {
        id: store.new_task_id(),
        owner: OwnerId(Uuid::from_u128(1)),
        type_name: task_type(),
        queue: "default".parse().unwrap(),
        parameters: Some(RawJson::parse(format!("{{\"text\":\"{}\"}}", "x".repeat(109))).unwrap()),
        not_before: domain::NotBefore::Submission,
        ttl: Ttl::try_from(3_600_000).unwrap(),
        start_within: Ttl::DEFAULT_MAX,
        trace: None,
        options: domain::TaskOptions::default(),
    }
}
