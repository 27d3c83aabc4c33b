//! The place where passwords are hashed: argon2id off the runtime, only so many at once, in memory that stays.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;
use std::time::Instant;

use argon2::password_hash::phc::{Output, PasswordHash};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics;
use crate::secret_token::random_bytes;

/// 19 MiB and three passes: above the minimum of OWASP, below what a small machine notices.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 3;

/// How every hash of today begins; one that does not is made anew when its owner signs in.
const CURRENT: &str = "$argon2id$v=19$m=19456,t=3,p=1$";

/// The hash of nobody: an unknown name costs what a wrong password costs.
pub(crate) const DUMMY_HASH: &str =
    "$argon2id$v=19$m=19456,t=3,p=1$bm9ib2R5IGhhcyB0aGlzIQ$bm8gcGFzc3dvcmQgYXQgYWxsIGhhcyB0aGlzIGhhc2g";

/// More cores than this make no more places: the memory has a bound that one can name.
const MOST_PLACES: usize = 8;

/// How many may wait for a place before the next is sent away.
const QUEUE: usize = 64;

/// What argon2 works in. It is used again and again: given back to the allocator each time, 19 MiB at a time, it
/// stayed on the heaps of many threads (360 MB after a hundred sign-ins, by two at once).
type Memory = Vec<Block>;

/// Places, a bounded queue before them, and the memory of those that are free.
pub(crate) struct Hashing {
    places: Arc<Semaphore>,
    queue: Semaphore,
    spare: Arc<Mutex<Vec<Memory>>>,
}

/// Too many are waiting already.
#[derive(Debug, thiserror::Error)]
#[error("too many passwords are being checked")]
pub struct HashingQueueFull;

/// A place at which one password may be hashed at a time. It travels with the work, so that a caller who hangs up
/// does not free a place that is still in use.
pub(crate) struct HashingSlot {
    memory: Memory,
    spare: Arc<Mutex<Vec<Memory>>>,
    _permit: OwnedSemaphorePermit,
}

impl Hashing {
    /// As many places as there are cores.
    pub(crate) fn new() -> Self {
        Self::with(available_parallelism().map_or(2, usize::from).min(MOST_PLACES), QUEUE)
    }

    fn with(places: usize, queue: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), queue: Semaphore::new(queue), spare: Arc::default() }
    }

    pub(crate) async fn place(&self) -> Result<HashingSlot, HashingQueueFull> {
        let permit = if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            permit
        } else {
            let _waiting = self.queue.try_acquire().map_err(|_| HashingQueueFull)?;
            let permit = Arc::clone(&self.places).acquire_owned().await;
            permit.expect("the semaphore is never closed")
        };
        let memory = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        Ok(HashingSlot { memory, spare: Arc::clone(&self.spare), _permit: permit })
    }
}

impl Drop for HashingSlot {
    fn drop(&mut self) {
        let memory = mem::take(&mut self.memory);
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
    }
}

impl HashingSlot {
    /// The hash of `password` with a salt of its own, as a PHC string.
    pub(crate) async fn hash(self, password: String) -> (Self, String) {
        self.work(move |memory| {
            let (salt, mut hash) = (random_bytes::<16>(), [0; 32]);
            let params = Params::new(MEMORY_KIB, PASSES, 1, None).expect("sound parameters");
            derive(params, &password, &salt, &mut hash, memory).expect("sound parameters");
            format!("{CURRENT}{}${}", STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash))
        })
        .await
    }

    /// Whether `hash` was made from `password`.
    pub(crate) async fn verify(self, password: String, hash: String) -> (Self, bool) {
        self.work(move |memory| is_hash_of(&hash, &password, memory).unwrap_or(false)).await
    }

    async fn work<T: Send + 'static>(
        mut self,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> (Self, T) {
        let worked = tokio::task::spawn_blocking(move || {
            let began = Instant::now();
            let done = work(&mut self.memory);
            metrics::hashed(began);
            (self, done)
        });
        worked.await.expect("hashing does not panic")
    }
}

/// A hash that is weaker than those of today.
pub(crate) fn is_outdated(hash: &str) -> bool {
    !hash.starts_with(CURRENT)
}

/// `None` for what is no argon2id hash.
fn is_hash_of(hash: &str, password: &str, memory: &mut Memory) -> Option<bool> {
    let stored =
        PasswordHash::new(hash).ok().filter(|stored| stored.algorithm == Algorithm::Argon2id.ident())?;
    let (salt, expected) = (stored.salt?, stored.hash?);
    let mut derived = vec![0; expected.len()];
    derive(Params::try_from(&stored).ok()?, password, &salt, &mut derived, memory).ok()?;
    // The library compares outputs in constant time.
    Some(Output::new(&derived).ok()? == expected)
}

fn derive(
    params: Params,
    password: &str,
    salt: &[u8],
    hash: &mut [u8],
    memory: &mut Memory,
) -> Result<(), argon2::Error> {
    memory.resize(params.block_count().max(memory.len()), Block::default());
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into_with_memory(password.as_bytes(), salt, hash, memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn s102_hashes_are_argon2id_with_a_salt_of_their_own() {
        let hashing = Hashing::new();
        let (place, one) = hashing.place().await.unwrap().hash("correct horse".to_owned()).await;
        let (place, two) = place.hash("correct horse".to_owned()).await;
        assert!(one.starts_with(CURRENT) && one != two, "{one}");
        let (place, right) = place.verify("correct horse".to_owned(), one.clone()).await;
        let (place, wrong) = place.verify("correct horsf".to_owned(), one).await;
        let (_, nobody) = place.verify("nobody".to_owned(), DUMMY_HASH.to_owned()).await;
        assert_eq!((right, wrong, nobody), (true, false, false));
    }

    #[tokio::test]
    async fn s102_it_is_the_algorithm_that_others_have() {
        use argon2::{PasswordHasher, PasswordVerifier};
        let params = Params::new(64, 2, 1, None).unwrap();
        let theirs = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let place = Hashing::new().place().await.unwrap();
        let (place, ours) = place.hash("correct horse".to_owned()).await;
        assert!(theirs.verify_password(b"correct horse", &PasswordHash::new(&ours).unwrap()).is_ok());
        let hash = theirs.hash_password(b"correct horse").unwrap().to_string();
        let (_, believed) = place.verify("correct horse".to_owned(), hash).await;
        assert!(believed, "another strength, and memory that was used before");
    }

    #[tokio::test]
    async fn s26_memory_is_used_again() {
        let hashing = Hashing::with(2, 64);
        for _ in 0..3 {
            let (one, two) = (hashing.place().await.unwrap(), hashing.place().await.unwrap());
            drop((one.hash("a".to_owned()).await, two.hash("b".to_owned()).await));
        }
        let spare = hashing.spare.lock().unwrap();
        assert_eq!(spare.iter().map(Vec::len).collect::<Vec<_>>(), [19_456, 19_456]);
    }

    #[test]
    fn s22_nobodys_hash_costs_what_every_hash_costs() {
        assert!(!is_outdated(DUMMY_HASH) && PasswordHash::new(DUMMY_HASH).is_ok());
        assert!(is_outdated("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g"));
    }

    #[tokio::test]
    async fn s26_who_comes_when_the_queue_is_full_is_sent_away() {
        let hashing = Hashing::with(1, 0);
        let place = hashing.place().await.unwrap();
        assert!(hashing.place().await.is_err());
        drop(place);
        assert!(hashing.place().await.is_ok());
    }
}
