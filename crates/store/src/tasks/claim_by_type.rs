//! Claims tasks by type: waiting workers share one statement that takes the oldest ready tasks.

use std::cmp::Reverse;
use std::time::Duration;

use database::{DatabaseError, Db, encode_batch, transaction};
use domain::{ClaimId, Priority, SubjectId, TypeName, WorkerName};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgPool, Row, SqliteConnection};
use uuid::Uuid;

use crate::priorities_in_use::ScanKey;
use crate::scan_floor::ReadyFloors;
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

/// Each type and priority is scanned from its floor, the highest priorities first. The scan locks the rows that it picks, so two statements never pick the same task.
/// Without a minimum age the scan has no upper bound, so tasks that became ready since the statement began count too.
///
/// Slots are ordered so that each request's first slot comes before any second one. A request is represented by its first
/// slot's number. The claim of a request is checked once, if the request is new or there is a task for its first slot. A claim
/// that is not free is returned as a row of attempt 0.
const POSTGRES: &str = concat!(
    "with picked as materialized (
        select r.id, row_number() over (order by r.priority desc, r.ready_at, r.id) as slot
        from (
            select ready.id, ready.ready_at, wanted.priority
            from unnest($1::text[], $2::bigint[], $11::smallint[]) as wanted (type, floor, priority)
            cross join lateral (
                select u.id, u.ready_at from unfinished_task u
                where u.type = wanted.type and u.priority = wanted.priority and u.ready_at >= wanted.floor and u.phase = 1
                    and u.ready_at <= case when $6::bigint > 0 and wanted.priority <= 4
                        then (select now_us()) - $6 else 9223372036854775807 end
                    and u.due_at + 0 >= (select now_us())
                order by u.ready_at limit $3
                for update skip locked
            ) ready
            order by wanted.priority desc, ready.ready_at limit $3
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
            u.due_at - (select now_us()) as remaining_us, t.traceparent, u.ready_at, u.priority
    )
    select * from granted
    union all
    select ($4::uuid[])[number], '', null, 0, ($4::uuid[])[number], '', 0, null, 0, 0::smallint
    from checked, unnest(free) with ordinality as request (is_free, number) where not request.is_free"
);

const PICK_SQLITE: &str = "
    select id, ready_at from unfinished_task
    where type = ?1 and priority = ?5 and phase = 1 and due_at >= ?2 and ready_at <= ?4
    order by ready_at limit ?3";

/// The priorities other than the default of ready tasks: for each type at most ten index entries are read.
const PRIORITIES_POSTGRES: &str = "
    select wanted.type, p::smallint from unnest($1::text[]) as wanted (type) cross join generate_series(0, 9) as p
    where p <> 4 and exists (
        select 1 from unfinished_task u where u.type = wanted.type and u.priority = p::smallint and u.phase = 1)";

const PRIORITIES_SQLITE: &str = "
    with recursive number (p) as (select 0 union all select p + 1 from number where p < 9)
    select wanted.value, p from json_each(?1) wanted, number
    where p <> 4 and exists (
        select 1 from unfinished_task u where u.type = wanted.value and u.priority = p and u.phase = 1)";

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
    priority: i16,
}

impl FromRow<'_, PgRow> for PulledRow {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            grant: GrantRow::from_row(row)?,
            ready_at: row.try_get("ready_at")?,
            priority: row.try_get("priority")?,
        })
    }
}

impl Store {
    /// A task of `type_name` has `priority`: claims by type look for it from now on. A priority that this process has not heard of
    /// is looked for in the database every second.
    pub fn add_priority(&self, type_name: &TypeName, priority: Priority) {
        self.priorities().add(type_name, priority);
    }

    /// Grants the ready tasks of `types` to `requests`, those of the highest priority first and of these the oldest, one each in
    /// turn until their slots or the tasks run out; only to claims under which nothing runs. Tasks whose priority is not above
    /// the default must have been ready for at least `min_age`. The claims of `requests` must differ.
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
        self.discover_priorities(types).await?;
        let keys = self.priorities().scan_keys(types);
        match &self.db {
            Db::Postgres(pools) => self.pull_on_postgres(&pools.write, &slots, &keys, age).await,
            Db::Sqlite(pools) => {
                let slots: Vec<(i32, PullRequest)> =
                    slots.into_iter().map(|(number, request)| (number, request.clone())).collect();
                transaction(&pools.write, &self.clock, move |connection, now| {
                    let youngest = if age > 0 { now.saturating_sub(age) } else { i64::MAX };
                    Box::pin(pull_on_sqlite(connection, keys, slots, now, youngest))
                })
                .await
            }
        }
    }

    /// Looks for priorities that other processes have given to tasks of `types`, every so often.
    pub(crate) async fn discover_priorities(&self, types: &[TypeName]) -> Result<(), DatabaseError> {
        let types = self.priorities().start_discovery(types);
        if types.is_empty() {
            return Ok(());
        }
        let found: Vec<(String, i16)> = match &self.db {
            Db::Postgres(pools) => {
                let names = types.iter().map(|name| name.as_str()).collect::<Vec<_>>();
                sqlx::query_as(PRIORITIES_POSTGRES).bind(names).fetch_all(&pools.read).await?
            }
            Db::Sqlite(pools) => {
                let names = encode_batch(types.iter());
                sqlx::query_as(PRIORITIES_SQLITE).bind(names).fetch_all(&pools.read).await?
            }
        };
        for type_name in types {
            let of_type = found.iter().filter(|(name, _)| name == type_name.as_str());
            let priorities = of_type.filter_map(|(_, number)| u8::try_from(*number).ok()?.try_into().ok());
            priorities.for_each(|priority| self.priorities().add(type_name, priority));
        }
        Ok(())
    }

    /// The floors of a scan with this minimum age.
    fn ready_floors(&self, key: &ScanKey, age: i64) -> &ReadyFloors {
        self.floors().for_min_age(min_age_of(key, age))
    }

    async fn pull_on_postgres(
        &self,
        pool: &PgPool,
        slots: &[(i32, &PullRequest)],
        keys: &[ScanKey],
        age: i64,
    ) -> Result<PullResult, DatabaseError> {
        let before = self.now().0;
        let start = |key: &ScanKey| self.ready_floors(key, age).scan_start(key, before);
        let rows: Vec<PulledRow> = sqlx::query_as(POSTGRES)
            .bind(keys.iter().map(|key| key.type_name.as_str()).collect::<Vec<_>>())
            .bind(keys.iter().map(start).collect::<Vec<_>>())
            .bind(i64::try_from(slots.len()).expect("the slots fit into memory"))
            .bind(slots.iter().map(|(_, request)| request.claim.0).collect::<Vec<_>>())
            .bind(slots.iter().map(|(_, request)| request.worker.name.as_str()).collect::<Vec<_>>())
            .bind(age)
            .bind(slots.iter().map(|(number, _)| *number).collect::<Vec<_>>())
            .bind(first_slots(slots).map(|(_, request)| request.is_first_look).collect::<Vec<_>>())
            .bind(slots.iter().map(|(_, request)| request.worker.subject.0).collect::<Vec<_>>())
            .bind(slots.iter().map(|(_, request)| request.worker.instance.0).collect::<Vec<_>>())
            .bind(keys.iter().map(|key| i16::from(key.priority.get())).collect::<Vec<_>>())
            .fetch_all(pool)
            .await?;
        let (rows, refused): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.grant.attempt > 0);
        if refused.is_empty() {
            let is_exhausted = rows.len() < slots.len();
            for key in keys {
                let end = before.saturating_sub(min_age_of(key, age));
                raise_floor(self.ready_floors(key, age), key, &rows, is_exhausted.then_some(end));
            }
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

/// The least age of a task that a scan with this minimum finds: none if it has a priority above the default.
fn min_age_of(key: &ScanKey, age: i64) -> i64 {
    if key.priority > Priority::DEFAULT { 0 } else { age }
}

/// Raises the floor of a scan: to the oldest task that was found, or to `end` if the scan found none up to there.
fn raise_floor(floors: &ReadyFloors, key: &ScanKey, rows: &[PulledRow], end: Option<i64>) {
    let is_of_key = |row: &&PulledRow| {
        row.grant.name == key.type_name.as_str() && row.priority == i16::from(key.priority.get())
    };
    let found = rows.iter().filter(is_of_key).map(|row| row.ready_at).min();
    match (found, end) {
        (Some(ready_at), _) => floors.found(key, ready_at),
        (None, Some(end)) => floors.scanned_to(key, end),
        (None, None) => {}
    }
}

async fn pull_on_sqlite(
    connection: &mut SqliteConnection,
    keys: Vec<ScanKey>,
    slots: Vec<(i32, PullRequest)>,
    now: i64,
    youngest: i64,
) -> Result<PullResult, DatabaseError> {
    let limit = i64::try_from(slots.len()).expect("the slots fit into memory");
    let mut picked: Vec<(Reverse<Priority>, i64, Uuid)> = Vec::new();
    for key in keys {
        let youngest = if key.priority > Priority::DEFAULT { i64::MAX } else { youngest };
        let oldest: Vec<(Uuid, i64)> = sqlx::query_as(PICK_SQLITE)
            .bind(key.type_name.as_str())
            .bind(now)
            .bind(limit)
            .bind(youngest)
            .bind(key.priority.get())
            .fetch_all(&mut *connection)
            .await?;
        picked.extend(oldest.into_iter().map(|(id, ready_at)| (Reverse(key.priority), ready_at, id)));
    }
    picked.sort_unstable();
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
        .map(|((.., id), (_, PullRequest { claim, worker, .. }))| {
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
