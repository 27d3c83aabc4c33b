//! A server of the benchmark's own: a `tasker up` in a temporary directory, in which the benchmark may be a worker.

use std::env;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, anyhow, bail};
use client::{Client, Credentials, Settings};
use rand::distr::{Alphanumeric, SampleString};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::data_dir::{ACCOUNT, Addresses, DEFAULT_DATA_DIR, DataDir};
use crate::private_file;

/// The `client_id` of the benchmark as a worker.
const CLIENT_ID: &str = "bench";

/// The file of the `client_secret`, relative to the directory of the server.
const SECRET_FILE: &str = "bench.secret";

/// The settings of the server.
const SETTINGS: &str = r#"
[[identity.clients]]
id = "bench"
secret_file = "bench.secret"
roles = ["User", "Worker"]
"#;

/// A running `tasker up`, whose directory is removed when this is dropped.
pub struct OwnServer {
    process: Child,
    addresses: Addresses,
    secret: String,
    password: String,
    _directory: TempDir,
}

impl OwnServer {
    /// Starts one on free ports with `settings` (`section.key=value`), and waits until it is ready.
    ///
    /// # Errors
    ///
    /// If it does not start. It says why on standard error.
    pub async fn start(settings: &[String]) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("tasker-bench-").tempdir();
        let directory = directory.context("no temporary directory can be created")?;
        let secret = Alphanumeric.sample_string(&mut rand::rng(), 43);
        private_file::write(&directory.path().join(SECRET_FILE), &secret)?;
        private_file::write(&directory.path().join("tasker.toml"), SETTINGS)?;
        let mut process = spawn(directory.path(), settings).context("`tasker up` cannot be started")?;
        let output = process.stdout.take().expect("standard output is a pipe");
        let mut lines = BufReader::new(output).lines();
        loop {
            match lines.next_line().await? {
                Some(line) if line == "Ready." => break,
                Some(_) => {}
                None => bail!("the server of the benchmark has not started"),
            }
        }
        let data = DataDir::at(&directory.path().join(DEFAULT_DATA_DIR));
        let (addresses, password) = (data.addresses()?, data.password()?);
        let addresses = addresses.context("the server of the benchmark has ended")?;
        let password = password.context("the server of the benchmark has no account")?;
        Ok(Self { process, addresses, secret, password, _directory: directory })
    }

    /// A client of it as a user.
    pub fn user(&self) -> Result<Client> {
        let identity = self.addresses.identity.clone();
        let (username, password) = (ACCOUNT.to_owned(), self.password.clone().into());
        self.client(Credentials::Password { identity, username, password })
    }

    /// A client of it as a worker.
    pub fn worker(&self) -> Result<Client> {
        let identity = self.addresses.identity.clone();
        let (id, secret) = (CLIENT_ID.to_owned(), self.secret.clone().into());
        self.client(Credentials::Client { identity, id, secret })
    }

    fn client(&self, credentials: Credentials) -> Result<Client> {
        Ok(Client::new(Settings { backends: vec![self.addresses.backend.clone()], credentials, ca: None })?)
    }

    /// Runs a measurement to its end, or until this process is told to stop; then stops the server.
    ///
    /// # Errors
    ///
    /// If the measurement fails or is interrupted, or the server cannot be stopped.
    pub async fn run<T>(self, measurement: impl Future<Output = Result<T>>) -> Result<T> {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let measured = tokio::select! {
            measured = measurement => measured,
            _ = interrupt.recv() => Err(anyhow!("the benchmark was interrupted")),
            _ = terminate.recv() => Err(anyhow!("the benchmark was interrupted")),
        };
        self.stop().await?;
        measured
    }

    async fn stop(mut self) -> Result<()> {
        let id = self.process.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(id) = id {
            kill_process(id, Signal::TERM)?;
        }
        self.process.wait().await?;
        Ok(())
    }
}

/// Starts the program of this process as a `tasker up`. It is killed if this process drops it.
fn spawn(directory: &Path, settings: &[String]) -> std::io::Result<Child> {
    let mut command = Command::new(env::current_exe()?);
    command.args(["up", "--backend-addr", "127.0.0.1:0", "--identity-addr", "127.0.0.1:0"]);
    command.args(settings.iter().flat_map(|setting| ["--set", setting]));
    command.current_dir(directory).env_clear();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn()
}
