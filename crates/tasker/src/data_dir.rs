//! The data directory of `tasker up`: databases, the local account's password, and the addresses for the command line.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::private_file;
use crate::process_lock::{Acquisition, ProcessLock, acquire, is_held};

/// The data directory; only its owner may enter it.
#[derive(Debug, Clone)]
pub struct DataDir(PathBuf);

/// The addresses of the services of a `tasker up`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// The URL of the REST API.
    pub backend: String,
    /// The URL of Identity.
    pub identity: String,
    /// The file of authorities trusted for both. Absent: the platform's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_ca: Option<PathBuf>,
}

/// The data directory of commands that name none.
pub const DEFAULT_DATA_DIR: &str = "./.tasker";

/// The name of the ordinary account that `tasker up` creates.
pub const ACCOUNT: &str = "local";

/// The file of [`Addresses`].
const ADDRESSES_FILE: &str = "local.json";

/// The file of the password of [`ACCOUNT`].
const PASSWORD_FILE: &str = "local.secret";

/// The file that is locked.
const LOCK_FILE: &str = "lock";

impl DataDir {
    /// The directory at `path`, which need not exist.
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Creates the directory if it does not exist, and locks it for this process. The addresses of an earlier process, which may be
    /// those of another program by now, are removed.
    ///
    /// # Errors
    ///
    /// If it cannot be created, written or trusted, or another process has locked it.
    pub fn lock(&self) -> Result<ProcessLock> {
        let shown = self.0.display();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)
            .with_context(|| format!("--data-dir {shown} cannot be created"))?;
        private_file::check_directory(&self.0)?;
        let lock = acquire(&self.file(LOCK_FILE));
        match lock.with_context(|| format!("--data-dir {shown} cannot be locked"))? {
            Acquisition::Acquired(lock) => match fs::remove_file(self.file(ADDRESSES_FILE)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    Err(error).with_context(|| format!("--data-dir {shown} cannot be written"))
                }
                _ => Ok(lock),
            },
            Acquisition::HeldByOther(process) => {
                bail!("another `tasker up` runs on {shown}{process}: stop it, or choose another --data-dir")
            }
        }
    }

    /// The path of a file in the directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Stores the password of the account `local`.
    pub fn write_password(&self, password: &str) -> Result<()> {
        self.write(PASSWORD_FILE, password)
    }

    /// The password of the account `local`; `None` if none is stored.
    pub fn password(&self) -> Result<Option<String>> {
        self.read(PASSWORD_FILE)
    }

    /// The path of the file of that password.
    pub fn password_file(&self) -> PathBuf {
        self.file(PASSWORD_FILE)
    }

    /// Stores the addresses for the command line.
    pub fn write_addresses(&self, addresses: &Addresses) -> Result<()> {
        self.write(ADDRESSES_FILE, &format!("{}\n", serde_json::to_string_pretty(addresses)?))
    }

    /// The addresses of the `tasker up` that runs on the directory; `None` if none does: it holds the lock from its start to its end. Another
    /// program may listen at the addresses of one that has ended, and must get neither a password nor a token.
    pub fn addresses(&self) -> Result<Option<Addresses>> {
        private_file::check_directory(&self.0)?;
        let lock = self.file(LOCK_FILE);
        if !is_held(&lock).with_context(|| format!("{} cannot be read", lock.display()))? {
            return Ok(None);
        }
        let Some(text) = self.read(ADDRESSES_FILE)? else { return Ok(None) };
        let addresses = serde_json::from_str(&text);
        addresses.map(Some).with_context(|| format!("{} is not valid", self.file(ADDRESSES_FILE).display()))
    }

    fn read(&self, name: &str) -> Result<Option<String>> {
        private_file::read(&self.file(name))
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        private_file::write(&self.file(name), text)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn only_the_owner_may_read() {
        let home = tempfile::tempdir().unwrap();
        let data = DataDir::at(&home.path().join("data"));
        let _lock = data.lock().unwrap();
        data.write_password("password").unwrap();
        assert_eq!(mode(&home.path().join("data")), 0o700);
        assert_eq!(mode(&data.file(PASSWORD_FILE)), 0o600);
    }

    #[test]
    fn a_directory_is_locked_by_one_process() {
        let home = tempfile::tempdir().unwrap();
        let data = DataDir::at(home.path());
        let lock = data.lock().unwrap();
        let refusal = data.lock().unwrap_err().to_string();
        assert!(refusal.starts_with("another `tasker up` runs on "), "{refusal}");
        drop(lock);
        assert!(data.lock().is_ok());
    }

    #[test]
    fn addresses_are_those_of_the_process_that_holds_the_lock() {
        let home = tempfile::tempdir().unwrap();
        let data = DataDir::at(home.path());
        assert_eq!(data.addresses().unwrap(), None);
        let lock = data.lock().unwrap();
        assert_eq!(data.addresses().unwrap(), None);
        let (backend, identity) = ("http://a".to_owned(), "http://b".to_owned());
        let addresses = Addresses { backend, identity, tls_ca: Some("/ca.pem".into()) };
        data.write_addresses(&addresses).unwrap();
        assert_eq!(data.addresses().unwrap(), Some(addresses));
        drop(lock);
        assert_eq!(data.addresses().unwrap(), None);
        let _lock = data.lock().unwrap();
        assert_eq!(data.addresses().unwrap(), None, "those of an earlier process are removed");
    }
}
