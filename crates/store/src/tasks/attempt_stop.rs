//! Records when the work of attempts has stopped that ended without a report.

use database::{DatabaseError, Db, encode_batch};
use domain::{StoppedGrant, WorkerProcess};

use crate::store::Store;

/// An attempt of a worker that runs, has ended its task, or was followed by another one.
macro_rules! is_of_worker {
    (worker: $worker:literal, subject: $subject:literal) => {
        concat!(
            "(exists (select 1 from unfinished_task u where u.id = g.id and u.attempt = g.attempt
                and u.phase + 0 = 2 and u.worker = ",
            $worker,
            " and u.subject = ",
            $subject,
            ") or exists (select 1 from outcome o where o.id = g.id and o.attempt = g.attempt
                and o.worker = ",
            $worker,
            " and o.subject = ",
            $subject,
            ") or exists (select 1 from attempt a where a.id = g.id and a.attempt = g.attempt and a.worker = ",
            $worker,
            "))"
        )
    };
}

const POSTGRES: &str = concat!(
    "insert into attempt_stop (id, attempt, stopped_at)
    select g.id, g.attempt, (select now_us()) - g.ago from unnest($1::uuid[], $2::integer[], $5::bigint[]) as g (id, attempt, ago)
    where ",
    is_of_worker!(worker: "$3", subject: "$4"),
    " order by g.id, g.attempt
    on conflict do nothing"
);

const SQLITE: &str = concat!(
    "insert into attempt_stop (id, attempt, stopped_at)
    select g.id, g.attempt, ?4 - g.ago
    from (select unhex(value->>0, '-') as id, value->>1 as attempt, value->>2 as ago from json_each(?1)) g
    where ",
    is_of_worker!(worker: "?2", subject: "?3"),
    " on conflict do nothing"
);

/// The longest that a stop may lie back, in milliseconds: an hour.
const MAX_AGO_MS: u64 = 3_600_000;

/// How long ago the work has stopped, in microseconds.
fn ago_micros(grant: &StoppedGrant) -> i64 {
    i64::try_from(grant.ago_ms.min(MAX_AGO_MS) * 1000).expect("an hour fits")
}

impl Store {
    /// Records when the work of the grants `stopped` has stopped, counted back from the current time of the database's clock. Only the first
    /// record of a grant counts, and only of one that was given to the worker of `process`.
    pub async fn record_stops(
        &self,
        process: &WorkerProcess,
        stopped: &[StoppedGrant],
    ) -> Result<(), DatabaseError> {
        let WorkerProcess { name, subject, .. } = process;
        match &self.db {
            Db::Postgres(pools) => {
                let ids: Vec<_> = stopped.iter().map(|grant| grant.id.0).collect();
                let attempts: Vec<_> = stopped.iter().map(|grant| grant.attempt.cast_signed()).collect();
                let ago: Vec<_> = stopped.iter().map(ago_micros).collect();
                let insert = sqlx::query(POSTGRES).bind(ids).bind(attempts).bind(name.as_str());
                insert.bind(subject.0).bind(ago).execute(&pools.write).await?;
            }
            Db::Sqlite(pools) => {
                let stopped =
                    encode_batch(stopped.iter().map(|grant| (grant.id, grant.attempt, ago_micros(grant))));
                let insert = sqlx::query(SQLITE).bind(stopped).bind(name.as_str()).bind(subject.0);
                insert.bind(self.clock.now()).execute(&pools.write).await?;
            }
        }
        Ok(())
    }
}
