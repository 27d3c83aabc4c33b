//! The attempts of a task.

use database::{DatabaseError, on};
use domain::{AttemptEnd, OwnerId, TaskAttempt, TaskId, Timestamp};

use crate::decode::{parse_column, row_struct};
use crate::store::Store;

/// One statement: two might find an attempt that ends in between in no table, or in two.
const ATTEMPTS: &str = "
    select a.attempt, a.worker, a.started_at, a.due_at, a.ended_at, coalesce(a.reason, 'RELEASED') as ended_by, a.error
    from task t join attempt a on a.id = t.id where t.id = $1 and t.owner = $2
    union all
    select u.attempt, u.worker, u.started_at, u.due_at, null, null, null
    from unfinished_task u where u.id = $1 and u.owner = $2 and u.phase = 2
    union all
    select o.attempt, o.worker, o.started_at, o.started_at + o.ttl_ms * 1000, o.ended_at,
        coalesce(o.reason, 'FINISHED'), o.error
    from outcome o where o.id = $1 and o.owner = $2 and o.started_at is not null
    order by 1";

const EXISTS: &str = "select 1 from task where id = $1 and owner = $2";

row_struct! {
    struct AttemptRow {
        attempt: i32,
        worker: String,
        started_at: i64,
        due_at: i64,
        ended_at: Option<i64>,
        ended_by: Option<String>,
        error: Option<String>,
    }
}

impl Store {
    /// The attempts of the task `id` of `owner`, the first one first; `None` if there is no such task or it is another owner's.
    pub async fn attempts(
        &self,
        owner: OwnerId,
        id: TaskId,
    ) -> Result<Option<Vec<TaskAttempt>>, DatabaseError> {
        let rows: Vec<AttemptRow> = on!(&self.db, read, pool =>
            sqlx::query_as(ATTEMPTS).bind(id.0).bind(owner.0).fetch_all(pool).await)?;
        if rows.is_empty() {
            let task: Option<(i32,)> = on!(&self.db, read, pool =>
                sqlx::query_as(EXISTS).bind(id.0).bind(owner.0).fetch_optional(pool).await)?;
            return Ok(task.map(|_| Vec::new()));
        }
        rows.into_iter().map(|row| attempt(id, row)).collect::<Result<Vec<_>, _>>().map(Some)
    }
}

fn attempt(id: TaskId, row: AttemptRow) -> Result<TaskAttempt, DatabaseError> {
    let end: Option<AttemptEnd> = row.ended_by.map(|end| parse_column("attempt", id, &end)).transpose()?;
    let late_us = row.ended_at.map_or(0, |ended| ended - row.due_at).max(0).cast_unsigned();
    Ok(TaskAttempt {
        attempt: row.attempt.cast_unsigned(),
        worker_name: parse_column("attempt", id, &row.worker)?,
        start_date: Timestamp(row.started_at),
        deadline: Timestamp(row.due_at),
        end_date: row.ended_at.map(Timestamp),
        end,
        error: row.error,
        late_by_ms: (end == Some(AttemptEnd::LateResult)).then(|| late_us.div_ceil(1000)),
    })
}
