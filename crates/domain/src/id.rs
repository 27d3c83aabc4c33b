//! The ids of tasks, owners and claims, each a type of its own so that one cannot be passed for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(transparent)]
        #[schema(value_type = Uuid)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text).map(Self)
            }
        }
    };
}

id! {
    /// The id of a task: a UUID of version 7 (RFC 9562), so that later submissions have greater ids.
    TaskId
}

id! {
    /// The id of the account or client that submitted a task.
    OwnerId
}

id! {
    /// The id of one claim request: a random UUID that the worker chooses. Every task granted by that request carries it.
    ClaimId
}

id! {
    /// The account or client that a token was issued to (`sub`): it owns a worker's grants and registered operations. For an
    /// account it is the account's id, which is also the [`OwnerId`] of its tasks.
    SubjectId
}

id! {
    /// The id of an installation: a database of tasks, its Backends and its workers. A random UUID, made when the database is
    /// migrated for the first time. Several installations may share a Kafka.
    InstallationId
}

id! {
    /// The id of one process of a worker: a random UUID that the process makes when it starts. All zeros stand for a claim
    /// that names none.
    InstanceId
}

impl InstanceId {
    /// A new random id (UUID version 4).
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// The instance of a claim without one.
    pub const NONE: Self = Self(Uuid::nil());
}

impl ClaimId {
    /// A new random id (UUID version 4), which nobody can guess.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}
