//! Tests: the plan of each statement of a list reads the index of its rows, in its order, on both databases.

use database::{Db, ProcessClock};
use domain::{Label, Status, TaskFilter, TaskOrder, Timestamp};
use sqlx::{AssertSqlSafe, Executor};
use testkit::TestDatabase;

use crate::store::Store;
use crate::tasks::list_statement::{ListStatement, Source};

/// The types of the parameters, and values that are plausible.
const PARAMETER_TYPES: &str = "uuid, uuid, uuid, bigint, bigint, bigint, text, text, text, text, text, text";
const VALUES: &str = "'00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-000000000000',
    'ffffffff-ffff-ffff-ffff-ffffffffffff', 50, 0, 9, 'ECHO', 'CANCELLED', 'w', '[[\"k\", \"v\"]]', 'k', 'v'";

/// The tasks of one owner, each of them unfinished and ended: which they are makes no difference to a plan.
const FILL_POSTGRES: &str = "
    insert into task
    select gen_random_uuid(), '00000000-0000-0000-0000-00000000000a', 'ECHO', 'default', null, 1, 1, n, null, null
    from generate_series(1, 3000) n;
    insert into unfinished_task (id, owner, type, queue, phase, priority, ready_at, due_at, attempt, retries_left)
    select id, owner, type, queue, 1, 4, 1, 1, 0, 0 from task;
    insert into outcome (id, owner, type, status, reason, attempt, ended_at)
    select id, owner, type, 'CANCELLED', 'REQUESTED', 0, 1 from task;
    insert into task_label (owner, key, value, id) select owner, 'k', 'v', id from task;
    analyze";

/// Every statement of a list with its case, and the index that it must use on PostgreSQL and on SQLite.
fn statements(is_postgres: bool) -> Vec<(String, String, &'static str, &'static str)> {
    let status = |source| match source {
        Source::Every | Source::Labelled => None,
        Source::Unfinished => Some(Status::Created),
        Source::Ended => Some(Status::Cancelled),
    };
    let label: Vec<Label> = vec!["k:v".parse().unwrap()];
    let plain = |source| TaskFilter {
        status: status(source),
        labels: if source == Source::Labelled { label.clone() } else { Vec::new() },
        ..TaskFilter::UNFILTERED
    };
    let full = |source| TaskFilter {
        type_name: "ECHO".parse().ok(),
        worker: "w".parse().ok(),
        labels: [label.clone(), label.clone()].concat(),
        status: status(source).or(Some(Status::Created).filter(|_| source == Source::Labelled)),
        created_after: Some(Timestamp(0)),
        created_before: Some(Timestamp(9)),
    };
    let mut statements = Vec::new();
    for (source, of_owner, of_all, of_all_on_sqlite) in [
        (Source::Every, "task_owner", "task_pkey", "sqlite_autoindex_task_1"),
        (Source::Unfinished, "unfinished_task_owner", "unfinished_task_pkey", "PRIMARY KEY"),
        (Source::Ended, "outcome_owner", "outcome_pkey", "sqlite_autoindex_outcome_1"),
        (Source::Labelled, "task_label_pkey", "", "PRIMARY KEY"),
    ] {
        for filter in [plain(source), full(source)] {
            for order in [TaskOrder::Newest, TaskOrder::Oldest] {
                for (is_of_owner, postgres, sqlite) in [
                    (true, of_owner, of_owner_on_sqlite(source, of_owner)),
                    (false, of_all, of_all_on_sqlite),
                ] {
                    if source == Source::Labelled && !is_of_owner {
                        continue;
                    }
                    let filter = &filter;
                    let statement = ListStatement { source, is_of_owner, order, filter, is_postgres };
                    let columns = "t.id, t.created_at, u.phase, o.status";
                    for text in [statement.page(columns), statement.window_end()] {
                        let case = format!("{statement:?}: {text}");
                        statements.push((text, case, postgres, sqlite));
                    }
                }
            }
        }
    }
    statements
}

/// A table without a rowid is its primary key's index.
fn of_owner_on_sqlite(source: Source, index: &'static str) -> &'static str {
    if source == Source::Labelled { "PRIMARY KEY" } else { index }
}

async fn migrated(scratch: &TestDatabase) -> Store {
    let store = Store::new(scratch.open(), ProcessClock::default());
    store.migrate().await.unwrap();
    store
}

/// The plan that PostgreSQL keeps for all owners, on tables that hold the tasks of one.
#[tokio::test]
async fn on_postgres_a_page_reads_the_index_entries_of_its_list_only() {
    let scratch = TestDatabase::postgres().await;
    let store = migrated(&scratch).await;
    let Db::Postgres(pools) = &store.db else { panic!("{} is not PostgreSQL", scratch.url) };
    pools.write.execute(FILL_POSTGRES).await.unwrap();
    let mut connection = pools.read.acquire().await.unwrap();
    connection.execute("set plan_cache_mode = force_generic_plan").await.unwrap();
    for (text, case, index, _) in statements(true) {
        let prepare = format!("deallocate all; prepare page ({PARAMETER_TYPES}) as {text}");
        connection.execute(AssertSqlSafe(prepare)).await.unwrap();
        let explain = format!("explain execute page ({VALUES})");
        let plan: Vec<(String,)> = sqlx::query_as(AssertSqlSafe(explain))
            .persistent(false)
            .fetch_all(&mut *connection)
            .await
            .unwrap();
        let plan = plan.into_iter().map(|(line,)| line).collect::<Vec<_>>().join("\n");
        assert!(plan.contains(&format!("using {index} on")), "{case}\n{plan}");
        let driving = plan.lines().find(|line| line.contains("Index Cond")).unwrap_or_default();
        assert!(driving.contains("$2") && driving.contains("$3"), "{case}\n{plan}");
        assert!(!plan.contains("Sort") && !plan.contains("Seq Scan"), "{case}\n{plan}");
    }
}

#[tokio::test]
async fn on_sqlite_a_page_reads_the_index_entries_of_its_list_only() {
    let scratch = TestDatabase::sqlite();
    let store = migrated(&scratch).await;
    let Db::Sqlite(pools) = &store.db else { panic!("{} is not SQLite", scratch.url) };
    for (text, case, _, index) in statements(false) {
        let explain = AssertSqlSafe(format!("explain query plan {text}"));
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(explain).fetch_all(&pools.read).await.unwrap();
        let first = &plan[0].3;
        let has_bounds = [(">(", "<("), (">?", "<?")];
        let has_bounds = has_bounds.iter().any(|(least, most)| first.contains(least) && first.contains(most));
        assert!(first.contains(index) && has_bounds, "{case}\n{plan:?}");
        assert!(
            plan.iter().all(|(_, _, _, step)| (!step.contains("SCAN") || step.contains("VIRTUAL TABLE"))
                && !step.contains("B-TREE")),
            "{case}\n{plan:?}"
        );
    }
}
