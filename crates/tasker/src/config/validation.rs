//! The rules between settings that a service checks before it starts; an error names the setting and the remedy.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use domain::limits::{MAX_MIN_AGE_MS, MAX_SENT_RESULT_BYTES, MAX_SLOTS};
use secrecy::SecretString;
use web::cors;

use crate::config::error::ConfigError;
use crate::config::identity_clients;
use crate::config::paired_settings::both_or_neither;
use crate::config::sections::{Backend, Config, Identity, Metrics, Worker};

/// How a worker authenticates.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// With an account of Identity (OAuth 2 grant `password`).
    Password {
        /// The account's name.
        username: String,
        /// The account's password.
        password: SecretString,
    },
    /// With a client of `identity.clients` (OAuth 2 grant `client_credentials`).
    Client {
        /// The client's `client_id`.
        id: String,
        /// The client's `client_secret`.
        secret: SecretString,
    },
}

/// Heartbeat periods in `backend.worker_lost_ms`, at least: a worker may miss all heartbeats of the window but one.
const MIN_HEARTBEATS: u64 = 3;

impl Config {
    /// Checks what a Backend needs.
    ///
    /// # Errors
    ///
    /// If a setting is unsafe or contradicts another.
    pub fn check_backend(&self) -> Result<(), ConfigError> {
        let Backend {
            listen,
            allow_plaintext,
            default_ttl_ms,
            max_ttl_ms,
            worker_lost_ms,
            cors_origins,
            max_result_bytes,
            ..
        } = &self.backend;
        check_listener("backend", *listen, self.backend.tls()?.is_some() || *allow_plaintext)?;
        if default_ttl_ms.is_some_and(|default| default > *max_ttl_ms) {
            return Err(ConfigError::new(
                "backend.default_ttl_ms is above backend.max_ttl_ms: lower the first",
            ));
        }
        if max_result_bytes.get() > MAX_SENT_RESULT_BYTES {
            return Err(ConfigError::new(format!(
                "backend.max_result_bytes = {max_result_bytes}: at most {MAX_SENT_RESULT_BYTES}, the largest result \
                 that a worker sends"
            )));
        }
        check_origins("backend.cors_origins", cors_origins)?;
        let (lost, heartbeat) = (worker_lost_ms.get(), self.worker.heartbeat_ms.get());
        if lost < heartbeat.saturating_mul(MIN_HEARTBEATS) {
            return Err(ConfigError::new(format!(
                "backend.worker_lost_ms = {lost} is less than {MIN_HEARTBEATS} times worker.heartbeat_ms = \
                 {heartbeat}: running workers would be declared lost and their tasks cancelled; raise the first, or \
                 lower the second here and at every worker"
            )));
        }
        Ok(())
    }

    /// Checks what an Identity needs.
    ///
    /// # Errors
    ///
    /// If a setting is unsafe or contradicts another.
    pub fn check_identity(&self) -> Result<(), ConfigError> {
        let Identity { listen, allow_plaintext, issuer, open_registration, cors_origins, .. } =
            &self.identity;
        check_origins("identity.cors_origins", cors_origins)?;
        check_listener("identity", *listen, self.identity.tls()?.is_some() || *allow_plaintext)?;
        for (section, listen) in [("backend", self.backend.listen), ("identity", *listen)] {
            if !open_registration.may_listen_on(listen.ip()) {
                return Err(ConfigError::new(format!(
                    "identity.open_registration = \"full\" makes everyone who registers an administrator, and \
                     {section}.listen = {listen} can be reached by other machines: set it to \"users\", or listen on \
                     127.0.0.1 everywhere"
                )));
            }
        }
        if issuer.is_none() && !listen.ip().is_loopback() {
            return Err(ConfigError::new(format!(
                "identity.issuer is not set, and identity.listen = {listen} does not say how other machines reach it: set \
                 identity.issuer to its public address, like https://id.example.org"
            )));
        }
        Ok(())
    }

    /// The clients of Identity with their secrets, read from their files.
    ///
    /// # Errors
    ///
    /// If a secret file cannot be read or is empty, or if a client has neither a secret nor `public`.
    pub fn identity_clients(&self) -> Result<Vec<identity::Client>, ConfigError> {
        self.identity.clients.iter().map(identity_clients::read).collect()
    }
}

fn check_origins(setting: &str, origins: &[String]) -> Result<(), ConfigError> {
    let checked = origins.iter().try_for_each(|text| cors::origin(text).map(drop));
    checked.map_err(|error| ConfigError::new(format!("{setting}: {error}")))
}

impl Worker {
    /// The credentials of the worker: an account or a client, exactly one of them.
    ///
    /// # Errors
    ///
    /// If neither or both are set, or one is incomplete.
    pub fn credentials(&self) -> Result<Credentials, ConfigError> {
        let (username, password) = (self.username.clone(), self.password.clone());
        let account = both_or_neither("worker", ("username", username), ("password", password))?;
        let (id, secret) = (self.client_id.clone(), self.client_secret.clone());
        let client = both_or_neither("worker", ("client_id", id), ("client_secret", secret))?;
        match (account, client) {
            (Some((username, password)), None) => Ok(Credentials::Password { username, password }),
            (None, Some((id, secret))) => Ok(Credentials::Client { id, secret }),
            (None, None) => Err(ConfigError::new(
                "a worker needs credentials: set worker.client_id and worker.client_secret (an entry of \
                 identity.clients), or worker.username and worker.password (an account with the role Worker)",
            )),
            (Some(_), Some(_)) => Err(ConfigError::new(
                "worker.username and worker.client_id are both set: use either the account or the client",
            )),
        }
    }

    /// How many tasks the worker runs at once.
    ///
    /// # Errors
    ///
    /// If they are more than a Backend accepts.
    pub fn slots(&self) -> Result<NonZeroU32, ConfigError> {
        if self.slots.get() <= MAX_SLOTS {
            return Ok(self.slots);
        }
        Err(ConfigError::new(format!(
            "worker.slots = {}: at most {MAX_SLOTS}; run several workers",
            self.slots
        )))
    }

    /// After how long a free slot takes tasks from the partitions of other workers; `None`: never.
    ///
    /// # Errors
    ///
    /// If it is longer than a Backend accepts.
    pub fn steal_after(&self) -> Result<Option<Duration>, ConfigError> {
        match self.steal_after_ms {
            0 => Ok(None),
            millis @ 1..=MAX_MIN_AGE_MS => Ok(Some(Duration::from_millis(millis))),
            millis => Err(ConfigError::new(format!(
                "worker.steal_after_ms = {millis}: at most {MAX_MIN_AGE_MS}, or 0 to take no tasks from the \
                 partitions of other workers"
            ))),
        }
    }

    /// The shortest and the longest simulated work, in milliseconds.
    ///
    /// # Errors
    ///
    /// If the first is above the second.
    pub fn simulated_work(&self) -> Result<[u64; 2], ConfigError> {
        match self.simulate_work_ms {
            [shortest, longest] if shortest > longest => Err(ConfigError::new(format!(
                "worker.simulate_work_ms = [{shortest}, {longest}]: the first number is the shortest and the second \
                 the longest"
            ))),
            bounds => Ok(bounds),
        }
    }
}

impl Metrics {
    /// Checks the listener of metrics, if there is one.
    ///
    /// # Errors
    ///
    /// If other machines can reach it without TLS and that is not allowed.
    pub fn check(&self) -> Result<(), ConfigError> {
        let Some(listen) = self.listen else { return Ok(()) };
        check_listener("metrics", listen, self.allow_plaintext || self.tls()?.is_some())
    }
}

/// Refuses a plaintext listener that other machines can reach, unless `is_allowed`.
fn check_listener(section: &str, listen: SocketAddr, is_allowed: bool) -> Result<(), ConfigError> {
    if is_allowed || listen.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    Err(ConfigError::new(format!(
        "{section}.listen = {listen} can be reached by other machines, and passwords and tokens would travel \
         unencrypted: set {section}.tls_cert and {section}.tls_key, or listen on 127.0.0.1 behind a proxy that speaks \
         TLS, or set {section}.allow_plaintext = true where the network itself is protected"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::layers::config_of;

    #[test]
    fn a_plaintext_listener_is_on_loopback_unless_allowed() {
        for open in ["0.0.0.0:8080", "[::]:8080", "10.0.0.1:8080"] {
            let refusal =
                config_of(&[&format!("backend.listen={open}")]).check_backend().unwrap_err().to_string();
            assert!(refusal.contains("backend.allow_plaintext = true"), "{refusal}");
            let allowed = config_of(&[&format!("backend.listen={open}"), "backend.allow_plaintext=true"]);
            assert_eq!(allowed.check_backend(), Ok(()));
        }
        assert_eq!(config_of(&["backend.listen=[::1]:8080"]).check_backend(), Ok(()));
    }

    #[test]
    fn full_registration_needs_every_listener_on_loopback() {
        assert_eq!(config_of(&["identity.open_registration=full"]).check_identity(), Ok(()));
        let open =
            ["identity.open_registration=full", "backend.listen=10.0.0.1:1", "backend.allow_plaintext=true"];
        let refusal = config_of(&open).check_identity().unwrap_err().to_string();
        assert!(refusal.contains("backend.listen = 10.0.0.1:1"), "{refusal}");
    }

    #[test]
    fn an_identity_for_other_machines_needs_an_issuer() {
        let open = ["identity.listen=10.0.0.1:1", "identity.allow_plaintext=true"];
        assert!(config_of(&open).check_identity().unwrap_err().to_string().contains("identity.issuer"));
    }

    #[test]
    fn an_invalid_cors_origin_is_refused() {
        assert_eq!(config_of(&[r#"backend.cors_origins=["https://a.example"]"#]).check_backend(), Ok(()));
        let path = config_of(&[r#"backend.cors_origins=["https://a.example/"]"#]);
        let refusal = path.check_backend().unwrap_err().to_string();
        assert!(refusal.starts_with("backend.cors_origins: \"https://a.example/\""), "{refusal}");
    }

    #[test]
    fn a_worker_has_exactly_one_kind_of_credentials() {
        let refusal = |settings: &[&str]| config_of(settings).worker.credentials().unwrap_err().to_string();
        assert!(refusal(&[]).contains("worker.client_id and worker.client_secret"));
        assert_eq!(refusal(&["worker.username=w"]), "worker.username is set and worker.password is not");
        assert_eq!(
            refusal(&["worker.client_secret=s"]),
            "worker.client_secret is set and worker.client_id is not"
        );
        let client = ["worker.client_id=w", "worker.client_secret=s"];
        assert!(matches!(config_of(&client).worker.credentials(), Ok(Credentials::Client { .. })));
        assert!(
            refusal(&[&client[..], &["worker.username=w", "worker.password=p"]].concat())
                .contains("both set")
        );
    }

    #[test]
    fn durations_that_contradict_each_other_are_refused() {
        let lives = ["backend.default_ttl_ms=2", "backend.max_ttl_ms=1"];
        assert!(
            config_of(&lives).check_backend().unwrap_err().to_string().contains("backend.default_ttl_ms")
        );
        let beats = config_of(&["backend.worker_lost_ms=5999"]);
        assert!(beats.check_backend().unwrap_err().to_string().contains("worker.heartbeat_ms = 2000"));
        let quicker = config_of(&["backend.worker_lost_ms=3000", "worker.heartbeat_ms=1000"]);
        assert_eq!(quicker.check_backend(), Ok(()));
        let work = config_of(&["worker.simulate_work_ms=[2, 1]"]);
        let steal =
            |millis: u64| config_of(&[&format!("worker.steal_after_ms={millis}")]).worker.steal_after();
        assert_eq!((steal(0), steal(300)), (Ok(None), Ok(Some(Duration::from_millis(300)))));
        assert!(steal(60_001).unwrap_err().to_string().starts_with("worker.steal_after_ms = 60001"));
        assert!(work.worker.simulated_work().unwrap_err().to_string().contains("worker.simulate_work_ms"));
    }
}
