//! Settles reports: a batch in which each report counts only if it has the claim and the attempt of the grant and comes
//! before the deadline, as the statement itself decides.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use database::{DatabaseError, Db, decode_rows, encode_batch, transaction};
use domain::{AttemptOutcome, Report, RetryHint, SettleResult, SubjectId, TypeName, WorkerName};
use sqlx::FromRow;
use sqlx::postgres::{PgArguments, PgRow, Postgres};
use sqlx::query::QueryAs;
use uuid::Uuid;

use crate::store::Store;
use crate::tasks::current_status::{CurrentStatus, CurrentStatusRow, add_current_statuses};
use crate::tasks::end_attempts::{
    EndedAttemptRow, HeldRow, end_attempts_on_postgres, end_attempts_on_sqlite, held_columns_on_sqlite,
    hint_columns,
};
use crate::tasks::insert_outcome::insert_outcome;

macro_rules! insert_reported_outcome {
    (now: $now:literal, from: $from:literal) => {
        insert_outcome!(
            now: $now,
            status: "case when succeeded and in_time then 'FINISHED' else 'CANCELLED' end",
            reason: "case when succeeded and in_time then null when succeeded then 'LATE_RESULT'
                when in_time then 'OPERATION_FAILED' else 'TTL_EXPIRED' end",
            result: "case when succeeded and in_time then content end",
            error: "case when not succeeded and in_time then content end",
            from: $from
        )
    };
}

/// Ends the tasks of reports: those that have a result in time, and those that are not tried again in any case.
const POSTGRES: &str = concat!(
    "with reported as materialized (
        select * from unnest(
                $1::uuid[], $2::integer[], $3::uuid[], $4::text[], $5::uuid[], $6::text[], $7::boolean[], $8::text[])
            as r (id, attempt, claim, worker, subject, type, succeeded, content)
    ), gone as (
        delete from unfinished_task u using reported r
        where u.id = r.id and u.phase + 0 = 2 and u.claim = r.claim and u.attempt = r.attempt
            and u.worker = r.worker and u.subject = coalesce(r.subject, u.subject) and u.type = r.type
            and (u.retries_left + 0 = 0 or r.succeeded and u.due_at + 0 >= (select now_us()))
        returning u.id, u.owner, u.type, u.attempt, u.worker, u.subject, u.started_at, u.due_at,
            r.succeeded, r.content, u.due_at >= (select now_us()) as in_time
    ) ",
    insert_reported_outcome!(now: "(select now_us())", from: "gone"),
    " returning id, attempt, status, reason, ended_at - started_at - ttl_ms * 1000 as late_us, null::bigint as ready_at"
);

/// When the second statement reads, the tasks that the first has just ended are in both tables, which distinguishes them
/// from those that ended before. The elements of the JSON array are in the order of the fields of [`CurrentStatusRow`].
const SQLITE: &str = concat!(
    insert_reported_outcome!(
        now: "?2",
        from: "(
            select u.*, value->>6 as succeeded, value->>7 as content, u.due_at >= ?2 as in_time
            from json_each(?1) join unfinished_task u on u.id = unhex(value->>0, '-')
            where u.phase = 2 and u.claim = unhex(value->>2, '-') and u.attempt = value->>1
                and u.worker = value->>3 and u.subject = coalesce(unhex(value->>4, '-'), u.subject)
                and u.type = value->>5 and (u.retries_left = 0 or value->>6 and u.due_at >= ?2)
        )"
    ),
    " where true;

    select json_group_array(json_array(
        hex(o.id), o.attempt, o.status, o.reason, o.ended_at - o.started_at - o.ttl_ms * 1000, null))
    from json_each(?1) join outcome o on o.id = unhex(value->>0, '-')
    where exists (select 1 from unfinished_task u where u.id = o.id);

    delete from unfinished_task
    where id in (select unhex(value->>0, '-') from json_each(?1))
        and exists (select 1 from outcome o where o.id = unfinished_task.id)"
);

/// Ends the attempts of reports without a result in time, of tasks that may be tried again. The order of the ids is that in which all
/// statements lock rows.
const FAIL_POSTGRES: &str = end_attempts_on_postgres!(
    "select u.*, r.is_permanent, r.retry_after_ms,
        case when r.succeeded then 'LATE_RESULT' when u.due_at >= (select now_us()) then 'OPERATION_FAILED'
            else 'TTL_EXPIRED' end as reason,
        case when not r.succeeded and u.due_at >= (select now_us()) then r.content end as error
    from unnest(
            $1::uuid[], $2::integer[], $3::uuid[], $4::text[], $5::uuid[], $6::text[], $7::boolean[], $8::text[],
            $9::boolean[], $10::bigint[])
        as r (id, attempt, claim, worker, subject, type, succeeded, content, is_permanent, retry_after_ms)
    join unfinished_task u on u.id = r.id
    where u.phase + 0 = 2 and u.claim = r.claim and u.attempt = r.attempt
        and u.worker = r.worker and u.subject = coalesce(r.subject, u.subject) and u.type = r.type
        and u.retries_left + 0 > 0 and not (r.succeeded and u.due_at + 0 >= (select now_us()))
    order by u.id for update of u"
);

const FAIL_SQLITE: &str = concat!(
    "select ",
    held_columns_on_sqlite!(),
    ", value->>8 as is_permanent, value->>9 as retry_after_ms,
        case when value->>6 then 'LATE_RESULT' when u.due_at >= ?2 then 'OPERATION_FAILED'
            else 'TTL_EXPIRED' end as reason,
        case when not value->>6 and u.due_at >= ?2 then value->>7 end as error
    from json_each(?1) join unfinished_task u on u.id = unhex(value->>0, '-') join task t on t.id = u.id
    where u.phase = 2 and u.claim = unhex(value->>2, '-') and u.attempt = value->>1
        and u.worker = value->>3 and u.subject = coalesce(unhex(value->>4, '-'), u.subject) and u.type = value->>5
        and u.retries_left > 0 and not (value->>6 and u.due_at >= ?2)"
);

/// A report, and who sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributedReport {
    /// The worker: a report counts only in the name of the worker that was granted the task.
    pub worker: WorkerName,
    /// The account or client that reports, which must be the subject of the grant. `None`: a Kafka
    /// message does not authenticate its sender, and the claim id alone proves the grant.
    pub subject: Option<SubjectId>,
    /// What the worker says of the task.
    pub report: Report,
}

/// The key of a grant. If a batch holds several reports for one grant the first wins; reports of other grants for the same
/// task do not affect it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GrantKey {
    pub(crate) id: Uuid,
    pub(crate) attempt: i32,
    pub(crate) claim: Uuid,
}

/// Who reports a grant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReportedBy<'a> {
    pub(crate) worker: &'a WorkerName,
    pub(crate) subject: Option<Uuid>,
    /// The task's type, as the report names it.
    pub(crate) type_name: &'a TypeName,
}

/// What a grant reports of its end.
struct Completion<'a> {
    by: ReportedBy<'a>,
    succeeded: bool,
    /// The result, or the message of the failure.
    content: Cow<'a, str>,
    /// What a failed operation says about another attempt.
    hint: Option<RetryHint>,
}

impl Store {
    /// Settles each report; the results are in the order of the reports.
    ///
    /// A report counts if its attempt, claim, worker and type, and its subject if it names one, are those of the grant. In time
    /// it makes its task FINISHED with the result, CANCELLED with the error, or CREATED again when released. A late one makes
    /// it CANCELLED, and its content is dropped. The result of a report that has no effect says the current status of its task, unless the task is another
    /// subject's.
    pub async fn settle(&self, reports: &[AttributedReport]) -> Result<Vec<SettleResult>, DatabaseError> {
        let (mut completed, released) = by_grant(reports);
        let mut statuses: HashMap<Uuid, CurrentStatus> = HashMap::new();
        if !completed.is_empty() {
            add_current_statuses(&mut statuses, self.complete(&completed).await?)?;
            completed.retain(|grant, _| !statuses.contains_key(&grant.id));
            if !completed.is_empty() {
                add_current_statuses(&mut statuses, self.fail(&completed).await?)?;
            }
        }
        if !released.is_empty() {
            add_current_statuses(&mut statuses, self.release(released).await?)?;
        }
        let without_effect: Vec<(Uuid, Option<Uuid>)> = reports
            .iter()
            .map(|AttributedReport { subject, report, .. }| (report.id.0, subject.map(|subject| subject.0)))
            .filter(|(id, _)| !statuses.contains_key(id))
            .collect();
        if !without_effect.is_empty() {
            add_current_statuses(&mut statuses, self.current_statuses(without_effect).await?)?;
        }
        Ok(reports
            .iter()
            .map(|AttributedReport { report, .. }| {
                statuses.get(&report.id.0).map_or(SettleResult::Unknown, |current| current.result_of(report))
            })
            .collect())
    }

    /// Ends the tasks of the grants `completed`, but those that may be tried again.
    async fn complete(
        &self,
        completed: &BTreeMap<GrantKey, Completion<'_>>,
    ) -> Result<Vec<CurrentStatusRow>, DatabaseError> {
        match &self.db {
            Db::Postgres(pools) => Ok(bind_completions(POSTGRES, completed).fetch_all(&pools.write).await?),
            Db::Sqlite(pools) => {
                let reports = encode_completions(completed);
                let settle = transaction(&pools.write, &self.clock, move |connection, now| {
                    Box::pin(async move {
                        decode_rows(
                            sqlx::query_as(SQLITE).bind(reports).bind(now).fetch_all(connection).await?,
                        )
                    })
                });
                settle.await
            }
        }
    }

    /// Ends the attempts of the grants `completed` whose tasks may be tried again.
    async fn fail(
        &self,
        completed: &BTreeMap<GrantKey, Completion<'_>>,
    ) -> Result<Vec<CurrentStatusRow>, DatabaseError> {
        let rows: Vec<EndedAttemptRow> = match &self.db {
            Db::Postgres(pools) => {
                let (pauses, permanent): (Vec<_>, Vec<_>) =
                    completed.values().map(|completion| hint_columns(completion.hint)).unzip();
                let fail = bind_completions(FAIL_POSTGRES, completed).bind(permanent).bind(pauses);
                fail.fetch_all(&pools.write).await?
            }
            Db::Sqlite(pools) => {
                let reports = encode_completions(completed);
                transaction(&pools.write, &self.clock, move |connection, now| {
                    Box::pin(async move {
                        let held = sqlx::query_as(FAIL_SQLITE).bind(reports).bind(now);
                        let held: Vec<HeldRow> = held.fetch_all(&mut *connection).await?;
                        end_attempts_on_sqlite(connection, held, now).await
                    })
                })
                .await?
            }
        };
        Ok(rows.into_iter().map(CurrentStatusRow::from).collect())
    }
}

/// Binds the grants and what is reported of them, as the parameters from $1 to $8.
fn bind_completions<'q, T>(
    statement: &'static str,
    completed: &'q BTreeMap<GrantKey, Completion<'q>>,
) -> QueryAs<'q, Postgres, T, PgArguments>
where
    T: for<'r> FromRow<'r, PgRow>,
{
    sqlx::query_as(statement)
        .bind(completed.keys().map(|grant| grant.id).collect::<Vec<_>>())
        .bind(completed.keys().map(|grant| grant.attempt).collect::<Vec<_>>())
        .bind(completed.keys().map(|grant| grant.claim).collect::<Vec<_>>())
        .bind(completed.values().map(|completion| completion.by.worker.as_str()).collect::<Vec<_>>())
        .bind(completed.values().map(|completion| completion.by.subject).collect::<Vec<_>>())
        .bind(completed.values().map(|completion| completion.by.type_name.as_str()).collect::<Vec<_>>())
        .bind(completed.values().map(|completion| completion.succeeded).collect::<Vec<_>>())
        .bind(completed.values().map(|completion| &*completion.content).collect::<Vec<_>>())
}

/// The grants and what is reported of them, as a JSON array of arrays.
fn encode_completions(completed: &BTreeMap<GrantKey, Completion<'_>>) -> String {
    encode_batch(completed.iter().map(|(grant, Completion { by, succeeded, content, hint })| {
        let (retry_after_ms, is_permanent) = hint_columns(*hint);
        let grant = (grant.id, grant.attempt, grant.claim);
        let by = (by.worker, by.subject, by.type_name);
        (grant.0, grant.1, grant.2, by.0, by.1, by.2, succeeded, content, is_permanent, retry_after_ms)
    }))
}

/// Sorts the reports into those that complete a grant and those that release one, each grant once.
fn by_grant(
    reports: &[AttributedReport],
) -> (BTreeMap<GrantKey, Completion<'_>>, BTreeMap<GrantKey, ReportedBy<'_>>) {
    let mut completed = BTreeMap::new();
    let mut released = BTreeMap::new();
    for AttributedReport { worker, subject, report } in reports {
        let subject = subject.map(|subject| subject.0);
        let by = ReportedBy { worker, subject, type_name: &report.type_name };
        let grant =
            GrantKey { id: report.id.0, attempt: report.attempt.cast_signed(), claim: report.claim.0 };
        let (succeeded, content) = match &report.reported {
            AttemptOutcome::Result(result) => (true, result.text().into()),
            AttemptOutcome::Error(error) => (false, storable(error)),
            AttemptOutcome::Released => {
                released.entry(grant).or_insert(by);
                continue;
            }
        };
        completed.entry(grant).or_insert(Completion { by, succeeded, content, hint: report.retry });
    }
    (completed, released)
}

/// Replaces NUL, the one character that text on PostgreSQL cannot contain.
fn storable(error: &str) -> Cow<'_, str> {
    if error.contains('\0') { error.replace('\0', "\u{fffd}").into() } else { error.into() }
}
