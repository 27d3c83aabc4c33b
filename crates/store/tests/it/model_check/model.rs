//! The model: tasks in memory that change only by `domain::State::apply`, and the rows that the tables must then have.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    AttemptOutcome, Event, Grant, OwnerId, Reason, Report, SettleResult, State, Status, Submission, TaskId,
    Timestamp, WorkerName,
};
use store::{ClaimById, EndedTask, FreedTask, GrantWorker, Granted, PullRequest, RetriedTask};

use crate::kit::grant_worker;
use crate::kit::table_dump::AttemptRow;

/// The expected content of the database.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    pub(crate) tasks: BTreeMap<TaskId, ModelTask>,
    pub(crate) last_heartbeats: BTreeMap<WorkerName, i64>,
}

/// One task: its state, and what the tables store besides.
#[derive(Debug, Clone)]
pub(crate) struct ModelTask {
    pub(crate) submission: Submission,
    pub(crate) created: i64,
    pub(crate) ready_at: i64,
    pub(crate) state: State,
    /// The last attempt, unless it was released or the task is tried again.
    pub(crate) run: Option<Run>,
    /// The rows of the attempts that did not end the task.
    pub(crate) attempts: Vec<AttemptRow>,
    pub(crate) result: Option<String>,
    pub(crate) error: Option<String>,
}

/// An attempt: its worker, its start and its deadline.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) worker: WorkerName,
    pub(crate) started: i64,
    pub(crate) due: i64,
}

/// What an operation does to one task.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Claim(ClaimById),
    Report(Report),
    /// The tasks that it waits for have finished.
    Free,
    /// A task that it waits for ended otherwise; with the error that its outcome has.
    DependencyFailed(Option<String>),
    Promote,
    Expire,
    WorkerLost(BTreeSet<WorkerName>),
    Cancel(OwnerId),
}

/// The part of an operation's result that is about one task.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    Nothing,
    Granted(Granted),
    Freed(FreedTask),
    Promoted,
    EndedTask(EndedTask),
    Retried(RetriedTask),
    SettleResult(SettleResult),
}

impl Model {
    /// The statuses of the tasks for which the task `id` waits or has waited.
    pub(crate) fn statuses_of_parents(&self, id: TaskId) -> Vec<Status> {
        let parents = self.tasks[&id].submission.options.after.iter();
        parents.map(|parent| self.tasks[parent].state.status()).collect()
    }

    /// Whether something runs under the request's claim.
    pub(crate) fn runs_under(&self, request: &PullRequest, now: i64) -> bool {
        self.tasks.values().any(|task| {
            matches!(&task.state, State::Running { claim, worker, deadline, .. }
                if *claim == request.claim && *worker == request.worker.name && now <= deadline.0)
        })
    }
}

impl ModelTask {
    pub(crate) fn new(submission: Submission, now: i64) -> Self {
        let submitted = Timestamp(now);
        let ready_at = submission.not_before.ready_at(submitted).0;
        let state = State::at_submission(submitted, &submission);
        Self {
            submission,
            created: now,
            ready_at,
            state,
            run: None,
            attempts: Vec::new(),
            result: None,
            error: None,
        }
    }

    /// Applies `act` to the task. Returns the answer and whether the state has changed.
    pub(crate) fn apply_act(&mut self, act: &Act, now: i64) -> (Answer, bool) {
        match act {
            Act::Claim(request) => self.claim(request, now),
            Act::Report(report) => {
                let changed = self.report(report, now);
                (Answer::SettleResult(self.settled(report, now)), changed)
            }
            Act::Free => {
                let changed = self.apply(Event::DependenciesFinished, now);
                let State::Delayed { ready_at, .. } = self.state else { return (Answer::Nothing, false) };
                self.ready_at = ready_at.0;
                (Answer::Freed(FreedTask { id: self.submission.id, ready_at }), changed)
            }
            Act::DependencyFailed(error) => {
                self.error.clone_from(error);
                self.end(Event::DependencyFailed, Some(0), now)
            }
            Act::Promote => {
                let changed = self.apply(Event::Promoted, now);
                if !changed {
                    return (Answer::Nothing, false);
                }
                self.ready_at = now;
                (Answer::Promoted, true)
            }
            Act::Expire => self.end(Event::Swept, self.due().map(|due| now - due), now),
            Act::WorkerLost(silent) => {
                let worker =
                    self.run.as_ref().map(|run| &run.worker).filter(|worker| silent.contains(*worker));
                let Some(worker) = worker.cloned() else { return (Answer::Nothing, false) };
                self.end(Event::WorkerLost { worker }, self.due().map(|due| now - due), now)
            }
            Act::Cancel(owner) if *owner == self.submission.owner => {
                self.end(Event::CancelRequested, Some(0), now)
            }
            Act::Cancel(_) => (Answer::Nothing, false),
        }
    }

    fn apply(&mut self, event: Event, now: i64) -> bool {
        let changed = self.state.clone().apply(event, Timestamp(now), &self.submission);
        changed.map(|state| self.state = state).is_ok()
    }

    fn claim(&mut self, request: &ClaimById, now: i64) -> (Answer, bool) {
        let worker = request.worker.name.clone();
        let changed = self.apply(Event::Claimed { claim: request.claim, worker: worker.clone() }, now);
        if let (true, State::Running { deadline, .. }) = (changed, &self.state) {
            self.run = Some(Run { worker, started: now, due: deadline.0 });
        }
        (self.granted(request, now), changed)
    }

    /// The answer to a claim, by how the task stands.
    pub(crate) fn granted(&self, request: &ClaimById, now: i64) -> Answer {
        match &self.state {
            State::Running { attempt, claim, worker, deadline, .. }
                if *worker == request.worker.name
                    && (*claim == request.claim || request.by_name)
                    && now <= deadline.0 =>
            {
                let grant = Grant {
                    id: self.submission.id,
                    type_name: self.submission.type_name.clone(),
                    parameters: self.submission.parameters.clone(),
                    attempt: *attempt,
                    claim: *claim,
                    remaining_ms: ((deadline.0 - now) / 1000).cast_unsigned(),
                    trace: self.submission.trace,
                };
                Answer::Granted(Granted { grant, worker: worker.clone() })
            }
            _ => Answer::Nothing,
        }
    }

    /// Applies a report, which counts only if both its attempt and its claim are those of the grant.
    fn report(&mut self, report: &Report, now: i64) -> bool {
        let claim = report.claim;
        if !matches!(self.state, State::Running { attempt, .. } if attempt == report.attempt) {
            return false;
        }
        match &report.reported {
            AttemptOutcome::Result(result) => {
                let changed = self.apply(Event::Succeeded { claim }, now);
                if changed {
                    self.keep_attempt(Some(Reason::LateResult), None, now);
                }
                self.result = (self.state.status() == Status::Finished).then(|| result.text().to_owned());
                changed
            }
            AttemptOutcome::Error(error) => {
                let is_in_time = self.due().is_some_and(|due| now <= due);
                let changed = self.apply(Event::Failed { claim, hint: report.retry }, now);
                let error = is_in_time.then(|| error.clone());
                let reason = if is_in_time { Reason::OperationFailed } else { Reason::TtlExpired };
                if changed && !self.keep_attempt(Some(reason), error.clone(), now) {
                    self.error = error;
                }
                changed
            }
            AttemptOutcome::Released => {
                let changed = self.apply(Event::Released { claim }, now);
                if changed {
                    self.keep_attempt(None, None, now);
                }
                changed
            }
        }
    }

    /// Adds the row of an attempt that has just ended for `reason`, if its task waits again.
    fn keep_attempt(&mut self, reason: Option<Reason>, error: Option<String>, now: i64) -> bool {
        self.ready_at = match self.state {
            State::Delayed { ready_at, .. } => ready_at.0,
            State::Created { .. } => now,
            _ => return false,
        };
        let Run { worker, started, due } = self.run.take().expect("an attempt has ended");
        let attempt = self.attempt().cast_signed();
        let reason = reason.map(|reason| reason.to_string());
        self.attempts.push((
            self.submission.id.0,
            attempt,
            worker.to_string(),
            started,
            now,
            due,
            reason,
            error,
        ));
        true
    }

    /// The reason of the last attempt, if it did not end the task and was not released.
    fn retry_reason(&self) -> Option<Reason> {
        let last = self.attempts.last().filter(|row| row.1 == self.attempt().cast_signed())?;
        last.6.as_ref().map(|reason| reason.parse().unwrap())
    }

    /// The answer to a report, by how the task stands.
    pub(crate) fn settled(&self, report: &Report, now: i64) -> SettleResult {
        let (attempt, late) = match (&self.state, &self.run) {
            (State::Blocked { .. }, _) => (0, 0),
            (State::Delayed { attempt, .. } | State::Created { attempt, .. }, _) => (*attempt, 0),
            (State::Running { attempt, deadline, .. }, _) => (*attempt, now - deadline.0),
            (State::Finished { attempt, .. } | State::Cancelled { attempt, .. }, run) => {
                (*attempt, run.as_ref().map_or(0, |run| now - run.due))
            }
        };
        let is_waiting =
            matches!(self.state, State::Blocked { .. } | State::Delayed { .. } | State::Created { .. });
        if let (true, true, Some(reason)) = (is_waiting, attempt == report.attempt, self.retry_reason()) {
            return SettleResult::Retried { reason, ready_date: Timestamp(self.ready_at) };
        }
        let late_by_ms = late.max(0).cast_unsigned().div_ceil(1000);
        match (&self.state, &report.reported) {
            _ if attempt != report.attempt => SettleResult::Stale,
            (_, AttemptOutcome::Released) if is_waiting => SettleResult::Released,
            (State::Finished { .. }, AttemptOutcome::Result(_)) => SettleResult::Finished,
            (State::Running { .. }, _) if late > 0 => SettleResult::Late { late_by_ms },
            (State::Cancelled { reason: Reason::LateResult | Reason::TtlExpired, .. }, _) if late > 0 => {
                SettleResult::Late { late_by_ms }
            }
            (State::Cancelled { reason, .. }, _) => SettleResult::Cancelled { reason: *reason },
            _ => SettleResult::Stale,
        }
    }

    fn retried(
        &mut self,
        reason: Reason,
        late_us: i64,
        grant_worker: Option<GrantWorker>,
        now: i64,
    ) -> Answer {
        assert!(self.keep_attempt(Some(reason), None, now), "{:?}", self.state);
        let Submission { id, type_name, queue, .. } = self.submission.clone();
        Answer::Retried(RetriedTask {
            id,
            type_name,
            queue,
            attempt: self.attempt(),
            reason,
            ended: Timestamp(now),
            ready_at: Timestamp(self.ready_at),
            late_us,
            grant_worker,
        })
    }

    fn end(&mut self, event: Event, late_us: Option<i64>, now: i64) -> (Answer, bool) {
        let grant_worker = match &self.state {
            State::Running { worker, .. } => Some(grant_worker(worker.as_str())),
            _ => None,
        };
        let event_reason =
            if matches!(event, Event::WorkerLost { .. }) { Reason::WorkerLost } else { Reason::TtlExpired };
        if !self.apply(event, now) {
            return (Answer::Nothing, false);
        }
        let late_us = late_us.expect("an unfinished task has a next instant");
        let State::Cancelled { attempt, reason, ended } = self.state else {
            return (self.retried(event_reason, late_us, grant_worker, now), true);
        };
        (
            Answer::EndedTask(EndedTask {
                id: self.submission.id,
                attempt,
                reason: Some(reason),
                ended,
                late_us,
                grant_worker,
            }),
            true,
        )
    }

    /// The end of `startWithin` or the deadline; `None` once the task has ended.
    pub(crate) fn due(&self) -> Option<i64> {
        match &self.state {
            State::Blocked { .. } => Some(i64::MAX),
            State::Delayed { start_by, .. } | State::Created { start_by, .. } => Some(start_by.0),
            State::Running { deadline, .. } => Some(deadline.0),
            State::Finished { .. } | State::Cancelled { .. } => None,
        }
    }

    pub(crate) fn is_created(&self) -> bool {
        matches!(self.state, State::Created { .. })
    }

    pub(crate) fn attempt(&self) -> u32 {
        match &self.state {
            State::Blocked { .. } => 0,
            State::Delayed { attempt, .. }
            | State::Created { attempt, .. }
            | State::Running { attempt, .. }
            | State::Finished { attempt, .. }
            | State::Cancelled { attempt, .. } => *attempt,
        }
    }
}
