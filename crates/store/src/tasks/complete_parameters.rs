//! Completes the parameters of blocked tasks with the results of the tasks that they have waited for.

use std::collections::HashMap;

use database::{DatabaseError, Db, encode_batch, on, transaction};
use domain::{RawJson, TaskId, Timestamp, TypeName};
use uuid::Uuid;

use crate::decode::{corrupt, parse_column, row_struct};
use crate::store::Store;
use crate::tasks::queries::read_options;
use crate::tasks::resolve_dependents::{
    DELETE_DEPENDENCIES_SQLITE, end_on_sqlite, ended_blocked, insert_dependency_failed,
};
use crate::tasks::rows::EndedTask;

const BLOCKED: &str = "
    select t.type as name, t.parameters, t.options
    from unfinished_task u join task t on t.id = u.id
    where u.id = $1 and u.phase = -1";

const RESULTS: &str = "
    select o.id, o.result from dependency d join outcome o on o.id = d.parent
    where d.id = $1 and o.status = 'FINISHED'";

const FREE_POSTGRES: &str = "
    with freed as (
        update unfinished_task u
        set phase = 0, ready_at = greatest((select now_us()), t.not_before_at),
            due_at = greatest((select now_us()), t.not_before_at) + t.start_within_ms * 1000
        from task t where u.id = $1 and u.phase = -1 and t.id = u.id
        returning u.id, u.ready_at
    ), completed as (
        update task t set parameters = $2 from freed where t.id = freed.id
    ), resolved as (
        delete from dependency d using freed where d.id = freed.id
    )
    select ready_at from freed";

const FREE_SQLITE: &str = "
    update unfinished_task
    set phase = 0, ready_at = max(?2, coalesce(t.not_before_at, ?2)),
        due_at = max(?2, coalesce(t.not_before_at, ?2)) + t.start_within_ms * 1000
    from task t where unfinished_task.id = ?1 and unfinished_task.phase = -1 and t.id = unfinished_task.id
    returning ready_at";

const COMPLETE_SQLITE: &str = "update task set parameters = ?2 where id = ?1";

const FAIL_POSTGRES: &str = concat!(
    "with gone as (
        delete from unfinished_task where id = $1 and phase = -1
        returning id, owner, type, attempt, worker, subject, started_at, due_at, $2::text as error
    ), resolved as (
        delete from dependency d using gone where d.id = gone.id
    ), ended as (",
    insert_dependency_failed!(now: "(select now_us())", from: "gone"),
    ")
    select id, (select now_us()) from gone"
);

const IS_BLOCKED_SQLITE: &str = "select id, ?2 from unfinished_task where id = ?1 and phase = -1";

row_struct! {
    struct BlockedRow {
        name: String,
        parameters: Option<String>,
        options: Option<String>,
    }
}

row_struct! {
    struct ResultRow {
        id: Uuid,
        result: String,
    }
}

/// What the parameters of a blocked task are to be made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterSources {
    /// The type of the task.
    pub type_name: TypeName,
    /// The parameters as they were submitted.
    pub parameters: Option<RawJson>,
    /// The members to add: their names and their values, the results.
    pub members: Vec<(String, RawJson)>,
}

impl Store {
    /// What the parameters of the blocked task `id` are to be made of, once all that it waits for has finished; `None` if it is not blocked.
    pub async fn parameter_sources(&self, id: TaskId) -> Result<Option<ParameterSources>, DatabaseError> {
        let blocked: Option<BlockedRow> = on!(&self.db, write, pool =>
            sqlx::query_as(BLOCKED).bind(id.0).fetch_optional(pool).await)?;
        let Some(blocked) = blocked else { return Ok(None) };
        let results: Vec<ResultRow> =
            on!(&self.db, write, pool => sqlx::query_as(RESULTS).bind(id.0).fetch_all(pool).await)?;
        let results: HashMap<Uuid, String> = results.into_iter().map(|row| (row.id, row.result)).collect();
        let json = |text: String| RawJson::parse(text).map_err(|error| corrupt("task", id, error));
        let mut members = Vec::new();
        for (name, parent) in read_options(id, blocked.options.as_deref())?.parameters_from {
            // Another call may have completed the task since.
            let Some(result) = results.get(&parent.0) else { return Ok(None) };
            members.push((name, json(result.clone())?));
        }
        Ok(Some(ParameterSources {
            type_name: parse_column("task", id, &blocked.name)?,
            parameters: blocked.parameters.map(json).transpose()?,
            members,
        }))
    }

    /// Gives the blocked task `id` its parameters, and returns when it becomes ready; `None` if it is not blocked any more.
    pub async fn complete_parameters(
        &self,
        id: TaskId,
        parameters: &RawJson,
    ) -> Result<Option<Timestamp>, DatabaseError> {
        let ready_at: Option<(i64,)> = match &self.db {
            Db::Postgres(pools) => {
                let freed = sqlx::query_as(FREE_POSTGRES).bind(id.0).bind(parameters.text());
                freed.fetch_optional(&pools.write).await?
            }
            Db::Sqlite(pools) => {
                let parameters = parameters.text().to_owned();
                transaction(&pools.write, &self.clock, move |connection, now| {
                    Box::pin(async move {
                        let freed = sqlx::query_as(FREE_SQLITE).bind(id.0).bind(now);
                        let freed: Option<(i64,)> = freed.fetch_optional(&mut *connection).await?;
                        if freed.is_some() {
                            let complete = sqlx::query(COMPLETE_SQLITE).bind(id.0).bind(parameters);
                            complete.execute(&mut *connection).await?;
                            let resolved = encode_batch([(id,)]);
                            sqlx::query(DELETE_DEPENDENCIES_SQLITE)
                                .bind(resolved)
                                .execute(connection)
                                .await?;
                        }
                        Ok(freed)
                    })
                })
                .await?
            }
        };
        Ok(ready_at.map(|(ready_at,)| Timestamp(ready_at)))
    }

    /// Cancels the blocked task `id` (`DEPENDENCY_FAILED`): its parameters are not valid. `None` if it is not blocked any more.
    pub async fn refuse_parameters(
        &self,
        id: TaskId,
        error: &str,
    ) -> Result<Option<EndedTask>, DatabaseError> {
        let ended: Option<(Uuid, i64)> = match &self.db {
            Db::Postgres(pools) => {
                sqlx::query_as(FAIL_POSTGRES).bind(id.0).bind(error).fetch_optional(&pools.write).await?
            }
            Db::Sqlite(pools) => {
                let error = error.to_owned();
                transaction(&pools.write, &self.clock, move |connection, now| {
                    Box::pin(async move {
                        let blocked = sqlx::query_as(IS_BLOCKED_SQLITE).bind(id.0).bind(now);
                        let blocked: Option<(Uuid, i64)> = blocked.fetch_optional(&mut *connection).await?;
                        end_on_sqlite(connection, encode_batch([(id, error)]), now).await?;
                        let resolved = encode_batch([(id,)]);
                        sqlx::query(DELETE_DEPENDENCIES_SQLITE).bind(resolved).execute(connection).await?;
                        Ok(blocked)
                    })
                })
                .await?
            }
        };
        Ok(ended.map(|(id, now)| ended_blocked(id, now)))
    }
}
