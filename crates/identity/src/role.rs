//! What an account or a client may do.

use serde::{Deserialize, Serialize};

/// A role, as tokens name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Submits tasks and sees its own.
    User,
    /// Runs tasks: the service API.
    Worker,
    /// Both, and may invite others; the original's Full Access.
    Admin,
}

impl Role {
    /// Every role, least first.
    pub const ALL: [Self; 3] = [Self::User, Self::Worker, Self::Admin];

    /// Its name in tokens and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Worker => "Worker",
            Self::Admin => "Admin",
        }
    }

    /// The role of that name, written exactly so.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// What an account of this role claims: everyone is a User, and a proof may add one role to that.
    pub(crate) fn claims(self) -> Vec<Self> {
        if self == Self::User { vec![Self::User] } else { vec![Self::User, self] }
    }
}
