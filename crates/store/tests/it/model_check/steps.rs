//! The steps of a history, made of small numbers, which shrink well.

use domain::{Reason, RetryHint, RetryPolicy};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Time passes, a worker sends a heartbeat, or operations run: one alone or several concurrently.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Advance(i64),
    Heartbeat { worker: u8, running: Vec<usize> },
    Calls(Vec<Operation>),
}

/// An operation of the store. Tasks are numbered from the first that was submitted.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    Submit(Vec<NewTask>),
    Repeat(Vec<usize>),
    Claim(Vec<NewClaim>),
    Pull { kinds: Vec<u8>, requests: Vec<(u8, u32, bool)>, age: u64 },
    Settle(Vec<(usize, Reporter, Reported)>),
    ResolveDependents,
    Promote,
    Expire,
    EndTasksOfSilent,
    EndTasksOfWorker(u8),
    Cancel { owner: bool, tasks: Vec<usize> },
}

#[derive(Debug, Clone)]
pub(crate) struct NewTask {
    pub(crate) owner: bool,
    pub(crate) kind: u8,
    pub(crate) ttl: u64,
    pub(crate) start_within: u64,
    /// In milliseconds; negative: an instant so long after the start of all tests.
    pub(crate) delay: i64,
    pub(crate) max_attempts: u32,
    /// The reason for which it is not tried again.
    pub(crate) not_on: Reason,
    pub(crate) total_ttl: Option<u64>,
    pub(crate) priority: u8,
    /// The tasks that it waits for.
    pub(crate) after: Vec<usize>,
}

#[derive(Debug, Clone)]
pub(crate) struct NewClaim {
    pub(crate) task: usize,
    pub(crate) claim: u8,
    pub(crate) worker: u8,
    pub(crate) by_name: bool,
}

/// Which claim and attempt a report has.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reporter {
    /// Those of the current grant.
    Current,
    /// The current claim with an older attempt.
    Older,
    /// Some claim, with the current attempt.
    Claim(u8),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Reported {
    Result,
    Error(Option<RetryHint>),
    Released,
}

pub(crate) fn histories() -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 1..40)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => advance().prop_map(Step::Advance),
        1 => (0..3_u8, vec(0..12_usize, 0..4)).prop_map(|(worker, running)| Step::Heartbeat { worker, running }),
        8 => operation().prop_map(|operation| Step::Calls(vec![operation])),
        4 => vec(operation(), 2..5).prop_map(Step::Calls),
    ]
}

/// Advances that reach the ends of TTLs (1 and 2 s), of `startWithin` (1 and 4 s) and of a silence (3 s) exactly or miss them by
/// a microsecond; one is so long that a silent worker's row is deleted.
fn advance() -> impl Strategy<Value = i64> {
    select(vec![1, 500_000, 999_999, 1_000_000, 1_000_000, 1_000_001, 2_000_000, 3_000_001, 61_500_000])
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => vec(new_task(), 1..5).prop_map(Operation::Submit),
        1 => vec(0..12_usize, 1..4).prop_map(Operation::Repeat),
        5 => vec(new_claim(), 1..5).prop_map(Operation::Claim),
        3 => (vec(0..2_u8, 1..3), vec((0..3_u8, 0..3_u32, any::<bool>()), 1..3), select(vec![0, 0, 1, 500_000, 1_000_000]))
            .prop_map(|(kinds, requests, age)| Operation::Pull { kinds, requests, age }),
        5 => vec((0..12_usize, reporter(), reported()), 1..4).prop_map(Operation::Settle),
        3 => Just(Operation::ResolveDependents),
        3 => Just(Operation::Promote),
        2 => Just(Operation::Expire),
        1 => Just(Operation::EndTasksOfSilent),
        1 => (0..3_u8).prop_map(Operation::EndTasksOfWorker),
        1 => (any::<bool>(), vec(0..12_usize, 1..3)).prop_map(|(owner, tasks)| Operation::Cancel { owner, tasks }),
    ]
}

fn new_task() -> impl Strategy<Value = NewTask> {
    let delay = select(vec![0, 0, 0, 500, 1000, -1000, -3000]);
    let retry = (
        select(vec![1, 1, 2, 3]),
        select(RetryPolicy::REASONS.to_vec()),
        select(vec![None, None, Some(2500), Some(900)]),
        select(vec![4, 4, 4, 7, 1]),
        prop_oneof![3 => Just(Vec::new()), 1 => vec(0..12_usize, 1..3)],
    );
    let new = (any::<bool>(), 0..2_u8, select(vec![1000, 2000]), select(vec![4000, 1000]), delay, retry);
    new.prop_map(
        |(owner, kind, ttl, start_within, delay, (max_attempts, not_on, total_ttl, priority, after))| {
            NewTask {
                owner,
                kind,
                ttl,
                start_within,
                delay,
                max_attempts,
                not_on,
                total_ttl,
                priority,
                after,
            }
        },
    )
}

fn new_claim() -> impl Strategy<Value = NewClaim> {
    let new = (0..12_usize, 0..4_u8, 0..3_u8, prop::bool::weighted(0.2));
    new.prop_map(|(task, claim, worker, by_name)| NewClaim { task, claim, worker, by_name })
}

fn reporter() -> impl Strategy<Value = Reporter> {
    prop_oneof![5 => Just(Reporter::Current), 1 => Just(Reporter::Older), 1 => (0..4_u8).prop_map(Reporter::Claim)]
}

fn retry_hint() -> impl Strategy<Value = Option<RetryHint>> {
    select(vec![
        None,
        None,
        Some(RetryHint::Never),
        Some(RetryHint::AfterMs(0)),
        Some(RetryHint::AfterMs(1000)),
    ])
}

fn reported() -> impl Strategy<Value = Reported> {
    prop_oneof![3 => Just(Reported::Result), 2 => retry_hint().prop_map(Reported::Error), 2 => Just(Reported::Released)]
}
