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

/// The condition that the row `$account` of `account` (or of a locked part of it) is that of the administrator with this id, and that
/// no token or session of this generation was revoked.
///
/// It is a macro because statements are constants, and `concat!` joins literals only.
macro_rules! still_admin {
    ($account:literal, $id:literal, $generation:literal) => {
        concat!(
            $account,
            ".id = ",
            $id,
            " and ",
            $account,
            ".token_generation = ",
            $generation,
            " and ",
            $account,
            ".role = 'Admin' and ",
            $account,
            ".disabled_at is null"
        )
    };
}

pub(crate) use still_admin;

/// Why nothing was changed on behalf of an administrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unchanged {
    /// No administrator would be left.
    LastAdmin,
    /// Whoever changes something is no administrator any more.
    NotAdmin,
    /// There is no account of that name.
    NotFound,
}
