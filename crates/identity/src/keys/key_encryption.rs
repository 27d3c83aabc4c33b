//! The key file, and the encryption of the private signing keys in the database with its key.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tracing::warn;
use uuid::Uuid;

use crate::secret_token::random_bytes;

/// The length of the key in bytes.
const KEY_LEN: usize = 32;

/// The key of the key file. It encrypts with AES-256-GCM.
pub(crate) struct KeyEncryptionKey(RandomizedNonceKey);

/// Decryption failed: the data was encrypted with another key or under another name, or it is damaged.
#[derive(Debug)]
pub(crate) struct DecryptError;

impl KeyEncryptionKey {
    /// Reads the key file. [`io::ErrorKind::InvalidData`] if it holds no key.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(path)?;
        if fs::metadata(path)?.mode() & 0o077 != 0 {
            warn!(path = %path.display(), "other users may read the key file {}: set its mode to 0600", path.display());
        }
        let key = URL_SAFE_NO_PAD.decode(text.trim_end()).ok().filter(|key| key.len() == KEY_LEN);
        let key =
            key.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it holds no key of 32 bytes"))?;
        Ok(Self(RandomizedNonceKey::new(&AES_256_GCM, &key).expect("32 bytes are a key")))
    }

    /// Reads the key file; creates it first if it is missing.
    pub(crate) fn read_or_create(path: &Path) -> io::Result<Self> {
        match Self::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create(path)?;
                Self::read(path)
            }
            read => read,
        }
    }

    /// The encrypted form of `plain`: nonce, ciphertext and tag. It decrypts under the same `name` only.
    pub(crate) fn encrypt(&self, name: &str, plain: &[u8]) -> Vec<u8> {
        let mut encrypted = plain.to_vec();
        let nonce =
            self.0.seal_in_place_append_tag(Aad::from(name), &mut encrypted).expect("AES-GCM encrypts");
        [nonce.as_ref().as_slice(), &encrypted].concat()
    }

    /// The plain form of what [`Self::encrypt`] returned for `name`.
    pub(crate) fn decrypt(&self, name: &str, encrypted: &[u8]) -> Result<Vec<u8>, DecryptError> {
        let (nonce, encrypted) = encrypted.split_at_checked(NONCE_LEN).ok_or(DecryptError)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| DecryptError)?;
        let mut plain = encrypted.to_vec();
        let length =
            self.0.open_in_place(nonce, Aad::from(name), &mut plain).map_err(|_| DecryptError)?.len();
        plain.truncate(length);
        Ok(plain)
    }
}

/// Creates the key file with a random key and mode 0600. The key is written to a temporary file that is then linked to `path`, so
/// that no reader sees half a key; if several processes create it at once, the first link wins and the others keep its key.
fn create(path: &Path) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}", Uuid::new_v4().simple()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    writeln!(file, "{}", URL_SAFE_NO_PAD.encode(random_bytes::<KEY_LEN>()))?;
    file.sync_all()?;
    let with_shared_count = fs::hard_link(&temporary, path);
    fs::remove_file(&temporary)?;
    match with_shared_count {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encrypted_data_decrypts_with_the_same_key_and_name_only() {
        let directory = tempfile::tempdir().unwrap();
        let (path, other_path) = (directory.path().join("deep/key"), directory.path().join("other"));
        let key = KeyEncryptionKey::read_or_create(&path).unwrap();
        let other_key = KeyEncryptionKey::read_or_create(&other_path).unwrap();
        let encrypted = key.encrypt("kid", b"secret");
        assert_eq!(KeyEncryptionKey::read(&path).unwrap().decrypt("kid", &encrypted).unwrap(), b"secret");
        assert!(key.decrypt("dik", &encrypted).is_err() && other_key.decrypt("kid", &encrypted).is_err());
        assert!(key.decrypt("kid", b"").is_err());
    }

    #[test]
    fn the_key_file_is_readable_by_its_owner_only_and_is_never_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        create(&path).unwrap();
        let first = fs::read(&path).unwrap();
        create(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), first);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_file_without_a_key_is_an_error_and_stays_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        fs::write(&path, "hello").unwrap();
        assert_eq!(KeyEncryptionKey::read_or_create(&path).err().unwrap().kind(), io::ErrorKind::InvalidData);
        assert_eq!(fs::read(&path).unwrap(), b"hello");
    }
}
