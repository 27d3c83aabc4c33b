//! Batches on SQLite: one `BEGIN IMMEDIATE` transaction on the one writer, with the batch bound as one JSON array.

use std::pin::Pin;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::{Executor, Pool, Sqlite, SqliteConnection};

use crate::error::DatabaseError;
use crate::process_clock::ProcessClock;

/// The future of one transaction's statements.
pub type TransactionFuture<'c, T> = Pin<Box<dyn Future<Output = Result<T, DatabaseError>> + Send + 'c>>;

/// Runs `work` as one transaction in a spawned task, so that a caller that is dropped leaves neither half of the work nor a
/// connection inside a transaction (transact-rs/sqlx#4393).
///
/// A connection on which anything failed is closed: a full disk makes SQLite roll back without sqlx noticing, and sqlx's
/// count of open transactions would stay wrong for ever.
///
/// `work` is given the time in microseconds since 1970, read once the file is locked: it never falls from one transaction
/// to the next, and a batch that waited for the writer is checked against the time at which it is written.
///
/// Fails with whatever `begin`, `work` or `commit` fails with; nothing is written then.
#[expect(clippy::disallowed_methods, reason = "the transaction must continue after its caller was dropped")]
pub async fn transaction<T, F>(pool: &Pool<Sqlite>, clock: &ProcessClock, work: F) -> Result<T, DatabaseError>
where
    T: Send + 'static,
    F: for<'c> FnOnce(&'c mut SqliteConnection, i64) -> TransactionFuture<'c, T> + Send + 'static,
{
    let (pool, clock) = (pool.clone(), clock.clone());
    let done = tokio::spawn(async move {
        let mut connection = pool.acquire().await?;
        let done = in_transaction(&mut connection, &clock, work).await;
        if done.is_err() {
            // The error of `work` is reported; a second one from closing adds nothing.
            connection.close().await.ok();
        }
        done
    });
    done.await.map_err(|_| sqlx::Error::WorkerCrashed)?
}

async fn in_transaction<T, F>(
    connection: &mut SqliteConnection,
    clock: &ProcessClock,
    work: F,
) -> Result<T, DatabaseError>
where
    F: for<'c> FnOnce(&'c mut SqliteConnection, i64) -> TransactionFuture<'c, T>,
{
    connection.execute("begin immediate").await?;
    let done = work(connection, clock.now()).await?;
    connection.execute("commit").await?;
    Ok(done)
}

/// Encodes a batch as the JSON array that `json_each` reads. Ids become hyphenated text.
pub fn encode_batch<T: Serialize>(rows: impl IntoIterator<Item = T>) -> String {
    let rows: Vec<T> = rows.into_iter().collect();
    serde_json::to_string(&rows).expect("a batch holds ids, text and numbers, which are all JSON")
}

/// Decodes the rows that a text of several statements returns as one JSON array (`json_group_array(json_array(…))`).
///
/// Each statement and each row would cross to the writer's thread and back on its own, which costs more than the row.
/// Frequent operations are therefore one text of several statements that returns one row. Fails if the JSON does not fit
/// `T`.
pub fn decode_rows<T: DeserializeOwned>(answers: Vec<(String,)>) -> Result<Vec<T>, DatabaseError> {
    let mut rows = Vec::new();
    for (array,) in answers {
        let decoded: Vec<T> =
            serde_json::from_str(&array).map_err(|error| sqlx::Error::Decode(error.into()))?;
        rows.extend(decoded);
    }
    Ok(rows)
}
