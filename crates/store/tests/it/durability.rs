//! Commits wait for the disk, whatever the server's default is (G1).

use database::Db;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::kit::TestStore;

#[tokio::test]
async fn commits_wait_for_the_disk_even_if_the_servers_default_is_off() {
    let test = TestStore::postgres().await;
    let (_, name) = test.scratch.url.rsplit_once('/').unwrap();
    let mut admin = PgConnection::connect(&test.scratch.url).await.unwrap();
    let off = format!("alter database {name} set synchronous_commit = off");
    admin.execute(AssertSqlSafe(off)).await.unwrap();
    let again = test.scratch.open();
    let Db::Postgres(pools) = &again else { panic!("it is not PostgreSQL") };
    for (pool, expected) in [(&pools.write, "on"), (&pools.read, "off")] {
        let (found,): (String,) = sqlx::query_as("show synchronous_commit").fetch_one(pool).await.unwrap();
        assert_eq!(found, expected);
    }
    again.close().await;
    test.finish().await;
}
