//! Reads the environment variables that `make test` sets, which name the servers that tests run against.

/// The value of an environment variable. Panics when it is not set: a missing server is no reason to skip a test.
#[expect(
    clippy::disallowed_methods,
    reason = "`make test` passes the addresses of its servers in the environment"
)]
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run `make test`, which starts the servers"))
}
