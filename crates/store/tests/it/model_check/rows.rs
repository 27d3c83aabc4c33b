//! The rows that the tables must have for a task of the model.

use domain::{AttemptBudget, State, Submission, Timestamp};

use crate::kit::table_dump::{OutcomeRow, TaskRow, UnfinishedRow};
use crate::model_check::model::ModelTask;

impl ModelTask {
    pub(crate) fn task_row(&self) -> TaskRow {
        let Submission {
            id,
            owner,
            type_name: name,
            queue,
            parameters,
            ttl,
            start_within,
            trace,
            not_before,
            options,
        } = self.submission.clone();
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
            Some(not_before.ready_at(Timestamp(self.created)).0).filter(|ready_at| *ready_at > self.created),
            options.to_json(),
        )
    }

    /// Its row in `unfinished_task`, while it has not ended.
    pub(crate) fn unfinished_row(&self) -> Option<UnfinishedRow> {
        let Submission { id, owner, type_name: name, queue, .. } = self.submission.clone();
        let (attempt, due) = (self.attempt().cast_signed(), self.due()?);
        let (phase, claim, worker, started) = match &self.state {
            State::Running { claim, worker, started, .. } => {
                (2, Some(claim.0), Some(worker.as_str().to_owned()), Some(started.0))
            }
            State::Blocked { .. } => (-1, None, None, None),
            State::Delayed { .. } => (0, None, None, None),
            _ => (1, None, None, None),
        };
        let (State::Blocked { budget, .. }
        | State::Delayed { budget, .. }
        | State::Created { budget, .. }
        | State::Running { budget, .. }) = &self.state
        else {
            return None;
        };
        let AttemptBudget { retries_left, backoff_ms, ends_at } = *budget;
        let (name, queue) = (name.into(), queue.into());
        let priority = self.submission.options.priority.get();
        Some((
            id.0,
            owner.0,
            name,
            queue,
            phase,
            self.ready_at,
            due,
            attempt,
            claim,
            worker,
            started,
            format!(
                "{priority} {retries_left} {} {}",
                or_dash(backoff_ms),
                or_dash(ends_at.map(|end| end.0))
            ),
        ))
    }

    /// Its row in `outcome`, once it has ended.
    pub(crate) fn outcome_row(&self) -> Option<OutcomeRow> {
        let (State::Finished { attempt, ended } | State::Cancelled { attempt, ended, .. }) = &self.state
        else {
            return None;
        };
        let Submission { id, owner, type_name: name, .. } = self.submission.clone();
        let status = self.state.status().to_string();
        let reason = self.state.reason().map(|reason| reason.to_string());
        let attempt = attempt.cast_signed();
        let started = self.run.as_ref().map(|run| run.started);
        let worker = self.run.as_ref().map(|run| run.worker.as_str().to_owned());
        let ttl = self.run.as_ref().map(|run| (run.due - run.started) / 1000);
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

fn or_dash(number: Option<impl ToString>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}
