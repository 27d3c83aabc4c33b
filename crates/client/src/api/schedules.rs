//! The user's calls about schedules.

use domain::{MissedRuns, OverlappingRuns, Schedule, ScheduleList, ScheduleName, TaskId};
use reqwest::Method;
use serde::Serialize;

use crate::api::tasks::NewTask;
use crate::client::Client;
use crate::error::ClientError;

/// A schedule to create or replace. Either `cron` or `every_ms` says when it runs; what else is `None` is left to the Backend.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewSchedule<'a> {
    /// The cron expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cron: Option<&'a str>,
    /// The time zone of the cron expression, by its name in the IANA database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<&'a str>,
    /// The time between two runs, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_ms: Option<u64>,
    /// The task that each run submits; it names no time of its own.
    pub task: NewTask<'a>,
    /// What happens about missed runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missed: Option<MissedRuns>,
    /// What happens at a time when the last run's task has not ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap: Option<OverlappingRuns>,
}

impl Client {
    /// Creates the schedule `name`, or replaces it.
    pub async fn put_schedule(
        &self,
        name: &ScheduleName,
        schedule: &NewSchedule<'_>,
    ) -> Result<Schedule, ClientError> {
        self.send(self.request(Method::PUT, &["api", "Schedule", name.as_str()]).json(schedule)).await?.read()
    }

    /// The caller's schedules, by name.
    pub async fn schedules(&self) -> Result<ScheduleList, ClientError> {
        self.send(self.request(Method::GET, &["api", "Schedule"])).await?.read()
    }

    /// One schedule.
    pub async fn schedule(&self, name: &ScheduleName) -> Result<Schedule, ClientError> {
        self.send(self.request(Method::GET, &["api", "Schedule", name.as_str()])).await?.read()
    }

    /// Deletes a schedule. The tasks that it has submitted stay.
    pub async fn delete_schedule(&self, name: &ScheduleName) -> Result<(), ClientError> {
        self.send(self.request(Method::DELETE, &["api", "Schedule", name.as_str()])).await.map(drop)
    }

    /// Submits the task of a schedule now, and returns the task's id. Not retried if the response is lost, since that could create
    /// a second task.
    pub async fn run_schedule(&self, name: &ScheduleName) -> Result<TaskId, ClientError> {
        self.send(self.request(Method::POST, &["api", "Schedule", name.as_str(), "run"])).await?.read()
    }

    /// Pauses a schedule.
    pub async fn pause_schedule(&self, name: &ScheduleName) -> Result<Schedule, ClientError> {
        self.send(self.request(Method::POST, &["api", "Schedule", name.as_str(), "pause"])).await?.read()
    }

    /// Resumes a paused schedule.
    pub async fn resume_schedule(&self, name: &ScheduleName) -> Result<Schedule, ClientError> {
        self.send(self.request(Method::POST, &["api", "Schedule", name.as_str(), "resume"])).await?.read()
    }
}
