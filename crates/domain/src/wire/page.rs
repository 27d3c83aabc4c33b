//! A page of a list: where it begins and how long it is.

use crate::id::TaskId;

/// A page of the newest first, by keyset: it costs the same however deep it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// The last task of the page before; `None` begins at the newest.
    pub before: Option<TaskId>,
    /// How many rows at most.
    pub limit: u32,
}

impl Page {
    /// The most rows that one statement reads, so that no list holds a snapshot for long.
    pub const LONGEST: u32 = 1000;

    /// The first page at full length.
    pub const FIRST: Self = Self { before: None, limit: Self::LONGEST };

    /// The page after the one that ended with `last`.
    #[must_use]
    pub const fn after(self, last: TaskId) -> Self {
        Self { before: Some(last), ..self }
    }
}
