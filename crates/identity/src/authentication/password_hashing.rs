//! Password hashing: argon2id (RFC 9106) on blocking threads, a bounded number at once, in memory that is reused.

use std::mem;
use std::net::IpAddr;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Instant;

use argon2::password_hash::phc::{Output, PasswordHash};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use parking_lot::Mutex;
use tokio::task::spawn_blocking;
use unicode_normalization::UnicodeNormalization;
use web::network::{network, provider_network};

use crate::authentication::fair_queue::{FairQueue, Queue, QueueFull, Turn};
use crate::metrics;
use crate::secret_token::random_bytes;

/// 19 MiB and three passes: above the minimum that OWASP recommends, and little for a small machine.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 3;

/// How every new hash begins. A hash that begins otherwise is replaced when its owner signs in.
const CURRENT_PREFIX: &str = "$argon2id$v=19$m=19456,t=3,p=1$";

/// A hash that belongs to no account. It is verified for unknown names, so that they take as long as a wrong password.
pub(crate) const DUMMY_HASH: &str =
    "$argon2id$v=19$m=19456,t=3,p=1$bm9ib2R5IGhhcyB0aGlzIQ$bm8gcGFzc3dvcmQgYXQgYWxsIGhhcyB0aGlzIGhhc2g";

/// The most permits, however many cores there are: it bounds the memory for hashing at eight times 19 MiB.
const MAX_PERMITS: usize = 8;

/// The most requests of one account in one network that wait for their turn; the next one is refused.
const ACCOUNT_QUEUE_LENGTH: usize = 64;

/// The most requests of one network that wait for their turn, each with the turn of its account.
const NETWORK_QUEUE_LENGTH: usize = 256;

/// The most requests of one provider's networks that wait for their turn, each with the turn of its network.
const PROVIDER_QUEUE_LENGTH: usize = 512;

/// The most requests that wait for a permit, each with the turn of its provider.
const QUEUE_LENGTH: usize = 512;

/// The memory of one hash. It is reused: freed and allocated each time, 19 MiB at a time, it stayed on the heaps of many
/// threads (360 MB after a hundred sign-ins, two at once).
type Memory = Vec<Block>;

/// Issues permits to hash, with bounded queues before them: for each account in each network, for each network, for the networks of each
/// provider, and one for all.
///
/// In each queue a client has no more requests than there are permits. So a client with a hundred connections waits behind itself, a
/// request to another account from its network waits for one hash of each busy account there, and so on: a request from elsewhere
/// waits for one of each busy provider, and one who has hundreds of networks there fills the queue of that provider only.
pub(crate) struct PasswordHasher {
    accounts: FairQueue,
    networks: FairQueue,
    providers: FairQueue,
    permits: Queue,
    unused_memory: Arc<Mutex<Vec<Memory>>>,
}

/// Too many passwords wait to be hashed already.
#[derive(Debug, thiserror::Error)]
#[error("too many passwords are being checked")]
pub struct HashingQueueFull;

/// The permit to hash one password at a time. Clones of the inner [`Arc`] go to the blocking threads, so that a caller which is
/// dropped in the middle of a hash does not free the permit before the hash is done.
pub(crate) struct HashingPermit(Arc<HashingSlot>);

/// The memory of a permit; both go back when the last owner is dropped.
struct HashingSlot {
    memory: Mutex<Memory>,
    unused_memory: Arc<Mutex<Vec<Memory>>>,
    _turns: [Turn; 4],
}

impl PasswordHasher {
    /// As many permits as there are cores, at most [`MAX_PERMITS`].
    pub(crate) fn new() -> Self {
        Self::with_limits(
            available_parallelism().map_or(2, usize::from).min(MAX_PERMITS),
            ACCOUNT_QUEUE_LENGTH,
            PROVIDER_QUEUE_LENGTH,
        )
    }

    fn with_limits(permits: usize, account_queue_length: usize, provider_queue_length: usize) -> Self {
        Self {
            accounts: FairQueue::new(permits, account_queue_length),
            networks: FairQueue::new(permits, NETWORK_QUEUE_LENGTH),
            providers: FairQueue::new(permits, provider_queue_length),
            permits: Queue::new(permits, QUEUE_LENGTH),
            unused_memory: Arc::default(),
        }
    }

    /// Waits for a permit, on behalf of a client at this address that names the account `name`, in lower case. Drop the permit when no more
    /// passwords are to be hashed.
    pub(crate) async fn acquire(
        &self,
        address: IpAddr,
        name: &str,
    ) -> Result<HashingPermit, HashingQueueFull> {
        let network = network(address);
        let account = self.accounts.turn(&format!("{network} {name}")).await?;
        let network = self.networks.turn(&network).await?;
        let provider = self.providers.turn(&provider_network(address)).await?;
        let turns = [account, network, provider, self.permits.turn().await?];
        let memory = self.unused_memory.lock().pop().unwrap_or_default();
        let unused_memory = Arc::clone(&self.unused_memory);
        Ok(HashingPermit(Arc::new(HashingSlot { memory: Mutex::new(memory), unused_memory, _turns: turns })))
    }
}

impl From<QueueFull> for HashingQueueFull {
    fn from(_: QueueFull) -> Self {
        Self
    }
}

impl Drop for HashingSlot {
    fn drop(&mut self) {
        let memory = mem::take(&mut *self.memory.lock());
        self.unused_memory.lock().push(memory);
    }
}

impl HashingPermit {
    /// The hash of `password` with a random salt, as a PHC string.
    pub(crate) async fn hash(&self, password: String) -> String {
        self.run(move |memory| {
            let (salt, mut hash) = (random_bytes::<16>(), [0; 32]);
            let params = Params::new(MEMORY_KIB, PASSES, 1, None).expect("valid parameters");
            derive(params, &password, &salt, &mut hash, memory).expect("valid parameters");
            format!("{CURRENT_PREFIX}{}${}", STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash))
        })
        .await
    }

    /// Whether `hash` is a hash of `password`.
    pub(crate) async fn verify(&self, password: String, hash: String) -> bool {
        self.run(move |memory| is_hash_of(&hash, &password, memory).unwrap_or(false)).await
    }

    /// Runs `work` with the permit's memory on a blocking thread.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce(&mut Memory) -> T + Send + 'static) -> T {
        let slot = Arc::clone(&self.0);
        let task = spawn_blocking(move || {
            let began = Instant::now();
            let done = work(&mut slot.memory.lock());
            metrics::password_hashed(began);
            done
        });
        task.await.expect("hashing does not panic")
    }
}

/// Whether a hash has other parameters than new hashes, and should be replaced.
pub(crate) fn is_outdated(hash: &str) -> bool {
    !hash.starts_with(CURRENT_PREFIX)
}

/// `None` if `hash` is no argon2id hash in PHC form.
fn is_hash_of(hash: &str, password: &str, memory: &mut Memory) -> Option<bool> {
    let stored =
        PasswordHash::new(hash).ok().filter(|stored| stored.algorithm == Algorithm::Argon2id.ident())?;
    let (salt, expected) = (stored.salt?, stored.hash?);
    let mut derived = vec![0; expected.len()];
    derive(Params::try_from(&stored).ok()?, password, &salt, &mut derived, memory).ok()?;
    // The library compares outputs in constant time.
    Some(Output::new(&derived).ok()? == expected)
}

/// The form in which equal passwords have equal bytes, however a keyboard composes their characters: the profile `OpaqueString` of RFC
/// 8265 (section 4.2.2) maps each blank to the ASCII blank and normalizes by NFC.
fn opaque_string(password: &str) -> String {
    let blanks = |c: char| {
        matches!(c, '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
    };
    password.chars().map(|c| if blanks(c) { ' ' } else { c }).nfc().collect()
}

/// Writes the argon2id hash of `password` and `salt` to `hash`.
fn derive(
    params: Params,
    password: &str,
    salt: &[u8],
    hash: &mut [u8],
    memory: &mut Memory,
) -> Result<(), argon2::Error> {
    memory.resize(params.block_count().max(memory.len()), Block::default());
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into_with_memory(opaque_string(password).as_bytes(), salt, hash, memory)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use argon2::{PasswordHasher as _, PasswordVerifier};

    use super::*;

    /// An address and an account.
    const HERE: (IpAddr, &str) = (IpAddr::V4(Ipv4Addr::LOCALHOST), "ann");

    #[tokio::test]
    async fn hashes_are_argon2id_with_random_salts() {
        let permit = PasswordHasher::new().acquire(HERE.0, HERE.1).await.unwrap();
        let one = permit.hash("correct horse".to_owned()).await;
        let two = permit.hash("correct horse".to_owned()).await;
        assert!(one.starts_with(CURRENT_PREFIX) && one != two, "{one}");
        let right = permit.verify("correct horse".to_owned(), one.clone()).await;
        let wrong = permit.verify("correct horsf".to_owned(), one).await;
        let dummy = permit.verify("nobody".to_owned(), DUMMY_HASH.to_owned()).await;
        assert_eq!((right, wrong, dummy), (true, false, false));
    }

    /// Hashes go both ways between this module and the library's own functions, also with other parameters and with memory that
    /// was used before.
    #[tokio::test]
    async fn hashes_are_compatible_with_the_library() {
        let params = Params::new(64, 2, 1, None).unwrap();
        let library = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let permit = PasswordHasher::new().acquire(HERE.0, HERE.1).await.unwrap();
        let ours = permit.hash("correct horse".to_owned()).await;
        assert!(library.verify_password(b"correct horse", &PasswordHash::new(&ours).unwrap()).is_ok());
        let theirs = library.hash_password(b"correct horse").unwrap().to_string();
        assert!(permit.verify("correct horse".to_owned(), theirs).await);
    }

    #[tokio::test]
    async fn memory_is_reused() {
        let hasher = PasswordHasher::with_limits(2, 64, 64);
        for _ in 0..3 {
            let (one, two) = (
                hasher.acquire(HERE.0, HERE.1).await.unwrap(),
                hasher.acquire(HERE.0, HERE.1).await.unwrap(),
            );
            one.hash("a".to_owned()).await;
            two.hash("b".to_owned()).await;
        }
        let unused = hasher.unused_memory.lock();
        assert_eq!(unused.iter().map(Vec::len).collect::<Vec<_>>(), [19_456, 19_456]);
    }

    #[test]
    fn the_dummy_hash_costs_as_much_as_every_new_hash() {
        assert!(!is_outdated(DUMMY_HASH) && PasswordHash::new(DUMMY_HASH).is_ok());
        assert!(is_outdated("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g"));
    }

    #[tokio::test]
    async fn a_request_is_refused_while_the_queue_of_its_account_is_full_and_another_one_waits() {
        let hasher = PasswordHasher::with_limits(1, 0, 64);
        let permit = hasher.acquire(HERE.0, "ann").await.unwrap();
        assert!(hasher.acquire(HERE.0, "ann").await.is_err());
        let mut other = Box::pin(hasher.acquire(HERE.0, "bob"));
        tokio::select! {
            biased;
            _ = &mut other => panic!("there is one permit"),
            () = std::future::ready(()) => {}
        }
        drop(permit);
        assert!(other.await.is_ok() && hasher.acquire(HERE.0, "ann").await.is_ok());
    }

    #[tokio::test]
    async fn many_networks_of_one_provider_do_not_hold_back_those_of_another() {
        let hasher = PasswordHasher::with_limits(1, 64, 2);
        let address = |a, d| IpAddr::V4(Ipv4Addr::new(a, 0, 0, d));
        let permit = hasher.acquire(address(10, 1), "ann").await.unwrap();
        let mut waiting: Vec<_> =
            (2..4).map(|host| Box::pin(hasher.acquire(address(10, host), "ann"))).collect();
        let mut other = Box::pin(hasher.acquire(address(11, 1), "ann"));
        for future in waiting.iter_mut().chain([&mut other]) {
            tokio::select! {
                biased;
                _ = future => panic!("there is one permit"),
                () = std::future::ready(()) => {}
            }
        }
        assert!(hasher.acquire(address(10, 4), "ann").await.is_err(), "the queue of the provider is full");
        drop(permit);
        assert!(other.await.is_ok(), "it waits for one of the other provider's");
    }
}
