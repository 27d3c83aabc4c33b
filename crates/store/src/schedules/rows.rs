//! The row of a schedule, and the schedule that it stands for.

use database::DatabaseError;
use domain::{
    MissedRuns, OverlappingRuns, OwnerId, RawJson, ScheduleError, ScheduleName, ScheduledTask, TaskId,
    Timestamp, Timing, TypeName,
};
use uuid::Uuid;

use crate::decode::{corrupt, parse_column, row_struct};

/// What the owner of a schedule says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleDefinition {
    /// The account or client whose tasks it submits.
    pub owner: OwnerId,
    /// The name, unique among those of its owner.
    pub name: ScheduleName,
    /// When it runs.
    pub timing: Timing,
    /// From when on periods are counted.
    pub anchor: Timestamp,
    /// What happens about missed runs.
    pub missed: MissedRuns,
    /// What happens at a time when the last run's task has not ended.
    pub overlap: OverlappingRuns,
    /// The type of the task.
    pub type_name: TypeName,
    /// The task that each run submits, as it was sent.
    pub task: RawJson,
    /// The next run; `None`: none, or the schedule is paused.
    pub next: Option<Timestamp>,
}

/// A schedule as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSchedule {
    /// What its owner says of it.
    pub definition: ScheduleDefinition,
    /// When it was created, by the database's clock.
    pub created: Timestamp,
    /// Counts the changes of the definition, from 1. With `created` it tells one definition from every other of the name.
    pub revision: i32,
    /// Whether it is paused.
    pub is_paused: bool,
    /// The task of the last run.
    pub last_task: Option<ScheduledTask>,
    /// Why the last run has submitted no task.
    pub last_error: Option<ScheduleError>,
}

/// The columns of [`ScheduleRow`].
macro_rules! columns {
    () => {
        "owner, name, created_at, revision, cron, time_zone, every_ms, anchor_at, missed, overlap, type as kind, task, is_paused,
        next_at, last_task, last_for_at, last_error, last_error_at"
    };
}

pub(crate) use columns;

row_struct! {
    struct ScheduleRow {
        owner: Uuid,
        name: String,
        created_at: i64,
        revision: i32,
        cron: Option<String>,
        time_zone: Option<String>,
        every_ms: Option<i64>,
        anchor_at: i64,
        missed: String,
        overlap: String,
        kind: String,
        task: String,
        is_paused: bool,
        next_at: Option<i64>,
        last_task: Option<Uuid>,
        last_for_at: Option<i64>,
        last_error: Option<String>,
        last_error_at: Option<i64>,
    }
}

/// Decodes the row of a schedule.
pub(crate) fn schedule(row: ScheduleRow) -> Result<StoredSchedule, DatabaseError> {
    let key = format!("{} of {}", row.name, row.owner);
    let timing = match (row.cron, row.time_zone, row.every_ms) {
        (Some(expression), Some(time_zone), None) => Timing::Cron { expression, time_zone },
        (None, None, Some(period_ms)) => Timing::Every { period_ms: period_ms.cast_unsigned() },
        _ => return Err(corrupt("schedule", key, "it has no times")),
    };
    let task = RawJson::parse(row.task).map_err(|error| corrupt("schedule", &key, error))?;
    let last_task = row.last_task.zip(row.last_for_at);
    let last_error = row.last_error.zip(row.last_error_at);
    Ok(StoredSchedule {
        definition: ScheduleDefinition {
            owner: OwnerId(row.owner),
            name: parse_column("schedule", &key, &row.name)?,
            timing,
            anchor: Timestamp(row.anchor_at),
            missed: parse_column("schedule", &key, &row.missed)?,
            overlap: parse_column("schedule", &key, &row.overlap)?,
            type_name: parse_column("schedule", &key, &row.kind)?,
            task,
            next: row.next_at.map(Timestamp),
        },
        created: Timestamp(row.created_at),
        revision: row.revision,
        is_paused: row.is_paused,
        last_task: last_task.map(|(id, at)| ScheduledTask { id: TaskId(id), scheduled_for: Timestamp(at) }),
        last_error: last_error.map(|(detail, at)| ScheduleError { detail, date: Timestamp(at) }),
    })
}
