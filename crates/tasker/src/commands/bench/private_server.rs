//! A Tasker of the benchmark's own: `tasker up` in a directory that is removed afterwards, with operations that run until they are stopped.

use std::env;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use client::{Client, Credentials, Settings};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio_util::task::TaskTracker;

use crate::commands::bench::level::Level;
use crate::data_dir::{ACCOUNT, DataDir};

/// The running Tasker. It is stopped by [`PrivateServer::stop`], or killed when this is dropped.
pub struct PrivateServer {
    process: Child,
    directory: PathBuf,
    /// A client of it, for its account `local`.
    pub client: Client,
}

/// The line that `tasker up` prints when its worker takes tasks.
const READY: &str = "Ready.";

impl PrivateServer {
    /// Starts it with so many slots and the operation of `level`.
    ///
    /// # Errors
    ///
    /// If it cannot be started, or ends before it is ready.
    pub async fn start(level: Level, slots: u32) -> Result<Self> {
        let directory = env::temp_dir().join(format!("tasker-bench-{}", std::process::id()));
        DirBuilder::new()
            .mode(0o700)
            .create(&directory)
            .context("the benchmark needs a directory of its own")?;
        let started = Self::start_in(&directory, level, slots).await;
        if started.is_err() {
            fs::remove_dir_all(&directory).ok();
        }
        started
    }

    async fn start_in(directory: &Path, level: Level, slots: u32) -> Result<Self> {
        let settings = format!("[worker]\nslots = {slots}\n{}", level.declaration(&silent_server().await?));
        let file = directory.join("tasker.toml");
        fs::write(&file, settings).with_context(|| format!("{} cannot be written", file.display()))?;
        let mut process = Command::new(env::current_exe()?)
            .args(["up", "--backend-addr", "127.0.0.1:0", "--identity-addr", "127.0.0.1:0"])
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("`tasker up` cannot be started")?;
        let mut lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        loop {
            match lines.next_line().await? {
                Some(line) if line == READY => break,
                Some(_) => {}
                None => bail!("`tasker up` has ended before it was ready"),
            }
        }
        let data = DataDir::at(&directory.join(".tasker"));
        let addresses = data.addresses()?.context("`tasker up` has ended")?;
        let credentials = Credentials::Password {
            identity: addresses.identity,
            username: ACCOUNT.to_owned(),
            password: data.password()?.unwrap_or_default().into(),
        };
        let client = Client::new(Settings { backends: vec![addresses.backend], credentials, ca: None })?;
        Ok(Self { process, directory: directory.to_owned(), client })
    }

    /// Stops it and removes its directory.
    pub async fn stop(mut self) -> Result<()> {
        if let Some(pid) = self.process.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            kill_process(pid, Signal::TERM).ok();
        }
        self.process.wait().await?;
        Ok(())
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.directory).ok();
    }
}

/// The address of a server that accepts connections and never answers.
async fn silent_server() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}/", listener.local_addr()?);
    TaskTracker::new().spawn(async move {
        let mut open = Vec::new();
        // It ends with the process.
        while let Ok((connection, _)) = listener.accept().await {
            open.push(connection);
        }
    });
    Ok(address)
}
