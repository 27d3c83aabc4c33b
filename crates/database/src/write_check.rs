//! The check that a database serves writes and reads at this moment: a server that answers may be a standby, locked, or full.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, ConnectOptions, Executor};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::error::DatabaseError;
use crate::migration::SchemaPart;
use crate::pools::Db;

/// For how long an answer counts, so that many probes cost one write a second.
const MAX_AGE: Duration = Duration::from_secs(1);

/// The time limit of the check. It is longer than the check's `lock_timeout`, which names a better cause.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The time limit of the connection that is opened to find out why the check had no answer.
const DIAGNOSTIC_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How a check went; its callers share the error.
type Answer = Result<(), Arc<DatabaseError>>;

/// Checks one part's tables; concurrent callers share one check, and its answer counts for a second.
#[derive(Debug)]
pub struct WriteCheck {
    db: Db,
    part: SchemaPart,
    /// When the last check ended, and how.
    last: Mutex<Option<(Instant, Answer)>>,
}

impl WriteCheck {
    /// A check of the tables of `part` in `db`, which must be migrated.
    pub fn new(db: Db, part: SchemaPart) -> Self {
        Self { db, part, last: Mutex::default() }
    }

    /// Writes the part's row of `readiness` under the locks that the part's writes take, and runs a query on the pool that
    /// reads. Fails with the reason why requests cannot be served.
    pub async fn run(&self) -> Result<(), Arc<DatabaseError>> {
        let mut last = self.last.lock().await;
        if let Some((at, answer)) = &*last
            && at.elapsed() < MAX_AGE
        {
            return answer.clone();
        }
        let answer = match timeout(TIMEOUT, self.write_and_read()).await {
            Ok(answer) => answer,
            Err(_) => Err(self.diagnose_timeout().await),
        };
        let answer = answer.map_err(Arc::new);
        *last = Some((Instant::now(), answer.clone()));
        answer
    }

    async fn write_and_read(&self) -> Result<(), DatabaseError> {
        // The names are constants of the code.
        let SchemaPart { name, tables, .. } = self.part;
        match &self.db {
            Db::Postgres(pools) => {
                // One message of several statements is one transaction, which a dropped future cannot leave open.
                let statements = format!(
                    "set local lock_timeout = '1s'; \
                     lock table {tables} in row exclusive mode; \
                     insert into readiness (part, checked_at) values ('{name}', clock_timestamp()::text) \
                     on conflict (part) do update set checked_at = excluded.checked_at"
                );
                sqlx::raw_sql(AssertSqlSafe(statements)).execute(&pools.write).await?;
            }
            Db::Sqlite(pools) => {
                let statement = "insert into readiness (part, checked_at) values ($1, datetime('now')) \
                    on conflict (part) do update set checked_at = excluded.checked_at";
                sqlx::query(statement).bind(name).execute(&pools.write).await?;
            }
        }
        self.db.ping().await
    }

    /// Why the check had no answer: the error of a new connection; the pools do not report it.
    async fn diagnose_timeout(&self) -> DatabaseError {
        let Db::Postgres(pools) = &self.db else { return DatabaseError::NoAnswer };
        let connect = async {
            let mut connection = pools.write.connect_options().connect().await?;
            connection.execute("select 1").await
        };
        match timeout(DIAGNOSTIC_CONNECT_TIMEOUT, connect).await {
            Ok(Err(error)) => error.into(),
            Ok(Ok(_)) | Err(_) => DatabaseError::NoAnswer,
        }
    }
}
