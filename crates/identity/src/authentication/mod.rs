//! Authentication: password hashes, lockout of accounts, rate limits, sessions of browsers, revoked access tokens.

pub(crate) mod fair_queue;
pub(crate) mod lockout;
pub(crate) mod password_hashing;
pub(crate) mod rate_limit;
pub(crate) mod revocations;
pub(crate) mod session_store;
