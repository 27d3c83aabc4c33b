//! Pages of an owner's tasks, of all or of those that a filter passes.
//!
//! Each statement compares rows with its bounds as a whole (`(t.owner, t.id) < …`), and the order has the owner, too: only the index that
//! begins with the owner fits. With `t.owner = $1 … order by t.id` PostgreSQL may walk the primary key through the tasks of all
//! owners, and does where statistics know one owner only.

use database::{DatabaseError, on};
use domain::{OwnerId, PageRequest, Status, TaskFilter, TaskId, TaskSummary, Timestamp, TypeName};
use uuid::Uuid;

use crate::decode::{parse_column, row_struct};
use crate::store::Store;
use crate::tasks::queries::{Phase, status_of};

/// Of any status.
const ANY: &str = "
    select t.id, t.type as name, t.created_at, u.phase, o.status, o.reason
    from task t left join unfinished_task u on u.id = t.id left join outcome o on o.id = t.id
    where (t.owner, t.id) < ($1, $2) and (t.owner, t.id) >= ($1, $3)
        and t.created_at >= $4 and t.type = coalesce($5, t.type)
    order by t.owner desc, t.id desc limit $6";

/// Of those that run, or with `$7` = false of those that do not run yet. An owner has a limited number of unfinished tasks (`backend.max_unfinished_per_owner`), so the phase needs
/// no index; no index on the phase or the type fits the expressions.
const UNFINISHED: &str = "
    select t.id, t.type as name, t.created_at, u.phase, cast(null as text) as status, cast(null as text) as reason
    from unfinished_task u join task t on t.id = u.id
    where (u.owner, u.id) < ($1, $2) and (u.owner, u.id) >= ($1, $3)
        and t.created_at >= $4 and u.type = coalesce($5, u.type) and (u.phase + 0 = 2) = $7
    order by u.owner desc, u.id desc limit $6";

/// Of one final status, `$7`.
const ENDED: &str = "
    select t.id, t.type as name, t.created_at, cast(null as smallint) as phase, o.status, o.reason
    from outcome o join task t on t.id = o.id
    where (o.owner, o.status, o.id) < ($1, $7, $2) and (o.owner, o.status, o.id) >= ($1, $7, $3)
        and t.created_at >= $4 and o.type = coalesce($5, o.type)
    order by o.owner desc, o.status desc, o.id desc limit $6";

/// How much earlier than its acceptance a task's id may have been issued, by an estimate of the database's clock: an hour, in
/// microseconds. The id bounds how far a page with `from` reads; whether a task is listed depends on its date alone.
const ID_LEAD_US: i64 = 3_600_000_000;

row_struct! {
    struct SummaryRow {
        id: Uuid,
        name: String,
        created_at: i64,
        phase: Option<Phase>,
        status: Option<String>,
        reason: Option<String>,
    }
}

impl Store {
    /// A page of those tasks of `owner` that `filter` passes, newest first, of at most [`PageRequest::MAX_LIMIT`] tasks.
    pub async fn list(
        &self,
        owner: OwnerId,
        filter: &TaskFilter,
        page: PageRequest,
    ) -> Result<Vec<TaskSummary>, DatabaseError> {
        let before = page.before.map_or(Uuid::max(), |task| task.0);
        let limit = i64::from(page.limit.min(PageRequest::MAX_LIMIT));
        let from = filter.from.map_or(i64::MIN, |from| from.0);
        let name = filter.type_name.as_ref().map(TypeName::as_str);
        macro_rules! page {
            ($sql:expr $(, $more:expr)?) => {
                on!(&self.db, read, pool =>
                    sqlx::query_as($sql).bind(owner.0).bind(before).bind(first_id(filter.from)).bind(from).bind(name)
                        .bind(limit)$(.bind($more))?.fetch_all(pool).await)?
            };
        }
        let rows: Vec<SummaryRow> = match filter.status {
            None => page!(ANY),
            Some(Status::Created) => page!(UNFINISHED, false),
            Some(Status::Running) => page!(UNFINISHED, true),
            Some(ended @ (Status::Finished | Status::Cancelled)) => page!(ENDED, ended.as_str()),
        };
        rows.into_iter().map(summary).collect()
    }
}

/// A lower bound of the ids of tasks that were accepted at `from` or later.
fn first_id(from: Option<Timestamp>) -> Uuid {
    let millis = from.map_or(0, |from| from.plus_micros(-ID_LEAD_US).0.max(0) / 1000);
    // The first 48 bits of a UUID of version 7 are its time in milliseconds (RFC 9562, section 5.7).
    Uuid::from_u128(u128::from(millis.cast_unsigned().min((1 << 48) - 1)) << 80)
}

fn summary(row: SummaryRow) -> Result<TaskSummary, DatabaseError> {
    let id = TaskId(row.id);
    Ok(TaskSummary {
        id,
        type_name: parse_column("task", id, &row.name)?,
        status: status_of(id, row.phase, row.status.as_deref())?,
        reason: row.reason.map(|reason| parse_column("outcome", id, &reason)).transpose()?,
        creation_date: Timestamp(row.created_at),
    })
}

#[cfg(test)]
mod tests {
    use database::{Db, ProcessClock};
    use sqlx::{AssertSqlSafe, Executor};
    use testkit::TestDatabase;

    use super::*;

    /// The statements, the type and a value of `$7`, and the index that each must use.
    const STATEMENTS: [(&str, &str, &str, &str); 3] = [
        (ANY, "text", "''", "task_owner"),
        (UNFINISHED, "boolean", "false", "unfinished_task_owner"),
        (ENDED, "text", "'CANCELLED'", "outcome_owner"),
    ];

    #[test]
    fn the_first_id_is_an_hour_before_the_instant() {
        let at = |micros| first_id(Some(Timestamp(micros)));
        assert_eq!(first_id(None), Uuid::nil());
        assert_eq!((at(i64::MIN), at(-1), at(ID_LEAD_US)), (Uuid::nil(), Uuid::nil(), Uuid::nil()));
        let expected = "01890a5d-ac96-0000-0000-000000000000";
        assert_eq!(at(ID_LEAD_US + 0x0189_0a5d_ac96 * 1000).to_string(), expected);
        assert_eq!(at(i64::MAX).as_u128() & ((1 << 80) - 1), 0);
    }

    async fn migrated(scratch: &TestDatabase) -> Store {
        let store = Store::new(scratch.open(), ProcessClock::default());
        store.migrate().await.unwrap();
        store
    }

    /// The plan that PostgreSQL keeps for all owners, on tables that hold the tasks of one.
    #[tokio::test]
    async fn on_postgres_a_page_reads_the_index_entries_of_its_owner_only() {
        let scratch = TestDatabase::postgres().await;
        let store = migrated(&scratch).await;
        let Db::Postgres(pools) = &store.db else { panic!("{} is not PostgreSQL", scratch.url) };
        pools
            .write
            .execute(
                "
                insert into task
                select gen_random_uuid(), '00000000-0000-0000-0000-00000000000a', 'ECHO', 'default', null, 1, 1, n, null
                from generate_series(1, 3000) n;
                insert into unfinished_task (
                    id, owner, type, queue, phase, priority, ready_at, due_at, attempt, retries_left)
                select id, owner, type, queue, 1, 4, 1, 1, 0, 0 from task;
                insert into outcome (id, owner, type, status, reason, attempt, ended_at)
                select id, owner, type, 'CANCELLED', 'REQUESTED', 0, 1 from task;
                analyze",
            )
            .await
            .unwrap();
        let mut connection = pools.read.acquire().await.unwrap();
        connection.execute("set plan_cache_mode = force_generic_plan").await.unwrap();
        for (sql, seventh_type, seventh, index) in STATEMENTS {
            let parameters = format!("uuid, uuid, uuid, bigint, text, bigint, {seventh_type}");
            let prepare = format!("deallocate all; prepare page ({parameters}) as {sql}");
            connection.execute(AssertSqlSafe(prepare)).await.unwrap();
            let [nil, max] = [Uuid::nil(), Uuid::max()];
            let explain = format!("explain execute page ('{nil}', '{max}', '{nil}', 0, null, 50, {seventh})");
            let plan: Vec<(String,)> = sqlx::query_as(AssertSqlSafe(explain))
                .persistent(false)
                .fetch_all(&mut *connection)
                .await
                .unwrap();
            let plan = plan.into_iter().map(|(line,)| line).collect::<Vec<_>>().join("\n");
            assert!(plan.contains(&format!("using {index} on")), "{index}: {plan}");
            assert!(plan.contains("Index Cond: ((ROW(") && !plan.contains("Sort"), "{index}: {plan}");
        }
    }

    #[tokio::test]
    async fn on_sqlite_a_page_reads_the_index_entries_of_its_owner_only() {
        let scratch = TestDatabase::sqlite();
        let store = migrated(&scratch).await;
        let Db::Sqlite(pools) = &store.db else { panic!("{} is not SQLite", scratch.url) };
        for (sql, _, _, index) in STATEMENTS {
            let explain = AssertSqlSafe(format!("explain query plan {sql}"));
            let plan: Vec<(i64, i64, i64, String)> =
                sqlx::query_as(explain).fetch_all(&pools.read).await.unwrap();
            let first = &plan[0].3;
            assert!(first.contains(&format!("USING INDEX {index} ((owner,")), "{plan:?}");
            assert!(
                plan.iter().all(|(_, _, _, step)| !step.contains("SCAN") && !step.contains("B-TREE")),
                "{plan:?}"
            );
        }
    }
}
