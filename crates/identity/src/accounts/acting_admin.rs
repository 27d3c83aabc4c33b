//! The administrator on whose behalf something is changed.

use uuid::Uuid;

/// An administrator, as the token or the session of the request named one when its head arrived.
///
/// Every statement that needs the role takes this value and compares it with the account as it is then: while the body was on its way or
/// a password waited to be hashed, the account may have been demoted, disabled, deleted, or given another password.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ActingAdmin {
    pub(crate) id: Uuid,
    /// The generation of the account's tokens under which the request was authorized.
    pub(crate) generation: i64,
}
