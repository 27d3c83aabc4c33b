//! Roles: what an account or a client may do.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum Role {
    /// May submit tasks and see its own.
    User,
    /// May use the worker API: claim tasks, report results, register operations.
    Worker,
    /// May do both, and manage accounts. The registration page calls it Full Access.
    Admin,
}

impl Role {
    /// Every role, the one with the fewest rights first.
    pub const ALL: [Self; 3] = [Self::User, Self::Worker, Self::Admin];

    /// The name in tokens and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Worker => "Worker",
            Self::Admin => "Admin",
        }
    }

    /// The role of that name; upper and lower case differ.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// The roles in a token of an account with this role: every account is a `User`, and may have one more.
    pub(crate) fn claims(self) -> Vec<Self> {
        if self == Self::User { vec![Self::User] } else { vec![Self::User, self] }
    }
}
