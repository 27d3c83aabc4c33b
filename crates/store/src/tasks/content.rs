//! Reads what was submitted as a task, to submit it again.

use database::{DatabaseError, on};
use domain::{OwnerId, RawJson, TaskId, TaskOptions, Ttl, TypeName};

use crate::decode::{corrupt, parse_column, row_struct};
use crate::store::Store;

const CONTENT: &str = "
    select type as name, parameters, ttl_ms, start_within_ms, options from task
    where id = $1 and owner = $2";

row_struct! {
    struct ContentRow {
        name: String,
        parameters: Option<String>,
        ttl_ms: i64,
        start_within_ms: i64,
        options: Option<String>,
    }
}

/// What a task consists of, beside its id, its owner and its instants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskContent {
    /// The type.
    pub type_name: TypeName,
    /// The parameters, as they were received.
    pub parameters: Option<RawJson>,
    /// How long an attempt may run.
    pub ttl: Ttl,
    /// How long the task may wait for a claim, counted from when it is ready.
    pub start_within: Ttl,
    /// What only few submissions say.
    pub options: TaskOptions,
}

impl Store {
    /// The content of the task `id` of `owner`; `None` if there is none or it is another owner's.
    pub async fn content(&self, owner: OwnerId, id: TaskId) -> Result<Option<TaskContent>, DatabaseError> {
        let row: Option<ContentRow> = on!(&self.db, read, pool =>
            sqlx::query_as(CONTENT).bind(id.0).bind(owner.0).fetch_optional(pool).await)?;
        row.map(|row| content(id, row)).transpose()
    }
}

fn content(id: TaskId, row: ContentRow) -> Result<TaskContent, DatabaseError> {
    let ttl = |millis: i64| Ttl::try_from(millis.cast_unsigned()).map_err(|error| corrupt("task", id, error));
    let invalid = |error: serde_json::Error| corrupt("task", id, error);
    let options = row.options.as_deref().map(serde_json::from_str).transpose();
    Ok(TaskContent {
        type_name: parse_column("task", id, &row.name)?,
        parameters: row.parameters.map(RawJson::parse).transpose().map_err(invalid)?,
        ttl: ttl(row.ttl_ms)?,
        start_within: ttl(row.start_within_ms)?,
        options: options.map_err(invalid)?.unwrap_or_default(),
    })
}
