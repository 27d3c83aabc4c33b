//! The directory of `tasker up`: what it keeps there, and what the command line finds there.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::private_file;

/// A directory that only its owner may enter.
#[derive(Debug, Clone)]
pub struct DataDir(PathBuf);

/// Where the services of a `tasker up` listen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// The REST API.
    pub backend: String,
    /// Accounts and tokens.
    pub identity: String,
    /// The authorities that vouch for both, if not those of the platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_ca: Option<PathBuf>,
}

/// Held by the one `tasker up` of a directory; the system releases it, however that process ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "it is held, not used")] File);

/// The ordinary account that `tasker up` makes.
pub const ACCOUNT: &str = "local";

const ADDRESSES: &str = "local.json";
const SECRET: &str = "local.secret";
const LOCK: &str = "lock";

impl DataDir {
    /// The directory at `path`, which need not exist.
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Makes the directory where there is none, and takes it for this process.
    pub fn take(&self) -> Result<Lock> {
        let shown = self.0.display();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)
            .with_context(|| format!("--data-dir {shown} cannot be made"))?;
        let file = private_file::options(OpenOptions::new().write(true).create(true).truncate(false))
            .open(self.file(LOCK))
            .with_context(|| format!("--data-dir {shown} cannot be written"))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock(file)),
            Err(TryLockError::WouldBlock) => {
                bail!("another `tasker up` runs on {shown}: stop it, or choose another --data-dir")
            }
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("--data-dir {shown} cannot be locked"))
            }
        }
    }

    /// A file of the directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The password of the account `local`, made at the first call.
    pub fn make_secret(&self, random: impl FnOnce() -> String) -> Result<String> {
        if let Some(secret) = self.secret()? {
            return Ok(secret);
        }
        let secret = random();
        self.write(SECRET, &secret)?;
        Ok(secret)
    }

    /// The password of the account `local`, if it was made.
    pub fn secret(&self) -> Result<Option<String>> {
        self.read(SECRET)
    }

    /// Leaves the addresses for the command line.
    pub fn write_addresses(&self, addresses: &Addresses) -> Result<()> {
        self.write(ADDRESSES, &format!("{}\n", serde_json::to_string_pretty(addresses)?))
    }

    /// Where the services of the latest `tasker up` listened.
    pub fn addresses(&self) -> Result<Option<Addresses>> {
        let Some(text) = self.read(ADDRESSES)? else { return Ok(None) };
        let read = serde_json::from_str(&text);
        read.map(Some).with_context(|| format!("{} makes no sense", self.file(ADDRESSES).display()))
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
    fn only_the_owner_may_look() {
        let home = tempfile::tempdir().unwrap();
        let data = DataDir::at(&home.path().join("data"));
        let _lock = data.take().unwrap();
        data.make_secret(|| "secret".to_owned()).unwrap();
        assert_eq!(mode(&home.path().join("data")), 0o700);
        assert_eq!(mode(&data.file(SECRET)), 0o600);
    }

    #[test]
    fn the_secret_is_made_once() {
        let home = tempfile::tempdir().unwrap();
        let data = DataDir::at(home.path());
        assert_eq!(data.secret().unwrap(), None);
        assert_eq!(data.make_secret(|| "first".to_owned()).unwrap(), "first");
        assert_eq!(data.make_secret(|| "second".to_owned()).unwrap(), "first");
    }

    #[test]
    fn a_directory_serves_one_process() {
        let home = tempfile::tempdir().unwrap();
        let data = DataDir::at(home.path());
        let lock = data.take().unwrap();
        let refusal = data.take().unwrap_err().to_string();
        assert!(refusal.starts_with("another `tasker up` runs on "), "{refusal}");
        drop(lock);
        assert!(data.take().is_ok());
    }

    #[test]
    fn addresses_are_found_again() {
        let home = tempfile::tempdir().unwrap();
        let data = DataDir::at(home.path());
        assert_eq!(data.addresses().unwrap(), None);
        let (backend, identity) = ("http://a".to_owned(), "http://b".to_owned());
        let addresses = Addresses { backend, identity, tls_ca: Some("/ca.pem".into()) };
        data.write_addresses(&addresses).unwrap();
        assert_eq!(data.addresses().unwrap(), Some(addresses));
    }
}
