//! The tables of Identity, as migrations.

use database::{Migration, SchemaPart};

/// The tables of accounts, registration tokens, sessions, rate limits and signing keys.
pub const IDENTITY_SCHEMA: SchemaPart = SchemaPart {
    name: "identity",
    steps: &[Migration {
        postgres: include_str!("../migrations/postgres/0001_identity.sql"),
        sqlite: include_str!("../migrations/sqlite/0001_identity.sql"),
        oldest: 1,
    }],
    tables: "account, session, failed_sign_in, rate_limit",
};
