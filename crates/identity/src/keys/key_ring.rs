//! The key ring: which signing key is in use, and how keys are announced, rotated and retired.
//!
//! The state of a key follows from its `signs_from` and the clock, so that several Identities on one database agree
//! without messages between them.

use parking_lot::RwLock;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use database::{DatabaseError, Db, ProcessClock};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use tracing::info;

use crate::keys::key_encryption::KeyEncryptionKey;
use crate::keys::key_store::{EncryptedKey, KeyStore};
use crate::keys::signing_key::SigningKey;
use crate::time::{DAY, MINUTE};

/// How long a key signs before the next one does, in microseconds.
const ROTATION_PERIOD: i64 = 30 * DAY;

/// How long a new key is published before it signs, in microseconds: verifiers that cache the key set fetch it again by then.
const ANNOUNCEMENT_PERIOD: i64 = DAY;

/// How long a key is kept after its last token has expired, in microseconds, for clocks that differ.
const CLOCK_TOLERANCE: i64 = 5 * MINUTE;

/// Why the signing keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The key file cannot be read or created.
    #[error("the key file {} cannot be used", path.display())]
    File {
        /// The path of the key file.
        path: PathBuf,
        /// Why it cannot be read or created.
        #[source]
        source: std::io::Error,
    },
    /// The database holds signing keys, and the key file is missing.
    #[error(
        "the database holds signing keys, and there is no key file {} to decrypt them with: \
         copy it from the Identity that created them (docs/running.md says what to do when it is lost)",
        path.display()
    )]
    FileMissing {
        /// The path of the key file.
        path: PathBuf,
    },
    /// The database holds signing keys that were encrypted with another key file.
    #[error(
        "the signing keys in the database were not encrypted with the key file {}: \
         use the file of the Identity that created them",
        path.display()
    )]
    WrongFile {
        /// The path of the key file.
        path: PathBuf,
    },
}

/// Checks that the key file at `path` can be used if there is one. Nothing is created.
pub fn check_key_file(path: &Path) -> Result<(), KeyError> {
    match KeyEncryptionKey::read(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(KeyError::File { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// The state of the signing keys, for `tasker doctor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SigningKeyState {
    /// The number of keys: next, current, previous.
    pub keys: usize,
    /// How long the current key has signed.
    pub age: Duration,
    /// The age at which the next key takes over.
    pub period: Duration,
}

impl SigningKeyState {
    /// Decrypts every key with the file at `path`. `None` if there are no keys yet; nothing is created.
    pub async fn read(db: Db, path: &Path, clock: ProcessClock) -> Result<Option<Self>, KeyError> {
        if KeyStore::new(db.clone()).list().await?.is_empty() {
            return Ok(None);
        }
        let key_ring = KeyRing::open(db, path, clock.clone(), 0).await?;
        let (keys, now) = (key_ring.keys(), clock.now());
        let duration = |micros: i64| Duration::from_micros(u64::try_from(micros).unwrap_or(0));
        let age = duration(now - keys.current(now).signs_from);
        Ok(Some(Self { keys: keys.0.len(), age, period: duration(ROTATION_PERIOD) }))
    }
}

/// The keys that are announced, in use, or still needed to verify tokens; the oldest first. Never empty once loaded.
#[derive(Default)]
struct Keys(Vec<Arc<SigningKey>>);

impl Keys {
    /// The key that signs: the latest whose `signs_from` has passed. The very first key is used even before its time, since
    /// another process whose clock is ahead may have created it.
    fn current(&self, now: i64) -> &Arc<SigningKey> {
        let begun = self.0.iter().rfind(|key| key.signs_from <= now);
        begun.or(self.0.first()).expect("a loaded key ring has a key")
    }

    /// The generation of the oldest key that is still needed: every token of an earlier key has expired.
    fn oldest_needed(&self, now: i64, token_ttl: i64) -> i64 {
        let is_sole_signer = |key: &&Arc<SigningKey>| key.signs_from + token_ttl + CLOCK_TOLERANCE <= now;
        self.0.iter().rfind(is_sole_signer).map_or(0, |key| key.generation)
    }
}

/// The signing keys of the database, decrypted, as this process last loaded them.
pub(crate) struct KeyRing {
    store: KeyStore,
    encryption_key: KeyEncryptionKey,
    key_file: PathBuf,
    clock: ProcessClock,
    /// The lifetime of a token in microseconds.
    token_ttl: i64,
    keys: RwLock<Arc<Keys>>,
}

impl KeyRing {
    /// Reads the key file and loads the keys. The very first start creates the file and one key.
    pub(crate) async fn open(
        db: Db,
        key_file: &Path,
        clock: ProcessClock,
        token_ttl: i64,
    ) -> Result<Self, KeyError> {
        let store = KeyStore::new(db);
        let failed = |source| KeyError::File { path: key_file.to_owned(), source };
        let encryption_key = if store.list().await?.is_empty() {
            KeyEncryptionKey::read_or_create(key_file).map_err(failed)?
        } else {
            match KeyEncryptionKey::read(key_file) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    return Err(KeyError::FileMissing { path: key_file.to_owned() });
                }
                read => read.map_err(failed)?,
            }
        };
        let keys = RwLock::default();
        let key_ring = Self { store, encryption_key, key_file: key_file.to_owned(), clock, token_ttl, keys };
        key_ring.load().await?;
        Ok(key_ring)
    }

    /// Loads the keys that other instances have created, creates and announces the next key if there is none, and deletes the
    /// keys that are no longer needed.
    pub(crate) async fn rotate(&self) -> Result<(), KeyError> {
        self.load().await?;
        let (keys, now) = (self.keys(), self.clock.now());
        let newest = keys.0.last().expect("a loaded key ring has a key");
        if newest.signs_from <= now {
            let signs_from = (newest.signs_from + ROTATION_PERIOD).max(now + ANNOUNCEMENT_PERIOD);
            self.create(newest.generation + 1, signs_from).await?;
        }
        self.store.delete_before(keys.oldest_needed(now, self.token_ttl)).await?;
        self.load().await
    }

    /// The key that signs now.
    pub(crate) fn current(&self) -> Arc<SigningKey> {
        Arc::clone(self.keys().current(self.clock.now()))
    }

    /// The public key with this `kid`.
    pub(crate) fn find(&self, kid: &str) -> Option<Jwk> {
        self.keys().0.iter().find(|key| key.kid == kid).map(|key| key.public.clone())
    }

    /// The public keys to publish: next, current and previous.
    pub(crate) fn public(&self) -> JwkSet {
        JwkSet { keys: self.keys().0.iter().map(|key| key.public.clone()).collect() }
    }

    /// The encrypted form of `plain`, which [`Self::decrypt`] reads under the same `name`.
    pub(crate) fn encrypt(&self, name: &str, plain: &[u8]) -> Vec<u8> {
        self.encryption_key.encrypt(name, plain)
    }

    /// The plain form of what [`Self::encrypt`] returned for `name`; `None` if it was encrypted with another key file.
    pub(crate) fn decrypt(&self, name: &str, encrypted: &[u8]) -> Option<Vec<u8>> {
        self.encryption_key.decrypt(name, encrypted).ok()
    }

    /// Creates and stores a key. If another process has created this generation meanwhile, its key is used instead.
    async fn create(&self, generation: i64, signs_from: i64) -> Result<(), DatabaseError> {
        let generated =
            tokio::task::spawn_blocking(move || SigningKey::generate(generation, signs_from)).await;
        let (key, private) = generated.expect("generating a key does not panic");
        let encrypted = self.encryption_key.encrypt(&key.kid, &private);
        let SigningKey { kid, .. } = key;
        let row = EncryptedKey { generation, kid, encrypted, signs_from };
        if self.store.insert(&row).await? {
            info!(key.id = row.kid, "created the signing key {} (generation {generation})", row.kid);
        }
        Ok(())
    }

    /// Loads the keys of the database. If there are none, creates the first one.
    async fn load(&self) -> Result<(), KeyError> {
        let mut rows = self.store.list().await?;
        if rows.is_empty() {
            self.create(1, self.clock.now()).await?;
            rows = self.store.list().await?;
        }
        let known = self.keys();
        let key = |row: &EncryptedKey| match known.0.iter().find(|key| key.kid == row.kid) {
            Some(key) => Ok(Arc::clone(key)),
            None => self.read_row(row).map(Arc::new),
        };
        let keys = rows.iter().map(key).collect::<Result<_, _>>()?;
        *self.keys.write() = Arc::new(Keys(keys));
        Ok(())
    }

    fn read_row(&self, row: &EncryptedKey) -> Result<SigningKey, KeyError> {
        let wrong_file = || KeyError::WrongFile { path: self.key_file.clone() };
        let private = self.encryption_key.decrypt(&row.kid, &row.encrypted).map_err(|_| wrong_file())?;
        SigningKey::from_pkcs8(row.generation, row.signs_from, &private).ok_or_else(wrong_file)
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read())
    }
}
