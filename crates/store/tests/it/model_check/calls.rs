//! A call: an operation with its arguments, which is run on the store and applied to the model task by task.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::{
    AttemptOutcome, BackoffFactor, ClaimId, GrantRef, InstanceId, NotBefore, OwnerId, Priority, Report,
    RetryPolicy, SettleResult, State, Submission, TaskId, TaskOptions, Timestamp, TypeName, WorkerName,
    WorkerProcess,
};
use futures_util::future::join_all;
use store::{
    AttributedReport, ClaimById, EndedAttempts, Granted, PullRequest, PullResult, ReadyTask,
    ResolvedDependents, Store,
};
use uuid::Uuid;

use crate::kit::table_dump::Tables;
use crate::kit::{ANN, BOB, MILLI, START, TestStore, json, kind, millis, process, worker};
use crate::model_check::model::{Act, Answer, Model, ModelTask};
use crate::model_check::steps::{NewClaim, NewTask, Operation, Reported, Reporter};

/// How long a worker may be silent before it is lost, in microseconds.
const SILENCE: i64 = 3_000_000;

/// How much longer a silent worker's row stays, in microseconds.
const ROW_RETENTION: i64 = 60_000_000;

#[derive(Debug, Clone)]
pub(crate) enum Call {
    Submit(Vec<Submission>),
    Claim(Vec<ClaimById>),
    Pull(Vec<PullRequest>, Vec<TypeName>, Duration),
    Settle(Vec<AttributedReport>),
    ResolveDependents,
    Promote,
    Expire,
    EndTasksOfSilent,
    EndTasksOfWorker(WorkerName),
    Cancel(OwnerId, Vec<TaskId>),
}

/// The result of a call.
#[derive(Debug)]
pub(crate) enum CallResult {
    Done,
    Granted(Vec<Granted>),
    PullResult(PullResult),
    SettleResult(Vec<SettleResult>),
    Resolved(ResolvedDependents),
    Promoted(Vec<ReadyTask>),
    EndedAttempts(EndedAttempts),
}

/// What a call did to one task, and what its result says of that task.
#[derive(Debug)]
pub(crate) struct Effect {
    pub(crate) id: TaskId,
    pub(crate) act: Act,
    pub(crate) answer: Answer,
}

fn owner(ann: bool) -> OwnerId {
    if ann { ANN } else { BOB }
}

fn claim(number: u8) -> ClaimId {
    ClaimId(Uuid::from_u128(0xC0 + u128::from(number)))
}

fn named(number: u8) -> WorkerName {
    worker(&format!("w{number}"))
}

fn process_of(number: u8) -> WorkerProcess {
    process(named(number).as_str())
}

fn typed(number: u8) -> TypeName {
    kind(&format!("demo.t{number}"))
}

/// Whether the task, if it is ready, has been so for at least `age`, or has a priority for which the age does not count.
pub(crate) fn is_old(task: &ModelTask, age: Duration, now: i64) -> bool {
    task.submission.options.priority > Priority::DEFAULT
        || task.ready_at + i64::try_from(age.as_micros()).unwrap() <= now
}

/// The task number `number`, modulo the number of tasks.
fn nth(model: &Model, number: usize) -> Option<&ModelTask> {
    model.tasks.values().nth(number.checked_rem(model.tasks.len())?)
}

impl Call {
    /// The call of `operation` for the tasks and grants of the model as it is.
    pub(crate) fn of(operation: &Operation, model: &Model, test: &TestStore) -> Self {
        let tasks = |numbers: &[usize]| -> Vec<&ModelTask> {
            numbers.iter().filter_map(|n| nth(model, *n)).collect()
        };
        match operation {
            Operation::Submit(new) => {
                Self::Submit(new.iter().map(|new| submission(test, model, new)).collect())
            }
            Operation::Repeat(numbers) => {
                Self::Submit(tasks(numbers).into_iter().map(|task| task.submission.clone()).collect())
            }
            Operation::Claim(claims) => {
                let mut claims: Vec<ClaimById> =
                    claims.iter().filter_map(|claim| claim_request(model, claim)).collect();
                claims.sort_by_key(|claim| claim.id);
                claims.dedup_by_key(|claim| claim.id);
                Self::Claim(claims)
            }
            Operation::Pull { kinds, requests, age } => {
                let kinds: BTreeSet<TypeName> = kinds.iter().map(|kind| typed(*kind)).collect();
                let requests = requests.iter().enumerate();
                let requests = requests.map(|(n, (worker, slots, is_first_look))| {
                    let claim = claim(16 + u8::try_from(n).unwrap() + worker * 4);
                    PullRequest {
                        claim,
                        worker: process_of(*worker),
                        slots: *slots,
                        is_first_look: *is_first_look,
                    }
                });
                Self::Pull(requests.collect(), kinds.into_iter().collect(), Duration::from_micros(*age))
            }
            Operation::Settle(reported) => {
                let reports = reported
                    .iter()
                    .filter_map(|(task, by, what)| Some(report(nth(model, *task)?, *by, *what)));
                Self::Settle(reports.collect())
            }
            Operation::ResolveDependents => Self::ResolveDependents,
            Operation::Promote => Self::Promote,
            Operation::Expire => Self::Expire,
            Operation::EndTasksOfSilent => Self::EndTasksOfSilent,
            Operation::EndTasksOfWorker(worker) => Self::EndTasksOfWorker(named(*worker)),
            Operation::Cancel { owner: ann, tasks: numbers } => {
                let ids: BTreeSet<TaskId> =
                    tasks(numbers).into_iter().map(|task| task.submission.id).collect();
                Self::Cancel(owner(*ann), ids.into_iter().collect())
            }
        }
    }

    /// Adds new tasks to the model before the concurrent calls run, which changes none of their results.
    pub(crate) fn accept(&self, model: &mut Model, now: i64) {
        if let Self::Submit(tasks) = self {
            for task in tasks {
                model.tasks.entry(task.id).or_insert_with(|| ModelTask::new(task.clone(), now));
            }
        }
    }

    /// Deletes the workers from the model that have been silent for long. One that a concurrent call has granted a task may have
    /// kept its row, so the rows that were found decide.
    pub(crate) fn delete_silent_workers(&self, model: &mut Model, found: Option<&Tables>, now: i64) {
        if matches!(self, Self::EndTasksOfSilent) {
            let has_row = |name: &WorkerName| {
                found.is_some_and(|tables| tables.worker.iter().any(|row| row.0 == name.as_str()))
            };
            model.last_heartbeats.retain(|name, at| *at >= now - SILENCE - ROW_RETENTION || has_row(name));
        }
    }

    async fn run(&self, store: &Store) -> CallResult {
        match self {
            Self::Submit(tasks) => {
                store.submit(tasks).await.unwrap();
                CallResult::Done
            }
            Self::Claim(claims) => CallResult::Granted(store.claim_by_id(claims).await.unwrap()),
            Self::Pull(requests, kinds, age) => {
                CallResult::PullResult(store.claim_by_type(requests, kinds, *age).await.unwrap())
            }
            Self::Settle(reports) => CallResult::SettleResult(store.settle(reports).await.unwrap()),
            Self::ResolveDependents => CallResult::Resolved(store.resolve_dependents(None).await.unwrap()),
            Self::Promote => CallResult::Promoted(store.promote_delayed().await.unwrap()),
            Self::Expire => CallResult::EndedAttempts(store.expire().await.unwrap()),
            Self::EndTasksOfSilent => {
                let silence = Duration::from_micros(SILENCE.cast_unsigned());
                CallResult::EndedAttempts(store.end_tasks_of_silent_workers(silence).await.unwrap())
            }
            Self::EndTasksOfWorker(worker) => {
                let started = WorkerProcess { instance: InstanceId::random(), ..process(worker.as_str()) };
                CallResult::EndedAttempts(store.end_tasks_of_earlier_processes(&started).await.unwrap())
            }
            Self::Cancel(owner, tasks) => {
                let ended = store.cancel(*owner, tasks).await.unwrap();
                CallResult::EndedAttempts(EndedAttempts { ended, retried: Vec::new() })
            }
        }
    }

    /// The effects of the call, task by task, by its result.
    pub(crate) fn effects(
        &self,
        result: &CallResult,
        model: &Model,
        found: &Tables,
        now: i64,
    ) -> Result<Vec<Effect>, String> {
        let effect = |id: TaskId, act: Act, answer: Answer| Effect { id, act, answer };
        let mut effects: Vec<Effect> = match (self, result) {
            (Self::Claim(claims), CallResult::Granted(granted)) => {
                let answer = |id| granted.iter().find(|granted| granted.grant.id == id).cloned();
                let claims = claims.iter().map(|claim| {
                    effect(
                        claim.id,
                        Act::Claim(claim.clone()),
                        answer(claim.id).map_or(Answer::Nothing, Answer::Granted),
                    )
                });
                claims.collect()
            }
            (Self::Pull(_, _, age), CallResult::PullResult(PullResult { granted, .. })) => {
                let mut granted_tasks = granted.iter().map(|granted| &model.tasks[&granted.grant.id]);
                // A task that a concurrent call releases becomes ready now.
                let is_young = |task: &&ModelTask| {
                    let counts_age = task.submission.options.priority <= Priority::DEFAULT;
                    counts_age && (!task.is_created() || !is_old(task, *age, now))
                };
                if let Some(young) = granted_tasks.find(|task| !age.is_zero() && is_young(task)) {
                    return Err(format!("{young:?} is not {age:?} old"));
                }
                granted.iter().map(granted_effect).collect()
            }
            (Self::Settle(reports), CallResult::SettleResult(settled)) => {
                let pairs = reports.iter().zip(settled);
                pairs
                    .map(|(AttributedReport { report, .. }, s)| {
                        effect(report.id, Act::Report(report.clone()), Answer::SettleResult(s.clone()))
                    })
                    .collect()
            }
            (_, CallResult::Resolved(resolved)) => resolved_effects(resolved, found),
            (_, CallResult::Promoted(promoted)) => {
                let answer = |id: &TaskId| {
                    let is_promoted = promoted.iter().any(|task| task.id == *id && task.since.0 == now);
                    if is_promoted { Answer::Promoted } else { Answer::Nothing }
                };
                model.tasks.keys().map(|id| effect(*id, Act::Promote, answer(id))).collect()
            }
            (_, CallResult::EndedAttempts(EndedAttempts { ended, retried })) => {
                let (act, ids) = self.ending(model, now);
                let ended_task =
                    |id| ended.iter().find(|ended| ended.id == id).cloned().map(Answer::EndedTask);
                let retried =
                    |id| retried.iter().find(|retried| retried.id == id).cloned().map(Answer::Retried);
                let answer = |id| ended_task(id).or_else(|| retried(id)).unwrap_or(Answer::Nothing);
                ids.into_iter().map(|id| effect(id, act.clone(), answer(id))).collect()
            }
            _ => Vec::new(),
        };
        let answered = effects.iter().filter(|effect| effect.answer != Answer::Nothing).count();
        let total = result.len();
        effects.sort_by_key(|effect| effect.id);
        if answered == total {
            Ok(effects)
        } else {
            Err(format!("{total} answers, {answered} of them about tasks of the call"))
        }
    }

    fn ending(&self, model: &Model, now: i64) -> (Act, Vec<TaskId>) {
        let all = || model.tasks.keys().copied().collect();
        match self {
            Self::Cancel(owner, tasks) => (Act::Cancel(*owner), tasks.clone()),
            Self::EndTasksOfSilent => {
                let silent = model.last_heartbeats.iter().filter(|(_, at)| **at < now - SILENCE);
                (Act::WorkerLost(silent.map(|(name, _)| name.clone()).collect()), all())
            }
            Self::EndTasksOfWorker(worker) => (Act::WorkerLost([worker.clone()].into()), all()),
            _ => (Act::Expire, all()),
        }
    }
}

impl CallResult {
    fn len(&self) -> usize {
        match self {
            Self::Done => 0,
            Self::Granted(granted) | Self::PullResult(PullResult { granted, .. }) => granted.len(),
            Self::SettleResult(settled) => settled.len(),
            Self::Resolved(resolved) => resolved.ended.len() + resolved.freed.len(),
            Self::Promoted(promoted) => promoted.len(),
            Self::EndedAttempts(ended) => ended.len(),
        }
    }
}

pub(crate) async fn run_all(stores: &[Store], calls: &[Call]) -> Vec<CallResult> {
    join_all(stores.iter().zip(calls).map(|(store, call)| call.run(store))).await
}

/// Sends a heartbeat and checks its answer: the grants that are no longer the worker's.
pub(crate) async fn heartbeat(
    test: &TestStore,
    model: &mut Model,
    name: u8,
    running: &[usize],
) -> Result<(), String> {
    let name = named(name);
    let tasks = || running.iter().filter_map(|number| nth(model, *number));
    let grant = tasks().map(|task| GrantRef { id: task.submission.id, attempt: task.attempt() });
    let running: BTreeSet<(TaskId, u32)> = grant.map(|grant| (grant.id, grant.attempt)).collect();
    let running: Vec<GrantRef> = running.into_iter().map(|(id, attempt)| GrantRef { id, attempt }).collect();
    let stop = running.iter().filter(
        |grant| !matches!(&model.tasks[&grant.id].state, State::Running { worker, .. } if *worker == name),
    );
    let expected: BTreeSet<TaskId> = stop.map(|grant| grant.id).collect();
    let process = process(name.as_str());
    assert!(test.store.heartbeat(&process, 1, &[], &BTreeSet::new()).await.unwrap());
    let stop = test.store.grants_to_stop(&process, &running).await.unwrap();
    let stop: BTreeSet<TaskId> = stop.into_iter().map(|grant| grant.id).collect();
    model.last_heartbeats.insert(name, test.now());
    if stop == expected { Ok(()) } else { Err(format!("the answer is to stop {stop:?}, not {expected:?}")) }
}

fn submission(test: &TestStore, model: &Model, new: &NewTask) -> Submission {
    let (ttl, start_within) = (millis(new.ttl), millis(new.start_within));
    let usual = test.submission();
    let trace = usual.trace.filter(|_| new.owner);
    let not_before = match new.delay {
        0 => NotBefore::Submission,
        delay @ 1.. => NotBefore::DelayMs(delay.unsigned_abs()),
        instant => NotBefore::Instant(Timestamp(START - instant * MILLI)),
    };
    let (owner, type_name) = (owner(new.owner), typed(new.kind));
    let retry = (new.max_attempts > 1).then(|| RetryPolicy {
        max_attempts: new.max_attempts,
        backoff_ms: 700,
        factor: BackoffFactor::try_from(1.5).unwrap(),
        max_backoff_ms: 1500,
        on: RetryPolicy::REASONS.into_iter().filter(|reason| *reason != new.not_on).collect(),
    });
    let after = new.after.iter().filter_map(|number| nth(model, *number));
    let after: BTreeSet<TaskId> = after.map(|task| task.submission.id).collect();
    let options = TaskOptions {
        retry,
        total_ttl_ms: new.total_ttl.map(millis),
        priority: new.priority.try_into().unwrap(),
        after: after.into_iter().collect(),
        ..TaskOptions::default()
    };
    Submission { owner, type_name, ttl, not_before, start_within, trace, options, ..usual }
}

fn claim_request(model: &Model, new: &NewClaim) -> Option<ClaimById> {
    let id = nth(model, new.task)?.submission.id;
    Some(ClaimById { id, claim: claim(new.claim), worker: process_of(new.worker), by_name: new.by_name })
}

fn report(task: &ModelTask, by: Reporter, reported: Reported) -> AttributedReport {
    let current = match &task.state {
        State::Running { claim, .. } => *claim,
        _ => claim(0),
    };
    let (claim, attempt) = match by {
        Reporter::Current => (current, task.attempt()),
        Reporter::Older => (current, task.attempt().saturating_sub(1)),
        Reporter::Claim(number) => (claim(number), task.attempt()),
    };
    let retry = match reported {
        Reported::Error(hint) => hint,
        _ => None,
    };
    let reported = match reported {
        Reported::Result => AttemptOutcome::Result(json(r#"{"n": 1e2}"#)),
        Reported::Error(_) => AttemptOutcome::Error("it broke".to_owned()),
        Reported::Released => AttemptOutcome::Released,
    };
    let worker = match &task.state {
        State::Running { worker, .. } => worker.clone(),
        _ => named(0),
    };
    let Submission { id, type_name, .. } = &task.submission;
    let report =
        Report { id: *id, type_name: type_name.clone(), attempt, claim, reported, retry, trace: None };
    AttributedReport { worker, subject: None, report }
}

fn resolved_effects(resolved: &ResolvedDependents, found: &Tables) -> Vec<Effect> {
    let error = |id: TaskId| found.outcome.iter().find(|row| row.0 == id.0).and_then(|row| row.11.clone());
    let ended = resolved.ended.iter().map(|ended| Effect {
        id: ended.id,
        act: Act::DependencyFailed(error(ended.id)),
        answer: Answer::EndedTask(ended.clone()),
    });
    let freed = resolved.freed.iter().map(|freed| Effect {
        id: freed.id,
        act: Act::Free,
        answer: Answer::Freed(*freed),
    });
    ended.chain(freed).collect()
}

fn granted_effect(granted: &Granted) -> Effect {
    let (id, claim) = (granted.grant.id, granted.grant.claim);
    let worker = process(granted.worker.as_str());
    let act = Act::Claim(ClaimById { id, claim, worker, by_name: false });
    Effect { id, act, answer: Answer::Granted(granted.clone()) }
}
