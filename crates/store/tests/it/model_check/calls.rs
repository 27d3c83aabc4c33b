//! A verb with its real arguments: called on the store, and told to the model task by task.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::{
    ClaimId, GrantRef, Heartbeat, OwnerId, Report, ReportOutcome, SettleResult, State, Submission, TaskId,
    TypeName, WorkerName,
};
use futures_util::future::join_all;
use store::{ClaimById, EndedTask, Granted, PullRequest, PullResult, Store};
use uuid::Uuid;

use super::{FORGET, SILENCE};
use crate::kit::table_dump::Books;
use crate::kit::{ANN, BOB, Bench, json, kind, millis, worker};
use crate::model_check::model::{Act, Answer, Line, Model};
use crate::model_check::steps::{Asked, GrantKey, New, Said, Verb};

#[derive(Debug, Clone)]
pub(crate) enum Call {
    Submit(Vec<Submission>),
    Claim(Vec<ClaimById>),
    Pull(Vec<PullRequest>, Vec<TypeName>, Duration),
    Settle(Vec<Report>),
    Sweep,
    Lose,
    LoseOne(WorkerName),
    Cancel(OwnerId, Vec<TaskId>),
}

/// What a verb answered, of all its tasks.
#[derive(Debug)]
pub(crate) enum Answered {
    Done,
    Granted(Vec<Granted>),
    PullResult(PullResult),
    SettleResult(Vec<SettleResult>),
    EndedTask(Vec<EndedTask>),
}

/// What a verb did to one task, and what it answered of it.
#[derive(Debug)]
pub(crate) struct Touch {
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

fn typed(number: u8) -> TypeName {
    kind(&format!("demo.t{number}"))
}

/// Whether the task has been ready for so long, if it is ready.
fn is_old(line: &Line, age: Duration, now: i64) -> bool {
    line.place + i64::try_from(age.as_micros()).unwrap() <= now
}

/// The `number`th task, going round.
fn nth(model: &Model, number: usize) -> Option<&Line> {
    model.lines.values().nth(number.checked_rem(model.lines.len())?)
}

impl Call {
    /// `verb` with the tasks and grants of now.
    pub(crate) fn of(verb: &Verb, model: &Model, bench: &Bench) -> Self {
        let tasks =
            |numbers: &[usize]| -> Vec<&Line> { numbers.iter().filter_map(|n| nth(model, *n)).collect() };
        match verb {
            Verb::Submit(new) => Self::Submit(new.iter().map(|new| submission(bench, new)).collect()),
            Verb::Repeat(numbers) => {
                Self::Submit(tasks(numbers).into_iter().map(|line| line.task.clone()).collect())
            }
            Verb::Claim(asked) => {
                let mut asks: Vec<ClaimById> = asked.iter().filter_map(|asked| ask(model, asked)).collect();
                asks.sort_by_key(|ask| ask.id);
                asks.dedup_by_key(|ask| ask.id);
                Self::Claim(asks)
            }
            Verb::Pull { kinds, pullers, age } => {
                let kinds: BTreeSet<TypeName> = kinds.iter().map(|kind| typed(*kind)).collect();
                let pullers = pullers.iter().enumerate();
                let pullers = pullers.map(|(n, (worker, slots, new))| {
                    let claim = claim(16 + u8::try_from(n).unwrap() + worker * 4);
                    PullRequest { claim, worker: named(*worker), slots: *slots, new: *new }
                });
                Self::Pull(pullers.collect(), kinds.into_iter().collect(), Duration::from_micros(*age))
            }
            Verb::Settle(said) => {
                let reports =
                    said.iter().filter_map(|(task, by, said)| Some(report(nth(model, *task)?, *by, *said)));
                Self::Settle(reports.collect())
            }
            Verb::Sweep => Self::Sweep,
            Verb::Lose => Self::Lose,
            Verb::LoseOne(worker) => Self::LoseOne(named(*worker)),
            Verb::Cancel { owner: ann, tasks: numbers } => {
                let ids: BTreeSet<TaskId> = tasks(numbers).into_iter().map(|line| line.task.id).collect();
                Self::Cancel(owner(*ann), ids.into_iter().collect())
            }
        }
    }

    /// New tasks are in the model before the others look: nobody can tell the difference.
    pub(crate) fn accept(&self, model: &mut Model, now: i64) {
        if let Self::Submit(tasks) = self {
            for task in tasks {
                model.lines.entry(task.id).or_insert_with(|| Line::new(task.clone(), now));
            }
        }
    }

    /// Forgets the workers that have been silent for long. One that a racing verb lets hold something may be kept.
    pub(crate) fn forget_silent(&self, model: &mut Model, kept: Option<&Books>, now: i64) {
        if matches!(self, Self::Lose) {
            let kept = |name: &WorkerName| {
                kept.is_some_and(|books| books.worker.iter().any(|row| row.0 == name.as_str()))
            };
            model.seen.retain(|name, seen| *seen >= now - SILENCE - FORGET || kept(name));
        }
    }

    async fn run(&self, store: &Store) -> Answered {
        match self {
            Self::Submit(tasks) => {
                store.submit(tasks).await.unwrap();
                Answered::Done
            }
            Self::Claim(asks) => Answered::Granted(store.claim_by_id(asks).await.unwrap()),
            Self::Pull(pullers, kinds, age) => {
                Answered::PullResult(store.claim_by_type(pullers, kinds, *age).await.unwrap())
            }
            Self::Settle(reports) => Answered::SettleResult(store.settle(reports).await.unwrap()),
            Self::Sweep => Answered::EndedTask(store.expire().await.unwrap()),
            Self::Lose => {
                let silence = Duration::from_micros(SILENCE.cast_unsigned());
                Answered::EndedTask(store.end_tasks_of_silent_workers(silence).await.unwrap())
            }
            Self::LoseOne(worker) => Answered::EndedTask(store.end_tasks_of_worker(worker).await.unwrap()),
            Self::Cancel(owner, tasks) => Answered::EndedTask(store.cancel(*owner, tasks).await.unwrap()),
        }
    }

    /// The answer, task by task.
    pub(crate) fn touches(&self, said: &Answered, model: &Model, now: i64) -> Result<Vec<Touch>, String> {
        let touch = |id: TaskId, act: Act, answer: Answer| Touch { id, act, answer };
        let mut touches: Vec<Touch> = match (self, said) {
            (Self::Claim(asks), Answered::Granted(granted)) => {
                let answer = |id| granted.iter().find(|granted| granted.grant.id == id).cloned();
                let asks = asks.iter().map(|ask| {
                    touch(
                        ask.id,
                        Act::Claim(ask.clone()),
                        answer(ask.id).map_or(Answer::Nothing, Answer::Granted),
                    )
                });
                asks.collect()
            }
            (Self::Pull(_, _, age), Answered::PullResult(PullResult { granted, .. })) => {
                let mut lines = granted.iter().map(|granted| &model.lines[&granted.grant.id]);
                // What a racing verb hands back becomes ready now.
                let is_young = |line: &&Line| !line.is_created() || !is_old(line, *age, now);
                if let Some(young) = lines.find(|line| !age.is_zero() && is_young(line)) {
                    return Err(format!("{young:?} is not {age:?} old"));
                }
                granted.iter().map(pulled).collect()
            }
            (Self::Settle(reports), Answered::SettleResult(settled)) => {
                let pairs = reports.iter().zip(settled);
                pairs
                    .map(|(report, s)| {
                        touch(report.id, Act::Report(report.clone()), Answer::SettleResult(*s))
                    })
                    .collect()
            }
            (_, Answered::EndedTask(ended)) => {
                let (act, ids) = self.ending(model, now);
                let answer = |id| ended.iter().find(|ended| ended.id == id).cloned();
                let ids = ids.into_iter();
                ids.map(|id| touch(id, act.clone(), answer(id).map_or(Answer::Nothing, Answer::EndedTask)))
                    .collect()
            }
            _ => Vec::new(),
        };
        let answered = touches.iter().filter(|touch| touch.answer != Answer::Nothing).count();
        let said = said.len();
        touches.sort_by_key(|touch| touch.id);
        if answered == said {
            Ok(touches)
        } else {
            Err(format!("{said} answers, {answered} of them to the question"))
        }
    }

    fn ending(&self, model: &Model, now: i64) -> (Act, Vec<TaskId>) {
        let all = || model.lines.keys().copied().collect();
        match self {
            Self::Cancel(owner, tasks) => (Act::Cancel(*owner), tasks.clone()),
            Self::Lose => {
                let silent = model.seen.iter().filter(|(_, seen)| **seen < now - SILENCE);
                (Act::Lose(silent.map(|(name, _)| name.clone()).collect()), all())
            }
            Self::LoseOne(worker) => (Act::Lose([worker.clone()].into()), all()),
            _ => (Act::Sweep, all()),
        }
    }

    /// What can be said of a verb that nothing raced: a pull takes exactly the oldest, its workers take turns, and who holds
    /// something already gets nothing.
    pub(crate) fn check_alone(&self, said: &Answered, before: &Model, now: i64) -> Result<(), String> {
        let (Self::Pull(pullers, kinds, age), Answered::PullResult(pulled)) = (self, said) else {
            return Ok(());
        };
        let ready = before.lines.values().filter(|line| {
            kinds.contains(&line.task.name)
                && is_old(line, *age, now)
                && matches!(line.state, State::Created { start_by, .. } if now <= start_by.0)
        });
        let mut places: Vec<i64> = ready.map(|line| line.place).collect();
        places.sort_unstable();
        let rounds = 0..pullers.iter().map(|puller| puller.slots).max().unwrap_or(0);
        let turns = rounds.flat_map(|round| pullers.iter().filter(move |puller| puller.slots > round));
        let seated: Vec<(&PullRequest, i64)> = turns.zip(places).collect();
        let looked_at = |puller: &&PullRequest| {
            puller.slots > 0 && puller.new && !kinds.is_empty() || seated.iter().any(|(at, _)| at == puller)
        };
        let refused: BTreeSet<ClaimId> =
            pullers.iter().filter(looked_at).filter(|by| before.holds(by, now)).map(|by| by.claim).collect();
        let mut expected: Vec<(ClaimId, i64)> = seated
            .iter()
            .map(|(by, place)| (by.claim, *place))
            .filter(|(by, _)| !refused.contains(by))
            .collect();
        let place = |granted: &Granted| before.lines[&granted.grant.id].place;
        let mut granted: Vec<(ClaimId, i64)> =
            pulled.granted.iter().map(|granted| (granted.grant.claim, place(granted))).collect();
        expected.sort_unstable();
        granted.sort_unstable();
        let mut said = pulled.refused.clone(); // in the order of the askers, which promises nothing
        said.sort_unstable();
        if granted != expected || !said.into_iter().eq(refused.iter().copied()) {
            return Err(format!("{pulled:?}, but {expected:?} were to be granted and {refused:?} refused"));
        }
        Ok(())
    }
}

/// However verbs race, no claim is granted something by two pulls, nor while something of before runs under it, unless a
/// third verb may have ended that in between.
pub(crate) fn check_claims(
    calls: &[Call],
    said: &[Answered],
    before: &Model,
    now: i64,
) -> Result<(), String> {
    if calls.iter().any(|call| !matches!(call, Call::Submit(_) | Call::Claim(_) | Call::Pull(..))) {
        return Ok(());
    }
    let mut granted_by: BTreeMap<ClaimId, usize> = BTreeMap::new();
    for (number, (call, answered)) in calls.iter().zip(said).enumerate() {
        let (Call::Pull(pullers, ..), Answered::PullResult(pulled)) = (call, answered) else { continue };
        for Granted { grant, .. } in &pulled.granted {
            let by = pullers.iter().find(|by| by.claim == grant.claim).unwrap();
            if before.holds(by, now) || *granted_by.entry(grant.claim).or_insert(number) != number {
                return Err(format!("{:?} was granted something twice", grant.claim));
            }
        }
    }
    Ok(())
}

impl Answered {
    fn len(&self) -> usize {
        match self {
            Self::Done => 0,
            Self::Granted(granted) | Self::PullResult(PullResult { granted, .. }) => granted.len(),
            Self::SettleResult(settled) => settled.len(),
            Self::EndedTask(ended) => ended.len(),
        }
    }
}

pub(crate) async fn run_all(stores: &[Store], calls: &[Call]) -> Vec<Answered> {
    join_all(stores.iter().zip(calls).map(|(store, call)| call.run(store))).await
}

/// A heartbeat is answered by what its worker does not hold.
pub(crate) async fn heartbeat(
    bench: &Bench,
    model: &mut Model,
    name: u8,
    running: &[usize],
) -> Result<(), String> {
    let name = named(name);
    let lines = || running.iter().filter_map(|number| nth(model, *number));
    let held = lines().map(|line| GrantRef { id: line.task.id, attempt: line.attempt() });
    let running: BTreeSet<(TaskId, u32)> = held.map(|held| (held.id, held.attempt)).collect();
    let running: Vec<GrantRef> = running.into_iter().map(|(id, attempt)| GrantRef { id, attempt }).collect();
    let stop = running.iter().filter(
        |held| !matches!(&model.lines[&held.id].state, State::Running { worker, .. } if *worker == name),
    );
    let expected: BTreeSet<TaskId> = stop.map(|held| held.id).collect();
    let beat = Heartbeat { worker: name.clone(), slots: 1, types: vec![], running, first: false };
    let stop = bench.store.heartbeat(&beat).await.unwrap();
    let stop: BTreeSet<TaskId> = stop.into_iter().map(|held| held.id).collect();
    model.seen.insert(name, bench.now());
    if stop == expected { Ok(()) } else { Err(format!("told to stop {stop:?}, not {expected:?}")) }
}

fn submission(bench: &Bench, new: &New) -> Submission {
    let (ttl, start_within) = (millis(new.ttl), millis(new.start_within));
    let usual = bench.submission();
    let trace = usual.trace.filter(|_| new.owner);
    Submission { owner: owner(new.owner), name: typed(new.kind), ttl, start_within, trace, ..usual }
}

fn ask(model: &Model, asked: &Asked) -> Option<ClaimById> {
    let id = nth(model, asked.task)?.task.id;
    Some(ClaimById { id, claim: claim(asked.claim), worker: named(asked.worker), by_name: asked.by_name })
}

fn report(line: &Line, by: GrantKey, said: Said) -> Report {
    let holder = match &line.state {
        State::Running { claim, .. } => *claim,
        _ => claim(0),
    };
    let (claim, attempt) = match by {
        GrantKey::Holder => (holder, line.attempt()),
        GrantKey::Older => (holder, line.attempt().saturating_sub(1)),
        GrantKey::Claim(number) => (claim(number), line.attempt()),
    };
    let reported = match said {
        Said::Result => ReportOutcome::Result(json(r#"{"n": 1e2}"#)),
        Said::Error => ReportOutcome::Error("it broke".to_owned()),
        Said::Released => ReportOutcome::Released,
    };
    Report { id: line.task.id, attempt, claim, reported, trace: None }
}

fn pulled(granted: &Granted) -> Touch {
    let (id, claim) = (granted.grant.id, granted.grant.claim);
    let act = Act::Claim(ClaimById { id, claim, worker: granted.worker.clone(), by_name: false });
    Touch { id, act, answer: Answer::Granted(granted.clone()) }
}
