//! Settles reports: a batch in which each report counts only if it has the claim and the attempt of the grant and comes
//! before the deadline, as the statement itself decides.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use database::{DatabaseError, Db, decode_rows, encode_batch, transaction};
use domain::{
    Attempt, AttemptOutcome, Reason, Report, SettleResult, Status, SubjectId, TypeName, WorkerName,
};
use uuid::Uuid;

use crate::decode::{parse_column, row_struct};
use crate::store::Store;
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

const POSTGRES: &str = concat!(
    "with reported as materialized (
        select * from unnest(
                $1::uuid[], $2::integer[], $3::uuid[], $4::text[], $5::uuid[], $6::text[], $7::boolean[], $8::text[])
            as r (id, attempt, claim, worker, subject, type, succeeded, content)
    ), gone as (
        delete from unfinished_task u using reported r
        where u.id = r.id and u.phase + 0 = 2 and u.claim = r.claim and u.attempt = r.attempt
            and u.worker = r.worker and u.subject = coalesce(r.subject, u.subject) and u.type = r.type
        returning u.id, u.owner, u.type, u.attempt, u.worker, u.subject, u.started_at, u.due_at,
            r.succeeded, r.content, u.due_at >= (select now_us()) as in_time
    ) ",
    insert_reported_outcome!(now: "(select now_us())", from: "gone"),
    " returning id, attempt, status, reason, ended_at - started_at - ttl_ms * 1000 as late_us"
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
                and u.type = value->>5
        )"
    ),
    " where true;

    select json_group_array(json_array(
        hex(o.id), o.attempt, o.status, o.reason, o.ended_at - o.started_at - o.ttl_ms * 1000))
    from json_each(?1) join outcome o on o.id = unhex(value->>0, '-')
    where exists (select 1 from unfinished_task u where u.id = o.id);

    delete from unfinished_task
    where id in (select unhex(value->>0, '-') from json_each(?1))
        and exists (select 1 from outcome o where o.id = unfinished_task.id)"
);

const RELEASE_POSTGRES: &str = "
    update unfinished_task u
    set phase = 1, ready_at = (select now_us()), due_at = (select now_us()) + t.start_within_ms * 1000,
        claim = null, worker = null, instance = null, started_at = null
    from unnest($1::uuid[], $2::integer[], $3::uuid[], $4::text[], $5::uuid[], $6::text[])
        as r (id, attempt, claim, worker, subject, type)
    join task t on t.id = r.id
    where u.id = r.id and u.phase + 0 = 2 and u.claim = r.claim and u.attempt = r.attempt
        and u.worker = r.worker and u.subject = coalesce(r.subject, u.subject) and u.type = r.type
        and u.due_at + 0 >= (select now_us())
    returning u.id, u.attempt, 'CREATED' as status, null::text as reason, 0::bigint as late_us";

const RELEASE_SQLITE: &str = "
    update unfinished_task
    set phase = 1, ready_at = ?2, due_at = ?2 + r.start_within_ms * 1000,
        claim = null, worker = null, instance = null, started_at = null
    from (select t.id, t.start_within_ms, value->>1 as attempt, unhex(value->>2, '-') as claim,
              value->>3 as worker, unhex(value->>4, '-') as subject, value->>5 as type
          from json_each(?1) join task t on t.id = unhex(value->>0, '-')) r
    where unfinished_task.id = r.id and phase = 2 and unfinished_task.claim = r.claim
        and unfinished_task.attempt = r.attempt and unfinished_task.worker = r.worker
        and unfinished_task.subject = coalesce(r.subject, unfinished_task.subject) and unfinished_task.type = r.type
        and due_at >= ?2
    returning unfinished_task.id, unfinished_task.attempt, 'CREATED' as status, null as reason, 0 as late_us";

/// The current status of the tasks whose reports had no effect: they may have ended, or wait for a grant. A task that was not granted
/// to the subject of the report is not returned: the sender may not see it.
const CURRENT_STATUS_POSTGRES: &str = "
    select t.id, coalesce(o.attempt, u.attempt) as attempt,
        coalesce(o.status, case u.phase when 2 then 'RUNNING' else 'CREATED' end) as status, o.reason,
        (select now_us()) - coalesce(o.started_at + o.ttl_ms * 1000, u.due_at) as late_us
    from unnest($1::uuid[], $2::uuid[]) as r (id, subject)
    join task t on t.id = r.id left join unfinished_task u on u.id = t.id left join outcome o on o.id = t.id
    where r.subject is null or coalesce(o.subject, u.subject) = r.subject";

const CURRENT_STATUS_SQLITE: &str = "
    select t.id, coalesce(o.attempt, u.attempt) as attempt,
        coalesce(o.status, case u.phase when 2 then 'RUNNING' else 'CREATED' end) as status, o.reason,
        ?2 - coalesce(o.started_at + o.ttl_ms * 1000, u.due_at) as late_us
    from json_each(?1) r
    join task t on t.id = unhex(r.value->>0, '-')
    left join unfinished_task u on u.id = t.id left join outcome o on o.id = t.id
    where r.value->>1 is null or coalesce(o.subject, u.subject) = unhex(r.value->>1, '-')";

row_struct! {
    /// The status of a task after a report; `late_us` is null where there is no deadline.
    #[derive(serde::Deserialize)]
    struct CurrentStatusRow {
        id: Uuid,
        attempt: i32,
        status: String,
        reason: Option<String>,
        late_us: Option<i64>,
    }
}

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

/// The status of a task after a report.
struct CurrentStatus {
    attempt: Attempt,
    status: Status,
    reason: Option<Reason>,
    /// Microseconds from the deadline to now, or to the end if the report has ended the task; negative before the deadline.
    late_us: i64,
}

/// The key of a grant. If a batch holds several reports for one grant the first wins; reports of other grants for the same
/// task do not affect it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct GrantKey {
    id: Uuid,
    attempt: i32,
    claim: Uuid,
}

/// Who reports a grant.
#[derive(Debug, Clone, Copy)]
struct ReportedBy<'a> {
    worker: &'a WorkerName,
    subject: Option<Uuid>,
    /// The task's type, as the report names it.
    type_name: &'a TypeName,
}

/// What a grant reports of its end.
struct Completion<'a> {
    by: ReportedBy<'a>,
    succeeded: bool,
    /// The result, or the message of the failure.
    content: Cow<'a, str>,
}

impl Store {
    /// Settles each report; the results are in the order of the reports.
    ///
    /// A report counts if its attempt, claim, worker and type, and its subject if it names one, are those of the grant. In time
    /// it makes its task FINISHED with the result, CANCELLED with the error, or CREATED again when released. A late one makes
    /// it CANCELLED, and its content is dropped. The result of a report that has no effect says the current status of its task, unless the task is another
    /// subject's.
    pub async fn settle(&self, reports: &[AttributedReport]) -> Result<Vec<SettleResult>, DatabaseError> {
        let (completed, released) = by_grant(reports);
        let mut statuses: HashMap<Uuid, CurrentStatus> = HashMap::new();
        if !completed.is_empty() {
            add_current_statuses(&mut statuses, self.complete(completed).await?)?;
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

    async fn complete(
        &self,
        completed: BTreeMap<GrantKey, Completion<'_>>,
    ) -> Result<Vec<CurrentStatusRow>, DatabaseError> {
        match &self.db {
            Db::Postgres(pools) => Ok(sqlx::query_as(POSTGRES)
                .bind(completed.keys().map(|grant| grant.id).collect::<Vec<_>>())
                .bind(completed.keys().map(|grant| grant.attempt).collect::<Vec<_>>())
                .bind(completed.keys().map(|grant| grant.claim).collect::<Vec<_>>())
                .bind(completed.values().map(|completion| completion.by.worker.as_str()).collect::<Vec<_>>())
                .bind(completed.values().map(|completion| completion.by.subject).collect::<Vec<_>>())
                .bind(
                    completed.values().map(|completion| completion.by.type_name.as_str()).collect::<Vec<_>>(),
                )
                .bind(completed.values().map(|completion| completion.succeeded).collect::<Vec<_>>())
                .bind(completed.values().map(|completion| &*completion.content).collect::<Vec<_>>())
                .fetch_all(&pools.write)
                .await?),
            Db::Sqlite(pools) => {
                let reports =
                    encode_batch(completed.iter().map(|(grant, Completion { by, succeeded, content })| {
                        (
                            grant.id,
                            grant.attempt,
                            grant.claim,
                            by.worker,
                            by.subject,
                            by.type_name,
                            succeeded,
                            content,
                        )
                    }));
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

    async fn release(
        &self,
        released: BTreeMap<GrantKey, ReportedBy<'_>>,
    ) -> Result<Vec<CurrentStatusRow>, DatabaseError> {
        match &self.db {
            Db::Postgres(pools) => Ok(sqlx::query_as(RELEASE_POSTGRES)
                .bind(released.keys().map(|grant| grant.id).collect::<Vec<_>>())
                .bind(released.keys().map(|grant| grant.attempt).collect::<Vec<_>>())
                .bind(released.keys().map(|grant| grant.claim).collect::<Vec<_>>())
                .bind(released.values().map(|by| by.worker.as_str()).collect::<Vec<_>>())
                .bind(released.values().map(|by| by.subject).collect::<Vec<_>>())
                .bind(released.values().map(|by| by.type_name.as_str()).collect::<Vec<_>>())
                .fetch_all(&pools.write)
                .await?),
            Db::Sqlite(pools) => {
                let grants = encode_batch(released.iter().map(|(grant, by)| {
                    (grant.id, grant.attempt, grant.claim, by.worker, by.subject, by.type_name)
                }));
                let release = transaction(&pools.write, &self.clock, move |connection, now| {
                    Box::pin(async move {
                        let query = sqlx::query_as(RELEASE_SQLITE).bind(grants).bind(now);
                        Ok(query.fetch_all(connection).await?)
                    })
                });
                release.await
            }
        }
    }

    /// How tasks stand, each as far as its subject may see it.
    async fn current_statuses(
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
        completed.entry(grant).or_insert(Completion { by, succeeded, content });
    }
    (completed, released)
}

/// Replaces NUL, the one character that text on PostgreSQL cannot contain.
fn storable(error: &str) -> Cow<'_, str> {
    if error.contains('\0') { error.replace('\0', "\u{fffd}").into() } else { error.into() }
}

fn add_current_statuses(
    statuses: &mut HashMap<Uuid, CurrentStatus>,
    rows: Vec<CurrentStatusRow>,
) -> Result<(), DatabaseError> {
    for row in rows {
        let current = CurrentStatus {
            attempt: row.attempt.cast_unsigned(),
            status: parse_column("outcome", row.id, &row.status)?,
            reason: row.reason.map(|reason| parse_column("outcome", row.id, &reason)).transpose()?,
            late_us: row.late_us.unwrap_or(0),
        };
        statuses.insert(row.id, current);
    }
    Ok(())
}

impl CurrentStatus {
    /// The result of `report`, by the current status of its task.
    fn result_of(&self, report: &Report) -> SettleResult {
        if self.attempt != report.attempt {
            return SettleResult::Stale;
        }
        let by_time = self.status == Status::Running
            || matches!(self.reason, Some(Reason::LateResult | Reason::TtlExpired));
        match (self.status, &report.reported) {
            (Status::Created, AttemptOutcome::Released) => SettleResult::Released,
            (Status::Running | Status::Cancelled, _) if by_time && self.late_us > 0 => {
                SettleResult::Late { late_by_ms: self.late_us.cast_unsigned().div_ceil(1000) }
            }
            (Status::Cancelled, _) => {
                self.reason.map_or(SettleResult::Stale, |reason| SettleResult::Cancelled { reason })
            }
            (Status::Finished, AttemptOutcome::Result(_)) => SettleResult::Finished,
            (Status::Created | Status::Running | Status::Finished, _) => SettleResult::Stale,
        }
    }
}
