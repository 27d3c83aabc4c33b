//! A request for a page of a list of tasks (keyset pagination).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::id::TaskId;

/// The order of a list of tasks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TaskOrder {
    /// The task that was submitted last comes first.
    #[default]
    Newest,
    /// The task that was submitted first comes first.
    Oldest,
}

impl TaskOrder {
    /// The text in a query.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Oldest => "oldest",
        }
    }
}

impl FromStr for TaskOrder {
    type Err = InvalidOrder;

    fn from_str(text: &str) -> Result<Self, InvalidOrder> {
        [Self::Newest, Self::Oldest].into_iter().find(|order| order.as_str() == text).ok_or(InvalidOrder)
    }
}

/// The text names no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an order is `newest` or `oldest`")]
pub struct InvalidOrder;

/// How far a list was read: the id of the last task that was looked at, whether or not it was listed. Callers send back what they
/// were given; its text is not a part of the API's contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListCursor(pub TaskId);

impl fmt::Display for ListCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.0.simple().fmt(f)
    }
}

impl FromStr for ListCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let id = Uuid::try_parse(text).ok().filter(|_| text.len() == uuid::fmt::Simple::LENGTH);
        id.map(|id| Self(TaskId(id))).ok_or(InvalidCursor)
    }
}

/// The text is not the cursor of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cursor is what the answer before has in its header Link")]
pub struct InvalidCursor;

/// A request for a page of a list of tasks. The page is selected by key, so that every page costs the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// Only tasks that were submitted before this one.
    pub before: Option<TaskId>,
    /// The order of the tasks.
    pub order: TaskOrder,
    /// Where the page before ended; `None` for the first page.
    pub cursor: Option<ListCursor>,
    /// The length of the page, at most.
    pub limit: u32,
}

impl PageRequest {
    /// The longest page, which bounds how long one statement holds its snapshot of the database.
    pub const MAX_LIMIT: u32 = 1000;

    /// The first page of the newest tasks, of the longest length.
    pub const FIRST: Self = Self::newest(Self::MAX_LIMIT);

    /// The first page of the newest tasks.
    pub const fn newest(limit: u32) -> Self {
        Self { before: None, order: TaskOrder::Newest, cursor: None, limit }
    }

    /// The page that goes on where another has ended.
    #[must_use]
    pub const fn next_page(self, cursor: ListCursor) -> Self {
        Self { cursor: Some(cursor), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_is_written() {
        let cursor = ListCursor("01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap());
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for bad in ["", "x", "01890a5d-ac96-774b-bcce-b302099a8057", "01890a5dac96774bbcceb302099a80"] {
            assert_eq!(bad.parse::<ListCursor>(), Err(InvalidCursor), "{bad}");
        }
    }
}
