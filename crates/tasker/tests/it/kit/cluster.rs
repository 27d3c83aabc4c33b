//! A cluster on a PostgreSQL database of its own: a process for Identity, for each Backend and each worker, with or without
//! Kafka.

use std::net::TcpListener;
use std::path::Path;

use tempfile::TempDir;
use testkit::{TestDatabase, unique_prefix};

use crate::kit::process::Process;
use crate::kit::service_urls::ServiceUrls;

/// The id under which the workers sign in, one of `identity.clients`.
pub const WORKER_CLIENT: &str = "rig";

/// The secret of [`WORKER_CLIENT`].
pub const WORKER_SECRET: &str = "a secret of the test";

/// The period of the heartbeats: a setting of the workers, and of the Backends, whose `worker_lost_ms` must be longer.
const HEARTBEAT: &str = "worker.heartbeat_ms=1000";

/// The line of a Backend that accepts connections.
const BACKEND_IS_READY: &str = "the Backend listens on";

/// The line of a worker that Kafka delivers tickets to; it is logged at the level `broker=debug`.
const WORKER_CONSUMES_TICKETS: &str = "partitions were assigned";

/// The line of a worker that claims tasks.
const WORKER_IS_READY: &str = "takes tasks";

/// An address of the loopback interface with a port that was free a moment ago.
pub fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("the listener is bound").to_string()
}

/// How many processes a cluster has, and with which settings.
#[derive(Debug, Clone, Default)]
pub struct ClusterConfig {
    /// The number of Backends.
    pub backends: usize,
    /// The number of workers.
    pub workers: usize,
    /// The number of slots of each worker.
    pub slots: usize,
    /// Whether each worker knows the addresses of all Backends, and not only that of its own.
    pub workers_know_all_backends: bool,
    /// Kafka's address; without Kafka, workers claim by long poll.
    pub kafka: Option<String>,
    /// Settings (`key=value`) of every Backend and worker, which win over those of the cluster.
    pub settings: Vec<String>,
}

/// A running cluster. Workers write their log as JSON, since tests judge by its fields.
pub struct Cluster {
    home: TempDir,
    database: TestDatabase,
    config: ClusterConfig,
    topic_prefix: String,
    identity_address: String,
    backend_addresses: Vec<String>,
    identity: Process,
    backends: Vec<Process>,
    workers: Vec<Worker>,
    /// How many workers were started so far, which makes their names unique.
    started_workers: usize,
    /// The lines of workers that have ended.
    output_of_ended_workers: Vec<String>,
}

/// The process of a worker.
struct Worker {
    name: String,
    process: Process,
}

impl Cluster {
    /// Starts a cluster with one Backend, without Kafka.
    pub async fn start(workers: usize, slots: usize) -> Self {
        Self::start_with(ClusterConfig { backends: 1, workers, slots, ..ClusterConfig::default() }).await
    }

    /// Starts every process, the workers first, and waits until workers claim tasks.
    pub async fn start_with(config: ClusterConfig) -> Self {
        let home = TempDir::new().expect("a temporary directory can be created");
        std::fs::write(home.path().join("secret"), format!("{WORKER_SECRET}\n")).expect("a file");
        let (database, identity_address) = (TestDatabase::postgres().await, free_address());
        let identity = start_identity(home.path(), &database.url, &identity_address);
        let backend_addresses = (0..config.backends).map(|_| free_address()).collect();
        let mut cluster = Self {
            home,
            database,
            config,
            topic_prefix: unique_prefix(),
            identity_address,
            backend_addresses,
            identity,
            backends: Vec::new(),
            workers: Vec::new(),
            started_workers: 0,
            output_of_ended_workers: Vec::new(),
        };
        cluster.start_workers(cluster.config.workers);
        cluster.start_backends();
        cluster.identity.wait_for_line("Setup link:");
        cluster.wait_until_workers_claim();
        cluster
    }

    /// Starts the Backends, each at its address, and waits until they listen.
    pub fn start_backends(&mut self) {
        self.backends = self.backend_addresses.iter().map(|address| self.backend(address)).collect();
        for backend in &mut self.backends {
            backend.wait_for_line(BACKEND_IS_READY);
        }
    }

    /// Starts `count` more workers, divided among the Backends.
    pub fn start_workers(&mut self, count: usize) {
        for _ in 0..count {
            let worker = self.worker(self.workers.len());
            self.workers.push(worker);
        }
    }

    /// Waits until every worker claims tasks.
    pub fn wait_until_workers_claim(&mut self) {
        for Worker { process, .. } in &mut self.workers {
            if process.count_lines(WORKER_IS_READY) == 0 {
                process.wait_for_line(WORKER_IS_READY);
            }
        }
    }

    /// Waits until Kafka delivers tickets to every worker: until then, workers pull all tasks. The setting `log.level` must show
    /// [`WORKER_CONSUMES_TICKETS`].
    pub fn wait_until_workers_consume_tickets(&mut self) {
        for Worker { process, .. } in &mut self.workers {
            if process.count_lines(WORKER_CONSUMES_TICKETS) == 0 {
                process.wait_for_line(WORKER_CONSUMES_TICKETS);
            }
        }
    }

    /// Starts a worker that uses the Backend with this index, counted round, and if it knows them all the next when that is gone.
    fn worker(&mut self, backend: usize) -> Worker {
        self.started_workers += 1;
        let name = format!("worker-{}", self.started_workers);
        let known = if self.config.workers_know_all_backends { self.backend_addresses.len() } else { 1 };
        let addresses = self.backend_addresses.iter().cycle().skip(backend % self.backend_addresses.len());
        let backends: Vec<String> =
            addresses.take(known).map(|address| format!("http://{address}")).collect();
        let mut settings = vec![
            format!("worker.name={name}"),
            format!("worker.client_id={WORKER_CLIENT}"),
            format!("worker.client_secret={WORKER_SECRET}"),
            format!("worker.backend_url={backends:?}"),
            format!("worker.identity_url=http://{}", self.identity_address),
            "worker.simulate_work_ms=[50, 100]".to_owned(),
            format!("worker.slots={}", self.config.slots),
            "log.format=json".to_owned(),
        ];
        settings.extend(self.shared_settings());
        Worker { name, process: Process::start_service(self.home.path(), "worker", &settings) }
    }

    fn backend(&self, address: &str) -> Process {
        let mut settings = vec![
            format!("database.url={}", self.database.url),
            format!("backend.listen={address}"),
            format!("backend.identity_url=http://{}", self.identity_address),
            "backend.worker_lost_ms=3000".to_owned(),
            "backend.resend_period_ms=1000".to_owned(),
        ];
        settings.extend(self.shared_settings());
        Process::start_service(self.home.path(), "backend", &settings)
    }

    fn shared_settings(&self) -> Vec<String> {
        let mut settings = vec![HEARTBEAT.to_owned()];
        if let Some(kafka) = &self.config.kafka {
            settings.push(format!("kafka.bootstrap_servers={kafka}"));
            settings.push(format!("kafka.topic_prefix={}", self.topic_prefix));
        }
        settings.extend(self.config.settings.iter().cloned());
        settings
    }

    /// The prefix of the cluster's topics and consumer groups.
    pub fn topic_prefix(&self) -> &str {
        &self.topic_prefix
    }

    /// The base URLs of the first Backend and Identity.
    pub fn urls(&self) -> ServiceUrls {
        self.urls_of_backend(0)
    }

    /// The base URLs of the Backend with this index and Identity.
    pub fn urls_of_backend(&self, index: usize) -> ServiceUrls {
        ServiceUrls {
            backend: format!("http://{}", self.backend_addresses[index]),
            identity: format!("http://{}", self.identity_address),
            ca: None,
        }
    }

    /// The cluster's database.
    pub fn database(&self) -> &TestDatabase {
        &self.database
    }

    /// The directory in which every process runs.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The lines that workers have written by now, those of ended workers included.
    pub fn worker_output(&mut self) -> Vec<String> {
        let mut output = self.output_of_ended_workers.clone();
        for Worker { process, .. } in &mut self.workers {
            process.read_output();
            output.extend_from_slice(process.output());
        }
        output
    }

    /// Waits until the first Backend has written a line with `part`.
    pub fn wait_for_backend_line(&mut self, part: &str) {
        self.backends[0].wait_for_line(part);
    }

    /// The base URLs of the Backends' metrics endpoints; the setting `metrics.listen` must be given.
    pub fn backend_metrics_urls(&mut self) -> Vec<String> {
        self.backends.iter_mut().map(Process::metrics_url).collect()
    }

    /// The base URLs of the workers' metrics endpoints; the setting `metrics.listen` must be given.
    pub fn worker_metrics_urls(&mut self) -> Vec<String> {
        self.workers.iter_mut().map(|worker| worker.process.metrics_url()).collect()
    }

    /// The ids of the Backends' and the workers' processes, each with its service.
    pub fn process_ids(&self) -> Vec<(&'static str, u32)> {
        let backends = self.backends.iter().map(|process| ("backend", process.id()));
        backends.chain(self.workers.iter().map(|worker| ("worker", worker.process.id()))).collect()
    }

    /// Starts everything again after a [`stop`](Self::stop), on this database.
    pub fn restart_on(&mut self, database: TestDatabase) {
        self.database = database;
        self.restart();
    }

    /// Starts everything again after a [`stop`](Self::stop).
    pub fn restart(&mut self) {
        self.restart_identity();
        self.start_workers(self.config.workers);
        self.start_backends();
        self.wait_until_workers_claim();
    }

    fn restart_identity(&mut self) {
        self.identity = start_identity(self.home.path(), &self.database.url, &self.identity_address);
        self.identity.wait_for_line("Identity listens on");
    }

    /// Stops each process and starts another in its place before the next one: Identity first, workers last.
    pub fn restart_one_by_one(&mut self) {
        self.identity.stop();
        self.restart_identity();
        for index in 0..self.backends.len() {
            self.backends[index].stop();
            self.start_backend(index);
        }
        for index in 0..self.workers.len() {
            self.workers[index].process.stop();
            self.output_of_ended_workers.extend_from_slice(self.workers[index].process.output());
            self.workers[index] = self.worker(index);
            self.workers[index].process.wait_for_line(WORKER_IS_READY);
        }
    }

    /// Starts the Backend with this index at its address, in the place of one that has ended, and waits until it listens.
    pub fn start_backend(&mut self, index: usize) {
        self.backends[index] = self.backend(&self.backend_addresses[index]);
        self.backends[index].wait_for_line(BACKEND_IS_READY);
    }

    /// Kills the first Backend with SIGKILL.
    pub fn kill_backend(&mut self) {
        self.backends[0].kill();
    }

    /// Kills the last worker with SIGKILL, starts none in its place, and returns its name.
    pub fn kill_worker(&mut self) -> String {
        let Worker { name, mut process } = self.workers.pop().expect("a worker runs");
        process.kill();
        // Returns once both outputs are closed: every line that the worker has written is there then.
        process.wait_for_exit();
        self.output_of_ended_workers.extend_from_slice(process.output());
        name
    }

    /// Stops the last worker with SIGTERM and starts none in its place.
    pub fn stop_worker(&mut self) {
        let mut worker = self.workers.pop().expect("a worker runs");
        worker.process.stop();
        self.output_of_ended_workers.extend_from_slice(worker.process.output());
    }

    /// Stops the workers, then the Backends, with SIGTERM.
    pub fn stop_workers_and_backends(&mut self) {
        while !self.workers.is_empty() {
            self.stop_worker();
        }
        for mut backend in self.backends.drain(..) {
            backend.stop();
        }
    }

    /// Stops every process with SIGTERM.
    pub fn stop(&mut self) {
        self.stop_workers_and_backends();
        self.identity.stop();
    }
}

fn start_identity(home: &Path, database: &str, address: &str) -> Process {
    let client = format!(r#"{{ id = "{WORKER_CLIENT}", secret_file = "secret", roles = ["Worker"] }}"#);
    let settings = [
        format!("database.url={database}"),
        format!("identity.listen={address}"),
        format!("identity.clients=[{client}]"),
    ];
    Process::start_service(home, "identity", &settings)
}
