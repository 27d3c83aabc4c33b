//! The priority of a task among the ready tasks of its type.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The priority of a task, 0 to 9: of the ready tasks of a type those with a higher one are granted first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "u8", into = "u8")]
#[schema(value_type = u8, minimum = 0, maximum = 9, examples(4))]
pub struct Priority(u8);

/// The number is not from 0 to 9.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("priority is a whole number from 0 to 9")]
pub struct InvalidPriority;

impl Priority {
    /// The priority of a task whose submission names none.
    pub const DEFAULT: Self = Self(4);

    /// Whether it is the priority of a task whose submission names none.
    pub fn is_default(&self) -> bool {
        *self == Self::DEFAULT
    }

    /// The priority as a number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl TryFrom<u8> for Priority {
    type Error = InvalidPriority;

    fn try_from(priority: u8) -> Result<Self, InvalidPriority> {
        if priority <= 9 { Ok(Self(priority)) } else { Err(InvalidPriority) }
    }
}

impl From<Priority> for u8 {
    fn from(priority: Priority) -> Self {
        priority.0
    }
}
