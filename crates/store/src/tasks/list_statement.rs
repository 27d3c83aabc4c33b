//! The statements that read a page of a list of tasks. Their texts are put together of constants: which ones depends on the
//! conditions that there are, so that none stands in the way of an index.
//!
//! Each statement compares rows with its bounds as a whole (`(t.owner, t.id) <= …`), and the order has the owner, too: only the
//! index that begins with the owner fits. With `t.owner = $1 … order by t.id` PostgreSQL may walk the primary key through the
//! tasks of all owners, and does where statistics know one owner only. Other tables are joined from the left, and conditions on
//! their rows would hold for a missing row, too, as far as the planner knows (`coalesce(t.created_at, 0)`): otherwise it may begin
//! with the other table.
//!
//! Parameters: `$1` owner, `$2` and `$3` the least and the greatest id, `$4` a number of rows, `$5` and `$6` the bounds of the
//! date, `$7` type, `$8` status, `$9` worker.

use domain::{Status, TaskFilter, TaskOrder};

/// The table whose index a list is read by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// `task`: tasks of any status.
    Every,
    /// `unfinished_task`: tasks that have not ended.
    Unfinished,
    /// `outcome`: tasks of one final status.
    Ended,
}

/// A statement for one list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListStatement<'a> {
    pub(crate) source: Source,
    /// Whether the list has the tasks of one owner.
    pub(crate) is_of_owner: bool,
    pub(crate) order: TaskOrder,
    pub(crate) filter: &'a TaskFilter,
}

impl ListStatement<'_> {
    /// The text of the statement that reads `columns` of `t`, `u` and `o`: the rows of `task`, and of `unfinished_task` and
    /// `outcome` where there are.
    pub(crate) fn page(&self, columns: &str) -> String {
        let tables = match self.source {
            Source::Every => {
                "task t left join unfinished_task u on u.id = t.id left join outcome o on o.id = t.id"
            }
            Source::Unfinished => {
                "unfinished_task u left join task t on t.id = u.id left join outcome o on o.id = u.id and 1 = 0"
            }
            Source::Ended => {
                "outcome o left join task t on t.id = o.id left join unfinished_task u on u.id = o.id and 1 = 0"
            }
        };
        let conditions = self
            .conditions()
            .into_iter()
            .fold(self.range(), |conditions, condition| format!("{conditions} and {condition}"));
        format!("select {columns} from {tables} where {conditions} order by {} limit $4", self.order())
    }

    /// The text of the statement that reads the id of the row before which `$4` rows are passed over, if there is one: the end
    /// of what a page reads.
    pub(crate) fn window_end(&self) -> String {
        let (table, alias) = match self.source {
            Source::Every => ("task", "t"),
            Source::Unfinished => ("unfinished_task", "u"),
            Source::Ended => ("outcome", "o"),
        };
        let (range, order) = (self.range(), self.order());
        format!("select {alias}.id from {table} {alias} where {range} order by {order} limit 1 offset $4")
    }

    /// Whether the list has all rows of its index between its bounds: then a page reads what it lists and nothing else.
    pub(crate) fn has_every_row(&self) -> bool {
        self.conditions().is_empty()
    }

    /// The columns of the index, each with the values of its lower and its upper bound.
    fn key(&self) -> Vec<(&'static str, &'static str, &'static str)> {
        let (owner, id) = match self.source {
            Source::Every => ("t.owner", "t.id"),
            Source::Unfinished => ("u.owner", "u.id"),
            Source::Ended => ("o.owner", "o.id"),
        };
        let status = (self.source == Source::Ended).then_some(("o.status", "$8", "$8"));
        let of_owner = [Some((owner, "$1", "$1")), status];
        let of_owner = of_owner.into_iter().flatten().filter(|_| self.is_of_owner);
        of_owner.chain([(id, "$2", "$3")]).collect()
    }

    fn range(&self) -> String {
        let key = self.key();
        let list = |of: fn(&(&'static str, &'static str, &'static str)) -> &'static str| {
            key.iter().map(of).collect::<Vec<_>>().join(", ")
        };
        let (columns, least, greatest) = (list(|key| key.0), list(|key| key.1), list(|key| key.2));
        format!("({columns}) >= ({least}) and ({columns}) <= ({greatest})")
    }

    fn order(&self) -> String {
        let direction = match self.order {
            TaskOrder::Newest => " desc",
            TaskOrder::Oldest => "",
        };
        self.key().iter().map(|(column, ..)| format!("{column}{direction}")).collect::<Vec<_>>().join(", ")
    }

    /// What the rows between the bounds must be beside that.
    fn conditions(&self) -> Vec<&'static str> {
        let TaskFilter { status, type_name, worker, created_after, created_before } = self.filter;
        let name = match self.source {
            Source::Every => "t.type = $7",
            Source::Unfinished => "u.type = coalesce($7, u.type)",
            Source::Ended => "o.type = $7",
        };
        let status = status.and_then(|status| match (self.source, status) {
            (Source::Every, _) => None,
            (Source::Unfinished, Status::Running) => Some("u.phase + 0 = 2"),
            (Source::Unfinished, _) => Some("u.phase + 0 < 2"),
            (Source::Ended, _) => (!self.is_of_owner).then_some("o.status = coalesce($8, o.status)"),
        });
        [
            type_name.as_ref().map(|_| name),
            status,
            worker.as_ref().map(|_| "coalesce(o.worker, u.worker) = $9"),
            created_after.map(|_| "coalesce(t.created_at, 0) >= $5"),
            created_before.map(|_| "coalesce(t.created_at, 0) < $6"),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
