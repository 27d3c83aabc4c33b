//! Warnings, logged once at the start, about connections of this process to other machines without TLS.

use std::net::IpAddr;

use database::Db;
use tracing::warn;

use crate::config::sections::Config;
use crate::config::values::Address;

/// Warns if `setting` names a service on another machine by plain HTTP.
pub fn warn_about_service(setting: &str, address: &Address) {
    if let Some(host) = address.plaintext_host().filter(|host| !is_this_machine(host)) {
        warn!(
            "{setting} = {address}: connections to {host} have no TLS, so anybody on the network path can read passwords \
             and tokens and forge answers; give {host} a certificate and use https://"
        );
    }
}

/// Warns if the trace collector is on another machine and is reached by plain HTTP.
pub fn warn_about_collector(address: &Address) {
    if let Some(host) = address.plaintext_host().filter(|host| !is_this_machine(host)) {
        warn!(
            "traces.endpoint = {address}: connections to {host} have no TLS, so anybody on the network path can read the \
             traces and traces.headers; use https://"
        );
    }
}

/// Warns if the database of tasks is on another machine and is reached without TLS.
pub fn warn_about_tasks_database(config: &Config) {
    warn_about_database("database.url", config.database_url().ok());
}

/// Warns if the database of accounts is on another machine and is reached without TLS.
pub fn warn_about_accounts_database(config: &Config) {
    warn_about_database(config.accounts_setting(), config.identity_database_url().ok().as_deref());
}

/// The warning does not show the URL: it may hold a password.
fn warn_about_database(setting: &str, url: Option<&str>) {
    if let Some(host) = url.and_then(Db::plaintext_host).filter(|host| !is_this_machine(host)) {
        warn!(
            "{setting}: connections to PostgreSQL at {host} have no TLS, so anybody on the network path can read and \
             change what is stored; use sslmode=verify-full"
        );
    }
}

/// Whether `host` is this machine, so that nothing travels over a network.
fn is_this_machine(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse().is_ok_and(|ip: IpAddr| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses_are_this_machine() {
        for here in ["localhost", "LocalHost", "api.localhost", "127.0.0.1", "127.1.2.3", "[::1]", "::1"] {
            assert!(is_this_machine(here), "{here}");
        }
        for elsewhere in ["backend", "10.0.0.1", "0.0.0.0", "localhost.example.org", "[::2]"] {
            assert!(!is_this_machine(elsewhere), "{elsewhere}");
        }
    }
}
