//! The first task of a newcomer, by the commands of the book, in each shape of an installation: services apart on PostgreSQL, with
//! Kafka, over TLS, and as the containers are set up. `transcript` has the sessions with `tasker up`.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use testkit::{TestDatabase, kafka_address, unique_prefix};

use crate::kit::api_client::{ApiClient, PASSWORD};
use crate::kit::book::{blocks, run_script};
use crate::kit::cluster::free_address;
use crate::kit::command::{CommandOutput, run, run_with_input, tasker_command};
use crate::kit::process::Process;
use crate::kit::service_urls::ServiceUrls;
use crate::kit::tasker_up::TaskerUp;

const README: &str = include_str!("../../../../README.md");
const RUNNING: &str = include_str!("../../../../docs/running.md");
const TLS: &str = include_str!("../../../../docs/tls.md");
const DEPLOY: &str = include_str!("../../../../deploy/README.md");
const COMPOSE: &str = include_str!("../../../../deploy/compose.yaml");

/// The addresses in the commands of the book.
const BACKEND: &str = "http://127.0.0.1:8080";
const IDENTITY: &str = "http://127.0.0.1:8081";

/// Environment variables.
type Variables = Vec<(String, String)>;

fn variable(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

/// The command of a line of a page: variables, `tasker`, arguments.
fn page_command(home: &Path, line: &str, variables: &Variables) -> Command {
    let words: Vec<&str> = line.split('#').next().unwrap().split_whitespace().collect();
    let program = words.iter().position(|word| *word == "tasker").expect("the line runs tasker");
    let mut command = tasker_command(home, words[program + 1..].iter().copied());
    command.envs(words[..program].iter().map(|assignment| assignment.split_once('=').unwrap()));
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    command
}

/// The directory of an installation whose services run apart, its addresses, and the variables that its services get beside
/// those of the page.
struct Apart {
    home: TempDir,
    urls: ServiceUrls,
    variables: Variables,
}

impl Apart {
    /// Free addresses for services that speak `scheme`.
    fn new(home: TempDir, scheme: &str, ca: Option<String>) -> Self {
        let (backend, identity) = (free_address(), free_address());
        let urls = ServiceUrls {
            backend: format!("{scheme}://{backend}"),
            identity: format!("{scheme}://{identity}"),
            ca,
        };
        let variables = vec![
            variable("TASKER__BACKEND__LISTEN", backend),
            variable("TASKER__IDENTITY__LISTEN", identity),
            variable("TASKER__BACKEND__IDENTITY_URL", &urls.identity),
            variable("TASKER__WORKER__BACKEND_URL", &urls.backend),
            variable("TASKER__WORKER__IDENTITY_URL", &urls.identity),
        ];
        Self { home, urls, variables }
    }

    /// Follows the steps of the page on an empty database: secrets, settings, services, sign-in, first task.
    async fn follow_the_page(self) {
        let (home, database) = (self.home.path(), TestDatabase::postgres().await);
        let [secrets, services, first_task] = &blocks(RUNNING, "## Services apart, step by step", "sh")[..]
        else {
            panic!("the page has three blocks of commands");
        };
        let url_of_page = "postgres://tasker:PASSWORD@127.0.0.1/tasker";
        assert!(secrets.contains(url_of_page));
        run_script(home, &secrets.replace(url_of_page, &database.url));
        let settings = blocks(RUNNING, "## Services apart, step by step", "toml").concat();
        std::fs::write(home.join("tasker.toml"), settings).unwrap();

        // The commands of the README are the same, with settings from elsewhere, and `migrate` first.
        let readme = blocks(README, "## Several processes", "sh").concat();
        let names: Vec<&str> = readme.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
        assert_eq!(names, ["migrate", "identity", "backend", "worker"]);
        let with_database =
            [&self.variables[..], &[variable("TASKER__DATABASE__URL_FILE", "secrets/database")]];
        let migrated = run(&mut page_command(home, "tasker migrate", &with_database.concat()));
        assert_eq!(migrated.code, 0, "{}", migrated.stderr);

        let start = |line: &str| Process::start(&mut page_command(home, line, &self.variables));
        let mut services: Vec<Process> = services.lines().map(start).collect();
        let [identity, _, worker] = &mut services[..] else { panic!("the page starts three services") };
        let setup_link = identity.wait_for_line("Setup link:");
        worker.wait_for_line("takes tasks");
        ApiClient::register_administrator(&self.urls, &setup_link, "NAME").await;
        let hint = "`tasker login NAME --backend-url URL --identity-url URL`";
        assert!(self.run_client("tasker workers").stderr.contains(hint));
        self.run_first_task(first_task);
    }

    /// Runs the commands with which a page signs in and submits the first task.
    fn run_first_task(&self, commands: &str) {
        let commands = commands.replace(BACKEND, &self.urls.backend).replace(IDENTITY, &self.urls.identity);
        for line in commands.lines() {
            let output = self.run_client(line);
            assert_eq!(output.code, 0, "$ {line}\n{}", output.stderr);
            if line.contains(" workers") {
                assert!(output.stdout.contains("GENERATE_LOGIN"), "{}", output.stdout);
            }
            if line.contains(" submit ") {
                assert!(
                    output.stdout.starts_with('"') && output.stderr.starts_with("submitted "),
                    "{output:?}"
                );
            }
        }
        assert!(commands.lines().any(|line| line.contains(" submit ")), "the page submits a task");
    }

    /// Runs a client command of a page. A password is typed on a terminal only, so here it comes from standard input.
    fn run_client(&self, line: &str) -> CommandOutput {
        let home = self.home.path();
        let line =
            if line.contains("tasker login") { format!("{line} --password-stdin") } else { line.to_owned() };
        let mut variables = vec![variable("XDG_STATE_HOME", home.join("state").to_str().unwrap())];
        variables.extend(self.urls.ca.is_some().then(|| variable("TASKER_TLS_CA", "ca.pem")));
        run_with_input(&mut page_command(home, &line, &variables), PASSWORD)
    }
}

#[tokio::test]
async fn services_apart_on_postgresql() {
    Apart::new(TempDir::new().unwrap(), "http", None).follow_the_page().await;
}

#[tokio::test]
async fn services_apart_with_kafka() {
    let mut apart = Apart::new(TempDir::new().unwrap(), "http", None);
    apart.variables.extend([
        variable("TASKER__KAFKA__BOOTSTRAP_SERVERS", kafka_address()),
        variable("TASKER__KAFKA__TOPIC_PREFIX", unique_prefix()),
    ]);
    apart.follow_the_page().await;
}

/// A new directory with the certificates that the commands of the page about TLS make.
fn home_with_certificates() -> TempDir {
    let home = TempDir::new().unwrap();
    let scripts = blocks(TLS, "## Try it", "sh");
    run_script(home.path(), &scripts[0]);
    home
}

#[tokio::test]
async fn services_apart_over_tls() {
    let home = home_with_certificates();
    let ca = std::fs::read_to_string(home.path().join("ca.pem")).unwrap();
    let mut apart = Apart::new(home, "https", Some(ca));
    let settings: toml::Table = blocks(TLS, "## Try it", "toml").concat().parse().unwrap();
    for (section, keys) in settings {
        for (key, value) in keys.as_table().unwrap() {
            let name = format!("TASKER__{section}__{key}").to_uppercase();
            apart.variables.push((name, value.as_str().unwrap().to_owned()));
        }
    }
    apart.follow_the_page().await;
}

#[tokio::test]
async fn one_process_over_tls() {
    let home = home_with_certificates();
    std::fs::write(home.path().join("tasker.toml"), blocks(TLS, "## Try it", "toml").concat()).unwrap();
    let up = TaskerUp::start_in(home, &[]);
    let ca = std::fs::read_to_string(up.home().join("ca.pem")).unwrap();
    let ann = ApiClient::register(&ServiceUrls { ca: Some(ca), ..up.urls() }, "ann").await;
    let commands = &blocks(TLS, "## Try it", "sh")[1];
    let commands = commands.replace("https://127.0.0.1:8080", &up.backend_url).replace('…', ann.token());
    let printed = run_script(up.home(), &commands);
    let lines: Vec<&str> = printed.lines().collect();
    assert!(lines[0].starts_with('"'), "the result of the task: {printed}");
    assert!(lines[1].starts_with(r#"{"status":"ok""#), "{printed}");
}

/// The variables of a service in `compose.yaml`: those of the sections that it is made of.
fn compose_variables(sections: &[&str]) -> Variables {
    let (mut top, mut section, mut variables) = ("", "", Variables::new());
    for line in COMPOSE.lines().filter(|line| !line.is_empty()) {
        let text = line.trim_start();
        let key = text.split(':').next().unwrap();
        match line.len() - text.len() {
            0 => (top, section) = (key, key),
            2 if top == "services" => section = key,
            _ => {}
        }
        if let Some((name, value)) = text.split_once(": ")
            && name.starts_with("TASKER__")
            && sections.contains(&section)
        {
            let value = match value.trim_start_matches(['\'', '"']).split_once(&value[..1]) {
                Some((quoted, _)) if value.starts_with(['\'', '"']) => quoted,
                _ => value.split(" #").next().unwrap(),
            };
            variables.push(variable(name, value));
        }
    }
    assert!(variables.len() > 4, "{sections:?}: {variables:?}");
    variables
}

/// Without Docker: the services with the variables and the secrets that the containers have, and addresses of this machine in the
/// place of names and paths that only containers have.
#[tokio::test]
async fn the_services_as_the_containers_are_set_up() {
    let (home, database) = (TempDir::new().unwrap(), TestDatabase::postgres().await);
    let make_secrets = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/make-secrets");
    std::fs::copy(make_secrets, home.path().join("make-secrets")).unwrap();
    run_script(home.path(), "./make-secrets");
    run_script(
        home.path(),
        &format!("chmod u+w secrets/* && printf %s '{}' >secrets/database_url", database.url),
    );
    let [backend_port, identity_port] =
        [(), ()].map(|()| free_address().rsplit(':').next().unwrap().to_owned());
    let urls = ServiceUrls {
        backend: format!("http://127.0.0.1:{backend_port}"),
        identity: format!("http://localhost:{identity_port}"),
        ca: None,
    };
    let prefix = unique_prefix();
    let here = |variables: Variables| -> Variables {
        let path = home.path().to_str().unwrap();
        let replaced = variables.into_iter().map(|(name, value)| {
            let value = value.replace("http://identity.localhost:8081", &urls.identity);
            let value =
                value.replace("http://backend:8080", &urls.backend).replace("kafka:9092", &kafka_address());
            let value =
                value.replace("/run/secrets", &format!("{path}/secrets")).replace("/var/lib/tasker", path);
            let value = value.replace("0.0.0.0:8080", &format!("0.0.0.0:{backend_port}"));
            (name, value.replace("0.0.0.0:8081", &format!("0.0.0.0:{identity_port}")))
        });
        replaced.chain([variable("TASKER__KAFKA__TOPIC_PREFIX", prefix.clone())]).collect()
    };
    let identity_variables = here(compose_variables(&["identity"]));
    let backend_variables = here(compose_variables(&["x-settings", "x-backend"]));
    let worker_variables = here(compose_variables(&["x-settings", "worker"]));
    let start = |name: &str, variables| {
        Process::start(&mut page_command(home.path(), &format!("tasker {name}"), variables))
    };
    let mut identity = start("identity", &identity_variables);
    let setup_link = identity.wait_for_line("Setup link:");
    let mut backend = start("backend", &backend_variables);
    let mut worker = start("worker", &worker_variables);
    backend.wait_for_line("the Backend listens on");
    worker.wait_for_line("takes tasks");
    for (name, variables) in [("backend", &backend_variables), ("identity", &identity_variables)] {
        let check = format!("tasker healthcheck {name}");
        assert!(COMPOSE.contains(&format!("test: [CMD, {}]", check.replace(' ', ", "))), "{check}");
        let healthy = run(&mut page_command(home.path(), &check, variables));
        assert_eq!(healthy.code, 0, "{}", healthy.stderr);
    }
    let health =
        urls.http_client().get(format!("{}/health/ready", urls.backend)).header("host", "backend:8080");
    assert_eq!(health.send().await.unwrap().status(), 200, "the workers' name for the Backends is allowed");

    ApiClient::register_administrator(&urls, &setup_link, "NAME").await;
    let containers = Apart { home, urls, variables: Variables::new() };
    let commands = blocks(DEPLOY, "## In containers", "sh");
    let first_task =
        commands.iter().find(|block| block.contains("tasker login")).expect("the page has a first task");
    containers.run_first_task(&first_task.replace("http://identity.localhost:8081", IDENTITY));
}
