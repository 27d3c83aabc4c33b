//! What a role asks of the configuration beyond its form, and what it reads from it: refused with the key and the way out.

use secrecy::{ExposeSecret, SecretString};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use database::Db;

use crate::config::ConfigError;
use crate::config::layers::read_secret;
use crate::config::sections::{Backend, Config, Identity, Metrics, Worker};

/// How a worker proves who it is.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// An account, as in the original.
    Password {
        /// The account's name.
        username: String,
        /// Its password.
        password: SecretString,
    },
    /// A client of `identity.clients`.
    Client {
        /// Its id.
        id: String,
        /// Its secret.
        secret: SecretString,
    },
}

/// No Backend takes a longer `minAgeMs`.
const LONGEST_STEAL_MS: u64 = 60_000;

/// A worker may miss all but one of so many beats and is not lost.
const BEATS: u64 = 3;

impl Config {
    /// Refuses what would make a Backend unsafe or senseless.
    pub fn check_backend(&self) -> Result<(), ConfigError> {
        let Backend {
            listen, allow_plaintext, default_ttl_ms, max_ttl_ms, worker_lost_ms, cors_origins, ..
        } = &self.backend;
        check_listener("backend", *listen, self.backend.tls()?.is_some() || *allow_plaintext)?;
        if default_ttl_ms.is_some_and(|default| default > *max_ttl_ms) {
            return Err(ConfigError::new(
                "backend.default_ttl_ms is above backend.max_ttl_ms: lower the first",
            ));
        }
        for text in cors_origins {
            backend::origin(text)
                .map_err(|error| ConfigError::new(format!("backend.cors_origins: {error}")))?;
        }
        let (lost, beat) = (worker_lost_ms.get(), self.worker.heartbeat_ms.get());
        if lost < beat.saturating_mul(BEATS) {
            return Err(ConfigError::new(format!(
                "backend.worker_lost_ms = {lost} is less than {BEATS} times worker.heartbeat_ms = {beat}: workers that \
                 live would be taken for lost, and their tasks cancelled; raise the first, or lower the second here \
                 and at every worker"
            )));
        }
        Ok(())
    }

    /// Refuses what would make an Identity unsafe or senseless.
    pub fn check_identity(&self) -> Result<(), ConfigError> {
        let Identity { listen, allow_plaintext, issuer, open_registration, .. } = &self.identity;
        check_listener("identity", *listen, self.identity.tls()?.is_some() || *allow_plaintext)?;
        for (section, listen) in [("backend", self.backend.listen), ("identity", *listen)] {
            if !open_registration.may_listen_on(listen.ip()) {
                return Err(ConfigError::new(format!(
                    "identity.open_registration = \"full\" makes everyone who registers an administrator, and \
                     {section}.listen = {listen} can be reached by other machines: say \"users\", or listen on \
                     127.0.0.1 everywhere"
                )));
            }
        }
        if issuer.is_none() && !listen.ip().is_loopback() {
            return Err(ConfigError::new(format!(
                "identity.issuer is not set, and identity.listen = {listen} does not say how others reach it: set \
                 identity.issuer to its public address, like https://id.example.org"
            )));
        }
        Ok(())
    }

    /// The database of tasks.
    pub fn database_url(&self) -> Result<&str, ConfigError> {
        self.database.url.as_ref().map(SecretString::expose_secret).ok_or_else(|| {
            ConfigError::new(
                "database.url is not set: set it to postgres://… or sqlite:PATH, in tasker.toml, as \
                 TASKER__DATABASE__URL, or with --set database.url=…",
            )
        })
    }

    /// The database of accounts: its own, or the one of tasks; with SQLite a file beside that.
    pub fn identity_database_url(&self) -> Result<String, ConfigError> {
        if let Some(url) = &self.identity.database_url {
            return Ok(url.expose_secret().to_owned());
        }
        let url = self.database_url()?;
        Ok(beside_sqlite(url, "identity.db")
            .map_or(url.to_owned(), |path| format!("sqlite:{}", path.display())))
    }

    /// Opens the database of tasks; nothing is connected yet.
    pub fn open_tasks(&self) -> Result<Db, ConfigError> {
        open("database.url", self.database_url()?)
    }

    /// Opens the database of accounts; nothing is connected yet.
    pub fn open_accounts(&self) -> Result<Db, ConfigError> {
        open(self.accounts_setting(), &self.identity_database_url()?)
    }

    /// The setting that names the database of accounts.
    pub fn accounts_setting(&self) -> &'static str {
        if self.identity.database_url.is_some() { "identity.database_url" } else { "database.url" }
    }

    /// The file of the key that seals Identity's signing keys.
    pub fn identity_key_file(&self) -> Result<PathBuf, ConfigError> {
        if let Some(path) = &self.identity.key_file {
            return Ok(path.clone());
        }
        let url = self.identity_database_url()?;
        Ok(beside_sqlite(&url, "identity.key").unwrap_or_else(|| PathBuf::from("identity.key")))
    }

    /// The clients of Identity, their secrets read from their files.
    pub fn identity_clients(&self) -> Result<Vec<identity::Client>, ConfigError> {
        let read = |client: &crate::config::sections::Client| {
            let secret = read_secret(&format!("identity.clients: {}", client.id), &client.secret_file)?;
            Ok(identity::Client { id: client.id.clone(), secret: secret.into(), roles: client.roles.clone() })
        };
        self.identity.clients.iter().map(read).collect()
    }
}

/// The address itself is not told: it may hold a password.
fn open(key: &str, url: &str) -> Result<Db, ConfigError> {
    Db::open(url).map_err(|error| ConfigError::new(format!("{key}: {}", telemetry::error_chain(&error))))
}

impl Worker {
    /// How the worker proves who it is: exactly one way.
    pub fn credentials(&self) -> Result<Credentials, ConfigError> {
        let (username, password) = (self.username.clone(), self.password.clone());
        let account = pair("worker", ("username", username), ("password", password))?;
        let (id, secret) = (self.client_id.clone(), self.client_secret.clone());
        let client = pair("worker", ("client_id", id), ("client_secret", secret))?;
        match (account, client) {
            (Some((username, password)), None) => Ok(Credentials::Password { username, password }),
            (None, Some((id, secret))) => Ok(Credentials::Client { id, secret }),
            (None, None) => Err(ConfigError::new(
                "a worker must say who it is: set worker.client_id and worker.client_secret (an entry of \
                 identity.clients), or worker.username and worker.password (an account with the role Worker)",
            )),
            (Some(_), Some(_)) => Err(ConfigError::new(
                "worker.username and worker.client_id are both set: keep the account or the client",
            )),
        }
    }

    /// After how long a free slot takes over what waits elsewhere; `None`: never.
    pub fn steal_after(&self) -> Result<Option<Duration>, ConfigError> {
        match self.steal_after_ms {
            0 => Ok(None),
            millis @ 1..=LONGEST_STEAL_MS => Ok(Some(Duration::from_millis(millis))),
            millis => Err(ConfigError::new(format!(
                "worker.steal_after_ms = {millis}: at most {LONGEST_STEAL_MS}, or 0 to leave others' tasks to them"
            ))),
        }
    }

    /// The bounds of the pretended work, in order.
    pub fn simulated_work(&self) -> Result<[u64; 2], ConfigError> {
        match self.simulate_work_ms {
            [least, most] if least > most => Err(ConfigError::new(format!(
                "worker.simulate_work_ms = [{least}, {most}]: the first is the least and the second the most"
            ))),
            bounds => Ok(bounds),
        }
    }
}

/// Two settings that make sense together only.
pub(crate) fn pair<A, B>(
    section: &str,
    (first, a): (&str, Option<A>),
    (second, b): (&str, Option<B>),
) -> Result<Option<(A, B)>, ConfigError> {
    match (a, b) {
        (Some(a), Some(b)) => Ok(Some((a, b))),
        (None, None) => Ok(None),
        (Some(_), None) => {
            Err(ConfigError::new(format!("{section}.{first} is set and {section}.{second} is not")))
        }
        (None, Some(_)) => {
            Err(ConfigError::new(format!("{section}.{second} is set and {section}.{first} is not")))
        }
    }
}

impl Metrics {
    /// Refuses what other machines could read along.
    pub fn check(&self) -> Result<(), ConfigError> {
        let Some(listen) = self.listen else { return Ok(()) };
        check_listener("metrics", listen, self.allow_plaintext || self.tls()?.is_some())
    }
}

fn check_listener(section: &str, listen: SocketAddr, may_be_reached: bool) -> Result<(), ConfigError> {
    if may_be_reached || listen.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    Err(ConfigError::new(format!(
        "{section}.listen = {listen} can be reached by other machines, and passwords and tokens would travel \
         unencrypted: set {section}.tls_cert and {section}.tls_key, or listen on 127.0.0.1 behind a proxy that speaks \
         TLS, or say {section}.allow_plaintext = true where the network itself is protected"
    )))
}

/// The file `name` in the directory of a SQLite database; `None` for any other database.
fn beside_sqlite(url: &str, name: &str) -> Option<PathBuf> {
    Some(Path::new(Db::sqlite_path(url)?).with_file_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::config;

    #[test]
    fn plaintext_stays_on_loopback_unless_it_is_allowed() {
        for open in ["0.0.0.0:8080", "[::]:8080", "10.0.0.1:8080"] {
            let refusal =
                config(&[&format!("backend.listen={open}")]).check_backend().unwrap_err().to_string();
            assert!(refusal.contains("backend.allow_plaintext = true"), "{refusal}");
            let allowed = config(&[&format!("backend.listen={open}"), "backend.allow_plaintext=true"]);
            assert_eq!(allowed.check_backend(), Ok(()));
        }
        assert_eq!(config(&["backend.listen=[::1]:8080"]).check_backend(), Ok(()));
    }

    #[test]
    fn full_access_for_all_needs_every_listener_on_loopback() {
        assert_eq!(config(&["identity.open_registration=full"]).check_identity(), Ok(()));
        let open =
            ["identity.open_registration=full", "backend.listen=10.0.0.1:1", "backend.allow_plaintext=true"];
        let refusal = config(&open).check_identity().unwrap_err().to_string();
        assert!(refusal.contains("backend.listen = 10.0.0.1:1"), "{refusal}");
    }

    #[test]
    fn an_identity_for_others_needs_a_public_address() {
        let open = ["identity.listen=10.0.0.1:1", "identity.allow_plaintext=true"];
        assert!(config(&open).check_identity().unwrap_err().to_string().contains("identity.issuer"));
    }

    #[test]
    fn an_origin_that_no_browser_sends_is_refused() {
        assert_eq!(config(&[r#"backend.cors_origins=["https://a.example"]"#]).check_backend(), Ok(()));
        let path = config(&[r#"backend.cors_origins=["https://a.example/"]"#]);
        let refusal = path.check_backend().unwrap_err().to_string();
        assert!(refusal.starts_with("backend.cors_origins: \"https://a.example/\""), "{refusal}");
    }

    #[test]
    fn accounts_and_the_key_lie_beside_a_sqlite_database() {
        let sqlite = config(&["database.url=sqlite:data/tasks.db"]);
        assert_eq!(sqlite.identity_database_url().unwrap(), "sqlite:data/identity.db");
        assert_eq!(sqlite.identity_key_file().unwrap(), Path::new("data/identity.key"));
        let postgres = config(&["database.url=postgres://h/tasks"]);
        assert_eq!(postgres.identity_database_url().unwrap(), "postgres://h/tasks");
        assert_eq!(postgres.identity_key_file().unwrap(), Path::new("identity.key"));
        assert!(config(&[]).database_url().unwrap_err().to_string().contains("TASKER__DATABASE__URL"));
    }

    #[test]
    fn a_worker_says_who_it_is_in_one_way() {
        let refusal = |settings: &[&str]| config(settings).worker.credentials().unwrap_err().to_string();
        assert!(refusal(&[]).contains("worker.client_id and worker.client_secret"));
        assert_eq!(refusal(&["worker.username=w"]), "worker.username is set and worker.password is not");
        assert_eq!(
            refusal(&["worker.client_secret=s"]),
            "worker.client_secret is set and worker.client_id is not"
        );
        let client = ["worker.client_id=w", "worker.client_secret=s"];
        assert!(matches!(config(&client).worker.credentials(), Ok(Credentials::Client { .. })));
        assert!(
            refusal(&[&client[..], &["worker.username=w", "worker.password=p"]].concat())
                .contains("both set")
        );
    }

    #[test]
    fn lengths_that_contradict_each_other_are_refused() {
        let lives = ["backend.default_ttl_ms=2", "backend.max_ttl_ms=1"];
        assert!(config(&lives).check_backend().unwrap_err().to_string().contains("backend.default_ttl_ms"));
        let beats = config(&["backend.worker_lost_ms=5999"]);
        assert!(beats.check_backend().unwrap_err().to_string().contains("worker.heartbeat_ms = 2000"));
        let quicker = config(&["backend.worker_lost_ms=3000", "worker.heartbeat_ms=1000"]);
        assert_eq!(quicker.check_backend(), Ok(()));
        let work = config(&["worker.simulate_work_ms=[2, 1]"]);
        let steal = |millis: u64| config(&[&format!("worker.steal_after_ms={millis}")]).worker.steal_after();
        assert_eq!((steal(0), steal(300)), (Ok(None), Ok(Some(Duration::from_millis(300)))));
        assert!(steal(60_001).unwrap_err().to_string().starts_with("worker.steal_after_ms = 60001"));
        assert!(work.worker.simulated_work().unwrap_err().to_string().contains("worker.simulate_work_ms"));
    }
}
