//! The URL of a PostgreSQL database: read by sqlx, after a check for mistakes that sqlx reads as something else.

use std::fs::File;
use std::io;
use std::path::Path;
use std::str::FromStr;

use form_urlencoded::{byte_serialize, parse};
use sqlx::postgres::PgConnectOptions;

/// The parameters of a URL that sqlx knows. It ignores any other, and would log its value.
const PARAMETERS: [&str; 17] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
];

/// The parameters that name files.
const FILES: [&str; 7] =
    ["sslrootcert", "ssl-root-cert", "ssl-ca", "sslcert", "ssl-cert", "sslkey", "ssl-key"];

/// Why a URL names no PostgreSQL database. No text shows a part of the URL that may belong to a password.
#[derive(Debug, thiserror::Error)]
pub enum InvalidPostgresUrl {
    /// A character that ends the name or the password stands in it unencoded.
    #[error("write `{0}` in a user name or a password as {1}: it ends a part of a URL")]
    RawCharacter(char, &'static str),
    /// No parameter has this name.
    #[error(
        "the URL has the parameter `{0}`, which Tasker does not know: remove it; settings of a session are written options[NAME]=VALUE"
    )]
    UnknownParameter(String),
    /// libpq's list of hosts.
    #[error("the URL names several hosts: name one, such as a virtual address that follows the primary")]
    SeveralHosts,
    /// A file of certificates or keys cannot be read.
    #[error("{0} = {1}: the file cannot be read: {2}")]
    File(String, String, #[source] io::Error),
    /// Anything else, in the words of the driver.
    #[error("it is not a valid URL: {0}")]
    Unreadable(String),
}

/// Reads `url`, which begins with `postgres://` or `postgresql://`.
pub(crate) fn parse_postgres_url(url: &str) -> Result<PgConnectOptions, InvalidPostgresUrl> {
    check_raw_characters(url)?;
    check_parameters(url)?;
    let options = PgConnectOptions::from_str(url).map_err(|error| match error {
        sqlx::Error::Configuration(cause) => InvalidPostgresUrl::Unreadable(cause.to_string()),
        error => InvalidPostgresUrl::Unreadable(error.to_string()),
    })?;
    let host = options.get_host();
    if host.contains(',') {
        return Err(InvalidPostgresUrl::SeveralHosts);
    }
    // sqlx takes the brackets of an IPv6 address for a part of the host's name, which then cannot be resolved.
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).map(str::to_owned);
    Ok(match address {
        Some(address) => options.host(&address),
        None => options,
    })
}

/// `url` with the relative paths of its files made relative to `directory`.
pub(crate) fn with_files_in(url: &str, directory: &Path) -> String {
    let Some((before_query, query)) = url.split_once('?') else { return url.to_owned() };
    let absolute = |parameter: &str| {
        let (name, value) = parse(parameter.as_bytes()).next()?;
        let path = Some(Path::new(&*value)).filter(|_| FILES.contains(&&*name) && !is_certificate(&value))?;
        let path = directory.join(path).display().to_string();
        Some(format!("{name}={}", byte_serialize(path.as_bytes()).collect::<String>()))
    };
    let parameters = query.split('&').map(|parameter| absolute(parameter).unwrap_or(parameter.to_owned()));
    format!("{before_query}?{}", parameters.collect::<Vec<_>>().join("&"))
}

/// Whether the value of a parameter is the text of a certificate or key, which the driver also takes in the place of a path.
fn is_certificate(value: &str) -> bool {
    value.starts_with("-----BEGIN")
}

/// Refuses `/`, `?` and `#` in a name or a password: each ends the part of the URL that holds both (RFC 3986, section 3.2).
fn check_raw_characters(url: &str) -> Result<(), InvalidPostgresUrl> {
    if url.contains('#') {
        return Err(InvalidPostgresUrl::RawCharacter('#', "%23"));
    }
    let (before_query, query) = url.split_once('?').unwrap_or((url, ""));
    let (_, rest) = before_query.split_once("://").unwrap_or(("", before_query));
    let (_, database) = rest.split_once('/').unwrap_or((rest, ""));
    if database.contains('@') {
        return Err(InvalidPostgresUrl::RawCharacter('/', "%2F"));
    }
    let has_only_known = parse(query.as_bytes()).all(|(name, _)| is_known(&name));
    if query.contains('@') && !has_only_known {
        return Err(InvalidPostgresUrl::RawCharacter('?', "%3F"));
    }
    Ok(())
}

fn check_parameters(url: &str) -> Result<(), InvalidPostgresUrl> {
    let (_, query) = url.split_once('?').unwrap_or((url, ""));
    for (name, value) in parse(query.as_bytes()) {
        if !is_known(&name) {
            return Err(InvalidPostgresUrl::UnknownParameter(name.into_owned()));
        }
        if FILES.contains(&&*name) && !is_certificate(&value) {
            File::open(&*value)
                .map_err(|error| InvalidPostgresUrl::File(name.into_owned(), value.into_owned(), error))?;
        }
    }
    Ok(())
}

fn is_known(parameter: &str) -> bool {
    PARAMETERS.contains(&parameter) || parameter == "options" || parameter.starts_with("options[")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        parse_postgres_url(url).unwrap_err().to_string()
    }

    #[test]
    fn an_ipv6_address_loses_its_brackets() {
        let host = |url: &str| parse_postgres_url(url).unwrap().get_host().to_owned();
        assert_eq!(host("postgres://u@[::1]:5432/db"), "::1");
        assert_eq!(host("postgresql://u:p%40ss@db.example.org/db"), "db.example.org");
        assert_eq!(host("postgres://u@h/db?user=a@b"), "h", "a parameter may hold an `@`");
    }

    #[test]
    fn a_character_that_ends_the_password_is_named_and_the_password_is_not() {
        for (url, character) in [
            ("postgres://u:pass#word@h/db", "`#`"),
            ("postgres://u:p@ss#word@h/db", "`#`"),
            ("postgres://u:pass/word@h/db", "`/`"),
            ("postgres://u:12/34@h/db", "`/`"),
            ("postgres://u:p@ss/word@h/db", "`/`"),
            ("postgres://u:pass?word@h/db", "`?`"),
            ("postgres://u:12?34@h/db", "`?`"),
            ("postgres://u:pass?word=1@h/db?sslmode=disable", "`?`"),
        ] {
            let refusal = refusal(url);
            assert!(
                refusal.starts_with(&format!("write {character} in a user name or a password")),
                "{url}: {refusal}"
            );
            assert!(!refusal.contains("word") || refusal.matches("word").count() == 1, "{url}: {refusal}");
        }
    }

    #[test]
    fn relative_paths_of_files_are_resolved_and_the_rest_stays() {
        let resolve = |url: &str| with_files_in(url, Path::new("/etc/my tasker"));
        let url = "postgres://u:p%40@h/db?sslmode=verify-full&sslrootcert=certs%2Fca.pem&options[a]=b";
        let expected = "postgres://u:p%40@h/db?sslmode=verify-full&sslrootcert=%2Fetc%2Fmy+tasker%2Fcerts%2Fca.pem&options[a]=b";
        assert_eq!(resolve(url), expected);
        let absolute = resolve("postgres://h/db?sslkey=/run/key.pem");
        assert_eq!(absolute, "postgres://h/db?sslkey=%2Frun%2Fkey.pem");
        for same in ["postgres://h/db", "postgres://h/db?sslcert=-----BEGIN CERTIFICATE-----"] {
            assert_eq!(resolve(same), same);
        }
    }

    #[test]
    fn what_the_driver_would_ignore_or_wait_for_is_refused() {
        assert!(refusal("postgres://u@h/db?pasword=hush").starts_with("the URL has the parameter `pasword`"));
        assert!(refusal("postgres://u@a,b/db").starts_with("the URL names several hosts"));
        let absent = refusal("postgres://u@h/db?sslmode=verify-full&sslrootcert=/nowhere/ca.pem");
        assert!(absent.starts_with("sslrootcert = /nowhere/ca.pem: the file cannot be read: "), "{absent}");
        assert!(refusal("postgres://u@h:99999/db").contains("invalid port number"));
        assert!(refusal("postgres://u@h/db?sslmode=verify").contains("unknown value"));
    }
}
