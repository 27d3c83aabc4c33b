//! Claim by type: waiting workers share one statement that takes the oldest ready tasks.

use std::time::Duration;

use domain::{ClaimId, TypeName, WorkerName};
use sqlx::{PgPool, SqliteConnection};
use uuid::Uuid;

use crate::scan_floor::TypeFloors;
use crate::store::Store;
use crate::tasks::claim_by_id::{GrantRow, Granted, decode_grants, on_sqlite};
use database::DatabaseError;
use database::Db;
use database::{batch, transaction};

/// A worker that waits for work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// The ask's claim.
    pub claim: ClaimId,
    /// Who asks.
    pub worker: WorkerName,
    /// How many tasks it can take.
    pub slots: u32,
    /// Whether nobody has looked for it yet: another Backend may have been asked the same before.
    pub new: bool,
}

/// What came of a pull.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullResult {
    /// What was granted.
    pub granted: Vec<Granted>,
    /// The claims under which something runs already, or is being granted by another statement at this moment. They were
    /// granted nothing; what was meant for them stays ready.
    pub refused: Vec<ClaimId>,
}

/// Each lane (a type) is walked from its floor; the walk locks what it picks, so two pulls never pick the same task. Its
/// end is open unless an age is asked for: what became ready since the statement began is as good as what was.
///
/// Everyone's first seat comes first: an asker's number is that of its first seat. The claim of an asker who is new, or has a
/// task for that seat, is looked at, once; one that is not free comes back as a row of attempt 0.
const POSTGRES: &str = "
    with picked as materialized (
        select r.id, row_number() over (order by r.place, r.id) as seat
        from (
            select ready.id, ready.place
            from unnest($1::text[], $2::bigint[]) as lane (type, floor)
            cross join lateral (
                select l.id, l.place from live l
                where l.type = lane.type and l.priority = 0 and l.place >= lane.floor and l.phase = 1
                    and l.place <= case when $6::bigint > 0 then (select now_us()) - $6 else 9223372036854775807 end
                    and l.due + 0 >= (select now_us())
                order by l.place limit $3
                for update skip locked
            ) ready
            order by ready.place limit $3
        ) r
    ), free as materialized (
        select array_agg(
            case when new or seat <= (select count(*) from picked)
                then claim_is_free(($5::text[])[seat], ($4::uuid[])[seat]) else true end
            order by seat) as askers
        from unnest($8::boolean[]) with ordinality as asker (new, seat)
    ), granted as (
        update live l
        set phase = 2, attempt = l.attempt + 1, claim = ($4::uuid[])[p.seat], worker = ($5::text[])[p.seat],
            started = (select now_us()), due = (select now_us()) + t.ttl * 1000
        from picked p join task t on t.id = p.id
        where l.id = p.id and (select askers from free)[($7::integer[])[p.seat]]
        returning l.id, l.type, t.parameters, l.attempt, l.claim, l.worker, l.due - (select now_us()), t.trace, l.place
    )
    select * from granted
    union all
    select ($4::uuid[])[seat], '', null, 0, ($4::uuid[])[seat], '', 0, null, 0
    from free, unnest(askers) with ordinality as asker (free, seat) where not asker.free";

const SQLITE_PICK: &str = "
    select id, place from live
    where type = ?1 and priority = 0 and phase = 1 and due >= ?2 and place <= ?4
    order by place limit ?3";

const SQLITE_REFUSED: &str = "
    select unhex(value->>0, '-') from json_each(?1)
    where exists (
        select 1 from live l
        where l.worker = value->>1 and l.claim = unhex(value->>0, '-') and l.phase = 2 and l.due >= ?2)";

const HELD_POSTGRES: &str = "
    select l.id, l.type, t.parameters, l.attempt, l.claim, l.worker, l.due - (select now_us()), t.trace
    from live l join task t on t.id = l.id
    where l.worker = $1 and l.claim = $2 and l.phase = 2 and l.due >= (select now_us())";

const HELD_SQLITE: &str = "
    select l.id, l.type, t.parameters, l.attempt, l.claim, l.worker, l.due - ?3, t.trace
    from live l join task t on t.id = l.id
    where l.worker = ?1 and l.claim = ?2 and l.phase = 2 and l.due >= ?3";

/// A grant and its place; what was refused has attempt 0.
type PulledRow = (Uuid, String, Option<String>, i32, Uuid, String, i64, Option<String>, i64);

impl Store {
    /// Gives the oldest ready tasks of `types` to `pullers`, one each in turn until their slots or the tasks run out; only
    /// tasks that have been ready for at least `min_age`, and only to those under whose claim nothing runs. No two of
    /// `pullers` have the same claim.
    pub async fn claim_by_type(
        &self,
        pullers: &[PullRequest],
        types: &[TypeName],
        min_age: Duration,
    ) -> Result<PullResult, DatabaseError> {
        let slot_assignments = slot_assignments(pullers);
        if slot_assignments.is_empty() || types.is_empty() {
            return Ok(PullResult::default());
        }
        let age = i64::try_from(min_age.as_micros()).unwrap_or(i64::MAX);
        match &self.db {
            Db::Postgres(pools) => self.pull_on_postgres(&pools.write, &slot_assignments, types, age).await,
            Db::Sqlite(pools) => {
                let slot_assignments: Vec<(i32, PullRequest)> =
                    slot_assignments.into_iter().map(|(asker, seat)| (asker, seat.clone())).collect();
                let types = types.to_vec();
                transaction(&pools.write, &self.clock, move |connection, now| {
                    let youngest = if age > 0 { now.saturating_sub(age) } else { i64::MAX };
                    Box::pin(pull_on_sqlite(connection, types, slot_assignments, now, youngest))
                })
                .await
            }
        }
    }

    async fn pull_on_postgres(
        &self,
        pool: &PgPool,
        slot_assignments: &[(i32, &PullRequest)],
        types: &[TypeName],
        age: i64,
    ) -> Result<PullResult, DatabaseError> {
        let before = self.now().0;
        let lanes = self.floors().lanes(age);
        let rows: Vec<PulledRow> = sqlx::query_as(POSTGRES)
            .bind(types.iter().map(TypeName::as_str).collect::<Vec<_>>())
            .bind(lanes.of(types, before))
            .bind(i64::try_from(slot_assignments.len()).expect("fewer seats than that"))
            .bind(slot_assignments.iter().map(|(_, seat)| seat.claim.0).collect::<Vec<_>>())
            .bind(slot_assignments.iter().map(|(_, seat)| seat.worker.as_str()).collect::<Vec<_>>())
            .bind(age)
            .bind(slot_assignments.iter().map(|(asker, _)| *asker).collect::<Vec<_>>())
            .bind(first_slots(slot_assignments).map(|(_, seat)| seat.new).collect::<Vec<_>>())
            .fetch_all(pool)
            .await?;
        let (rows, refused): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.3 > 0);
        if refused.is_empty() {
            remember(
                lanes,
                types,
                &rows,
                (rows.len() < slot_assignments.len()).then(|| before.saturating_sub(age)),
            );
        }
        Ok(PullResult {
            granted: decode_grants(
                rows.into_iter().map(|(a, b, c, d, e, f, g, h, _)| (a, b, c, d, e, f, g, h)),
            ),
            refused: refused.into_iter().map(|row| ClaimId(row.4)).collect(),
        })
    }

    /// What still runs under `claim`: the answer to an ask that is repeated because its answer was lost.
    pub async fn grants_under_claim(
        &self,
        worker: &WorkerName,
        claim: ClaimId,
    ) -> Result<Vec<Granted>, DatabaseError> {
        let rows: Vec<GrantRow> = match &self.db {
            Db::Postgres(pools) => {
                let held = sqlx::query_as(HELD_POSTGRES).bind(worker.as_str()).bind(claim.0);
                held.fetch_all(&pools.read).await?
            }
            Db::Sqlite(pools) => {
                let held =
                    sqlx::query_as(HELD_SQLITE).bind(worker.as_str()).bind(claim.0).bind(self.clock.now());
                held.fetch_all(&pools.read).await?
            }
        };
        Ok(decode_grants(rows))
    }
}

/// Raises the floor of each type: to its oldest find, or to the end of the lane if the walk came to it.
fn remember(lanes: &TypeFloors, types: &[TypeName], rows: &[PulledRow], end: Option<i64>) {
    for name in types {
        let found = rows.iter().filter(|row| row.1 == name.as_str()).map(|row| row.8).min();
        match (found, end) {
            (Some(place), _) => lanes.found(name, place),
            (None, Some(end)) => lanes.walked_to(name, end),
            (None, None) => {}
        }
    }
}

/// One entry for each free slot: everyone's first, then everyone's second, and so on. With it goes the asker's number, which
/// is that of its first seat.
fn slot_assignments(pullers: &[PullRequest]) -> Vec<(i32, &PullRequest)> {
    let most = pullers.iter().map(|puller| puller.slots).max().unwrap_or(0);
    let asking = (1..).zip(pullers.iter().filter(|puller| puller.slots > 0));
    (0..most).flat_map(|round| asking.clone().filter(move |(_, puller)| puller.slots > round)).collect()
}

/// The first seat of each.
fn first_slots<T>(slot_assignments: &[(i32, T)]) -> impl Iterator<Item = &(i32, T)> {
    let most = slot_assignments.iter().map(|(asker, _)| *asker).max().unwrap_or(0);
    slot_assignments.iter().take(usize::try_from(most).unwrap_or(0))
}

async fn pull_on_sqlite(
    connection: &mut SqliteConnection,
    types: Vec<TypeName>,
    slot_assignments: Vec<(i32, PullRequest)>,
    now: i64,
    youngest: i64,
) -> Result<PullResult, DatabaseError> {
    let limit = i64::try_from(slot_assignments.len()).expect("fewer seats than that");
    let mut picked: Vec<(Uuid, i64)> = Vec::new();
    for name in types {
        let lane: Vec<(Uuid, i64)> = sqlx::query_as(SQLITE_PICK)
            .bind(name.as_str())
            .bind(now)
            .bind(limit)
            .bind(youngest)
            .fetch_all(&mut *connection)
            .await?;
        picked.extend(lane);
    }
    picked.sort_unstable_by_key(|&(id, place)| (place, id));
    let given = 1..=i32::try_from(picked.len()).expect("a seat each");
    let asking = first_slots(&slot_assignments).filter(|(asker, seat)| seat.new || given.contains(asker));
    let asking: Vec<_> = asking.map(|(_, seat)| (seat.claim, &seat.worker)).collect();
    if asking.is_empty() {
        return Ok(PullResult::default());
    }
    let refused: Vec<(Uuid,)> =
        sqlx::query_as(SQLITE_REFUSED).bind(batch(asking)).bind(now).fetch_all(&mut *connection).await?;
    let refused: Vec<ClaimId> = refused.into_iter().map(|(claim,)| ClaimId(claim)).collect();
    let seated =
        picked.into_iter().zip(slot_assignments).filter(|(_, (_, seat))| !refused.contains(&seat.claim));
    let asks: Vec<_> = seated.map(|((id, _), (_, seat))| (id, seat.claim, seat.worker, false)).collect();
    let granted = if asks.is_empty() { Vec::new() } else { on_sqlite(connection, batch(asks), now).await? };
    Ok(PullResult { granted: decode_grants(granted), refused })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_go_round() {
        let puller = |n, slots| PullRequest {
            claim: ClaimId(Uuid::from_u128(n)),
            worker: "w".parse().unwrap(),
            slots,
            new: false,
        };
        let pullers = [puller(1, 3), puller(3, 0), puller(2, 1)];
        let order: Vec<(i32, u128)> =
            slot_assignments(&pullers).iter().map(|(asker, seat)| (*asker, seat.claim.0.as_u128())).collect();
        assert_eq!(order, [(1, 1), (2, 2), (1, 1), (1, 1)]);
        let firsts: Vec<i32> = first_slots(&slot_assignments(&pullers)).map(|(asker, _)| *asker).collect();
        assert_eq!(firsts, [1, 2]);
    }
}
