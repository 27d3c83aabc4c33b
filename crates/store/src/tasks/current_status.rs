//! How tasks stand after reports.

use std::collections::HashMap;

use database::{DatabaseError, Db, encode_batch};
use domain::{Attempt, AttemptOutcome, Reason, Report, SettleResult, Status, Timestamp};
use uuid::Uuid;

use crate::decode::{parse_column, row_struct};
use crate::store::Store;
use crate::tasks::end_attempts::EndedAttemptRow;

/// How the tasks of those reports stand that had no effect: they may have ended, or wait for a grant. The reason of a task that has
/// not ended is that of its last attempt. A task that another
/// subject was granted, or nobody yet, is absent to the subject of the report.
const CURRENT_STATUS_POSTGRES: &str = "
    select t.id, coalesce(o.attempt, u.attempt) as attempt,
        coalesce(o.status, case u.phase when 2 then 'RUNNING' else 'CREATED' end) as status,
        coalesce(o.reason, a.reason) as reason,
        (select now_us()) - coalesce(o.started_at + o.ttl_ms * 1000, a.due_at, u.due_at) as late_us, u.ready_at
    from unnest($1::uuid[], $2::uuid[]) as r (id, subject)
    join task t on t.id = r.id left join unfinished_task u on u.id = t.id left join outcome o on o.id = t.id
    left join attempt a on a.id = t.id and a.attempt = u.attempt
    where r.subject is null or coalesce(o.subject, u.subject) = r.subject";

const CURRENT_STATUS_SQLITE: &str = "
    select t.id, coalesce(o.attempt, u.attempt) as attempt,
        coalesce(o.status, case u.phase when 2 then 'RUNNING' else 'CREATED' end) as status,
        coalesce(o.reason, a.reason) as reason,
        ?2 - coalesce(o.started_at + o.ttl_ms * 1000, a.due_at, u.due_at) as late_us, u.ready_at
    from json_each(?1) r
    join task t on t.id = unhex(r.value->>0, '-')
    left join unfinished_task u on u.id = t.id left join outcome o on o.id = t.id
    left join attempt a on a.id = t.id and a.attempt = u.attempt
    where r.value->>1 is null or coalesce(o.subject, u.subject) = unhex(r.value->>1, '-')";

row_struct! {
    /// How a task stands after a report; `late_us` is null where there is no deadline, `ready_at` where the task has ended.
    #[derive(serde::Deserialize)]
    struct CurrentStatusRow {
        id: Uuid,
        attempt: i32,
        status: String,
        reason: Option<String>,
        late_us: Option<i64>,
        ready_at: Option<i64>,
    }
}

/// How a task stands after a report.
pub(crate) struct CurrentStatus {
    attempt: Attempt,
    status: Status,
    /// Why the task was cancelled, or is tried again.
    reason: Option<Reason>,
    /// Microseconds from the deadline to now, or to the end if the report has ended the task; negative before the deadline.
    late_us: i64,
    /// When a task that waits for a grant becomes, or became, ready.
    ready_at: Option<Timestamp>,
}

impl Store {
    /// How tasks stand, each as far as its subject may see it.
    pub(crate) async fn current_statuses(
        &self,
        tasks: Vec<(Uuid, Option<Uuid>)>,
    ) -> Result<Vec<CurrentStatusRow>, DatabaseError> {
        match &self.db {
            Db::Postgres(pools) => {
                let (ids, subjects): (Vec<_>, Vec<_>) = tasks.into_iter().unzip();
                let query = sqlx::query_as(CURRENT_STATUS_POSTGRES).bind(ids).bind(subjects);
                Ok(query.fetch_all(&pools.read).await?)
            }
            Db::Sqlite(pools) => Ok(sqlx::query_as(CURRENT_STATUS_SQLITE)
                .bind(encode_batch(tasks))
                .bind(self.clock.now())
                .fetch_all(&pools.read)
                .await?),
        }
    }
}

/// Adds the decoded rows to `statuses`.
pub(crate) fn add_current_statuses(
    statuses: &mut HashMap<Uuid, CurrentStatus>,
    rows: Vec<CurrentStatusRow>,
) -> Result<(), DatabaseError> {
    for row in rows {
        let status = CurrentStatus {
            attempt: row.attempt.cast_unsigned(),
            status: parse_column("outcome", row.id, &row.status)?,
            reason: row.reason.map(|reason| parse_column("outcome", row.id, &reason)).transpose()?,
            late_us: row.late_us.unwrap_or(0),
            ready_at: row.ready_at.map(Timestamp),
        };
        statuses.insert(row.id, status);
    }
    Ok(())
}

impl From<EndedAttemptRow> for CurrentStatusRow {
    fn from(row: EndedAttemptRow) -> Self {
        let status = if row.retry_at.is_some() { Status::Created } else { Status::Cancelled };
        Self {
            id: row.id,
            attempt: row.attempt,
            status: status.to_string(),
            reason: Some(row.reason),
            late_us: Some(row.late_us),
            ready_at: row.retry_at,
        }
    }
}

impl CurrentStatus {
    /// The result of `report`, by how its task stands now.
    pub(crate) fn result_of(&self, report: &Report) -> SettleResult {
        if self.attempt != report.attempt {
            return SettleResult::Stale;
        }
        let by_time = self.status == Status::Running
            || matches!(self.reason, Some(Reason::LateResult | Reason::TtlExpired));
        match (self.status, self.reason, &report.reported) {
            (Status::Created, None, AttemptOutcome::Released) => SettleResult::Released,
            (Status::Created, Some(reason), _) => {
                let ready_date = self.ready_at.unwrap_or(Timestamp(0));
                SettleResult::Retried { reason, ready_date }
            }
            (Status::Running | Status::Cancelled, ..) if by_time && self.late_us > 0 => {
                SettleResult::Late { late_by_ms: self.late_us.cast_unsigned().div_ceil(1000) }
            }
            (Status::Cancelled, Some(reason), _) => SettleResult::Cancelled { reason },
            (Status::Finished, _, AttemptOutcome::Result(_)) => SettleResult::Finished,
            _ => SettleResult::Stale,
        }
    }
}
