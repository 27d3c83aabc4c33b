//! Accepts submissions: a batch of tasks, all of it or none.

use database::{DatabaseError, Db, encode_batch, transaction};
use domain::{NotBefore, RawJson, Submission, Ttl};
use serde::Serialize;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{PgExecutor, Postgres, SqliteConnection};
use uuid::Uuid;

use crate::store::Store;

/// The statement on PostgreSQL. `$beside` inserts the labels and the dependencies where there are some. What concerns idempotency keys is added to it by [`submit_requests`](crate::tasks::submit_requests):
/// the insert of the keys before, a condition of the tasks, and around the last insert what makes the statement return the keys.
macro_rules! postgres_statement {
    (
        beside: $beside:expr, $keys:literal, $condition:literal, $before_last:literal, $after_last:literal
    ) => {
        concat!(
            "
    with ",
            $keys,
            "accepted as (
        insert into task (
            id, owner, type, queue, parameters, ttl_ms, start_within_ms, created_at, traceparent, not_before_at,
            options)
        select g.id, g.owner, g.type, g.queue, g.parameters, g.ttl_ms, g.start_within_ms, (select now_us()), g.traceparent,
            nullif(greatest((select now_us()) + g.delay_ms * 1000, g.not_before_at), (select now_us())), g.options
        from unnest(
            $1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::text[],
            $9::bigint[], $10::bigint[], $11::text[])
            as g (id, owner, type, queue, parameters, ttl_ms, start_within_ms, traceparent, delay_ms, not_before_at, options)
        ",
            $condition,
            "on conflict (id) do nothing
        returning id, owner, type, queue, coalesce(not_before_at, created_at) as ready_at, not_before_at, start_within_ms,
            options::jsonb as options
    )
    ",
            $beside,
            $before_last,
            "insert into unfinished_task (
        id, owner, type, queue, phase, priority, ready_at, due_at, attempt, retries_left, backoff_ms)
    select id, owner, type, queue,
        case when jsonb_exists(options, 'after') then -1 when not_before_at is null then 1 else 0 end,
        coalesce((options->>'priority')::smallint, 4), ready_at,
        case when jsonb_exists(options, 'after') then 9223372036854775807 else ready_at + start_within_ms * 1000 end, 0,
        coalesce((options->'retry'->>'maxAttempts')::smallint - 1, 0), (options->'retry'->>'backoffMs')::bigint
    from accepted",
            $after_last
        )
    };
}

pub(crate) use postgres_statement;

/// The part of the statement that inserts the labels of the tasks, and what they wait for.
macro_rules! labels_and_dependencies_postgres {
    () => {
        ", labelled as (
            insert into task_label (owner, key, value, id)
            select a.owner, l.key, l.value, a.id
            from accepted a cross join lateral jsonb_each_text(a.options->'labels') l
        ), blocked as (
            insert into dependency (id, parent)
            select a.id, p.id::uuid
            from accepted a cross join lateral jsonb_array_elements_text(a.options->'after') p (id)
        )
        "
    };
}

pub(crate) use labels_and_dependencies_postgres;

const POSTGRES: &str = postgres_statement!(beside: "", "", "", "", "");

const WITH_LABELS_AND_DEPENDENCIES_POSTGRES: &str =
    postgres_statement!(beside: labels_and_dependencies_postgres!(), "", "", "", "");

/// Inserts the labels of tasks in the transaction that has inserted the tasks.
const LABELS_SQLITE: &str = "
    insert into task_label (owner, key, value, id)
    select unhex(t.value->>1, '-'), l.key, l.value, unhex(t.value->>0, '-')
    from json_each(?1) t, json_each(t.value->>10, '$.labels') l
    where true
    on conflict do nothing";

/// Inserts what tasks wait for in the transaction that has inserted the tasks.
const DEPENDENCIES_SQLITE: &str = "
    insert into dependency (id, parent)
    select unhex(t.value->>0, '-'), unhex(p.value, '-')
    from json_each(?1) t, json_each(t.value->>10, '$.after') p
    where exists (select 1 from unfinished_task u where u.id = unhex(t.value->>0, '-') and u.phase = -1)
    on conflict do nothing";

/// What the options of a task with labels contain, as text within a JSON array. (Parameters may contain it, too: then a statement that
/// inserts nothing is run in vain.)
const LABELS_MEMBER: &str = r#"\"labels\":"#;

/// What the options of a task that waits for others contain, likewise.
const AFTER_MEMBER: &str = r#"\"after\":"#;

/// A task that exists already is left alone: the insert into `unfinished_task` comes first, and skips the ids that `task` has.
const SQLITE: &str = "
    insert into unfinished_task (
        id, owner, type, queue, phase, priority, ready_at, due_at, attempt, retries_left, backoff_ms)
    select unhex(value->>0, '-'), unhex(value->>1, '-'), value->>2, value->>3,
        case when options->'after' is not null then -1 when ready_at > ?2 then 0 else 1 end,
        coalesce(options->>'priority', 4), ready_at,
        case when options->'after' is not null then 9223372036854775807 else ready_at + (value->>6) * 1000 end, 0,
        coalesce(options->'retry'->>'maxAttempts' - 1, 0), options->'retry'->>'backoffMs'
    from (select value, value->>10 as options, max(?2 + (value->>8) * 1000, value->>9) as ready_at from json_each(?1))
    where not exists (select 1 from task t where t.id = unhex(value->>0, '-'))
    on conflict (id) do nothing;

    insert into task (
        id, owner, type, queue, parameters, ttl_ms, start_within_ms, created_at, traceparent, not_before_at,
        options)
    select unhex(value->>0, '-'), unhex(value->>1, '-'), value->>2, value->>3, value->>4, value->>5, value->>6, ?2,
        value->>7, nullif(max(?2 + (value->>8) * 1000, value->>9), ?2), value->>10
    from json_each(?1)
    where true
    on conflict (id) do nothing";

impl Store {
    /// Accepts `tasks`: once it returns, they are CREATED, durably. Repeated with the same ids it changes nothing, so a batch
    /// whose commit is unknown is simply repeated.
    pub async fn submit(&self, tasks: &[Submission]) -> Result<(), DatabaseError> {
        self.submit_tasks(tasks.iter().collect()).await
    }

    pub(crate) async fn submit_tasks(&self, mut tasks: Vec<&Submission>) -> Result<(), DatabaseError> {
        tasks.sort_by_key(|task| task.id);
        for task in &tasks {
            self.priorities().add(&task.type_name, task.options.priority);
        }
        match &self.db {
            Db::Postgres(pools) => insert_on_postgres(&pools.write, &tasks).await,
            Db::Sqlite(pools) => {
                let rows = sqlite_rows(&tasks);
                transaction(&pools.write, &self.clock, move |connection, now| {
                    Box::pin(insert_on_sqlite(connection, rows, now))
                })
                .await
            }
        }
    }
}

/// The rows of tasks as [`insert_on_sqlite`] takes them.
pub(crate) fn sqlite_rows(tasks: &[&Submission]) -> String {
    encode_batch(tasks.iter().map(|task| json_row(task)))
}

/// Inserts tasks, as a part of the transaction of `connection`.
pub(crate) async fn insert_on_sqlite(
    connection: &mut SqliteConnection,
    rows: String,
    now: i64,
) -> Result<(), DatabaseError> {
    sqlx::query(SQLITE).bind(&rows).bind(now).execute(&mut *connection).await?;
    if rows.contains(LABELS_MEMBER) {
        sqlx::query(LABELS_SQLITE).bind(&rows).execute(&mut *connection).await?;
    }
    if rows.contains(AFTER_MEMBER) {
        sqlx::query(DEPENDENCIES_SQLITE).bind(rows).execute(connection).await?;
    }
    Ok(())
}

/// Whether a task has labels, or waits for others.
pub(crate) fn have_labels_or_dependencies(tasks: &[&Submission]) -> bool {
    tasks.iter().any(|task| !task.options.labels.is_empty() || !task.options.after.is_empty())
}

/// Inserts tasks with one statement, which may be a part of a transaction.
pub(crate) async fn insert_on_postgres(
    executor: impl PgExecutor<'_>,
    tasks: &[&Submission],
) -> Result<(), DatabaseError> {
    let statement =
        if have_labels_or_dependencies(tasks) { WITH_LABELS_AND_DEPENDENCIES_POSTGRES } else { POSTGRES };
    bind_tasks(sqlx::query(statement), tasks).execute(executor).await?;
    Ok(())
}

/// Binds the parameters `$1` to `$11` of the statement on PostgreSQL.
pub(crate) fn bind_tasks<'q>(
    statement: Query<'q, Postgres, PgArguments>,
    tasks: &[&'q Submission],
) -> Query<'q, Postgres, PgArguments> {
    let text = |of: fn(&Submission) -> &str| tasks.iter().map(|task| of(task)).collect::<Vec<_>>();
    let traceparent = |task: &&Submission| task.trace.map(|trace| trace.to_string());
    statement
        .bind(tasks.iter().map(|task| task.id.0).collect::<Vec<Uuid>>())
        .bind(tasks.iter().map(|task| task.owner.0).collect::<Vec<Uuid>>())
        .bind(text(|task| task.type_name.as_str()))
        .bind(text(|task| task.queue.as_str()))
        .bind(tasks.iter().map(|task| parameters(task)).collect::<Vec<Option<&str>>>())
        .bind(tasks.iter().map(|task| millis(task.ttl)).collect::<Vec<_>>())
        .bind(tasks.iter().map(|task| millis(task.start_within)).collect::<Vec<_>>())
        .bind(tasks.iter().map(traceparent).collect::<Vec<_>>())
        .bind(tasks.iter().map(|task| not_before(task).0).collect::<Vec<_>>())
        .bind(tasks.iter().map(|task| not_before(task).1).collect::<Vec<_>>())
        .bind(tasks.iter().map(|task| task.options.to_json()).collect::<Vec<_>>())
}

/// The row of a task in the JSON array that the statement on SQLite reads.
pub(crate) fn json_row(task: &Submission) -> impl Serialize {
    let Submission { id, owner, type_name, queue, ttl, start_within, trace, options, .. } = task;
    let ((delay_ms, not_before), options) = (not_before(task), options.to_json());
    (id, owner, type_name, queue, parameters(task), ttl, start_within, trace, delay_ms, not_before, options)
}

fn parameters(task: &Submission) -> Option<&str> {
    task.parameters.as_ref().map(RawJson::text)
}

/// The delay in milliseconds, and the instant in microseconds, before which the task may not be claimed; 0 where it names none.
fn not_before(task: &Submission) -> (i64, i64) {
    match task.not_before {
        NotBefore::Submission => (0, 0),
        NotBefore::DelayMs(millis) => (millis.cast_signed(), 0),
        NotBefore::Instant(instant) => (0, instant.0),
    }
}

fn millis(ttl: Ttl) -> i64 {
    ttl.millis().cast_signed()
}
