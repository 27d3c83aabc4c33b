//! A Kafka for tests: the shared one with names of a test's own, or one that a test may kill.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::variable;

/// The variable that names the shared Kafka, in plain text; `make test` sets it, and those below.
pub const KAFKA: &str = "TASKER_TEST_KAFKA";

/// The variable that names the directory of all services of `make test`.
const SERVICES: &str = "TASKER_TEST_SERVICES";

/// A Kafka's other doors, and what opens them.
#[derive(Debug)]
pub struct Doors {
    /// TLS, with a name and a password.
    pub secure: String,
    /// TLS, with a certificate of one's own.
    pub mutual: String,
    /// Who signed the broker's certificate.
    pub ca: PathBuf,
    /// A name that may come in.
    pub user: String,
    /// Its password.
    pub password: String,
    /// A certificate that may come in.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// The shared Kafka's address.
pub fn kafka_server() -> String {
    variable(KAFKA)
}

/// The shared Kafka's other doors.
pub fn kafka_doors() -> Doors {
    Doors::named(variable)
}

impl Doors {
    /// As the variables that scripts/kafka names say.
    fn named(variable: impl Fn(&str) -> String) -> Self {
        let named = |part: &str| variable(&format!("{KAFKA}_{part}"));
        Self {
            secure: named("SECURE"),
            mutual: named("MUTUAL"),
            ca: named("CA").into(),
            user: named("USER"),
            password: named("PASSWORD"),
            certificate: named("CERT").into(),
            key: named("KEY").into(),
        }
    }
}

/// A prefix of topics and groups that no other test has.
pub fn own_prefix() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A Kafka of one test's own, which it may kill and start again. It is gone with the test.
#[derive(Debug)]
pub struct OwnKafka {
    directory: PathBuf,
}

impl OwnKafka {
    /// Starts one, and waits until it answers.
    pub fn start() -> Self {
        // What is there ends with `make test`, even if this test is killed.
        let own = Self { directory: PathBuf::from(variable(SERVICES)).join("brokers").join(own_prefix()) };
        std::fs::create_dir_all(&own.directory).expect("a directory of its own");
        own.run("start");
        own
    }

    /// Where it is reached; the same after a restart.
    pub fn address(&self) -> String {
        self.variable(KAFKA)
    }

    /// Its other doors.
    pub fn doors(&self) -> Doors {
        Doors::named(|name| self.variable(name))
    }

    fn variable(&self, name: &str) -> String {
        let env = std::fs::read_to_string(self.directory.join("env")).expect("it has been started");
        let export = format!("export {name}=");
        let line = env.lines().find_map(|line| line.strip_prefix(&export));
        line.expect(name).trim_matches(['"', '\'']).to_owned()
    }

    /// Kills it as a power cut would.
    pub fn kill(&self) {
        self.run("kill");
    }

    /// Sets a property of its server, for the next start.
    pub fn set(&self, property: &str, value: &str) {
        let path = self.directory.join("server.properties");
        let before = std::fs::read_to_string(&path).expect("it has been started");
        // Of several the last one counts.
        std::fs::write(path, format!("{before}\n{property}={value}\n")).expect("its properties");
    }

    /// Starts it again, with what it had.
    pub fn start_again(&self) {
        self.run("start");
    }

    fn run(&self, what: &str) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/kafka");
        let done = Command::new(script).arg(what).arg(&self.directory).output().expect("the script runs");
        assert!(done.status.success(), "scripts/kafka {what}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

impl Drop for OwnKafka {
    fn drop(&mut self) {
        self.run("kill");
        // Else it is gone with the other services.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
