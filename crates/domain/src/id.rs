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
    /// The id of the account that submitted a task: the claim `sub` of the access token (RFC 7519).
    OwnerId
}

id! {
    /// The id of one claim request: a random UUID that the worker chooses. Every task granted by that request carries it.
    ClaimId
}

impl ClaimId {
    /// A new random id (UUID version 4), which nobody can guess.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}
