//! Queries of administrators: tasks of all owners, without what belongs to their owners alone.

use database::{DatabaseError, on};
use domain::{AdminTask, OwnerId, PageRequest, Status, SubjectId, TaskFilter, TaskId, Timestamp, Ttl};
use uuid::Uuid;

use crate::decode::{corrupt, parse_column, row_struct};
use crate::store::Store;
use crate::tasks::list::{ListRow, Page, source_of};
use crate::tasks::queries::{Phase, read_options, status_of};

/// No column has parameters, a result or the text of an error.
macro_rules! columns {
    () => {
        "t.id, t.owner, t.type as name, t.created_at, t.not_before_at, t.ttl_ms, t.options, u.phase, u.ready_at,
        case when u.phase = 2 then u.due_at else o.started_at + o.ttl_ms * 1000 end as deadline_at, o.status, o.reason,
        coalesce(o.started_at, u.started_at) as started_at, o.ended_at,
        coalesce(o.attempt, u.attempt) as attempt, coalesce(o.worker, u.worker) as worker, o.cancelled_by"
    };
}

const ONE: &str = concat!(
    "select ",
    columns!(),
    " from task t left join unfinished_task u on u.id = t.id left join outcome o on o.id = t.id
    where t.id = $1"
);

row_struct! {
    struct AdminRow {
        id: Uuid,
        owner: Uuid,
        name: String,
        created_at: i64,
        not_before_at: Option<i64>,
        ttl_ms: i64,
        options: Option<String>,
        ready_at: Option<i64>,
        deadline_at: Option<i64>,
        phase: Option<Phase>,
        status: Option<String>,
        reason: Option<String>,
        started_at: Option<i64>,
        ended_at: Option<i64>,
        attempt: i32,
        worker: Option<String>,
        cancelled_by: Option<Uuid>,
    }
}

impl ListRow for AdminRow {
    fn id(&self) -> Uuid {
        self.id
    }
}

impl Store {
    /// A page of the tasks of `owner`, or of all owners, that `filter` passes: as [`Store::list`], for administrators.
    pub async fn list_as_admin(
        &self,
        owner: Option<OwnerId>,
        filter: &TaskFilter,
        page: PageRequest,
    ) -> Result<Page<AdminTask>, DatabaseError> {
        let source = source_of(owner, filter);
        self.read_page::<AdminRow>(source, owner, filter, page, columns!()).await?.decode(admin_task)
    }

    /// The task `id`, whoever owns it, for administrators; `None` if there is none.
    pub async fn get_as_admin(&self, id: TaskId) -> Result<Option<AdminTask>, DatabaseError> {
        let row: Option<AdminRow> = on!(&self.db, read, pool =>
            sqlx::query_as(ONE).bind(id.0).fetch_optional(pool).await)?;
        row.map(admin_task).transpose()
    }
}

fn admin_task(row: AdminRow) -> Result<AdminTask, DatabaseError> {
    let id = TaskId(row.id);
    let ttl = Ttl::try_from(row.ttl_ms.cast_unsigned()).map_err(|error| corrupt("task", id, error))?;
    let status: Status = status_of(id, row.phase, row.status.as_deref())?;
    let delayed_until = row.ready_at.filter(|_| row.phase == Some(0)).map(Timestamp);
    Ok(AdminTask {
        id,
        owner: OwnerId(row.owner),
        type_name: parse_column("task", id, &row.name)?,
        status,
        reason: row.reason.map(|reason| parse_column("outcome", id, &reason)).transpose()?,
        cancelled_by: row.cancelled_by.map(SubjectId),
        labels: read_options(id, row.options.as_deref())?.labels,
        creation_date: Timestamp(row.created_at),
        not_before: delayed_until.or(row.not_before_at.map(Timestamp)),
        start_date: row.started_at.map(Timestamp),
        end_date: row.ended_at.map(Timestamp),
        deadline: row.deadline_at.map(Timestamp),
        ttl,
        attempts: row.attempt.cast_unsigned(),
        worker_name: row.worker.map(|name| parse_column("unfinished_task", id, &name)).transpose()?,
    })
}
