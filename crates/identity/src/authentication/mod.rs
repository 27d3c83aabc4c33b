//! Checking who somebody is: password hashes, rate limits, sessions.

pub(crate) mod password_hashing;
pub(crate) mod rate_limit;
pub(crate) mod session_store;
