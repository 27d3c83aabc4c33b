//! A Kafka for tests: the shared broker, used with topic names of a test's own, or a broker that one test may kill.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::environment::variable;

/// The variable with the shared broker's plaintext address. `scripts/kafka` names its other variables after it.
const KAFKA: &str = "TASKER_TEST_KAFKA";

/// The variable with the directory of all services that `make test` starts.
const SERVICES_DIRECTORY_VARIABLE: &str = "TASKER_TEST_SERVICES";

/// The listeners of a broker that use TLS, and the credentials that they accept.
#[derive(Debug)]
pub struct KafkaTlsAccess {
    /// The address of the listener with SASL over TLS (SCRAM-SHA-512, SCRAM-SHA-256, PLAIN).
    pub sasl_tls: String,
    /// The address of the listener with mutual TLS, which demands a client certificate.
    pub mutual_tls: String,
    /// The path of the CA certificate that signed the broker's certificate.
    pub ca: PathBuf,
    /// A SASL user name that the broker accepts.
    pub user: String,
    /// The password of `user`.
    pub password: String,
    /// The path of a client certificate that the broker accepts.
    pub certificate: PathBuf,
    /// The path of the private key of `certificate`.
    pub key: PathBuf,
}

/// The plaintext address (host and port) of the shared broker.
pub fn kafka_address() -> String {
    variable(KAFKA)
}

/// The TLS listeners of the shared broker.
pub fn kafka_tls_access() -> KafkaTlsAccess {
    KafkaTlsAccess::from_variables(variable)
}

impl KafkaTlsAccess {
    /// Reads the listeners from the variables that `scripts/kafka` sets.
    fn from_variables(variable: impl Fn(&str) -> String) -> Self {
        let value = |suffix: &str| variable(&format!("{KAFKA}_{suffix}"));
        Self {
            sasl_tls: value("SECURE"),
            mutual_tls: value("MUTUAL"),
            ca: value("CA").into(),
            user: value("USER"),
            password: value("PASSWORD"),
            certificate: value("CERT").into(),
            key: value("KEY").into(),
        }
    }
}

/// A prefix for topics and consumer groups that no other test uses, so that tests can share a broker.
pub fn unique_prefix() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A Kafka broker for one test alone, which the test may kill and start again. Dropping it ends the broker.
#[derive(Debug)]
pub struct DedicatedKafka {
    directory: PathBuf,
}

impl DedicatedKafka {
    /// Starts a broker, and returns once it answers.
    pub fn start() -> Self {
        // `make test` ends every broker below this directory, so one whose test was killed does not stay behind.
        let directory =
            PathBuf::from(variable(SERVICES_DIRECTORY_VARIABLE)).join("brokers").join(unique_prefix());
        let kafka = Self { directory };
        std::fs::create_dir_all(&kafka.directory).expect("the broker's directory can be created");
        kafka.run_script("start");
        kafka
    }

    /// The plaintext address (host and port), which stays the same after a restart.
    pub fn address(&self) -> String {
        self.variable_in_env_file(KAFKA)
    }

    /// How to reach the broker by TLS.
    pub fn tls_access(&self) -> KafkaTlsAccess {
        KafkaTlsAccess::from_variables(|name| self.variable_in_env_file(name))
    }

    fn variable_in_env_file(&self, name: &str) -> String {
        let path = self.directory.join("env");
        let env = std::fs::read_to_string(path).expect("scripts/kafka wrote the broker's variables");
        let export = format!("export {name}=");
        let line = env.lines().find_map(|line| line.strip_prefix(&export));
        line.expect(name).trim_matches(['"', '\'']).to_owned()
    }

    /// Kills the broker at once (SIGKILL), as a power cut would.
    pub fn kill(&self) {
        self.run_script("kill");
    }

    /// Sets a property of the broker, which takes effect at the next start.
    pub fn set_broker_property(&self, property: &str, value: &str) {
        let path = self.directory.join("server.properties");
        let before = std::fs::read_to_string(&path).expect("scripts/kafka wrote the broker's properties");
        // Kafka takes the last of several lines with one property.
        let properties = format!("{before}\n{property}={value}\n");
        std::fs::write(path, properties).expect("the broker's properties can be written");
    }

    /// Starts the broker again after `kill`, with the data and the addresses that it had.
    pub fn start_again(&self) {
        self.run_script("start");
    }

    fn run_script(&self, command: &str) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/kafka");
        let output = Command::new(script)
            .arg(command)
            .arg(&self.directory)
            .output()
            .expect("scripts/kafka can be run");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "scripts/kafka {command}: {stderr}");
    }
}

impl Drop for DedicatedKafka {
    fn drop(&mut self) {
        self.run_script("kill");
        // A directory that cannot be removed is removed by `make test`, together with those of the other services.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
