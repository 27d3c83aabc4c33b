//! Why Identity does not start, and why an account of the operator cannot be made.

use database::DatabaseError;

use crate::accounts::username::InvalidName;
use crate::authentication::password_hashing::HashingQueueFull;
use crate::keys::key_ring::KeyError;
use crate::settings::InvalidSetting;

/// Why Identity does not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A setting is invalid.
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
    /// The database failed, or its schema is newer than this program.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The signing keys cannot be used.
    #[error(transparent)]
    KeyRing(#[from] KeyError),
}

/// Why an account could not be created or given its password.
#[derive(Debug, thiserror::Error)]
pub enum EnsureError {
    /// The name breaks a rule.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// Too many passwords wait to be hashed.
    #[error(transparent)]
    HashingQueueFull(#[from] HashingQueueFull),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}
