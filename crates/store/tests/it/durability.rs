//! What was committed is on disk, whatever the server does for others (G1).

use database::Db;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::kit::Bench;

#[tokio::test]
async fn commits_wait_for_the_disk_where_the_server_says_that_none_does() {
    let bench = Bench::postgres().await;
    let (_, name) = bench.scratch.url.rsplit_once('/').unwrap();
    let mut admin = PgConnection::connect(&bench.scratch.url).await.unwrap();
    let off = format!("alter database {name} set synchronous_commit = off");
    admin.execute(AssertSqlSafe(off)).await.unwrap();
    let again = bench.scratch.open();
    let Db::Postgres(pools) = &again else { panic!("it is PostgreSQL") };
    for (pool, expected) in [(&pools.write, "on"), (&pools.read, "off")] {
        let (found,): (String,) = sqlx::query_as("show synchronous_commit").fetch_one(pool).await.unwrap();
        assert_eq!(found, expected);
    }
    again.close().await;
    bench.finish().await;
}
