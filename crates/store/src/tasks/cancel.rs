//! Cancels tasks at the request of their owner, or of an administrator.

use database::{DatabaseError, Db, encode_batch, transaction};
use domain::{OwnerId, PageRequest, Status, SubjectId, TaskFilter, TaskId};
use sqlx::SqlitePool;
use uuid::Uuid;

use crate::decode::row_struct;
use crate::store::Store;
use crate::tasks::insert_outcome::insert_outcome;
use crate::tasks::list::{ListRow, Page};
use crate::tasks::list_statement::Source;
use crate::tasks::rows::{EndedRow, EndedTask, ended_tasks};

/// The most tasks that one call of [`Store::cancel_matching`] cancels.
pub const CANCEL_BATCH_SIZE: u32 = 500;

/// The statement that cancels those tasks of `$1` that meet `$condition`.
macro_rules! cancel_on_postgres {
    (condition: $condition:literal, by: $by:literal) => {
        concat!(
            "with gone as (
                delete from unfinished_task u using unnest($1::uuid[]) as g (id)
                where u.id = g.id and ",
            $condition,
            " returning u.id, u.owner, u.type, u.attempt, u.worker, u.subject, u.started_at, u.due_at
            ) ",
            insert_outcome!(now: "(select now_us())", cancelled: "'REQUESTED'", by: $by, from: "gone"),
            " returning id, attempt, reason, ended_at, 0::bigint as late_us, worker, subject"
        )
    };
}

macro_rules! cancel_on_sqlite {
    (condition: $condition:literal, by: $by:literal) => {
        concat!(
            insert_outcome!(now: "?2", cancelled: "'REQUESTED'", by: $by, from: "unfinished_task"),
            " where id in (select unhex(value, '-') from json_each(?1)) and ",
            $condition,
            " returning id, attempt, reason, ended_at, 0 as late_us, worker, subject"
        )
    };
}

/// `$3`: whether the tasks must run, or must not; null: either.
const POSTGRES: &str = cancel_on_postgres!(
    condition: "u.owner = $2 and (u.phase + 0 = 2) = coalesce($3, u.phase + 0 = 2)",
    by: "null"
);
const SQLITE: &str =
    cancel_on_sqlite!(condition: "owner = ?3 and (phase = 2) = coalesce(?4, phase = 2)", by: "null");

const BY_ADMIN_POSTGRES: &str = cancel_on_postgres!(condition: "true", by: "$2");
const BY_ADMIN_SQLITE: &str = cancel_on_sqlite!(condition: "true", by: "?3");

const DELETE_UNFINISHED_SQLITE: &str = "
    delete from unfinished_task
    where id in (select unhex(value, '-') from json_each(?1))
        and exists (select 1 from outcome o where o.id = unfinished_task.id)";

row_struct! {
    struct IdRow {
        id: Uuid,
    }
}

impl ListRow for IdRow {
    fn id(&self) -> Uuid {
        self.id
    }
}

impl Store {
    /// Cancels those of `tasks` that belong to `owner` and have not ended, and returns them.
    pub async fn cancel(&self, owner: OwnerId, tasks: &[TaskId]) -> Result<Vec<EndedTask>, DatabaseError> {
        self.cancel_of_owner(owner, tasks.iter().map(|task| task.0).collect(), None).await
    }

    /// Cancels the task whoever owns it, in the name of the administrator `by`, and returns it; `None` if it has ended, or if there
    /// is none.
    pub async fn cancel_as_admin(
        &self,
        by: SubjectId,
        task: TaskId,
    ) -> Result<Option<EndedTask>, DatabaseError> {
        let ids = vec![task.0];
        let rows: Vec<EndedRow> = match &self.db {
            Db::Postgres(pools) => {
                sqlx::query_as(BY_ADMIN_POSTGRES).bind(ids).bind(by.0).fetch_all(&pools.write).await?
            }
            Db::Sqlite(pools) => {
                self.cancel_on_sqlite(&pools.write, BY_ADMIN_SQLITE, ids, by.0, None).await?
            }
        };
        Ok(ended_tasks(rows)?.pop())
    }

    /// Cancels unfinished tasks of `owner` that `filter` passes, from `page` on, at most [`CANCEL_BATCH_SIZE`]: those that it
    /// has cancelled, and where to go on.
    pub async fn cancel_matching(
        &self,
        owner: OwnerId,
        filter: &TaskFilter,
        page: PageRequest,
    ) -> Result<Page<EndedTask>, DatabaseError> {
        let page = PageRequest { limit: page.limit.min(CANCEL_BATCH_SIZE), ..page };
        let found = self.read_page::<IdRow>(Source::Unfinished, Some(owner), filter, page, "t.id").await?;
        let is_running = filter.status.map(|status| status == Status::Running);
        let ids = found.tasks.iter().map(|row| row.id).collect();
        // What else the filter asks for never changes.
        Ok(Page { tasks: self.cancel_of_owner(owner, ids, is_running).await?, next: found.next })
    }

    async fn cancel_of_owner(
        &self,
        owner: OwnerId,
        mut ids: Vec<Uuid>,
        is_running: Option<bool>,
    ) -> Result<Vec<EndedTask>, DatabaseError> {
        ids.sort_unstable();
        let rows: Vec<EndedRow> = match &self.db {
            Db::Postgres(pools) => {
                let query = sqlx::query_as(POSTGRES).bind(ids).bind(owner.0).bind(is_running);
                query.fetch_all(&pools.write).await?
            }
            Db::Sqlite(pools) => {
                self.cancel_on_sqlite(&pools.write, SQLITE, ids, owner.0, is_running).await?
            }
        };
        ended_tasks(rows)
    }

    async fn cancel_on_sqlite(
        &self,
        pool: &SqlitePool,
        insert: &'static str,
        ids: Vec<Uuid>,
        who: Uuid,
        is_running: Option<bool>,
    ) -> Result<Vec<EndedRow>, DatabaseError> {
        let ids = encode_batch(ids);
        let cancel = transaction(pool, &self.clock, move |connection, now| {
            Box::pin(async move {
                let rows = sqlx::query_as(insert).bind(&ids).bind(now).bind(who).bind(is_running);
                let rows = rows.fetch_all(&mut *connection).await?;
                sqlx::query(DELETE_UNFINISHED_SQLITE).bind(&ids).execute(connection).await?;
                Ok(rows)
            })
        });
        cancel.await
    }
}
