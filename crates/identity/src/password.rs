//! Passwords: which are good enough, and argon2id off the runtime, only so many at once.

use std::sync::Arc;
use std::thread::available_parallelism;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// 19 MiB and three passes: above the minimum of OWASP, below what a small machine notices.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 3;

/// How every hash of today begins; one that does not is made anew when its owner signs in.
const CURRENT: &str = "$argon2id$v=19$m=19456,t=3,p=1$";

/// The hash of nobody: an unknown name costs what a wrong password costs.
pub(crate) const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=3,p=1$bm9ib2R5IGhhcyB0aGlzIQ$bm8gcGFzc3dvcmQgYXQgYWxsIGhhcyB0aGlzIGhhc2g";

/// How many may wait for a permit before the next is sent away.
const QUEUE: usize = 64;

const LONGEST: usize = 1024;

/// The list is short enough to be walked: it takes microseconds beside a hash.
const COMMON: &str = include_str!("../assets/common-passwords.txt");

/// Why a password is not good enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadPassword {
    #[error("a password has {0} characters at least")]
    TooShort(usize),
    #[error("a password has 1024 bytes at most")]
    TooLong,
    #[error("this password is one of the first that anyone would try")]
    Common,
    #[error("a password is not the user name")]
    IsName,
}

/// Length and a list of common ones; no rules of composition (NIST SP 800-63B).
pub(crate) fn check(password: &str, name: &str, shortest: usize) -> Result<(), BadPassword> {
    if password.chars().count() < shortest {
        return Err(BadPassword::TooShort(shortest));
    }
    if password.len() > LONGEST {
        return Err(BadPassword::TooLong);
    }
    let folded = password.to_lowercase();
    if folded == name.to_lowercase() {
        return Err(BadPassword::IsName);
    }
    let ours = folded.strip_prefix("tasker").is_some_and(|rest| !rest.contains(char::is_alphabetic));
    if ours || COMMON.lines().any(|common| common == folded) {
        return Err(BadPassword::Common);
    }
    Ok(())
}

/// A hash that is weaker than those of today.
pub(crate) fn is_outdated(hash: &str) -> bool {
    !hash.starts_with(CURRENT)
}

/// The place where passwords are hashed: as many at once as there are cores, and a bounded queue before it.
pub(crate) struct Hashing {
    places: Arc<Semaphore>,
    queue: Semaphore,
}

/// Too many are waiting already.
#[derive(Debug, thiserror::Error)]
#[error("too many passwords are being checked")]
pub struct Busy;

/// A place at which one password may be hashed at a time. It travels with the work, so that a caller who hangs up
/// does not free a place that is still in use.
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Hashing {
    pub(crate) fn new() -> Self {
        let cores = available_parallelism().map_or(2, usize::from);
        Self { places: Arc::new(Semaphore::new(cores)), queue: Semaphore::new(QUEUE) }
    }

    pub(crate) async fn place(&self) -> Result<Place, Busy> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(Place { _permit: place });
        }
        let _waiting = self.queue.try_acquire().map_err(|_| Busy)?;
        let place = Arc::clone(&self.places).acquire_owned().await;
        Ok(Place { _permit: place.expect("the semaphore is never closed") })
    }
}

impl Place {
    /// The hash of `password` with a salt of its own.
    pub(crate) async fn hash(self, password: String) -> (Self, String) {
        self.work(move || {
            let hash = argon2().hash_password(password.as_bytes()).expect("the length was checked");
            hash.to_string()
        })
        .await
    }

    /// Whether `hash` was made from `password`.
    pub(crate) async fn verify(self, password: String, hash: String) -> (Self, bool) {
        self.work(move || {
            PasswordHash::new(&hash)
                .is_ok_and(|hash| argon2().verify_password(password.as_bytes(), &hash).is_ok())
        })
        .await
    }

    async fn work<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> (Self, T) {
        let worked = tokio::task::spawn_blocking(move || (self, work())).await;
        worked.expect("hashing does not panic")
    }
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).expect("sound parameters");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s100_short_common_and_own_names_are_refused() {
        assert_eq!(check("short", "ann", 8), Err(BadPassword::TooShort(8)));
        for common in ["password", "Password1", "qwertyuiop", "12345678", "tasker2026", "TASKER!!"] {
            assert_eq!(check(common, "ann", 8), Err(BadPassword::Common), "{common}");
        }
        assert_eq!(check("Ann.Lee@x", "ann.lee@X", 8), Err(BadPassword::IsName));
        assert_eq!(check(&"x".repeat(1025), "ann", 8), Err(BadPassword::TooLong));
    }

    #[test]
    fn s98_long_ones_and_any_character_are_fine() {
        for good in ["eight ch", "ключ от дома", "🦀🦀🦀🦀🦀🦀🦀🦀", "taskerdays are over", &"x".repeat(256)]
        {
            assert_eq!(check(good, "ann", 8), Ok(()), "{good}");
        }
    }

    #[tokio::test]
    async fn s102_hashes_are_argon2id_with_a_salt_of_their_own() {
        let hashing = Hashing::new();
        let (place, one) = hashing.place().await.unwrap().hash("correct horse".to_owned()).await;
        let (place, two) = place.hash("correct horse".to_owned()).await;
        assert!(one.starts_with(CURRENT) && one != two, "{one}");
        let (place, right) = place.verify("correct horse".to_owned(), one.clone()).await;
        let (place, wrong) = place.verify("correct horsf".to_owned(), one).await;
        let (_, nobody) = place.verify("nobody".to_owned(), NOBODY.to_owned()).await;
        assert_eq!((right, wrong, nobody), (true, false, false));
    }

    #[test]
    fn s22_nobodys_hash_costs_what_every_hash_costs() {
        assert!(!is_outdated(NOBODY) && PasswordHash::new(NOBODY).is_ok());
        assert!(is_outdated("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g"));
    }

    #[tokio::test]
    async fn s26_who_comes_when_the_queue_is_full_is_sent_away() {
        let hashing = Hashing { places: Arc::new(Semaphore::new(1)), queue: Semaphore::new(0) };
        let place = hashing.place().await.unwrap();
        assert!(hashing.place().await.is_err());
        drop(place);
        assert!(hashing.place().await.is_ok());
    }
}
