//! SQLite's side of a verb: a batch as one JSON array, inside one `BEGIN IMMEDIATE` on the one writer.

use std::pin::Pin;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::{Executor, Pool, Sqlite, SqliteConnection};

use crate::clock::Clock;
use crate::error::DatabaseError;

/// The work of one transaction.
pub type Work<'c, T> = Pin<Box<dyn Future<Output = Result<T, DatabaseError>> + Send + 'c>>;

/// Runs `work` as one transaction, in a task of its own: a caller that goes away leaves nothing half done and no
/// connection inside a transaction (transact-rs/sqlx#4393).
///
/// A connection on which anything failed is closed: a full disk ends the transaction behind sqlx's back, which then counts
/// one for ever.
///
/// The instant that `work` is given is read once the file is locked: it never falls from one transaction to the next,
/// and however long a batch waited for the writer, it is judged by the time at which it is written.
#[expect(clippy::disallowed_methods, reason = "the transaction must outlive a caller that is dropped")]
pub async fn transaction<T, F>(pool: &Pool<Sqlite>, clock: &Clock, work: F) -> Result<T, DatabaseError>
where
    T: Send + 'static,
    F: for<'c> FnOnce(&'c mut SqliteConnection, i64) -> Work<'c, T> + Send + 'static,
{
    let (pool, clock) = (pool.clone(), clock.clone());
    let transaction = tokio::spawn(async move {
        let mut connection = pool.acquire().await?;
        let done = committed(&mut connection, &clock, work).await;
        if done.is_err() {
            // What it says at its end does not matter any more.
            connection.close().await.ok();
        }
        done
    });
    transaction.await.map_err(|_| sqlx::Error::WorkerCrashed)?
}

async fn committed<T, F>(
    connection: &mut SqliteConnection,
    clock: &Clock,
    work: F,
) -> Result<T, DatabaseError>
where
    F: for<'c> FnOnce(&'c mut SqliteConnection, i64) -> Work<'c, T>,
{
    connection.execute("begin immediate").await?;
    let done = work(connection, clock.now()).await?;
    connection.execute("commit").await?;
    Ok(done)
}

/// A batch as the JSON array that `json_each` reads; ids inside are hyphenated text.
pub fn batch<T: Serialize>(rows: impl IntoIterator<Item = T>) -> String {
    let rows: Vec<T> = rows.into_iter().collect();
    serde_json::to_string(&rows).expect("rows of ids, words and numbers")
}

/// The rows of statements one of which answers them as one JSON array (`json_group_array(json_array(…))`).
///
/// Each statement and each row would cross to the writer's thread and back by itself, which costs more than the row: so
/// the hot verbs are one text of several statements, with one row for an answer.
pub fn rows<T: DeserializeOwned>(answers: Vec<(String,)>) -> Result<Vec<T>, DatabaseError> {
    let mut rows = Vec::new();
    for (answer,) in answers {
        let answer: Vec<T> =
            serde_json::from_str(&answer).map_err(|error| sqlx::Error::Decode(error.into()))?;
        rows.extend(answer);
    }
    Ok(rows)
}
