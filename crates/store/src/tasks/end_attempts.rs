//! Ends attempts that did not finish their tasks: each task waits for another attempt, or is cancelled.
//!
//! The rule is that of `State::apply`. On PostgreSQL it is part of the one statement that ends the attempts; on SQLite the
//! transaction reads the attempts, decides here, and writes.

use database::{DatabaseError, encode_batch};
use domain::{Attempt, QueueName, Reason, RetryHint, RetryPolicy, TaskId, TaskOptions, Timestamp, TypeName};
use sqlx::SqliteConnection;
use uuid::Uuid;

use crate::decode::{corrupt, parse_column, row_struct};
use crate::tasks::insert_outcome::insert_outcome;
use crate::tasks::rows::{EndedTask, GrantWorker, StoppedGrant, grant_worker, stopped_grant};

/// The statement that ends the attempts that `$held` selects and locks: columns of `unfinished_task`, and `reason`, `error`,
/// `is_permanent` (no further attempt) and `retry_after_ms` (the pause that the operation asked for, or null).
///
/// `ready_at` of a row that is `decided` is null if the task is cancelled.
macro_rules! end_attempts_on_postgres {
    ($held:expr) => {
        concat!(
            "with held as materialized (",
            $held,
            "), possible as (
                select h.*, t.policy, t.start_within_ms,
                    case when h.retries_left > 0 and not h.is_permanent and jsonb_exists(t.policy->'on', h.reason)
                    then (select now_us()) + 1000 * coalesce(h.retry_after_ms,
                        h.backoff_ms - h.backoff_ms * get_byte(uuid_send(h.id), 15 - h.attempt % 7) / 512)
                    end as again_at
                from held h left join lateral (
                    select t.options::jsonb->'retry' as policy, t.start_within_ms
                    from task t where h.retries_left > 0 and t.id = h.id
                ) t on true
            ), decided as materialized (
                select p.*, case when again_at >= budget_end_at then null else again_at end as retry_at from possible p
            ), again as (
                update unfinished_task u
                set phase = 0, ready_at = d.retry_at,
                    due_at = least(d.retry_at + d.start_within_ms * 1000, d.budget_end_at),
                    retries_left = d.retries_left - 1,
                    backoff_ms = least((d.policy->>'maxBackoffMs')::bigint,
                        d.backoff_ms * round((d.policy->>'factor')::numeric * 1000)::bigint / 1000),
                    claim = null, worker = null, instance = null, started_at = null
                from decided d where u.id = d.id and d.retry_at is not null
            ), kept as (
                insert into attempt (id, attempt, worker, started_at, ended_at, due_at, reason, error)
                select id, attempt, worker, started_at, greatest((select now_us()), started_at), due_at, reason, error
                from decided where retry_at is not null
            ), gone as (
                delete from unfinished_task u using decided d where u.id = d.id and d.retry_at is null
                returning u.id, u.owner, u.type, u.attempt, u.worker, u.subject, u.started_at, u.due_at, d.reason, d.error
            ), ended as (",
            insert_outcome!(
                now: "(select now_us())",
                status: "'CANCELLED'",
                reason: "reason",
                result: "null",
                error: "error",
                from: "gone"
            ),
            ")
            select id, type as name, queue, attempt, reason, greatest((select now_us()), started_at) as ended_at,
                (select now_us()) - due_at as late_us, retry_at, worker, subject
            from decided"
        )
    };
}

pub(crate) use end_attempts_on_postgres;

/// The columns of an attempt that is to be ended on SQLite, of a row `u` of `unfinished_task` and the row `t` of its task if it may be
/// tried again. The statement adds `reason`, `error`, `is_permanent` and `retry_after_ms`.
macro_rules! held_columns_on_sqlite {
    () => {
        "u.id, u.type as name, u.queue, u.attempt, u.worker, u.subject, u.started_at, u.due_at, u.retries_left, u.backoff_ms, u.budget_end_at,
        t.start_within_ms, t.options"
    };
}

pub(crate) use held_columns_on_sqlite;

const KEEP_ATTEMPTS_SQLITE: &str = "
    insert into attempt (id, attempt, worker, started_at, ended_at, due_at, reason, error)
    select u.id, u.attempt, u.worker, u.started_at, max(?2, u.started_at), u.due_at, value->>4, value->>5
    from json_each(?1) join unfinished_task u on u.id = unhex(value->>0, '-')";

const RETRY_SQLITE: &str = "
    update unfinished_task
    set phase = 0, ready_at = r.ready_at, due_at = r.due_at, retries_left = retries_left - 1, backoff_ms = r.backoff_ms,
        claim = null, worker = null, instance = null, started_at = null
    from (select unhex(value->>0, '-') as id, value->>1 as ready_at, value->>2 as due_at, value->>3 as backoff_ms
          from json_each(?1)) r
    where unfinished_task.id = r.id";

const INSERT_OUTCOMES_SQLITE: &str = insert_outcome!(
    now: "?2",
    status: "'CANCELLED'",
    reason: "reason",
    result: "null",
    error: "error",
    from: "(
        select u.*, value->>1 as reason, value->>2 as error
        from json_each(?1) join unfinished_task u on u.id = unhex(value->>0, '-')
    )"
);

const DELETE_UNFINISHED_SQLITE: &str = "
    delete from unfinished_task where id in (select unhex(value->>0, '-') from json_each(?1))";

/// What became of the tasks whose attempts were ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndedAttempts {
    /// The tasks that were cancelled.
    pub ended: Vec<EndedTask>,
    /// The tasks that are tried again.
    pub retried: Vec<RetriedTask>,
}

impl EndedAttempts {
    /// The number of attempts that were ended.
    pub fn len(&self) -> usize {
        self.ended.len() + self.retried.len()
    }

    /// Whether no attempt was ended.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A task that is tried again after an attempt that did not finish it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetriedTask {
    /// The task's id.
    pub id: TaskId,
    /// Its type.
    pub type_name: TypeName,
    /// Its queue.
    pub queue: QueueName,
    /// The attempt that was ended.
    pub attempt: Attempt,
    /// Why the attempt was ended.
    pub reason: Reason,
    /// When the attempt ended, by the database's clock.
    pub ended: Timestamp,
    /// When the task becomes ready again, by the database's clock.
    pub ready_at: Timestamp,
    /// Microseconds from the attempt's deadline to its end; negative if it ended earlier.
    pub late_us: i64,
    /// The worker that was running it.
    pub grant_worker: Option<GrantWorker>,
}

impl RetriedTask {
    /// The grant that must be stopped.
    pub fn stopped_grant(&self) -> Option<StoppedGrant> {
        stopped_grant(self.id, self.attempt, self.grant_worker.as_ref())
    }
}

row_struct! {
    /// An attempt that was ended; `retry_at` is null if its task was cancelled.
    struct EndedAttemptRow {
        id: Uuid,
        name: String,
        queue: String,
        attempt: i32,
        reason: String,
        ended_at: i64,
        late_us: i64,
        retry_at: Option<i64>,
        worker: Option<String>,
        subject: Option<Uuid>,
    }
}

row_struct! {
    /// An attempt that is to be ended on SQLite.
    struct HeldRow {
        id: Uuid,
        name: String,
        queue: String,
        attempt: i32,
        worker: Option<String>,
        subject: Option<Uuid>,
        started_at: Option<i64>,
        due_at: i64,
        retries_left: i32,
        backoff_ms: Option<i64>,
        budget_end_at: Option<i64>,
        start_within_ms: Option<i64>,
        options: Option<String>,
        reason: String,
        error: Option<String>,
        is_permanent: bool,
        retry_after_ms: Option<i64>,
    }
}

/// Ends the attempts `held` of tasks that no other transaction changes meanwhile.
pub(crate) async fn end_attempts_on_sqlite(
    connection: &mut SqliteConnection,
    held: Vec<HeldRow>,
    now: i64,
) -> Result<Vec<EndedAttemptRow>, DatabaseError> {
    let (mut retried, mut ended, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    for row in held {
        let retry = row.retry(now)?;
        match retry {
            Some((ready_at, due_at, backoff_ms)) => {
                retried.push((row.id, ready_at, due_at, backoff_ms, row.reason.clone(), row.error.clone()));
            }
            None => ended.push((row.id, row.reason.clone(), row.error.clone())),
        }
        rows.push(row.ended(now, retry.map(|(ready_at, ..)| ready_at)));
    }
    if !retried.is_empty() {
        let retried = encode_batch(retried);
        sqlx::query(KEEP_ATTEMPTS_SQLITE).bind(&retried).bind(now).execute(&mut *connection).await?;
        sqlx::query(RETRY_SQLITE).bind(retried).execute(&mut *connection).await?;
    }
    if !ended.is_empty() {
        let ended = encode_batch(ended);
        sqlx::query(INSERT_OUTCOMES_SQLITE).bind(&ended).bind(now).execute(&mut *connection).await?;
        sqlx::query(DELETE_UNFINISHED_SQLITE).bind(ended).execute(&mut *connection).await?;
    }
    Ok(rows)
}

impl HeldRow {
    /// When the task becomes ready again and until when it then waits, in microseconds, and its next pause in milliseconds; `None`
    /// if the task is cancelled.
    fn retry(&self, now: i64) -> Result<Option<(i64, i64, u64)>, DatabaseError> {
        let (Some(options), Some(backoff_ms), Some(start_within_ms), 1..) =
            (&self.options, self.backoff_ms, self.start_within_ms, self.retries_left)
        else {
            return Ok(None);
        };
        let options: TaskOptions =
            serde_json::from_str(options).map_err(|error| corrupt("task", self.id, error))?;
        let reason: Reason = parse_column("unfinished_task", self.id, &self.reason)?;
        let Some(policy) = options.retry.filter(|policy| !self.is_permanent && policy.on.contains(&reason))
        else {
            return Ok(None);
        };
        let backoff_ms = backoff_ms.cast_unsigned();
        let (id, attempt) = (TaskId(self.id), self.attempt.cast_unsigned());
        let jittered = || RetryPolicy::jittered_ms(backoff_ms, id, attempt).cast_signed();
        let ready_at = now.saturating_add(1000 * self.retry_after_ms.unwrap_or_else(jittered));
        if self.budget_end_at.is_some_and(|end| ready_at >= end) {
            return Ok(None);
        }
        let due_at = ready_at.saturating_add(start_within_ms * 1000);
        let due_at = self.budget_end_at.map_or(due_at, |end| due_at.min(end));
        Ok(Some((ready_at, due_at, policy.next_backoff_ms(backoff_ms))))
    }

    fn ended(self, now: i64, retry_at: Option<i64>) -> EndedAttemptRow {
        EndedAttemptRow {
            id: self.id,
            name: self.name,
            queue: self.queue,
            attempt: self.attempt,
            reason: self.reason,
            ended_at: self.started_at.map_or(now, |started| now.max(started)),
            late_us: now - self.due_at,
            retry_at,
            worker: self.worker,
            subject: self.subject,
        }
    }
}

/// The pause that a failed operation has asked for, in milliseconds, and whether it refuses another attempt.
pub(crate) fn hint_columns(hint: Option<RetryHint>) -> (Option<i64>, bool) {
    match hint {
        None => (None, false),
        Some(RetryHint::Never) => (None, true),
        Some(RetryHint::AfterMs(millis)) => (Some(millis.cast_signed()), false),
    }
}

/// Decodes the rows of attempts that were ended.
pub(crate) fn decode_ended_attempts(rows: Vec<EndedAttemptRow>) -> Result<EndedAttempts, DatabaseError> {
    let mut attempts = EndedAttempts::default();
    for row in rows {
        let (id, attempt) = (TaskId(row.id), row.attempt.cast_unsigned());
        let reason = parse_column("outcome", id, &row.reason)?;
        let (ended, late_us) = (Timestamp(row.ended_at), row.late_us);
        let grant_worker = grant_worker(row.id, row.worker, row.subject)?;
        match row.retry_at {
            None => {
                attempts.ended.push(EndedTask {
                    id,
                    attempt,
                    reason: Some(reason),
                    ended,
                    late_us,
                    grant_worker,
                });
            }
            Some(ready_at) => attempts.retried.push(RetriedTask {
                id,
                type_name: parse_column("unfinished_task", id, &row.name)?,
                queue: parse_column("unfinished_task", id, &row.queue)?,
                attempt,
                reason,
                ended,
                ready_at: Timestamp(ready_at),
                late_us,
                grant_worker,
            }),
        }
    }
    Ok(attempts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use database::{Db, ProcessClock};

    /// However many tasks are unfinished, only those that were ended are looked up.
    #[tokio::test]
    async fn on_sqlite_ended_tasks_are_deleted_by_key() {
        let directory = tempfile::TempDir::new().unwrap();
        let url = format!("sqlite:{}", directory.path().join("tasks.db").display());
        let store = Store::new(Db::open(&url).unwrap(), ProcessClock::default());
        store.migrate().await.unwrap();
        let Db::Sqlite(pools) = &store.db else { panic!("{url} is not SQLite") };
        let explain = sqlx::AssertSqlSafe(format!("explain query plan {DELETE_UNFINISHED_SQLITE}"));
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(explain).bind("[]").fetch_all(&pools.read).await.unwrap();
        assert_eq!(plan[0].3, "SEARCH unfinished_task USING PRIMARY KEY (id=?)");
    }
}
