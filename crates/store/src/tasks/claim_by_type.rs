//! Claims tasks by type: waiting workers share one statement that takes the oldest ready tasks.

use std::time::Duration;

use database::{DatabaseError, Db, encode_batch, transaction};
use domain::{ClaimId, SubjectId, TypeName, WorkerName};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgPool, Row, SqliteConnection};
use uuid::Uuid;

use crate::scan_floor::TypeFloors;
use crate::store::Store;
use crate::tasks::claim_by_id::{
    GrantRow, Granted, begin_attempt_on_postgres, claim_on_sqlite, decode_grants,
};
use crate::tasks::slot_assignment::{PullRequest, first_slots, slot_assignments};

/// What a batch of pull requests was granted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullResult {
    /// The grants.
    pub granted: Vec<Granted>,
    /// The claims under which something runs already, or is being granted by a concurrent statement. They were granted
    /// nothing; the tasks that were meant for them stay ready.
    pub refused: Vec<ClaimId>,
}

/// Each type is scanned from its floor. The scan locks the rows that it picks, so two statements never pick the same task.
/// Without a minimum age the scan has no upper bound, so tasks that became ready since the statement began count too.
///
/// Slots are ordered so that each request's first slot comes before any second one. A request is represented by its first
/// slot's number. The claim of a request is checked once, if the request is new or there is a task for its first slot. A claim
/// that is not free is returned as a row of attempt 0.
const POSTGRES: &str = concat!(
    "with picked as materialized (
        select r.id, row_number() over (order by r.ready_at, r.id) as slot
        from (
            select ready.id, ready.ready_at
            from unnest($1::text[], $2::bigint[]) as wanted (type, floor)
            cross join lateral (
                select u.id, u.ready_at from unfinished_task u
                where u.type = wanted.type and u.priority = 4 and u.ready_at >= wanted.floor and u.phase = 1
                    and u.ready_at <= case when $6::bigint > 0 then (select now_us()) - $6 else 9223372036854775807 end
                    and u.due_at + 0 >= (select now_us())
                order by u.ready_at limit $3
                for update skip locked
            ) ready
            order by ready.ready_at limit $3
        ) r
    ), checked as materialized (
        select array_agg(
            case when is_first_look or number <= (select count(*) from picked)
                then claim_is_free(($5::text[])[number], ($4::uuid[])[number]) else true end
            order by number) as free
        from unnest($8::boolean[]) with ordinality as request (is_first_look, number)
    ), granted as (
        update unfinished_task u
        set claim = ($4::uuid[])[p.slot], worker = ($5::text[])[p.slot],
            subject = ($9::uuid[])[p.slot], instance = ($10::uuid[])[p.slot], ",
    begin_attempt_on_postgres!(),
    "
        from picked p join task t on t.id = p.id
        where u.id = p.id and (select free from checked)[($7::integer[])[p.slot]]
        returning u.id, u.type as name, t.parameters, u.attempt, u.claim, u.worker,
            u.due_at - (select now_us()) as remaining_us, t.traceparent, u.ready_at
    )
    select * from granted
    union all
    select ($4::uuid[])[number], '', null, 0, ($4::uuid[])[number], '', 0, null, 0
    from checked, unnest(free) with ordinality as request (is_free, number) where not request.is_free"
);

const PICK_SQLITE: &str = "
    select id, ready_at from unfinished_task
    where type = ?1 and priority = 4 and phase = 1 and due_at >= ?2 and ready_at <= ?4
    order by ready_at limit ?3";

const REFUSED_SQLITE: &str = "
    select unhex(value->>0, '-') from json_each(?1)
    where exists (
        select 1 from unfinished_task u
        where u.worker = value->>1 and u.claim = unhex(value->>0, '-') and u.phase = 2 and u.due_at >= ?2)";

const UNDER_CLAIM_POSTGRES: &str = "
    select u.id, u.type as name, t.parameters, u.attempt, u.claim, u.worker,
        u.due_at - (select now_us()) as remaining_us, t.traceparent
    from unfinished_task u join task t on t.id = u.id
    where u.worker = $1 and u.claim = $2 and u.subject = $3 and u.phase = 2 and u.due_at >= (select now_us())";

const UNDER_CLAIM_SQLITE: &str = "
    select u.id, u.type as name, t.parameters, u.attempt, u.claim, u.worker,
        u.due_at - ?4 as remaining_us, t.traceparent
    from unfinished_task u join task t on t.id = u.id
    where u.worker = ?1 and u.claim = ?2 and u.subject = ?3 and u.phase = 2 and u.due_at >= ?4";

/// A grant and when its task had become ready, or the claim of a refused request, with attempt 0.
struct PulledRow {
    grant: GrantRow,
    ready_at: i64,
}

impl FromRow<'_, PgRow> for PulledRow {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self { grant: GrantRow::from_row(row)?, ready_at: row.try_get("ready_at")? })
    }
}

impl Store {
    /// Grants the oldest ready tasks of `types` to `requests`, one each in turn until their slots or the tasks run out; only
    /// tasks that have been ready for at least `min_age`, and only to claims under which nothing runs. The claims of
    /// `requests` must differ.
    pub async fn claim_by_type(
        &self,
        requests: &[PullRequest],
        types: &[TypeName],
        min_age: Duration,
    ) -> Result<PullResult, DatabaseError> {
        let slots = slot_assignments(requests);
        if slots.is_empty() || types.is_empty() {
            return Ok(PullResult::default());
        }
        let age = i64::try_from(min_age.as_micros()).unwrap_or(i64::MAX);
        match &self.db {
            Db::Postgres(pools) => self.pull_on_postgres(&pools.write, &slots, types, age).await,
            Db::Sqlite(pools) => {
                let slots: Vec<(i32, PullRequest)> =
                    slots.into_iter().map(|(number, request)| (number, request.clone())).collect();
                let types = types.to_vec();
                transaction(&pools.write, &self.clock, move |connection, now| {
                    let youngest = if age > 0 { now.saturating_sub(age) } else { i64::MAX };
                    Box::pin(pull_on_sqlite(connection, types, slots, now, youngest))
                })
                .await
            }
        }
    }

    async fn pull_on_postgres(
        &self,
        pool: &PgPool,
        slots: &[(i32, &PullRequest)],
        types: &[TypeName],
        age: i64,
    ) -> Result<PullResult, DatabaseError> {
        let before = self.now().0;
        let floors = self.floors().for_min_age(age);
        let rows: Vec<PulledRow> = sqlx::query_as(POSTGRES)
            .bind(types.iter().map(TypeName::as_str).collect::<Vec<_>>())
            .bind(floors.scan_starts(types, before))
            .bind(i64::try_from(slots.len()).expect("the slots fit into memory"))
            .bind(slots.iter().map(|(_, request)| request.claim.0).collect::<Vec<_>>())
            .bind(slots.iter().map(|(_, request)| request.worker.name.as_str()).collect::<Vec<_>>())
            .bind(age)
            .bind(slots.iter().map(|(number, _)| *number).collect::<Vec<_>>())
            .bind(first_slots(slots).map(|(_, request)| request.is_first_look).collect::<Vec<_>>())
            .bind(slots.iter().map(|(_, request)| request.worker.subject.0).collect::<Vec<_>>())
            .bind(slots.iter().map(|(_, request)| request.worker.instance.0).collect::<Vec<_>>())
            .fetch_all(pool)
            .await?;
        let (rows, refused): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.grant.attempt > 0);
        if refused.is_empty() {
            let is_exhausted = rows.len() < slots.len();
            raise_floors(floors, types, &rows, is_exhausted.then(|| before.saturating_sub(age)));
        }
        Ok(PullResult {
            granted: decode_grants(rows.into_iter().map(|row| row.grant)),
            refused: refused.into_iter().map(|row| ClaimId(row.grant.claim)).collect(),
        })
    }

    /// What `subject` still runs under `claim`, with the time that is left: the answer to a request that is repeated because
    /// its answer was lost.
    pub async fn grants_under_claim(
        &self,
        worker: &WorkerName,
        subject: SubjectId,
        claim: ClaimId,
    ) -> Result<Vec<Granted>, DatabaseError> {
        let worker = worker.as_str();
        let rows: Vec<GrantRow> = match &self.db {
            Db::Postgres(pools) => {
                let query = sqlx::query_as(UNDER_CLAIM_POSTGRES).bind(worker).bind(claim.0).bind(subject.0);
                query.fetch_all(&pools.read).await?
            }
            Db::Sqlite(pools) => {
                let query = sqlx::query_as(UNDER_CLAIM_SQLITE).bind(worker).bind(claim.0).bind(subject.0);
                query.bind(self.clock.now()).fetch_all(&pools.read).await?
            }
        };
        Ok(decode_grants(rows))
    }
}

/// Raises the floor of each type: to the oldest task that was found, or to `end` if the scan found none up to there.
fn raise_floors(floors: &TypeFloors, types: &[TypeName], rows: &[PulledRow], end: Option<i64>) {
    for name in types {
        let found = rows.iter().filter(|row| row.grant.name == name.as_str()).map(|row| row.ready_at).min();
        match (found, end) {
            (Some(ready_at), _) => floors.found(name, ready_at),
            (None, Some(end)) => floors.scanned_to(name, end),
            (None, None) => {}
        }
    }
}

async fn pull_on_sqlite(
    connection: &mut SqliteConnection,
    types: Vec<TypeName>,
    slots: Vec<(i32, PullRequest)>,
    now: i64,
    youngest: i64,
) -> Result<PullResult, DatabaseError> {
    let limit = i64::try_from(slots.len()).expect("the slots fit into memory");
    let mut picked: Vec<(Uuid, i64)> = Vec::new();
    for name in types {
        let oldest: Vec<(Uuid, i64)> = sqlx::query_as(PICK_SQLITE)
            .bind(name.as_str())
            .bind(now)
            .bind(limit)
            .bind(youngest)
            .fetch_all(&mut *connection)
            .await?;
        picked.extend(oldest);
    }
    picked.sort_unstable_by_key(|&(id, ready_at)| (ready_at, id));
    let filled = 1..=i32::try_from(picked.len()).expect("the picked tasks fit into memory");
    let to_check = first_slots(&slots)
        .filter(|(number, request)| request.is_first_look || filled.contains(number))
        .map(|(_, request)| (request.claim, &request.worker.name));
    let to_check: Vec<_> = to_check.collect();
    if to_check.is_empty() {
        return Ok(PullResult::default());
    }
    let refused: Vec<(Uuid,)> = sqlx::query_as(REFUSED_SQLITE)
        .bind(encode_batch(to_check))
        .bind(now)
        .fetch_all(&mut *connection)
        .await?;
    let refused: Vec<ClaimId> = refused.into_iter().map(|(claim,)| ClaimId(claim)).collect();
    let assigned =
        picked.into_iter().zip(slots).filter(|(_, (_, request))| !refused.contains(&request.claim));
    let claims: Vec<_> = assigned
        .map(|((id, _), (_, PullRequest { claim, worker, .. }))| {
            (id, claim, worker.name, worker.subject, worker.instance, false)
        })
        .collect();
    let granted = if claims.is_empty() {
        Vec::new()
    } else {
        claim_on_sqlite(connection, encode_batch(claims), now).await?
    };
    Ok(PullResult { granted: decode_grants(granted), refused })
}
