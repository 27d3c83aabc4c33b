//! What owners do with their schedules: create, replace, read, pause, resume, delete.

use database::{DatabaseError, Db, on};
use domain::limits::MAX_SCHEDULES_PER_OWNER;
use domain::{OwnerId, ScheduleName, Timestamp, Timing};

use crate::schedules::rows::{ScheduleDefinition, ScheduleRow, StoredSchedule, columns, schedule};
use crate::store::Store;

/// Whether the row that is replaced has the same times as the new definition.
macro_rules! same_times {
    () => {
        "schedule.cron is not distinct from excluded.cron and schedule.time_zone is not distinct from excluded.time_zone
            and schedule.every_ms is not distinct from excluded.every_ms"
    };
}

/// A definition with the same times as the one that it replaces does not move the next run. An owner has no more schedules than
/// [`MAX_SCHEDULES_PER_OWNER`].
macro_rules! put {
    (now: $now:literal) => {
        concat!(
            "insert into schedule (
                owner, name, created_at, revision, cron, time_zone, every_ms, anchor_at, missed, overlap, type, task, next_at)
            select $1, $2, ",
            $now,
            ", 1, $3, $4, $5, $6, $7, $8, $9, $10, $11
            where exists (select 1 from schedule s where s.owner = $1 and s.name = $2)
                or (select count(*) from schedule s where s.owner = $1) < $12
            on conflict (owner, name) do update
            set revision = schedule.revision + 1, cron = excluded.cron, time_zone = excluded.time_zone,
                every_ms = excluded.every_ms, missed = excluded.missed, overlap = excluded.overlap, type = excluded.type,
                task = excluded.task, last_error = null, last_error_at = null,
                anchor_at = case when ",
            same_times!(),
            " then schedule.anchor_at else excluded.anchor_at end,
                next_at = case when schedule.is_paused then null
                    when schedule.next_at is not null and ",
            same_times!(),
            " then schedule.next_at else excluded.next_at end
            returning ",
            columns!()
        )
    };
}

const PUT_POSTGRES: &str = put!(now: "(select now_us())");

const PUT_SQLITE: &str = put!(now: "$13");

const GET: &str = concat!("select ", columns!(), " from schedule where owner = $1 and name = $2");

/// Without the tasks, whose parameters may be large.
const LIST: &str = "
    select owner, name, created_at, revision, cron, time_zone, every_ms, anchor_at, missed, overlap, type as kind, 'null' as task,
        is_paused, next_at, last_task, last_for_at, last_error, last_error_at
    from schedule where owner = $1";

const DELETE: &str = "delete from schedule where owner = $1 and name = $2";

const PAUSE: &str = concat!(
    "update schedule set is_paused = true, next_at = null, revision = revision + 1
    where owner = $1 and name = $2
    returning ",
    columns!()
);

/// A schedule that is not paused keeps its next run.
const RESUME: &str = concat!(
    "update schedule set is_paused = false, next_at = coalesce(next_at, $5), revision = revision + 1
    where owner = $1 and name = $2 and created_at = $3 and revision = $4
    returning ",
    columns!()
);

impl Store {
    /// Stores a definition under its name, in the place of an earlier one. Times that are those of the earlier one are
    /// counted on. `None`: the owner has as many schedules as it may have, and nothing has changed.
    pub async fn put_schedule(
        &self,
        definition: &ScheduleDefinition,
    ) -> Result<Option<StoredSchedule>, DatabaseError> {
        let ScheduleDefinition { owner, name, timing, anchor, missed, overlap, type_name, task, next } =
            definition;
        let (cron, time_zone, every_ms) = match timing {
            Timing::Cron { expression, time_zone } => (Some(&**expression), Some(&**time_zone), None),
            Timing::Every { period_ms } => (None, None, Some(period_ms.cast_signed())),
        };
        macro_rules! bound {
            ($statement:expr) => {
                sqlx::query_as($statement)
                    .bind(owner.0)
                    .bind(name.as_str())
                    .bind(cron)
                    .bind(time_zone)
                    .bind(every_ms)
                    .bind(anchor.0)
                    .bind(missed.as_str())
                    .bind(overlap.as_str())
                    .bind(type_name.as_str())
                    .bind(task.text())
                    .bind(next.map(|next| next.0))
                    .bind(i64::from(MAX_SCHEDULES_PER_OWNER))
            };
        }
        let row: Option<ScheduleRow> = match &self.db {
            Db::Postgres(pools) => bound!(PUT_POSTGRES).fetch_optional(&pools.write).await?,
            Db::Sqlite(pools) => {
                bound!(PUT_SQLITE).bind(self.clock.now()).fetch_optional(&pools.write).await?
            }
        };
        row.map(schedule).transpose()
    }

    /// The schedule `name` of `owner`.
    pub async fn schedule(
        &self,
        owner: OwnerId,
        name: &ScheduleName,
    ) -> Result<Option<StoredSchedule>, DatabaseError> {
        let row: Option<ScheduleRow> = on!(&self.db, write, pool =>
            sqlx::query_as(GET).bind(owner.0).bind(name.as_str()).fetch_optional(pool).await)?;
        row.map(schedule).transpose()
    }

    /// The schedules of `owner`, ordered by name, each with `null` in the place of its task.
    pub async fn schedules(&self, owner: OwnerId) -> Result<Vec<StoredSchedule>, DatabaseError> {
        let rows: Vec<ScheduleRow> =
            on!(&self.db, read, pool => sqlx::query_as(LIST).bind(owner.0).fetch_all(pool).await)?;
        let mut schedules: Vec<StoredSchedule> = rows.into_iter().map(schedule).collect::<Result<_, _>>()?;
        schedules.sort_by(|one, other| one.definition.name.cmp(&other.definition.name));
        Ok(schedules)
    }

    /// Deletes the schedule `name` of `owner`; the tasks that it has submitted stay. `false`: there is none.
    pub async fn delete_schedule(&self, owner: OwnerId, name: &ScheduleName) -> Result<bool, DatabaseError> {
        let deleted = on!(&self.db, write, pool => sqlx::query(DELETE)
            .bind(owner.0).bind(name.as_str()).execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(deleted > 0)
    }

    /// Pauses the schedule `name` of `owner`; `None`: there is none.
    pub async fn pause_schedule(
        &self,
        owner: OwnerId,
        name: &ScheduleName,
    ) -> Result<Option<StoredSchedule>, DatabaseError> {
        let row: Option<ScheduleRow> = on!(&self.db, write, pool =>
            sqlx::query_as(PAUSE).bind(owner.0).bind(name.as_str()).fetch_optional(pool).await)?;
        row.map(schedule).transpose()
    }

    /// Resumes a paused schedule, with its next run at `next`. `None`: it was changed or deleted since it was read.
    pub async fn resume_schedule(
        &self,
        paused: &StoredSchedule,
        next: Option<Timestamp>,
    ) -> Result<Option<StoredSchedule>, DatabaseError> {
        let ScheduleDefinition { owner, name, .. } = &paused.definition;
        let row: Option<ScheduleRow> = on!(&self.db, write, pool => sqlx::query_as(RESUME)
            .bind(owner.0).bind(name.as_str()).bind(paused.created.0).bind(paused.revision)
            .bind(next.map(|next| next.0)).fetch_optional(pool).await)?;
        row.map(schedule).transpose()
    }
}
