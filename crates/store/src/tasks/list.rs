//! Pages of lists of tasks: of one owner's or of all owners', of all tasks or of those that a filter passes.

use database::{DatabaseError, Db, encode_batch, on};
use domain::{
    ListCursor, OwnerId, PageRequest, Status, TaskFilter, TaskId, TaskOrder, TaskSummary, Timestamp,
    TypeName, WorkerName,
};
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use crate::decode::{parse_column, row_struct};
use crate::store::Store;
use crate::tasks::list_statement::{ListStatement, Source};
use crate::tasks::queries::{Phase, read_options, status_of};

/// How many rows a page with conditions reads at most, in two steps: most pages are full after the first one.
const WINDOWS: [u32; 2] = [1_000, 50_000];

/// How much earlier than its acceptance a task's id may have been issued, and how much later, by an estimate of the database's
/// clock, in microseconds: an hour and ten seconds. Ids bound how far a page with dates reads; whether a task is listed depends on its
/// date alone.
const ID_LEAD_US: i64 = 3_600_000_000;
const ID_LAG_US: i64 = 10_000_000;

const SUMMARY_COLUMNS: &str = "t.id, t.type as name, t.created_at, t.options, u.phase, o.status, o.reason";

row_struct! {
    struct SummaryRow {
        id: Uuid,
        name: String,
        created_at: i64,
        options: Option<String>,
        phase: Option<Phase>,
        status: Option<String>,
        reason: Option<String>,
    }
}

/// A row of a list.
pub(crate) trait ListRow:
    for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin
{
    /// The task's id.
    fn id(&self) -> Uuid;
}

impl ListRow for SummaryRow {
    fn id(&self) -> Uuid {
        self.id
    }
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The tasks: fewer than requested, or none, where few of the tasks pass the filter.
    pub tasks: Vec<T>,
    /// Where the next page begins; `None`: the list is complete.
    pub next: Option<ListCursor>,
}

impl<T> Page<T> {
    /// The page with each row decoded.
    pub(crate) fn decode<U>(
        self,
        decode: impl FnMut(T) -> Result<U, DatabaseError>,
    ) -> Result<Page<U>, DatabaseError> {
        let tasks = self.tasks.into_iter().map(decode).collect::<Result<_, _>>()?;
        Ok(Page { tasks, next: self.next })
    }
}

/// The labels of a filter as parameters: all of them as JSON, and the first one.
#[derive(Debug, Clone)]
struct LabelParameters {
    all: Option<String>,
    key: Option<String>,
    value: Option<String>,
}

impl LabelParameters {
    fn of(filter: &TaskFilter) -> Self {
        let first = filter.labels.first();
        let all = filter.labels.iter().map(|label| (&label.key, &label.value));
        Self {
            all: first.map(|_| encode_batch(all)),
            key: first.map(|label| label.key.to_string()),
            value: first.map(|label| label.value.as_str().to_owned()),
        }
    }
}

/// The least and the greatest id of what a list reads.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    least: Uuid,
    greatest: Uuid,
}

/// The query of a statement of a list with its parameters, in the order that [`ListStatement`] documents.
macro_rules! bind {
    ($text:ident, $owner:ident, $filter:ident, $bounds:ident, $number:ident, $labels:ident) => {
        sqlx::query_as($text)
            .bind($owner.map(|owner| owner.0))
            .bind($bounds.least)
            .bind($bounds.greatest)
            .bind($number)
            .bind($filter.created_after.map(|date| date.0))
            .bind($filter.created_before.map(|date| date.0))
            .bind($filter.type_name.as_ref().map(TypeName::as_str))
            .bind($filter.status.map(Status::as_str))
            .bind($filter.worker.as_ref().map(WorkerName::as_str))
            .bind($labels.all)
            .bind($labels.key)
            .bind($labels.value)
    };
}

impl Store {
    /// A page of those tasks of `owner` that `filter` passes, of at most [`PageRequest::MAX_LIMIT`] tasks. It reads a bounded
    /// number of rows, and goes on at its cursor.
    pub async fn list(
        &self,
        owner: OwnerId,
        filter: &TaskFilter,
        page: PageRequest,
    ) -> Result<Page<TaskSummary>, DatabaseError> {
        let source = source_of(Some(owner), filter);
        self.read_page::<SummaryRow>(source, Some(owner), filter, page, SUMMARY_COLUMNS)
            .await?
            .decode(summary)
    }

    /// A page of the rows that a list reads: those of `owner`, or of all owners.
    pub(crate) async fn read_page<R: ListRow>(
        &self,
        source: Source,
        owner: Option<OwnerId>,
        filter: &TaskFilter,
        page: PageRequest,
        columns: &str,
    ) -> Result<Page<R>, DatabaseError> {
        let (is_of_owner, order) = (owner.is_some(), page.order);
        let is_postgres = matches!(self.db, Db::Postgres(_));
        let statement = ListStatement { source, is_of_owner, order, filter, is_postgres };
        let limit = page.limit.min(PageRequest::MAX_LIMIT) as usize;
        let mut bounds = Bounds::of(filter, page);
        let text = statement.page(columns);
        if statement.has_every_row() {
            let tasks = self.read_rows(text, owner, filter, bounds, limit).await?;
            return Ok(Page { next: end_of_full(&tasks, limit), tasks });
        }
        let (mut tasks, mut end) = (Vec::new(), None);
        for window in WINDOWS {
            end = self.window_end(statement.window_end(), owner, filter, bounds, window).await?;
            let within = end.map_or(bounds, |end| bounds.until(end, page.order));
            tasks.extend(self.read_rows(text.clone(), owner, filter, within, limit - tasks.len()).await?);
            if tasks.len() == limit {
                return Ok(Page { next: end_of_full(&tasks, limit), tasks });
            }
            match end {
                Some(end) => bounds = bounds.after(end, page.order),
                None => break,
            }
        }
        Ok(Page { tasks, next: end.map(|end| ListCursor(TaskId(end))) })
    }

    async fn read_rows<R: ListRow>(
        &self,
        text: String,
        owner: Option<OwnerId>,
        filter: &TaskFilter,
        bounds: Bounds,
        limit: usize,
    ) -> Result<Vec<R>, DatabaseError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let (text, labels) = (AssertSqlSafe(text), LabelParameters::of(filter));
        Ok(
            on!(&self.db, read, pool => bind!(text, owner, filter, bounds, limit, labels).fetch_all(pool).await)?,
        )
    }

    /// The last of the next `window` rows; `None` if there are fewer.
    async fn window_end(
        &self,
        text: String,
        owner: Option<OwnerId>,
        filter: &TaskFilter,
        bounds: Bounds,
        window: u32,
    ) -> Result<Option<Uuid>, DatabaseError> {
        let (text, labels) = (AssertSqlSafe(text), LabelParameters::of(filter));
        let offset = i64::from(window) - 1;
        let row: Option<(Uuid,)> = on!(&self.db, read, pool =>
            bind!(text, owner, filter, bounds, offset, labels).fetch_optional(pool).await)?;
        Ok(row.map(|(id,)| id))
    }
}

/// The table that has the tasks with a label, or those of a status. Labels of all owners are in no index.
pub(crate) fn source_of(owner: Option<OwnerId>, filter: &TaskFilter) -> Source {
    match filter.status {
        _ if owner.is_some() && !filter.labels.is_empty() => Source::Labelled,
        None => Source::Every,
        Some(Status::Created | Status::Running) => Source::Unfinished,
        Some(Status::Finished | Status::Cancelled) => Source::Ended,
    }
}

/// Where a full page ends.
fn end_of_full<R: ListRow>(rows: &[R], limit: usize) -> Option<ListCursor> {
    rows.last().filter(|_| rows.len() == limit).map(|row| ListCursor(TaskId(row.id())))
}

impl Bounds {
    fn of(filter: &TaskFilter, page: PageRequest) -> Self {
        let least = filter.created_after.map_or(Uuid::nil(), |date| id_at(date.plus_micros(-ID_LEAD_US)));
        let greatest = filter.created_before.map_or(Uuid::max(), |date| id_at(date.plus_micros(ID_LAG_US)));
        let before = page.before.map_or(Uuid::max(), |task| preceding(task.0));
        let bounds = Self { least, greatest: greatest.min(before) };
        page.cursor.map_or(bounds, |ListCursor(last)| bounds.after(last.0, page.order))
    }

    /// What follows `end` in this order.
    fn after(self, end: Uuid, order: TaskOrder) -> Self {
        match order {
            TaskOrder::Newest => Self { greatest: self.greatest.min(preceding(end)), ..self },
            TaskOrder::Oldest => Self { least: self.least.max(following(end)), ..self },
        }
    }

    /// What comes until `end` in this order, `end` included.
    fn until(self, end: Uuid, order: TaskOrder) -> Self {
        match order {
            TaskOrder::Newest => Self { least: end, ..self },
            TaskOrder::Oldest => Self { greatest: end, ..self },
        }
    }
}

fn preceding(id: Uuid) -> Uuid {
    Uuid::from_u128(id.as_u128().saturating_sub(1))
}

fn following(id: Uuid) -> Uuid {
    Uuid::from_u128(id.as_u128().saturating_add(1))
}

/// The least id that may be issued at `at` or later: a UUID of version 7 begins with 48 bits of milliseconds (RFC 9562, section 5.7).
fn id_at(at: Timestamp) -> Uuid {
    let millis = (at.0.max(0) / 1000).cast_unsigned();
    Uuid::from_u128(u128::from(millis.min((1 << 48) - 1)) << 80)
}

fn summary(row: SummaryRow) -> Result<TaskSummary, DatabaseError> {
    let id = TaskId(row.id);
    Ok(TaskSummary {
        id,
        type_name: parse_column("task", id, &row.name)?,
        status: status_of(id, row.phase, row.status.as_deref())?,
        reason: row.reason.map(|reason| parse_column("outcome", id, &reason)).transpose()?,
        creation_date: Timestamp(row.created_at),
        labels: read_options(id, row.options.as_deref())?.labels,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_bound_the_ids_that_are_read() {
        let bounds = |created_after, created_before| {
            let filter = TaskFilter { created_after, created_before, ..TaskFilter::UNFILTERED };
            let Bounds { least, greatest } = Bounds::of(&filter, PageRequest::FIRST);
            (least, greatest)
        };
        assert_eq!(bounds(None, None), (Uuid::nil(), Uuid::max()));
        for early in [i64::MIN, -1, ID_LEAD_US] {
            assert_eq!(bounds(Some(Timestamp(early)), None).0, Uuid::nil());
        }
        let millis: i64 = 0x0189_0a5d_ac96;
        let expected: Uuid = "01890a5d-ac96-0000-0000-000000000000".parse().unwrap();
        assert_eq!(bounds(Some(Timestamp(ID_LEAD_US + millis * 1000)), None).0, expected);
        assert_eq!(bounds(None, Some(Timestamp(millis * 1000 - ID_LAG_US))).1, expected);
        assert_eq!(bounds(Some(Timestamp(i64::MAX)), None).0.as_u128() & ((1 << 80) - 1), 0);
    }
}
