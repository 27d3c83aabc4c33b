//! The signing keys: made, announced, used, retired. A key's state is read off the clock, so that any number of
//! Identities agree on it without a word.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use database::{Clock, DatabaseError, Db};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use tracing::info;

use crate::keys::key_encryption::KeyEncryptionKey;
use crate::keys::key_store::{KeyStore, Row};
pub(crate) use crate::keys::signing_key::Key;
use crate::time::{DAY, MINUTE};

/// A key signs for so long, then the next one does.
const PERIOD: i64 = 30 * DAY;
/// A new key is shown for so long before it signs: everyone who keeps our keys has fetched them again by then.
const ANNOUNCE: i64 = DAY;
/// How much longer than its last token a key stays, for clocks that differ.
const LEEWAY: i64 = 5 * MINUTE;

/// Why the signing keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The key file cannot be read or made.
    #[error("the key file {} cannot be used", path.display())]
    File {
        /// Where it is looked for.
        path: PathBuf,
        /// What stands in the way.
        #[source]
        source: std::io::Error,
    },
    /// There are keys, and no file to open them with.
    #[error(
        "the database holds signing keys, and there is no key file {} to open them with: \
         copy it from the Identity that made them (docs/running.md says what to do when it is lost)",
        path.display()
    )]
    FileMissing {
        /// Where it is looked for.
        path: PathBuf,
    },
    /// There are keys, and this file does not open them.
    #[error(
        "the signing keys in the database were not sealed with the key file {}: \
         use the file of the Identity that made them",
        path.display()
    )]
    WrongFile {
        /// The file that does not fit.
        path: PathBuf,
    },
}

/// Whether the key file at `path` can be used, or made: nothing is made.
pub fn check_key_file(path: &Path) -> Result<(), KeyError> {
    match KeyEncryptionKey::read(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(KeyError::File { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// How the signing keys stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyFileState {
    /// How many there are: next, current, previous.
    pub keys: usize,
    /// For how long the current one has signed.
    pub age: Duration,
    /// After how long the next one does.
    pub period: Duration,
}

impl KeyFileState {
    /// Opens every key with the file at `path`; nothing is made. `None`: there are none yet.
    pub async fn look(db: Db, path: &Path, clock: Clock) -> Result<Option<Self>, KeyError> {
        if KeyStore::new(db.clone()).all().await?.is_empty() {
            return Ok(None);
        }
        let keys = KeyRing::open(db, path, clock.clone(), 0).await?;
        let (ring, now) = (keys.ring(), clock.now());
        let micros = |micros: i64| Duration::from_micros(u64::try_from(micros).unwrap_or(0));
        let age = micros(now - ring.current(now).signs_from);
        Ok(Some(Self { keys: ring.0.len(), age, period: micros(PERIOD) }))
    }
}

/// The keys that are announced, in use or still believed, oldest first. Never empty.
#[derive(Default)]
struct Ring(Vec<Arc<Key>>);

impl Ring {
    /// The key that signs: the last one whose time has come. (The first of all may be a moment away, where another
    /// process made it by a clock that is a little ahead.)
    fn current(&self, now: i64) -> &Arc<Key> {
        let begun = self.0.iter().rfind(|key| key.signs_from <= now);
        begun.or(self.0.first()).expect("a ring has a key")
    }

    /// The generation of the oldest key that is still needed: no token of an earlier one can be alive.
    fn oldest_needed(&self, now: i64, token_ttl: i64) -> i64 {
        let replaced_long_ago = |key: &&Arc<Key>| key.signs_from + token_ttl + LEEWAY <= now;
        self.0.iter().rfind(replaced_long_ago).map_or(0, |key| key.generation)
    }
}

/// All keys, as this process knows them.
pub(crate) struct KeyRing {
    rows: KeyStore,
    seal: KeyEncryptionKey,
    path: PathBuf,
    clock: Clock,
    token_ttl: i64,
    ring: RwLock<Arc<Ring>>,
}

impl KeyRing {
    /// Opens the ring; at the very first start its first key is made.
    pub(crate) async fn open(db: Db, path: &Path, clock: Clock, token_ttl: i64) -> Result<Self, KeyError> {
        let rows = KeyStore::new(db);
        let failed = |source| KeyError::File { path: path.to_owned(), source };
        let seal = if rows.all().await?.is_empty() {
            KeyEncryptionKey::read_or_make(path).map_err(failed)?
        } else {
            match KeyEncryptionKey::read(path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    return Err(KeyError::FileMissing { path: path.to_owned() });
                }
                read => read.map_err(failed)?,
            }
        };
        let ring = RwLock::default();
        let keys = Self { rows, seal, path: path.to_owned(), clock, token_ttl, ring };
        keys.load().await?;
        Ok(keys)
    }

    /// One round: sees what others have made, announces the next key if there is none, retires what is no longer
    /// needed.
    pub(crate) async fn tend(&self) -> Result<(), KeyError> {
        self.load().await?;
        let (ring, now) = (self.ring(), self.clock.now());
        let newest = ring.0.last().expect("a ring has a key");
        if newest.signs_from <= now {
            self.make(newest.generation + 1, (newest.signs_from + PERIOD).max(now + ANNOUNCE)).await?;
        }
        self.rows.forget_before(ring.oldest_needed(now, self.token_ttl)).await?;
        self.load().await
    }

    /// The key that signs now.
    pub(crate) fn current(&self) -> Arc<Key> {
        Arc::clone(self.ring().current(self.clock.now()))
    }

    /// The public half of the key `kid`.
    pub(crate) fn find(&self, kid: &str) -> Option<Jwk> {
        self.ring().0.iter().find(|key| key.kid == kid).map(|key| key.public.clone())
    }

    /// What everyone may know: next, current and previous.
    pub(crate) fn public(&self) -> JwkSet {
        JwkSet { keys: self.ring().0.iter().map(|key| key.public.clone()).collect() }
    }

    /// Makes a key, unless another process has made that generation; then its key is ours too.
    async fn make(&self, generation: i64, signs_from: i64) -> Result<(), DatabaseError> {
        let made = tokio::task::spawn_blocking(move || Key::make(generation, signs_from)).await;
        let (key, private) = made.expect("making a key does not panic");
        let sealed = self.seal.close(&key.kid, &private);
        if self.rows.insert(&key, &sealed).await? {
            info!(key.id = key.kid, "made the signing key {} (generation {generation})", key.kid);
        }
        Ok(())
    }

    /// Takes over what the database has. Where it has no key at all, the first one is made.
    async fn load(&self) -> Result<(), KeyError> {
        let mut rows = self.rows.all().await?;
        if rows.is_empty() {
            self.make(1, self.clock.now()).await?;
            rows = self.rows.all().await?;
        }
        let known = self.ring();
        let read = |row: &Row| match known.0.iter().find(|key| key.kid == row.kid) {
            Some(key) => Ok(Arc::clone(key)),
            None => self.unseal(row).map(Arc::new),
        };
        let ring = rows.iter().map(read).collect::<Result<_, _>>()?;
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Ring(ring));
        Ok(())
    }

    fn unseal(&self, row: &Row) -> Result<Key, KeyError> {
        let wrong = || KeyError::WrongFile { path: self.path.clone() };
        let private = self.seal.open(&row.kid, &row.sealed).map_err(|_| wrong())?;
        Key::read(row.generation, row.signs_from, &private).ok_or_else(wrong)
    }

    fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }
}
