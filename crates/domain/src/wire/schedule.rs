//! Schedules as the API shows them to their owner.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::TaskId;
use crate::name::{ScheduleName, TypeName};
use crate::raw_json::RawJson;
use crate::timestamp::Timestamp;

/// The times of a schedule: those of a cron expression in a time zone, or one in each period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Timing {
    /// The times that a cron expression matches.
    Cron {
        /// The expression: 5 fields, 6 with seconds first, or a nickname such as `@daily`.
        expression: String,
        /// The name of the time zone in the IANA database.
        time_zone: String,
    },
    /// Every so many milliseconds.
    Every {
        /// The period in milliseconds.
        period_ms: u64,
    },
}

// `$text` is a bare token: if it is declared as a `literal`, utoipa does not see it.
macro_rules! policy {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:tt),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant),+
        }

        impl $name {
            /// All values, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The text in JSON and in the database.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownPolicy;

            fn from_str(text: &str) -> Result<Self, UnknownPolicy> {
                Self::ALL.iter().copied().find(|policy| policy.as_str() == text).ok_or(UnknownPolicy)
            }
        }
    };
}

/// The text is no policy of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown policy")]
pub struct UnknownPolicy;

policy! {
    /// What a schedule does about its times that passed while no Backend ran. A time counts as missed when it is more than
    /// 10 seconds ago, or when a later one has passed, too.
    MissedRuns {
        /// Nothing.
        Skip = "skip",
        /// One run, for the last of them.
        #[default]
        One = "one",
        /// A run for each of them, at most the last 100.
        All = "all",
    }
}

policy! {
    /// What a schedule does at its time while the task of its last run has not ended.
    OverlappingRuns {
        /// It submits the next task all the same.
        #[default]
        Allow = "allow",
        /// It skips the run.
        Skip = "skip",
    }
}

/// The task of a schedule's run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduledTask {
    /// The id of the task.
    pub id: TaskId,
    /// The time of the schedule for which it was submitted.
    pub scheduled_for: Timestamp,
}

/// Why a schedule has submitted no task at one of its times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleError {
    /// What is wrong, as a sentence.
    pub detail: String,
    /// When it was found.
    pub date: Timestamp,
}

/// A schedule: a task that is submitted again and again. Members that have no value are `null`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// The name of the schedule.
    pub name: ScheduleName,
    /// The cron expression; `null`: `everyMs` says when it runs.
    pub cron: Option<String>,
    /// The time zone of the cron expression.
    pub time_zone: Option<String>,
    /// The time between two runs in milliseconds; `null`: `cron` says when it runs.
    #[schema(minimum = 1000, maximum = 31_622_400_000_u64)]
    pub every_ms: Option<u64>,
    /// The task that each run submits, as it was sent.
    #[schema(value_type = serde_json::Value)]
    pub task: RawJson,
    /// What happens about missed runs.
    pub missed: MissedRuns,
    /// What happens at a time when the last run's task has not ended.
    pub overlap: OverlappingRuns,
    /// Whether the schedule is paused: then it does not run.
    pub paused: bool,
    /// When the schedule was created.
    pub creation_date: Timestamp,
    /// The next three runs; none while the schedule is paused.
    #[schema(max_items = 3)]
    pub next_runs: Vec<Timestamp>,
    /// The task of the last run.
    pub last_task: Option<ScheduledTask>,
    /// Why the last run has submitted no task; `null` if it has.
    pub last_error: Option<ScheduleError>,
}

/// A schedule in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleSummary {
    /// The name of the schedule.
    pub name: ScheduleName,
    /// The type of the tasks that it submits.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// The cron expression; `null`: `everyMs` says when it runs.
    pub cron: Option<String>,
    /// The time zone of the cron expression.
    pub time_zone: Option<String>,
    /// The time between two runs in milliseconds; `null`: `cron` says when it runs.
    #[schema(minimum = 1000, maximum = 31_622_400_000_u64)]
    pub every_ms: Option<u64>,
    /// Whether the schedule is paused: then it does not run.
    pub paused: bool,
    /// The next run; `null` while the schedule is paused.
    pub next_run: Option<Timestamp>,
    /// The task of the last run.
    pub last_task: Option<ScheduledTask>,
    /// Why the last run has submitted no task; `null` if it has.
    pub last_error: Option<ScheduleError>,
}

/// The caller's schedules, ordered by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScheduleList {
    /// The schedules.
    pub schedules: Vec<ScheduleSummary>,
}
