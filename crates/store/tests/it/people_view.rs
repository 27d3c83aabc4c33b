//! The view `tasker_tasks`, which people query: one row for each task, with its status, instants and durations.

use database::Db;
use domain::{OwnerId, Submission, TaskId, TaskOptions};
use serde_json::json;
use sqlx::Row;

use crate::kit::{ANN, SECOND, TestStore, each_database, result};

/// Every column as text.
const POSTGRES: &str = "
    select id::text, owner::text, type, status, reason, attempt::text, worker,
        to_char(created_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'),
        to_char(started_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'),
        to_char(ended_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'),
        to_char(deadline at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'),
        ttl_seconds::double precision::text, waited_seconds::double precision::text,
        ran_seconds::double precision::text, labels::text
    from tasker_tasks order by id";

const SQLITE: &str = "
    select id, owner, type, status, reason, cast(attempt as text), worker, created_at, started_at, ended_at, deadline,
        cast(ttl_seconds as text), cast(waited_seconds as text), cast(ran_seconds as text), labels
    from tasker_tasks order by id";

/// The columns that follow the id and the owner.
type Columns = Vec<Option<String>>;

async fn rows(test: &TestStore) -> Vec<(String, String, Columns)> {
    match &test.db {
        Db::Postgres(pools) => {
            let rows = sqlx::query(POSTGRES).fetch_all(&pools.read).await.unwrap();
            rows.iter().map(|row| (row.get(0), row.get(1), (2..15).map(|n| row.get(n)).collect())).collect()
        }
        Db::Sqlite(pools) => {
            let rows = sqlx::query(SQLITE).fetch_all(&pools.read).await.unwrap();
            rows.iter().map(|row| (row.get(0), row.get(1), (2..15).map(|n| row.get(n)).collect())).collect()
        }
    }
}

fn row(id: TaskId, owner: OwnerId, columns: &str) -> (String, String, Columns) {
    let columns = columns.split_whitespace().map(|text| (text != "-").then(|| text.to_owned()));
    (id.0.to_string(), owner.0.to_string(), columns.collect())
}

/// Ended tasks have exact durations.
#[tokio::test]
async fn the_view_shows_how_tasks_ended() {
    each_database(|test| async move {
        let finished = test.created().await;
        test.advance(1_250_000).await;
        let grant = test.claim(finished, "w1").await.unwrap();
        test.advance(2 * SECOND).await;
        test.report(&grant, result("1")).await;
        let cancelled = test.created().await;
        test.advance(500_000).await;
        test.store.cancel(ANN, &[cancelled]).await.unwrap();
        let expected = [
            row(
                finished,
                ANN,
                "demo.echo FINISHED - 1 w1 2027-01-15T08:00:00.000Z 2027-01-15T08:00:01.250Z \
                2027-01-15T08:00:03.250Z 2027-01-15T08:00:06.250Z 5 1.25 2 -",
            ),
            row(
                cancelled,
                ANN,
                "demo.echo CANCELLED REQUESTED 0 - 2027-01-15T08:00:03.250Z - 2027-01-15T08:00:03.750Z - 5 0.5 - -",
            ),
        ];
        assert_eq!(whole_seconds(rows(&test).await), expected);
    })
    .await;
}

/// SQLite writes `5.0` where PostgreSQL writes `5`.
fn whole_seconds(mut rows: Vec<(String, String, Columns)>) -> Vec<(String, String, Columns)> {
    for text in rows.iter_mut().flat_map(|row| &mut row.2).flatten() {
        if let Some(whole) = text.strip_suffix(".0") {
            *text = whole.to_owned();
        }
    }
    rows
}

/// The durations of tasks that have not ended are counted to now: on PostgreSQL by the clock that the test sets, on SQLite by
/// the machine's, so that a test cannot know them.
#[tokio::test]
async fn the_view_counts_the_durations_of_unfinished_tasks_to_now() {
    each_database(|test| async move {
        let running = test.running().await;
        test.advance(2 * SECOND).await;
        let labels = serde_json::from_value(json!({"team": "payments"})).unwrap();
        let options = TaskOptions { labels, ..TaskOptions::default() };
        let created = Submission { owner: ANN, options, ..test.submission() };
        test.store.submit(std::slice::from_ref(&created)).await.unwrap();
        test.advance(SECOND).await;
        let mut found = whole_seconds(rows(&test).await);
        if matches!(test.db, Db::Sqlite(_)) {
            let durations = [found[0].2[11].take(), found[1].2[10].take()];
            assert!(durations.iter().all(Option::is_some), "{durations:?}");
            (found[0].2[11], found[1].2[10]) = (Some("3".to_owned()), Some("1".to_owned()));
        }
        let expected = [
            row(
                running.id,
                ANN,
                "demo.echo RUNNING - 1 w1 2027-01-15T08:00:00.000Z 2027-01-15T08:00:00.000Z - \
                2027-01-15T08:00:05.000Z 5 0 3 -",
            ),
            row(
                created.id,
                ANN,
                "demo.echo CREATED - 0 - 2027-01-15T08:00:02.000Z - - - 5 1 - {\"team\":\"payments\"}",
            ),
        ];
        assert_eq!(found, expected);
    })
    .await;
}

/// Nothing can be changed through the view.
#[tokio::test]
async fn the_view_is_read_only() {
    each_database(|test| async move {
        test.created().await;
        for statement in ["delete from tasker_tasks", "update tasker_tasks set status = 'FINISHED'"] {
            test.execute(statement).await.unwrap_err();
        }
    })
    .await;
}
