//! Warnings, logged once at the start, about connections of this process to other machines without TLS.

use database::Db;
use domain::is_loopback_host;
use tracing::warn;

use crate::config::sections::Config;
use crate::config::values::Address;

/// Warns if `setting` names a service on another machine by plain HTTP.
pub fn warn_about_service(setting: &str, address: &Address) {
    if let Some(host) = address.plaintext_host().filter(|host| !is_loopback_host(host)) {
        warn!(
            "{setting} = {address}: connections to {host} have no TLS, so anybody on the network path can read passwords \
             and tokens and forge answers; give {host} a certificate and use https://"
        );
    }
}

/// Warns if the trace collector is on another machine and is reached by plain HTTP.
pub fn warn_about_collector(address: &Address) {
    if let Some(host) = address.plaintext_host().filter(|host| !is_loopback_host(host)) {
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
    if let Some(host) = url.and_then(Db::plaintext_host).filter(|host| !is_loopback_host(host)) {
        warn!(
            "{setting}: connections to PostgreSQL at {host} have no TLS, so anybody on the network path can read and \
             change what is stored; use sslmode=verify-full"
        );
    }
}
