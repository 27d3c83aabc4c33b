//! The model: tasks in memory that move only by `domain::State::apply`, and the rows that the tables must then hold.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    Event, Grant, OwnerId, Reason, Report, ReportOutcome, SettleResult, State, Status, Submission, TaskId,
    Timestamp, WorkerName,
};
use store::{ClaimById, EndedTask, Granted, PullRequest};

use crate::kit::table_dump::{LiveRow, OutcomeRow, TaskRow};

/// Everything that the store should know.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    pub(crate) lines: BTreeMap<TaskId, Line>,
    pub(crate) seen: BTreeMap<WorkerName, i64>,
}

/// One task: the machine's state, and what the tables keep beside it.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) task: Submission,
    pub(crate) created: i64,
    pub(crate) place: i64,
    pub(crate) state: State,
    run: Option<(WorkerName, i64)>,
    result: Option<String>,
    error: Option<String>,
}

/// What a verb does to one task.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Claim(ClaimById),
    Report(Report),
    Sweep,
    Lose(BTreeSet<WorkerName>),
    Cancel(OwnerId),
}

/// What a verb's answer says of one task.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    Nothing,
    Granted(Granted),
    EndedTask(EndedTask),
    SettleResult(SettleResult),
}

impl Model {
    /// Whether something runs under the puller's claim.
    pub(crate) fn holds(&self, puller: &PullRequest, now: i64) -> bool {
        self.lines.values().any(|line| {
            matches!(&line.state, State::Running { claim, worker, deadline, .. }
                if *claim == puller.claim && *worker == puller.worker && now <= deadline.0)
        })
    }
}

impl Line {
    pub(crate) fn new(task: Submission, now: i64) -> Self {
        let state = State::accepted(Timestamp(now), task.start_within);
        Self { task, created: now, place: now, state, run: None, result: None, error: None }
    }

    /// Lets `act` happen to the task: what it answers, and whether it moved.
    pub(crate) fn meet(&mut self, act: &Act, now: i64) -> (Answer, bool) {
        match act {
            Act::Claim(ask) => self.claim(ask, now),
            Act::Report(report) => {
                let moved = self.report(report, now);
                (Answer::SettleResult(self.settled(report, now)), moved)
            }
            Act::Sweep => self.end(Event::Swept, self.limit().map(|limit| now - limit), now),
            Act::Lose(silent) => {
                let holder =
                    self.run.as_ref().map(|(worker, _)| worker).filter(|worker| silent.contains(*worker));
                let Some(worker) = holder.cloned() else { return (Answer::Nothing, false) };
                self.end(Event::WorkerLost { worker }, self.limit().map(|limit| now - limit), now)
            }
            Act::Cancel(owner) if *owner == self.task.owner => self.end(Event::CancelRequested, Some(0), now),
            Act::Cancel(_) => (Answer::Nothing, false),
        }
    }

    fn apply(&mut self, event: Event, now: i64) -> bool {
        let moved = self.state.clone().apply(event, Timestamp(now));
        moved.map(|state| self.state = state).is_ok()
    }

    fn claim(&mut self, ask: &ClaimById, now: i64) -> (Answer, bool) {
        let event = Event::Claimed { claim: ask.claim, worker: ask.worker.clone(), ttl: self.task.ttl };
        let moved = self.apply(event, now);
        if moved {
            self.run = Some((ask.worker.clone(), now));
        }
        (self.granted(ask, now), moved)
    }

    /// What an ask is granted by how the task stands.
    pub(crate) fn granted(&self, ask: &ClaimById, now: i64) -> Answer {
        match &self.state {
            State::Running { attempt, claim, worker, deadline, .. }
                if *worker == ask.worker && (*claim == ask.claim || ask.by_name) && now <= deadline.0 =>
            {
                let grant = Grant {
                    id: self.task.id,
                    name: self.task.name.clone(),
                    parameters: self.task.parameters.clone(),
                    attempt: *attempt,
                    claim: *claim,
                    remaining_ms: ((deadline.0 - now) / 1000).cast_unsigned(),
                    trace: self.task.trace,
                };
                Answer::Granted(Granted { grant, worker: worker.clone() })
            }
            _ => Answer::Nothing,
        }
    }

    /// A report speaks for its grant only if both its fence and its claim are that grant's.
    fn report(&mut self, report: &Report, now: i64) -> bool {
        let claim = report.claim;
        if !matches!(self.state, State::Running { attempt, .. } if attempt == report.attempt) {
            return false;
        }
        match &report.reported {
            ReportOutcome::Result(result) => {
                let moved = self.apply(Event::Succeeded { claim }, now);
                self.result = (self.state.status() == Status::Finished).then(|| result.text().to_owned());
                moved
            }
            ReportOutcome::Error(error) => {
                let moved = self.apply(Event::Failed { claim }, now);
                self.error = (self.state.reason() == Some(Reason::OperationFailed)).then(|| error.clone());
                moved
            }
            ReportOutcome::Released => {
                let moved = self.apply(Event::Released { claim, start_within: self.task.start_within }, now);
                if moved {
                    (self.run, self.place) = (None, now);
                }
                moved
            }
        }
    }

    /// How the task stands, in the words that answer a report.
    pub(crate) fn settled(&self, report: &Report, now: i64) -> SettleResult {
        let (attempt, late) = match (&self.state, &self.run) {
            (State::Created { attempt, .. }, _) => (*attempt, 0),
            (State::Running { attempt, deadline, .. }, _) => (*attempt, now - deadline.0),
            (State::Finished { attempt, .. } | State::Cancelled { attempt, .. }, run) => {
                let deadline = run.as_ref().map(|(_, started)| started + self.task.ttl.micros());
                (*attempt, deadline.map_or(0, |deadline| now - deadline))
            }
        };
        let late_by_ms = late.max(0).cast_unsigned().div_ceil(1000);
        match (&self.state, &report.reported) {
            _ if attempt != report.attempt => SettleResult::Stale,
            (State::Created { .. }, ReportOutcome::Released) => SettleResult::Released,
            (State::Finished { .. }, ReportOutcome::Result(_)) => SettleResult::Finished,
            (State::Running { .. }, _) if late > 0 => SettleResult::Late { late_by_ms },
            (State::Cancelled { reason: Reason::LateResult | Reason::TtlExpired, .. }, _) => {
                SettleResult::Late { late_by_ms }
            }
            (State::Cancelled { reason, .. }, _) => SettleResult::Cancelled { reason: *reason },
            _ => SettleResult::Stale,
        }
    }

    fn end(&mut self, event: Event, late: Option<i64>, now: i64) -> (Answer, bool) {
        if !self.apply(event, now) {
            return (Answer::Nothing, false);
        }
        let State::Cancelled { attempt, reason, ended } = self.state else { panic!("{:?}", self.state) };
        let late = late.expect("it lived until now");
        (Answer::EndedTask(EndedTask { id: self.task.id, attempt, reason: Some(reason), ended, late }), true)
    }

    /// The next instant at which the sweep must look.
    fn limit(&self) -> Option<i64> {
        match &self.state {
            State::Created { start_by, .. } => Some(start_by.0),
            State::Running { deadline, .. } => Some(deadline.0),
            State::Finished { .. } | State::Cancelled { .. } => None,
        }
    }

    pub(crate) fn is_created(&self) -> bool {
        matches!(self.state, State::Created { .. })
    }

    pub(crate) fn attempt(&self) -> u32 {
        match &self.state {
            State::Created { attempt, .. }
            | State::Running { attempt, .. }
            | State::Finished { attempt, .. }
            | State::Cancelled { attempt, .. } => *attempt,
        }
    }

    pub(crate) fn task_row(&self) -> TaskRow {
        let Submission { id, owner, name, queue, parameters, ttl, start_within, trace } = self.task.clone();
        let (ttl, start_within) = (ttl.millis().cast_signed(), start_within.millis().cast_signed());
        let parameters = parameters.map(String::from);
        (
            id.0,
            owner.0,
            name.into(),
            queue.into(),
            parameters,
            ttl,
            start_within,
            self.created,
            trace.map(|trace| trace.to_string()),
        )
    }

    /// Its row in `live`, while it has not ended.
    pub(crate) fn live_row(&self) -> Option<LiveRow> {
        let Submission { id, owner, name, queue, .. } = self.task.clone();
        let (attempt, due) = (self.attempt().cast_signed(), self.limit()?);
        let (phase, claim, worker, started) = match &self.state {
            State::Running { claim, worker, started, .. } => {
                (2, Some(claim.0), Some(worker.as_str().to_owned()), Some(started.0))
            }
            _ => (1, None, None, None),
        };
        let (name, queue) = (name.into(), queue.into());
        Some((id.0, owner.0, name, queue, phase, self.place, due, attempt, claim, worker, started))
    }

    /// Its row in `outcome`, once it has ended.
    pub(crate) fn outcome_row(&self) -> Option<OutcomeRow> {
        let (State::Finished { attempt, ended } | State::Cancelled { attempt, ended, .. }) = &self.state
        else {
            return None;
        };
        let Submission { id, owner, name, ttl, .. } = self.task.clone();
        let status = self.state.status().to_string();
        let reason = self.state.reason().map(|reason| reason.to_string());
        let attempt = attempt.cast_signed();
        let started = self.run.as_ref().map(|(_, started)| *started);
        let worker = self.run.as_ref().map(|(worker, _)| worker.as_str().to_owned());
        let ttl = started.map(|_| ttl.millis().cast_signed());
        let (result, error) = (self.result.clone(), self.error.clone());
        Some((
            id.0,
            owner.0,
            name.into(),
            status,
            reason,
            attempt,
            started,
            ended.0,
            ttl,
            worker,
            result,
            error,
        ))
    }
}
