//! One process a role on a PostgreSQL database of its own: an Identity, Backends, workers, with Kafka or without.

use std::net::TcpListener;
use std::path::Path;

use tempfile::TempDir;
use testkit::{Scratch, own_prefix};

use crate::kit::person::Addresses;
use crate::kit::process::{Process, tasker};

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

/// What a system is made of.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    pub backends: usize,
    pub workers: usize,
    /// Of each worker.
    pub slots: usize,
    /// Kafka's address; without it, workers pull.
    pub kafka: Option<String>,
    /// Settings that every process is told beside its own.
    pub settings: Vec<String>,
}

/// A running system of several processes.
pub struct Cluster {
    home: TempDir,
    database: Scratch,
    plan: Plan,
    prefix: String,
    identity_at: String,
    backends_at: Vec<String>,
    identity: Process,
    backends: Vec<Process>,
    workers: Vec<Process>,
    /// What workers said that are no more.
    last_words: Vec<String>,
}

impl Cluster {
    /// One Backend that workers pull from.
    pub async fn start(workers: usize, slots: usize) -> Self {
        Self::of(Plan { backends: 1, workers, slots, ..Plan::default() }).await
    }

    /// Starts everything, the workers first, and waits until it serves.
    pub async fn of(plan: Plan) -> Self {
        let (home, database) = (TempDir::new().expect("a temporary directory"), Scratch::postgres().await);
        std::fs::write(home.path().join("secret"), "a secret of the test\n").expect("a file");
        let identity_at = free_port();
        let identity = identity(home.path(), &database.url, &identity_at);
        let backends_at = (0..plan.backends).map(|_| free_port()).collect();
        let mut cluster = Self {
            home,
            database,
            plan,
            prefix: own_prefix(),
            identity_at,
            backends_at,
            identity,
            backends: Vec::new(),
            workers: Vec::new(),
            last_words: Vec::new(),
        };
        cluster.start_workers(cluster.plan.workers);
        cluster.start_backends();
        cluster.identity.after("Setup link:");
        cluster.until_workers_take();
        cluster
    }

    /// Starts the Backends, each where it was before, and waits until they listen.
    pub fn start_backends(&mut self) {
        self.backends = self.backends_at.iter().map(|at| self.backend(at)).collect();
        for backend in &mut self.backends {
            backend.after("the Backend listens on");
        }
    }

    /// Starts so many workers more, spread over the Backends.
    pub fn start_workers(&mut self, more: usize) {
        for _ in 0..more {
            self.workers.push(self.worker(self.workers.len()));
        }
    }

    fn worker(&self, number: usize) -> Process {
        let backend = &self.backends_at[number % self.backends_at.len()];
        let mut settings = vec![
            "worker.client_id=rig".to_owned(),
            "worker.client_secret=a secret of the test".to_owned(),
            format!("worker.backend_url=http://{backend}"),
            format!("worker.identity_url=http://{}", self.identity_at),
            "worker.simulate_work_ms=[50, 100]".to_owned(),
            format!("worker.slots={}", self.plan.slots),
        ];
        settings.extend(self.shared());
        role(self.home.path(), "worker", &settings)
    }

    /// Waits until those workers that have been started last take tasks.
    pub fn until_workers_take(&mut self) {
        for worker in &mut self.workers {
            if !worker.seen().iter().any(|line| line.contains("takes tasks")) {
                worker.after("takes tasks");
            }
        }
    }

    fn backend(&self, at: &str) -> Process {
        let mut settings = vec![
            format!("database.url={}", self.database.url),
            format!("backend.listen={at}"),
            format!("backend.identity_url=http://{}", self.identity_at),
            "backend.worker_lost_ms=3000".to_owned(),
            "backend.resend_period_ms=1000".to_owned(),
        ];
        settings.extend(self.shared());
        role(self.home.path(), "backend", &settings)
    }

    fn shared(&self) -> Vec<String> {
        let mut settings = vec![BEAT.to_owned()];
        if let Some(kafka) = &self.plan.kafka {
            settings.push(format!("kafka.bootstrap_servers={kafka}"));
            settings.push(format!("kafka.topic_prefix={}", self.prefix));
        }
        settings.extend(self.plan.settings.iter().cloned());
        settings
    }

    /// What topics and groups begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Where a person meets it.
    pub fn addresses(&self) -> Addresses {
        self.addresses_of(0)
    }

    /// Where a person meets one of its Backends.
    pub fn addresses_of(&self, backend: usize) -> Addresses {
        Addresses {
            backend: format!("http://{}", self.backends_at[backend]),
            identity: format!("http://{}", self.identity_at),
            ca: None,
        }
    }

    /// The database that it works on.
    pub fn database(&self) -> &Scratch {
        &self.database
    }

    /// Everything that workers have said, those that are no more included.
    pub fn said_by_workers(&mut self) -> Vec<String> {
        let mut said = self.last_words.clone();
        for worker in &mut self.workers {
            worker.listen();
            said.extend_from_slice(worker.seen());
        }
        said
    }

    /// Waits until the first Backend has said this.
    pub fn until_backend_says(&mut self, said: &str) {
        self.backends[0].after(said);
    }

    /// Where the first Backend and the first worker serve their metrics.
    pub fn metrics(&mut self) -> (String, String) {
        (self.backends[0].metrics(), self.workers[0].metrics())
    }

    /// Every process with its role.
    pub fn processes(&self) -> Vec<(&'static str, u32)> {
        let of = |role, processes: &[Process]| {
            processes.iter().map(move |process| (role, process.id())).collect::<Vec<_>>()
        };
        [of("backend", &self.backends), of("worker", &self.workers)].concat()
    }

    /// The directory in which every process runs.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Starts everything again after a [`stop`](Self::stop), on this database.
    pub fn start_on(&mut self, database: Scratch) {
        self.database = database;
        self.start_again();
    }

    /// Starts everything again after a [`stop`](Self::stop).
    pub fn start_again(&mut self) {
        self.start_identity();
        self.start_workers(self.plan.workers);
        self.start_backends();
        self.until_workers_take();
    }

    fn start_identity(&mut self) {
        self.identity = identity(self.home.path(), &self.database.url, &self.identity_at);
        self.identity.after("Identity listens on");
    }

    /// Stops each process politely and starts another in its place, Identity first, workers last.
    pub fn replace_one_by_one(&mut self) {
        end(&mut self.identity);
        self.start_identity();
        for number in 0..self.backends.len() {
            end(&mut self.backends[number]);
            self.backends[number] = self.backend(&self.backends_at[number]);
            self.backends[number].after("the Backend listens on");
        }
        for number in 0..self.workers.len() {
            end(&mut self.workers[number]);
            self.workers[number] = self.worker(number);
            self.workers[number].after("takes tasks");
        }
    }

    /// SIGKILL for the first Backend; another one takes its place.
    pub fn kill_backend(&mut self) {
        self.backends[0].kill();
        self.backends[0] = self.backend(&self.backends_at[0]);
        self.backends[0].after("the Backend listens on");
    }

    /// SIGKILL for a worker; nobody takes its place.
    pub fn kill_worker(&mut self) {
        let mut worker = self.workers.pop().expect("there is one");
        worker.kill();
        worker.listen();
        self.last_words.extend_from_slice(worker.seen());
    }

    /// Stops a worker politely; nobody takes its place.
    pub fn stop_worker(&mut self) {
        let mut worker = self.workers.pop().expect("there is one");
        end(&mut worker);
        self.last_words.extend_from_slice(worker.seen());
    }

    /// Stops the workers and the Backends politely.
    pub fn stop_work(&mut self) {
        while !self.workers.is_empty() {
            self.stop_worker();
        }
        for mut backend in self.backends.drain(..) {
            end(&mut backend);
        }
    }

    /// Stops everything politely.
    pub fn stop(&mut self) {
        self.stop_work();
        end(&mut self.identity);
    }
}

fn identity(home: &Path, database: &str, at: &str) -> Process {
    let settings = [
        format!("database.url={database}"),
        format!("identity.listen={at}"),
        r#"identity.clients=[{ id = "rig", secret_file = "secret", roles = ["Worker"] }]"#.to_owned(),
    ];
    role(home, "identity", &settings)
}

fn end(process: &mut Process) {
    process.terminate();
    assert!(process.ended().success(), "{:?}", process.seen());
}
