//! The key file: what the signing keys in the database are sealed with.

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

const KEY_LEN: usize = 32;

/// AES-256-GCM under the key of the key file.
pub(crate) struct KeyEncryptionKey(RandomizedNonceKey);

/// What was sealed was not sealed with this key, or not under this name.
#[derive(Debug)]
pub(crate) struct DecryptError;

impl KeyEncryptionKey {
    /// Reads the key of the file.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(path)?;
        if fs::metadata(path)?.mode() & 0o077 != 0 {
            warn!(path = %path.display(), "others may read the key file {}: let it be 0600", path.display());
        }
        let key = URL_SAFE_NO_PAD.decode(text.trim_end()).ok().filter(|key| key.len() == KEY_LEN);
        let key =
            key.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it holds no key of 32 bytes"))?;
        Ok(Self(RandomizedNonceKey::new(&AES_256_GCM, &key).expect("32 bytes are a key")))
    }

    /// Reads the key of the file, which is made first when it is absent.
    pub(crate) fn read_or_make(path: &Path) -> io::Result<Self> {
        match Self::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make(path)?;
                Self::read(path)
            }
            read => read,
        }
    }

    /// Seals `plain` so that it opens under `name` only.
    pub(crate) fn close(&self, name: &str, plain: &[u8]) -> Vec<u8> {
        let mut sealed = plain.to_vec();
        let nonce = self.0.seal_in_place_append_tag(Aad::from(name), &mut sealed).expect("AES-GCM seals");
        [nonce.as_ref().as_slice(), &sealed].concat()
    }

    pub(crate) fn open(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>, DecryptError> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN).ok_or(DecryptError)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| DecryptError)?;
        let mut plain = sealed.to_vec();
        let length =
            self.0.open_in_place(nonce, Aad::from(name), &mut plain).map_err(|_| DecryptError)?.len();
        plain.truncate(length);
        Ok(plain)
    }
}

/// Writes a new key beside `path` and links it there, so that nobody reads half of it; whoever comes first wins.
fn make(path: &Path) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}", Uuid::new_v4().simple()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    writeln!(file, "{}", URL_SAFE_NO_PAD.encode(random_bytes::<KEY_LEN>()))?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_the_same_key_and_name_only() {
        let directory = tempfile::tempdir().unwrap();
        let (ours, theirs) = (directory.path().join("deep/key"), directory.path().join("other"));
        let (seal, other) = (
            KeyEncryptionKey::read_or_make(&ours).unwrap(),
            KeyEncryptionKey::read_or_make(&theirs).unwrap(),
        );
        let sealed = seal.close("kid", b"secret");
        assert_eq!(KeyEncryptionKey::read(&ours).unwrap().open("kid", &sealed).unwrap(), b"secret");
        assert!(seal.open("dik", &sealed).is_err() && other.open("kid", &sealed).is_err());
        assert!(seal.open("kid", b"").is_err());
    }

    #[test]
    fn s75_the_key_file_is_its_owners_and_is_never_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        make(&path).unwrap();
        let first = fs::read(&path).unwrap();
        make(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), first);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_holds_no_key_is_an_error_and_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        fs::write(&path, "hello").unwrap();
        assert_eq!(KeyEncryptionKey::read_or_make(&path).err().unwrap().kind(), io::ErrorKind::InvalidData);
        assert_eq!(fs::read(&path).unwrap(), b"hello");
    }
}
