//! A request for a page of a list of tasks (keyset pagination).

use crate::id::TaskId;

/// A request for a page of a list of tasks, newest first. The page is selected by key, so that every page costs the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// The last task of the previous page; `None` for the first page.
    pub before: Option<TaskId>,
    /// The length of the page, at most.
    pub limit: u32,
}

impl PageRequest {
    /// The longest page, which bounds how long one statement holds its snapshot of the database.
    pub const MAX_LIMIT: u32 = 1000;

    /// The first page, of the longest length.
    pub const FIRST: Self = Self { before: None, limit: Self::MAX_LIMIT };

    /// The page after the one that ended with the task `last`.
    #[must_use]
    pub const fn next_page(self, last: TaskId) -> Self {
        Self { before: Some(last), ..self }
    }
}
