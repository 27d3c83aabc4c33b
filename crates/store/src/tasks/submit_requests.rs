//! Accepts requests that may be repeated: each as a whole, and each idempotency key once.

use std::collections::{BTreeMap, HashMap, HashSet};

use database::{DatabaseError, Db, UnavailableCause, encode_batch, on, transaction};
use domain::{OwnerId, RequestKey, Submission, SubmissionRequest, TaskId, Timestamp};
use serde_json::value::{RawValue, to_raw_value};
use sqlx::{PgPool, Pool, Sqlite};
use uuid::Uuid;

use crate::decode::{corrupt, row_struct};
use crate::store::Store;
use crate::tasks::submit::{
    bind_tasks, have_labels_or_dependencies, insert_on_sqlite, json_row, labels_and_dependencies_postgres,
    postgres_statement,
};

/// A key that another transaction is inserting is waited for. `$16` and `$17` are the tasks that have keys, each with the hash of its key:
/// they are inserted with their key, or not at all.
macro_rules! keyed_postgres {
    ($beside:expr) => {
        postgres_statement!(
    beside: $beside,
    "keys as (
        insert into idempotency (owner, key_hash, content_hash, tasks, created_at)
        select owner, key_hash, content_hash, tasks, (select now_us())
        from unnest($12::uuid[], $13::uuid[], $14::uuid[], $15::text[]) as k (owner, key_hash, content_hash, tasks)
        on conflict (owner, key_hash) do nothing
        returning key_hash
    ), ",
    "where g.id not in (
            select keyed.id from unnest($16::uuid[], $17::uuid[]) as keyed (id, key_hash)
            where keyed.key_hash not in (select key_hash from keys))
        ",
    ", unfinished as (
        ",
    ")
    select key_hash from keys"
        )
    };
}

const POSTGRES: &str = keyed_postgres!("");

const WITH_LABELS_AND_DEPENDENCIES_POSTGRES: &str = keyed_postgres!(labels_and_dependencies_postgres!());

const KEYS_SQLITE: &str = "
    insert into idempotency (owner, key_hash, content_hash, tasks, created_at)
    select unhex(value->>0, '-'), unhex(value->>1, '-'), unhex(value->>2, '-'), value->>3, ?2
    from json_each(?1)
    where true
    on conflict (owner, key_hash) do nothing
    returning key_hash";

const FIND_POSTGRES: &str = "
    select i.key_hash, i.content_hash, i.tasks
    from unnest($1::uuid[], $2::uuid[]) as k (owner, key_hash)
        join idempotency i on i.owner = k.owner and i.key_hash = k.key_hash";

const FIND_SQLITE: &str = "
    select i.key_hash, i.content_hash, i.tasks
    from json_each(?1)
        join idempotency i on i.owner = unhex(value->>0, '-') and i.key_hash = unhex(value->>1, '-')";

const PRUNE: &str = "
    delete from idempotency
    where (owner, key_hash) in (
        select owner, key_hash from idempotency where created_at < $1 order by created_at limit $2)";

row_struct! {
    /// What was submitted under a key.
    struct KeyRow {
        key_hash: Uuid,
        content_hash: Uuid,
        tasks: String,
    }
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubmissionOutcome {
    /// Its tasks are stored.
    Accepted,
    /// The same was submitted under its key before: these are the tasks. Nothing is stored.
    Repeated(Vec<TaskId>),
    /// Something else was submitted under its key before. Nothing is stored.
    KeyReused,
    /// Its key is being submitted by another transaction, which did not end in time. Nothing is stored.
    UnderWay,
}

impl Store {
    /// Accepts `requests`, each as a whole or not at all: once it returns, the tasks of those that are answered with
    /// [`SubmissionOutcome::Accepted`] are CREATED, durably. The same requests may be repeated when their commit is unknown. A batch
    /// without keys costs what [`Store::submit`] costs.
    pub async fn submit_requests(
        &self,
        requests: &[SubmissionRequest],
    ) -> Result<Vec<SubmissionOutcome>, DatabaseError> {
        let without_key = requests.iter().filter(|request| request.key.is_none());
        let plain: Vec<&Submission> = without_key.flat_map(|request| &request.tasks).collect();
        let first_of_each_key = FirstOfEachKey::of(requests);
        if first_of_each_key.by_key.is_empty() {
            self.submit_tasks(plain).await?;
            return Ok(vec![SubmissionOutcome::Accepted; requests.len()]);
        }
        let inserted = match &self.db {
            Db::Postgres(pools) => match first_of_each_key.insert_on_postgres(&pools.write, &plain).await {
                Err(error) if error.unavailable_cause() == Some(UnavailableCause::Locked) => {
                    // What waits for a key does not hold up the requests that have none.
                    self.submit_tasks(plain).await?;
                    HashSet::new()
                }
                inserted => inserted?,
            },
            Db::Sqlite(pools) => self.insert_on_sqlite(&pools.write, &first_of_each_key, &plain).await?,
        };
        self.outcomes(requests, &first_of_each_key, &inserted).await
    }

    async fn insert_on_sqlite(
        &self,
        pool: &Pool<Sqlite>,
        first: &FirstOfEachKey<'_>,
        plain: &[&Submission],
    ) -> Result<HashSet<Uuid>, DatabaseError> {
        let row = |task: &Submission| to_raw_value(&json_row(task)).expect("ids, text and numbers are JSON");
        let keyed =
            |(key, request): (&RequestKey, &&SubmissionRequest)| -> Vec<(Option<Uuid>, Box<RawValue>)> {
                request.tasks.iter().map(|task| (Some(key.key_hash), row(task))).collect()
            };
        let mut rows: Vec<_> = plain.iter().map(|task| (None, row(task))).collect();
        rows.extend(first.iter().flat_map(keyed));
        let keys = encode_batch(
            first.iter().map(|(key, request)| (key.owner, key.key_hash, key.content_hash, task_ids(request))),
        );
        transaction(pool, &self.clock, move |connection, now| {
            Box::pin(async move {
                let inserted = sqlx::query_as(KEYS_SQLITE).bind(keys).bind(now);
                let inserted: Vec<(Uuid,)> = inserted.fetch_all(&mut *connection).await?;
                let inserted: HashSet<Uuid> = inserted.into_iter().map(|(key_hash,)| key_hash).collect();
                let is_new = |key_hash: &Option<Uuid>| key_hash.is_none_or(|hash| inserted.contains(&hash));
                let rows = encode_batch(rows.iter().filter(|(key, _)| is_new(key)).map(|(_, row)| row));
                insert_on_sqlite(connection, rows, now).await?;
                Ok(inserted)
            })
        })
        .await
    }

    /// What became of each request, when the keys `inserted` have been inserted with their tasks.
    async fn outcomes(
        &self,
        requests: &[SubmissionRequest],
        first: &FirstOfEachKey<'_>,
        inserted: &HashSet<Uuid>,
    ) -> Result<Vec<SubmissionOutcome>, DatabaseError> {
        let is_accepted = |request: &SubmissionRequest| match &request.key {
            None => true,
            Some(key) => inserted.contains(&key.key_hash) && first.contains(request),
        };
        let others =
            requests.iter().filter(|request| !is_accepted(request)).filter_map(|request| request.key);
        let found = self.find_keys(others.collect()).await?;
        let outcome = |request: &SubmissionRequest| match &request.key {
            Some(key) if !is_accepted(request) => outcome(key, request, &found),
            _ => Ok(SubmissionOutcome::Accepted),
        };
        requests.iter().map(outcome).collect()
    }

    /// What was submitted under `key` before; `None` if nothing was, or it is forgotten.
    pub async fn submitted_under(&self, key: RequestKey) -> Result<Option<SubmissionOutcome>, DatabaseError> {
        let found = self.find_keys(vec![key]).await?;
        let row = found.get(&key.key_hash);
        row.map(|row| earlier(&key, row)).transpose()
    }

    async fn find_keys(&self, keys: Vec<RequestKey>) -> Result<HashMap<Uuid, KeyRow>, DatabaseError> {
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let rows: Vec<KeyRow> = match &self.db {
            Db::Postgres(pools) => {
                let (owners, hashes): (Vec<Uuid>, Vec<Uuid>) =
                    keys.iter().map(|key| (key.owner.0, key.key_hash)).unzip();
                sqlx::query_as(FIND_POSTGRES).bind(owners).bind(hashes).fetch_all(&pools.read).await?
            }
            Db::Sqlite(pools) => {
                let keys = encode_batch(keys.iter().map(|key| (key.owner, key.key_hash)));
                sqlx::query_as(FIND_SQLITE).bind(keys).fetch_all(&pools.read).await?
            }
        };
        Ok(rows.into_iter().map(|row| (row.key_hash, row)).collect())
    }

    /// Forgets at most `limit` keys that were used before `before`, the oldest first, and returns their number.
    pub async fn prune_idempotency_keys(&self, before: Timestamp, limit: u32) -> Result<u64, DatabaseError> {
        on!(&self.db, write, pool => {
            let deleted = sqlx::query(PRUNE).bind(before.0).bind(i64::from(limit)).execute(pool).await?;
            Ok(deleted.rows_affected())
        })
    }
}

/// The requests with keys, by their keys: of several with one key the first. In the order of the keys, in which every statement
/// inserts them, so that two statements do not wait for each other.
struct FirstOfEachKey<'a> {
    by_key: BTreeMap<(OwnerId, Uuid), (RequestKey, &'a SubmissionRequest)>,
}

impl<'a> FirstOfEachKey<'a> {
    fn of(requests: &'a [SubmissionRequest]) -> Self {
        let mut by_key = BTreeMap::new();
        for request in requests {
            if let Some(key) = request.key {
                by_key.entry((key.owner, key.key_hash)).or_insert((key, request));
            }
        }
        Self { by_key }
    }

    fn iter(&self) -> impl Iterator<Item = (&RequestKey, &&'a SubmissionRequest)> {
        self.by_key.values().map(|(key, request)| (key, request))
    }

    fn contains(&self, request: &SubmissionRequest) -> bool {
        let first = request.key.and_then(|key| self.by_key.get(&(key.owner, key.key_hash)));
        first.is_some_and(|(_, first)| std::ptr::eq(*first, request))
    }

    /// Inserts the keys that are new, their tasks, and the tasks that have no key. Returns the hashes of the inserted keys.
    async fn insert_on_postgres(
        &self,
        pool: &PgPool,
        plain: &[&Submission],
    ) -> Result<HashSet<Uuid>, DatabaseError> {
        let keyed =
            || self.iter().flat_map(|(key, request)| request.tasks.iter().map(move |task| (key, task)));
        let mut tasks: Vec<&Submission> =
            plain.iter().copied().chain(keyed().map(|(_, task)| task)).collect();
        tasks.sort_by_key(|task| task.id);
        let hashes = |of: fn(&RequestKey) -> Uuid| self.iter().map(|(key, _)| of(key)).collect::<Vec<_>>();
        let statement = if have_labels_or_dependencies(&tasks) {
            WITH_LABELS_AND_DEPENDENCIES_POSTGRES
        } else {
            POSTGRES
        };
        let inserted = bind_tasks(sqlx::query(statement), &tasks)
            .bind(hashes(|key| key.owner.0))
            .bind(hashes(|key| key.key_hash))
            .bind(hashes(|key| key.content_hash))
            .bind(self.iter().map(|(_, request)| task_ids(request)).collect::<Vec<_>>())
            .bind(keyed().map(|(_, task)| task.id.0).collect::<Vec<_>>())
            .bind(keyed().map(|(key, _)| key.key_hash).collect::<Vec<_>>())
            .fetch_all(pool)
            .await?;
        inserted.iter().map(|row| Ok(sqlx::Row::try_get(row, 0)?)).collect()
    }
}

/// The ids of a request's tasks, as `idempotency.tasks` holds them.
fn task_ids(request: &SubmissionRequest) -> String {
    encode_batch(request.tasks.iter().map(|task| task.id))
}

/// What became of a request that has not been inserted now.
fn outcome(
    key: &RequestKey,
    request: &SubmissionRequest,
    found: &HashMap<Uuid, KeyRow>,
) -> Result<SubmissionOutcome, DatabaseError> {
    match found.get(&key.key_hash) {
        None => Ok(SubmissionOutcome::UnderWay),
        // The commit of an earlier try was unknown.
        Some(row) if row.tasks == task_ids(request) => Ok(SubmissionOutcome::Accepted),
        Some(row) => earlier(key, row),
    }
}

fn earlier(key: &RequestKey, row: &KeyRow) -> Result<SubmissionOutcome, DatabaseError> {
    if row.content_hash != key.content_hash {
        return Ok(SubmissionOutcome::KeyReused);
    }
    let tasks =
        serde_json::from_str(&row.tasks).map_err(|error| corrupt("idempotency", row.key_hash, error))?;
    Ok(SubmissionOutcome::Repeated(tasks))
}
