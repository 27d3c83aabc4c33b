//! Claim by type: waiting workers share one statement that takes the oldest ready tasks.

use std::time::Duration;

use domain::{ClaimId, TypeName, WorkerName};
use sqlx::SqliteConnection;
use uuid::Uuid;

use crate::claim::{GrantRow, Granted, on_sqlite, readable};
use crate::db::Db;
use crate::error::StoreError;
use crate::floor::Lanes;
use crate::sqlite::{batch, transaction};
use crate::store::Store;

/// A worker that waits for work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Puller {
    /// The ask's claim.
    pub claim: ClaimId,
    /// Who asks.
    pub worker: WorkerName,
    /// How many tasks it can take.
    pub slots: u32,
}

/// Each lane (a type) is walked from its floor; the walk locks what it picks, so two pulls never pick the same task. Its
/// end is open unless an age is asked for: what became ready since the statement began is as good as what was.
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
    )
    update live l
    set phase = 2, attempt = l.attempt + 1, claim = ($4::uuid[])[p.seat], worker = ($5::text[])[p.seat],
        started = (select now_us()), due = (select now_us()) + t.ttl * 1000
    from picked p join task t on t.id = p.id
    where l.id = p.id
    returning l.id, l.type, t.parameters, l.attempt, l.claim, l.worker, l.due - (select now_us()), l.place";

const SQLITE_PICK: &str = "
    select id, place from live
    where type = ?1 and priority = 0 and phase = 1 and due >= ?2 and place <= ?4
    order by place limit ?3";

const HELD_POSTGRES: &str = "
    select l.id, l.type, t.parameters, l.attempt, l.claim, l.worker, l.due - (select now_us())
    from live l join task t on t.id = l.id
    where l.worker = $1 and l.claim = $2 and l.phase = 2 and l.due >= (select now_us())";

const HELD_SQLITE: &str = "
    select l.id, l.type, t.parameters, l.attempt, l.claim, l.worker, l.due - ?3
    from live l join task t on t.id = l.id
    where l.worker = ?1 and l.claim = ?2 and l.phase = 2 and l.due >= ?3";

type PulledRow = (Uuid, String, Option<String>, i32, Uuid, String, i64, i64);

impl Store {
    /// Gives the oldest ready tasks of `types` to `pullers`, one each in turn until their slots or the tasks run out; only
    /// tasks that have been ready for at least `min_age`.
    pub async fn pull(
        &self,
        pullers: &[Puller],
        types: &[TypeName],
        min_age: Duration,
    ) -> Result<Vec<Granted>, StoreError> {
        let seats = seats(pullers);
        if seats.is_empty() || types.is_empty() {
            return Ok(Vec::new());
        }
        let age = i64::try_from(min_age.as_micros()).unwrap_or(i64::MAX);
        match &self.db {
            Db::Postgres(pools) => {
                let before = self.now().0;
                let lanes = self.floors().lanes(age);
                let floors = lanes.of(types, before);
                let rows: Vec<PulledRow> = sqlx::query_as(POSTGRES)
                    .bind(types.iter().map(TypeName::as_str).collect::<Vec<_>>())
                    .bind(floors)
                    .bind(i64::try_from(seats.len()).expect("fewer seats than that"))
                    .bind(seats.iter().map(|seat| seat.claim.0).collect::<Vec<_>>())
                    .bind(seats.iter().map(|seat| seat.worker.as_str()).collect::<Vec<_>>())
                    .bind(age)
                    .fetch_all(&pools.write)
                    .await?;
                remember(lanes, types, &rows, (rows.len() < seats.len()).then(|| before.saturating_sub(age)));
                Ok(readable(rows.into_iter().map(|(a, b, c, d, e, f, g, _)| (a, b, c, d, e, f, g))))
            }
            Db::Sqlite(pools) => {
                let seats: Vec<_> = seats.into_iter().map(|seat| (seat.claim, seat.worker.clone())).collect();
                let types = types.to_vec();
                let rows = transaction(&pools.write, &self.clock, move |connection, now| {
                    let youngest = if age > 0 { now.saturating_sub(age) } else { i64::MAX };
                    Box::pin(pull_on_sqlite(connection, types, seats, now, youngest))
                });
                Ok(readable(rows.await?))
            }
        }
    }

    /// What still runs under `claim`: the answer to an ask that is repeated because its answer was lost.
    pub async fn held(&self, worker: &WorkerName, claim: ClaimId) -> Result<Vec<Granted>, StoreError> {
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
        Ok(readable(rows))
    }
}

/// Raises the floor of each type: to its oldest find, or to the end of the lane if the walk came to it.
fn remember(lanes: &Lanes, types: &[TypeName], rows: &[PulledRow], end: Option<i64>) {
    for name in types {
        let found = rows.iter().filter(|row| row.1 == name.as_str()).map(|row| row.7).min();
        match (found, end) {
            (Some(place), _) => lanes.found(name, place),
            (None, Some(end)) => lanes.walked_to(name, end),
            (None, None) => {}
        }
    }
}

/// One entry for each free slot: everyone's first, then everyone's second, and so on.
fn seats(pullers: &[Puller]) -> Vec<&Puller> {
    let most = pullers.iter().map(|puller| puller.slots).max().unwrap_or(0);
    (0..most).flat_map(|round| pullers.iter().filter(move |puller| puller.slots > round)).collect()
}

async fn pull_on_sqlite(
    connection: &mut SqliteConnection,
    types: Vec<TypeName>,
    seats: Vec<(ClaimId, WorkerName)>,
    now: i64,
    youngest: i64,
) -> Result<Vec<GrantRow>, StoreError> {
    let limit = i64::try_from(seats.len()).expect("fewer seats than that");
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
    let asks =
        batch(picked.into_iter().zip(seats).map(|((id, _), (claim, worker))| (id, claim, worker, false)));
    on_sqlite(connection, asks, now).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_go_round() {
        let puller =
            |n, slots| Puller { claim: ClaimId(Uuid::from_u128(n)), worker: "w".parse().unwrap(), slots };
        let pullers = [puller(1, 3), puller(2, 1)];
        let order: Vec<u128> = seats(&pullers).iter().map(|seat| seat.claim.0.as_u128()).collect();
        assert_eq!(order, [1, 2, 1, 1]);
    }
}
