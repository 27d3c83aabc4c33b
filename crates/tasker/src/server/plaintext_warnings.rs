//! Tells once, at the start, which connections of this process anybody on the way can read.

use std::net::IpAddr;

use database::Db;
use tracing::warn;

use crate::config::{Address, Config};

/// Warns of a service that is asked over plain HTTP on another machine.
pub fn tell_service(setting: &str, address: &Address) {
    if let Some(host) = address.plain_host().filter(|host| !is_here(host)) {
        warn!(
            "{setting} = {address}: {host} is asked without TLS, and whoever is on the way can read passwords and \
             tokens, and answer in its place; give {host} a certificate and say https://"
        );
    }
}

/// Warns of a collector of traces that is told over plain HTTP on another machine.
pub fn tell_collector(address: &Address) {
    if let Some(host) = address.plain_host().filter(|host| !is_here(host)) {
        warn!(
            "traces.endpoint = {address}: {host} is told without TLS, and whoever is on the way can read along, \
             traces.headers included; say https://"
        );
    }
}

/// Warns of a database of tasks on another machine without TLS.
pub fn tell_tasks(config: &Config) {
    tell_database("database.url", config.database_url().ok());
}

/// Warns of a database of accounts on another machine without TLS.
pub fn tell_accounts(config: &Config) {
    tell_database(config.accounts_setting(), config.identity_database_url().ok().as_deref());
}

/// The address itself is not told: it may hold a password.
fn tell_database(setting: &str, url: Option<&str>) {
    if let Some(host) = url.and_then(Db::plain_host).filter(|host| !is_here(host)) {
        warn!(
            "{setting}: PostgreSQL at {host} is asked without TLS, and whoever is on the way can read and change what is \
             stored; say sslmode=verify-full"
        );
    }
}

/// Whether `host` is this machine, so that nothing leaves it.
fn is_here(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse().is_ok_and(|ip: IpAddr| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_several_names() {
        for here in ["localhost", "LocalHost", "api.localhost", "127.0.0.1", "127.1.2.3", "[::1]", "::1"] {
            assert!(is_here(here), "{here}");
        }
        for elsewhere in ["backend", "10.0.0.1", "0.0.0.0", "localhost.example.org", "[::2]"] {
            assert!(!is_here(elsewhere), "{elsewhere}");
        }
    }
}
