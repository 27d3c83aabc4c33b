//! The runs of schedules. Any Backend may try to run a schedule at its time: one of them does.

use std::collections::HashMap;

use database::{DatabaseError, Db, encode_batch, on, transaction};
use domain::{OwnerId, ScheduleName, ScheduledTask, Submission, TaskId, Timestamp};
use sqlx::{PgConnection, SqliteConnection};
use telemetry::error_chain;
use uuid::Uuid;

use crate::schedules::rows::{ScheduleRow, StoredSchedule, columns, schedule};
use crate::store::Store;
use crate::tasks::submit;

const NEXT: &str = "select min(next_at) from schedule where next_at is not null";

const NOW_AND_NEXT_POSTGRES: &str =
    "select now_us(), (select min(next_at) from schedule where next_at is not null)";

const DUE: &str =
    concat!("select ", columns!(), " from schedule where next_at <= $1 order by next_at limit $2");

/// Moves the schedules on that nobody has run or changed since they were read. A row that another transaction has locked is
/// skipped: that transaction runs the schedule, or changes it. `last_task` says afterwards whether the schedule's tasks may be
/// inserted.
const RUN_POSTGRES: &str = "
    with due as materialized (
        select s.owner, s.name, g.next_at, g.task, g.for_at, g.error,
            g.task is not null and s.overlap = 'skip'
                and exists (select 1 from unfinished_task u where u.id = s.last_task) as overlaps
        from unnest(
            $1::uuid[], $2::text[], $3::bigint[], $4::integer[], $5::bigint[], $6::bigint[], $7::uuid[], $8::bigint[],
            $9::text[]) as g (owner, name, created_at, revision, due_at, next_at, task, for_at, error)
        join schedule s on s.owner = g.owner and s.name = g.name
        where s.created_at = g.created_at and s.revision = g.revision and s.next_at = g.due_at
            and s.next_at <= (select now_us())
        order by s.owner, s.name
        for update of s skip locked
    )
    update schedule s
    set next_at = due.next_at,
        last_error = case when due.overlaps then 'the task of the last run has not ended' else due.error end,
        last_error_at = case when due.overlaps or due.error is not null then (select now_us()) end,
        last_task = case when due.task is null or due.overlaps then s.last_task else due.task end,
        last_for_at = case when due.task is null or due.overlaps then s.last_for_at else due.for_at end
    from due
    where s.owner = due.owner and s.name = due.name
    returning s.owner, s.name, s.last_task";

const RUN_SQLITE: &str = "
    update schedule
    set next_at = g.next_at,
        last_error = case when g.overlaps then 'the task of the last run has not ended' else g.error end,
        last_error_at = case when g.overlaps or g.error is not null then ?2 end,
        last_task = case when g.task is null or g.overlaps then last_task else g.task end,
        last_for_at = case when g.task is null or g.overlaps then last_for_at else g.for_at end
    from (
        select s.owner, s.name, value->>5 as next_at, unhex(value->>6, '-') as task, value->>7 as for_at, value->>8 as error,
            value->>6 is not null and s.overlap = 'skip'
                and exists (select 1 from unfinished_task u where u.id = s.last_task) as overlaps
        from json_each(?1) join schedule s on s.owner = unhex(value->>0, '-') and s.name = value->>1
        where s.created_at = value->>2 and s.revision = value->>3 and s.next_at = value->>4 and s.next_at <= ?2
    ) g
    where schedule.owner = g.owner and schedule.name = g.name
    returning schedule.owner, schedule.name, schedule.last_task";

/// What a Backend wants to do about a schedule whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleRun {
    /// The schedule as it was read.
    pub schedule: StoredSchedule,
    /// The tasks to submit, in the order of their times; the last one is shown as the schedule's last task.
    pub tasks: Vec<(Timestamp, Submission)>,
    /// Why there is no task, or not one for each time.
    pub error: Option<String>,
    /// The run after this one; `None`: there is none.
    pub next: Option<Timestamp>,
}

/// What became of a [`ScheduleRun`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunResult {
    /// The schedule was moved on, and the tasks were submitted.
    Submitted,
    /// The schedule was moved on without a task: there was none to submit, or the last one has not ended.
    Skipped,
    /// Another Backend has run the schedule, or it was changed since it was read. Nothing was written.
    Lost,
}

/// The owner and the name of a schedule, and the task of its last run.
type RunRow = (Uuid, String, Option<Uuid>);

impl ScheduleRun {
    fn key(&self) -> (OwnerId, &ScheduleName) {
        (self.schedule.definition.owner, &self.schedule.definition.name)
    }

    /// What the schedule shows as its last task afterwards.
    fn last(&self) -> Option<ScheduledTask> {
        self.tasks.last().map(|(at, task)| ScheduledTask { id: task.id, scheduled_for: *at })
    }

    /// The time that has come.
    fn due(&self) -> i64 {
        self.schedule.definition.next.map_or(i64::MAX, |due| due.0)
    }
}

impl Store {
    /// The database's time, and the earliest time at which a schedule runs next.
    pub async fn next_scheduled(&self) -> Result<(Timestamp, Option<Timestamp>), DatabaseError> {
        let (now, next): (i64, Option<i64>) = match &self.db {
            Db::Postgres(pools) => sqlx::query_as(NOW_AND_NEXT_POSTGRES).fetch_one(&pools.read).await?,
            Db::Sqlite(pools) => {
                let (next,): (Option<i64>,) = sqlx::query_as(NEXT).fetch_one(&pools.read).await?;
                (self.clock.now(), next)
            }
        };
        Ok((Timestamp(now), next.map(Timestamp)))
    }

    /// The schedules whose time has come by `now`, at most `limit`, those that have waited longest first. A row that cannot be
    /// read is logged and left out.
    pub async fn due_schedules(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<StoredSchedule>, DatabaseError> {
        let rows: Vec<ScheduleRow> = on!(&self.db, read, pool =>
            sqlx::query_as(DUE).bind(now.0).bind(i64::from(limit)).fetch_all(pool).await)?;
        Ok(rows.into_iter().filter_map(|row| self.readable(row)).collect())
    }

    /// Decodes the row of a schedule that is due. It is read every second, so that it is unreadable is logged only once.
    fn readable(&self, row: ScheduleRow) -> Option<StoredSchedule> {
        let (key, revision) = (format!("{} of {}", row.name, row.owner), row.revision);
        let schedule = schedule(row);
        if let Err(error) = &schedule
            && self.first_time_unreadable(&key, revision)
        {
            tracing::error!(error = %error_chain(error), "the schedule {key} cannot be read: it does not run");
        }
        schedule.ok()
    }

    /// Runs schedules, all in one transaction: moves each to its next time and submits its tasks, unless another Backend has
    /// done so or the schedule was changed since it was read. No two of `runs` may be of one schedule. Returns what became of
    /// each, in their order.
    pub async fn run_schedules(&self, runs: &[ScheduleRun]) -> Result<Vec<RunResult>, DatabaseError> {
        let rows = match &self.db {
            Db::Postgres(pools) => {
                let mut transaction = pools.write.begin().await?;
                let rows = move_on_postgres(&mut transaction, runs).await?;
                let tasks: Vec<&Submission> = tasks_to_submit(runs, &rows).collect();
                if !tasks.is_empty() {
                    submit::insert_on_postgres(&mut *transaction, &tasks).await?;
                }
                transaction.commit().await?;
                rows
            }
            Db::Sqlite(pools) => {
                let runs = runs.to_vec();
                transaction(&pools.write, &self.clock, move |connection, now| {
                    Box::pin(async move { run_on_sqlite(connection, &runs, now).await })
                })
                .await?
            }
        };
        let moved = last_tasks(&rows);
        Ok(runs.iter().map(|run| run_result(run, &moved)).collect())
    }
}

async fn move_on_postgres(
    connection: &mut PgConnection,
    runs: &[ScheduleRun],
) -> Result<Vec<RunRow>, DatabaseError> {
    let each = |of: fn(&ScheduleRun) -> i64| runs.iter().map(of).collect::<Vec<_>>();
    let rows = sqlx::query_as(RUN_POSTGRES)
        .bind(runs.iter().map(|run| run.key().0.0).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.key().1.as_str()).collect::<Vec<_>>())
        .bind(each(|run| run.schedule.created.0))
        .bind(runs.iter().map(|run| run.schedule.revision).collect::<Vec<_>>())
        .bind(each(ScheduleRun::due))
        .bind(runs.iter().map(|run| run.next.map(|next| next.0)).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.last().map(|last| last.id.0)).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.last().map(|last| last.scheduled_for.0)).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.error.as_deref()).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    Ok(rows)
}

async fn run_on_sqlite(
    connection: &mut SqliteConnection,
    runs: &[ScheduleRun],
    now: i64,
) -> Result<Vec<RunRow>, DatabaseError> {
    let batch = encode_batch(runs.iter().map(|run| {
        let ((owner, name), last) = (run.key(), run.last());
        (
            owner,
            name,
            run.schedule.created.0,
            run.schedule.revision,
            run.due(),
            run.next.map(|next| next.0),
            last.map(|last| last.id),
            last.map(|last| last.scheduled_for.0),
            &run.error,
        )
    }));
    let rows: Vec<RunRow> =
        sqlx::query_as(RUN_SQLITE).bind(batch).bind(now).fetch_all(&mut *connection).await?;
    let tasks: Vec<&Submission> = tasks_to_submit(runs, &rows).collect();
    if !tasks.is_empty() {
        submit::insert_on_sqlite(connection, submit::sqlite_rows(&tasks), now).await?;
    }
    Ok(rows)
}

/// The last task of each schedule that was moved on.
fn last_tasks(rows: &[RunRow]) -> HashMap<(OwnerId, &str), Option<TaskId>> {
    rows.iter().map(|(owner, name, last)| ((OwnerId(*owner), &**name), last.map(TaskId))).collect()
}

fn run_result(run: &ScheduleRun, moved: &HashMap<(OwnerId, &str), Option<TaskId>>) -> RunResult {
    let (owner, name) = run.key();
    match moved.get(&(owner, name.as_str())) {
        None => RunResult::Lost,
        Some(last) if last.is_some() && *last == run.last().map(|last| last.id) => RunResult::Submitted,
        Some(_) => RunResult::Skipped,
    }
}

/// The tasks of the runs that were moved on with a task.
fn tasks_to_submit<'a>(runs: &'a [ScheduleRun], rows: &[RunRow]) -> impl Iterator<Item = &'a Submission> {
    let moved = last_tasks(rows);
    let submitted = runs.iter().filter(move |run| run_result(run, &moved) == RunResult::Submitted);
    submitted.collect::<Vec<_>>().into_iter().flat_map(|run| run.tasks.iter().map(|(_, task)| task))
}
