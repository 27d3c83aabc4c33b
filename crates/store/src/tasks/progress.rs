//! Stores what operations report of their progress: a batch in which each report counts only if it is about a running grant.

use database::{DatabaseError, Db, encode_batch, transaction};
use domain::{ProgressReport, SubjectId, TaskId, WorkerName};
use uuid::Uuid;

use crate::store::Store;

/// A report counts if half a second has passed since the last one of the attempt: workers send one each second.
const POSTGRES: &str = "
    insert into progress (id, attempt, percent, message, reported_at)
    select u.id, u.attempt, r.percent, r.message, (select now_us())
    from unnest($1::uuid[], $2::integer[], $3::uuid[], $4::text[], $5::uuid[], $6::integer[], $7::text[])
        as r (id, attempt, claim, worker, subject, percent, message)
    join unfinished_task u on u.id = r.id
    where u.phase + 0 = 2 and u.claim = r.claim and u.attempt = r.attempt and u.worker = r.worker
        and u.subject = r.subject and u.due_at + 0 >= (select now_us())
    order by u.id
    on conflict (id) do update
    set attempt = excluded.attempt, percent = excluded.percent, message = excluded.message,
        reported_at = excluded.reported_at
    where progress.attempt < excluded.attempt or progress.reported_at <= excluded.reported_at - 500000
    returning id";

const SQLITE: &str = "
    insert into progress (id, attempt, percent, message, reported_at)
    select u.id, u.attempt, r.value->>5, r.value->>6, ?2
    from json_each(?1) r join unfinished_task u on u.id = unhex(r.value->>0, '-')
    where u.phase = 2 and u.claim = unhex(r.value->>2, '-') and u.attempt = r.value->>1
        and u.worker = r.value->>3 and u.subject = unhex(r.value->>4, '-') and u.due_at >= ?2
    on conflict (id) do update
    set attempt = excluded.attempt, percent = excluded.percent, message = excluded.message,
        reported_at = excluded.reported_at
    where progress.attempt < excluded.attempt or progress.reported_at <= excluded.reported_at - 500000
    returning id";

/// A report about progress, and who sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributedProgress {
    /// The worker, which must be the one of the grant.
    pub worker: WorkerName,
    /// The account or client that reports, which must be the subject of the grant.
    pub subject: SubjectId,
    /// The report, whose percentage is 0 to 100.
    pub report: ProgressReport,
}

impl Store {
    /// Stores the reports that count, and returns their tasks. A report counts if its attempt, claim, worker and subject are those of a
    /// grant whose deadline has not passed. Of more than two reports of an attempt in a second some are dropped. The tasks of
    /// `reports` must differ.
    pub async fn store_progress(&self, reports: &[AttributedProgress]) -> Result<Vec<TaskId>, DatabaseError> {
        let ids: Vec<(Uuid,)> = match &self.db {
            Db::Postgres(pools) => {
                sqlx::query_as(POSTGRES)
                    .bind(reports.iter().map(|by| by.report.id.0).collect::<Vec<_>>())
                    .bind(reports.iter().map(|by| by.report.attempt.cast_signed()).collect::<Vec<_>>())
                    .bind(reports.iter().map(|by| by.report.claim.0).collect::<Vec<_>>())
                    .bind(reports.iter().map(|by| by.worker.as_str()).collect::<Vec<_>>())
                    .bind(reports.iter().map(|by| by.subject.0).collect::<Vec<_>>())
                    .bind(reports.iter().map(|by| by.report.percent.cast_signed()).collect::<Vec<_>>())
                    .bind(reports.iter().map(|by| by.report.message.as_deref()).collect::<Vec<_>>())
                    .fetch_all(&pools.write)
                    .await?
            }
            Db::Sqlite(pools) => {
                let rows =
                    encode_batch(reports.iter().map(|AttributedProgress { worker, subject, report }| {
                        let ProgressReport { id, attempt, claim, percent, message } = report;
                        (id, attempt, claim, worker, subject, percent, message)
                    }));
                transaction(&pools.write, &self.clock, move |connection, now| {
                    Box::pin(async move {
                        Ok(sqlx::query_as(SQLITE).bind(rows).bind(now).fetch_all(connection).await?)
                    })
                })
                .await?
            }
        };
        Ok(ids.into_iter().map(|(id,)| TaskId(id)).collect())
    }
}
