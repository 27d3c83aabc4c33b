//! One process a role on a PostgreSQL database of its own: an Identity, a Backend, and workers.

use std::net::TcpListener;
use std::path::Path;

use tempfile::TempDir;
use testkit::Scratch;

use crate::person::Addresses;
use crate::process::{Process, tasker};

/// A port that was free a moment ago.
pub fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").to_string()
}

/// Starts `tasker ROLE` with settings.
pub fn role<S: AsRef<str>>(home: &Path, name: &str, settings: &[S]) -> Process {
    let sets = settings.iter().flat_map(|setting| ["--set", setting.as_ref()]);
    Process::start(&mut tasker(home, std::iter::once(name).chain(sets)))
}

/// So often do workers say that they live; the Backend is told too, for it must be patient enough.
const BEAT: &str = "worker.heartbeat_ms=1000";

/// A running system of several processes.
pub struct Cluster {
    home: TempDir,
    database: Scratch,
    backend_at: String,
    identity_at: String,
    identity: Process,
    backend: Process,
    workers: Vec<Process>,
}

impl Cluster {
    /// Starts everything, the workers first, each with so many slots, and waits until it serves.
    pub async fn start(workers: usize, slots: usize) -> Self {
        let (home, database) = (TempDir::new().expect("a temporary directory"), Scratch::postgres().await);
        std::fs::write(home.path().join("secret"), "a secret of the test\n").expect("a file");
        let (backend_at, identity_at) = (free_port(), free_port());
        let worker = |_| {
            role(
                home.path(),
                "worker",
                &[
                    "worker.client_id=rig".to_owned(),
                    "worker.client_secret=a secret of the test".to_owned(),
                    format!("worker.backend_url=http://{backend_at}"),
                    format!("worker.identity_url=http://{identity_at}"),
                    "worker.simulate_work_ms=[50, 100]".to_owned(),
                    format!("worker.slots={slots}"),
                    BEAT.to_owned(),
                ],
            )
        };
        let mut workers: Vec<Process> = (0..workers).map(worker).collect();
        let mut backend = Self::backend(home.path(), &database, &backend_at, &identity_at);
        let clients = r#"identity.clients=[{ id = "rig", secret_file = "secret", roles = ["Worker"] }]"#;
        let settings = [
            format!("database.url={}", database.url),
            format!("identity.listen={identity_at}"),
            clients.to_owned(),
        ];
        let mut identity = role(home.path(), "identity", &settings);
        identity.after("Setup link:");
        backend.after("the Backend listens on");
        for worker in &mut workers {
            worker.after("takes tasks");
        }
        Self { home, database, backend_at, identity_at, identity, backend, workers }
    }

    fn backend(home: &Path, database: &Scratch, at: &str, identity: &str) -> Process {
        let settings = [
            format!("database.url={}", database.url),
            format!("backend.listen={at}"),
            format!("backend.identity_url=http://{identity}"),
            "backend.worker_lost_ms=3000".to_owned(),
            BEAT.to_owned(),
        ];
        role(home, "backend", &settings)
    }

    /// Where a person meets it.
    pub fn addresses(&self) -> Addresses {
        Addresses {
            backend: format!("http://{}", self.backend_at),
            identity: format!("http://{}", self.identity_at),
            ca: None,
        }
    }

    /// The database that it works on.
    pub fn database(&self) -> &Scratch {
        &self.database
    }

    /// SIGKILL for the Backend; another one takes its place.
    pub fn kill_backend(&mut self) {
        self.backend.kill();
        self.backend = Self::backend(self.home.path(), &self.database, &self.backend_at, &self.identity_at);
        self.backend.after("the Backend listens on");
    }

    /// SIGKILL for a worker; nobody takes its place.
    pub fn kill_worker(&mut self) {
        self.workers.pop().expect("there is one").kill();
    }

    /// Stops everything politely.
    pub fn stop(&mut self) {
        for process in self.workers.iter_mut().chain([&mut self.backend, &mut self.identity]) {
            process.terminate();
            assert!(process.ended().success(), "{:?}", process.seen());
        }
    }
}
