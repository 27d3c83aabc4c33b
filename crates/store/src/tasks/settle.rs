//! Settle: a batch of reports; a result counts only by its claim and by its deadline, in the statement that decides.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::{Attempt, Reason, Report, ReportOutcome, SettleResult, Status};
use uuid::Uuid;

use crate::store::{Store, parse_column};
use database::DatabaseError;
use database::Db;
use database::{batch, rows, transaction};

const POSTGRES: &str = "
    with given as materialized (
        select * from unnest($1::uuid[], $2::integer[], $3::uuid[], $4::boolean[], $5::text[])
            as g (id, attempt, claim, good, said)
    ), taken as (
        delete from live l using given g
        where l.id = g.id and l.phase + 0 = 2 and l.claim = g.claim and l.attempt = g.attempt
        returning l.id, l.owner, l.type, l.attempt, l.worker, l.started, l.due, l.claim,
            g.good, g.said, l.due >= (select now_us()) as in_time
    )
    insert into outcome (id, owner, type, status, reason, attempt, started, ended, ttl, worker, result, error)
    select id, owner, type,
        case when good and in_time then 'FINISHED' else 'CANCELLED' end,
        case when good and in_time then null when good then 'LATE_RESULT'
             when in_time then 'OPERATION_FAILED' else 'TTL_EXPIRED' end,
        attempt, started, greatest((select now_us()), started), (due - started) / 1000, worker,
        case when good and in_time then said end,
        case when not good and in_time then said end
    from taken
    returning id, attempt, status, reason, ended - started - ttl * 1000";

/// What has just been moved is in both tables when it is read.
const SQLITE: &str = "
    insert into outcome (id, owner, type, status, reason, attempt, started, ended, ttl, worker, result, error)
    select id, owner, type,
        case when good and in_time then 'FINISHED' else 'CANCELLED' end,
        case when good and in_time then null when good then 'LATE_RESULT'
             when in_time then 'OPERATION_FAILED' else 'TTL_EXPIRED' end,
        attempt, started, max(?2, started), (due - started) / 1000, worker,
        case when good and in_time then said end,
        case when not good and in_time then said end
    from (
        select l.*, value->>3 as good, value->>4 as said, l.due >= ?2 as in_time
        from json_each(?1) join live l on l.id = unhex(value->>0, '-')
        where l.phase = 2 and l.claim = unhex(value->>2, '-') and l.attempt = value->>1
    )
    where true;

    select json_group_array(json_array(
        hex(o.id), o.attempt, o.status, o.reason, o.ended - o.started - o.ttl * 1000))
    from json_each(?1) join outcome o on o.id = unhex(value->>0, '-')
    where exists (select 1 from live l where l.id = o.id);

    delete from live
    where id in (select unhex(value->>0, '-') from json_each(?1))
        and exists (select 1 from outcome o where o.id = live.id)";

const RELEASE_POSTGRES: &str = "
    update live l
    set phase = 1, place = (select now_us()), due = (select now_us()) + t.start_within * 1000, claim = null, worker = null, started = null
    from unnest($1::uuid[], $2::integer[], $3::uuid[]) as g (id, attempt, claim) join task t on t.id = g.id
    where l.id = g.id and l.phase + 0 = 2 and l.claim = g.claim and l.attempt = g.attempt and l.due + 0 >= (select now_us())
    returning l.id, l.attempt, 'CREATED', null::text, 0::bigint";

const RELEASE_SQLITE: &str = "
    update live
    set phase = 1, place = ?2, due = ?2 + g.start_within * 1000, claim = null, worker = null, started = null
    from (select t.id, t.start_within, value->>1 as attempt, unhex(value->>2, '-') as claim
          from json_each(?1) join task t on t.id = unhex(value->>0, '-')) g
    where live.id = g.id and phase = 2 and live.claim = g.claim and live.attempt = g.attempt and due >= ?2
    returning live.id, live.attempt, 'CREATED', null, 0";

/// What stands for reports that moved nothing: the task may be over, another's, or unknown.
const FATE_POSTGRES: &str = "
    select t.id, coalesce(o.attempt, l.attempt), coalesce(o.status, case l.phase when 2 then 'RUNNING' else 'CREATED' end),
        o.reason, (select now_us()) - coalesce(o.started + o.ttl * 1000, l.due)
    from unnest($1::uuid[]) as g (id)
    join task t on t.id = g.id left join live l on l.id = t.id left join outcome o on o.id = t.id";

const FATE_SQLITE: &str = "
    select t.id, coalesce(o.attempt, l.attempt), coalesce(o.status, case l.phase when 2 then 'RUNNING' else 'CREATED' end),
        o.reason, ?2 - coalesce(o.started + o.ttl * 1000, l.due)
    from json_each(?1) g
    join task t on t.id = unhex(g.value, '-') left join live l on l.id = t.id left join outcome o on o.id = t.id";

/// Id, attempt, status, reason, microseconds past the deadline.
type FateRow = (Uuid, i32, String, Option<String>, Option<i64>);

/// How a task stands after a report.
struct TaskStanding {
    attempt: Attempt,
    status: Status,
    reason: Option<Reason>,
    late: i64,
}

/// The grant that a report speaks for. Of several reports by one grant the first counts; a foreign one beside them takes
/// nothing away.
type GrantKey = (Uuid, i32, Uuid);

/// What a grant returned, or what its failure said.
type Said<'a> = (bool, Cow<'a, str>);

impl Store {
    /// Settles each report by its claim and its time; the answers stand in the order of the reports.
    ///
    /// In time: FINISHED with the result, CANCELLED with the error, or CREATED again when released. Late: CANCELLED, and
    /// what was said is dropped. A report that moves nothing is answered by how its task stands.
    pub async fn settle(&self, reports: &[Report]) -> Result<Vec<SettleResult>, DatabaseError> {
        let mut given: BTreeMap<GrantKey, Said<'_>> = BTreeMap::new();
        let mut released: BTreeSet<GrantKey> = BTreeSet::new();
        for report in reports {
            let by = (report.id.0, report.attempt.cast_signed(), report.claim.0);
            match &report.reported {
                ReportOutcome::Result(result) => {
                    drop(given.entry(by).or_insert((true, result.text().into())))
                }
                ReportOutcome::Error(error) => {
                    drop(given.entry(by).or_insert_with(|| (false, storable(error))))
                }
                ReportOutcome::Released => drop(released.insert(by)),
            }
        }
        let mut moved: HashMap<Uuid, TaskStanding> = HashMap::new();
        if !given.is_empty() {
            fates_into(&mut moved, self.settle_given(given).await?)?;
        }
        if !released.is_empty() {
            fates_into(&mut moved, self.release(released).await?)?;
        }
        let still: Vec<Uuid> =
            reports.iter().map(|report| report.id.0).filter(|id| !moved.contains_key(id)).collect();
        if !still.is_empty() {
            fates_into(&mut moved, self.fates(still).await?)?;
        }
        Ok(reports
            .iter()
            .map(|report| moved.get(&report.id.0).map_or(SettleResult::Unknown, |fate| fate.of(report)))
            .collect())
    }

    async fn settle_given(&self, given: BTreeMap<GrantKey, Said<'_>>) -> Result<Vec<FateRow>, DatabaseError> {
        match &self.db {
            Db::Postgres(pools) => Ok(sqlx::query_as(POSTGRES)
                .bind(given.keys().map(|by| by.0).collect::<Vec<_>>())
                .bind(given.keys().map(|by| by.1).collect::<Vec<_>>())
                .bind(given.keys().map(|by| by.2).collect::<Vec<_>>())
                .bind(given.values().map(|said| said.0).collect::<Vec<_>>())
                .bind(given.values().map(|said| &*said.1).collect::<Vec<_>>())
                .fetch_all(&pools.write)
                .await?),
            Db::Sqlite(pools) => {
                let given = batch(given.iter().map(|(by, said)| (by.0, by.1, by.2, said.0, &said.1)));
                let settle = transaction(&pools.write, &self.clock, move |connection, now| {
                    Box::pin(async move {
                        rows(sqlx::query_as(SQLITE).bind(given).bind(now).fetch_all(connection).await?)
                    })
                });
                settle.await
            }
        }
    }

    async fn release(&self, released: BTreeSet<GrantKey>) -> Result<Vec<FateRow>, DatabaseError> {
        match &self.db {
            Db::Postgres(pools) => Ok(sqlx::query_as(RELEASE_POSTGRES)
                .bind(released.iter().map(|by| by.0).collect::<Vec<_>>())
                .bind(released.iter().map(|by| by.1).collect::<Vec<_>>())
                .bind(released.iter().map(|by| by.2).collect::<Vec<_>>())
                .fetch_all(&pools.write)
                .await?),
            Db::Sqlite(pools) => {
                let rows = batch(released);
                let release = transaction(&pools.write, &self.clock, move |connection, now| {
                    Box::pin(async move {
                        Ok(sqlx::query_as(RELEASE_SQLITE).bind(rows).bind(now).fetch_all(connection).await?)
                    })
                });
                release.await
            }
        }
    }

    async fn fates(&self, ids: Vec<Uuid>) -> Result<Vec<FateRow>, DatabaseError> {
        match &self.db {
            Db::Postgres(pools) => Ok(sqlx::query_as(FATE_POSTGRES).bind(ids).fetch_all(&pools.read).await?),
            Db::Sqlite(pools) => Ok(sqlx::query_as(FATE_SQLITE)
                .bind(batch(ids))
                .bind(self.clock.now())
                .fetch_all(&pools.read)
                .await?),
        }
    }
}

/// PostgreSQL's text holds every character but one.
fn storable(error: &str) -> Cow<'_, str> {
    if error.contains('\0') { error.replace('\0', "\u{fffd}").into() } else { error.into() }
}

fn fates_into(fates: &mut HashMap<Uuid, TaskStanding>, rows: Vec<FateRow>) -> Result<(), DatabaseError> {
    for (id, attempt, status, reason, late) in rows {
        let reason = reason.map(|word| parse_column("outcome", id, &word)).transpose()?;
        let status = parse_column("outcome", id, &status)?;
        fates.insert(
            id,
            TaskStanding { attempt: attempt.cast_unsigned(), status, reason, late: late.unwrap_or(0) },
        );
    }
    Ok(())
}

impl TaskStanding {
    /// What became of `report`, told by how its task stands now.
    fn of(&self, report: &Report) -> SettleResult {
        if self.attempt != report.attempt {
            return SettleResult::Stale;
        }
        let by_time = self.status == Status::Running
            || matches!(self.reason, Some(Reason::LateResult | Reason::TtlExpired));
        match (self.status, &report.reported) {
            (Status::Created, ReportOutcome::Released) => SettleResult::Released,
            (Status::Running | Status::Cancelled, _) if by_time && self.late > 0 => {
                SettleResult::Late { late_by_ms: self.late.cast_unsigned().div_ceil(1000) }
            }
            (Status::Cancelled, _) => {
                self.reason.map_or(SettleResult::Stale, |reason| SettleResult::Cancelled { reason })
            }
            (Status::Finished, ReportOutcome::Result(_)) => SettleResult::Finished,
            (Status::Created | Status::Running | Status::Finished, _) => SettleResult::Stale,
        }
    }
}
