//! The table of devices that wait for a person to allow them (RFC 8628).

use database::{DatabaseError, Db, ProcessClock, on};
use uuid::Uuid;

use crate::accounts::account_store::Account;
use crate::scope::Scopes;
use crate::secret_token::{SecretToken, TokenDigest, random_bytes};
use crate::time::{MINUTE, SECOND};

/// How long a device waits, in microseconds.
pub(crate) const DEVICE_TTL: i64 = 10 * MINUTE;

/// How often a device may ask, in microseconds.
pub(crate) const POLL_INTERVAL: i64 = 5 * SECOND;

/// The letters of a user code: consonants, which spell no words and are not mistaken for digits.
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// The number of letters: 20^8 codes are too many to guess one of the few that wait, at the rate at which guesses are taken.
const USER_CODE_LENGTH: usize = 8;

const BEGIN: &str = "\
insert into device_authorization (device_digest, user_code, client, scopes, expires_at)
values ($1, $2, $3, $4, $5)
on conflict do nothing";

const FIND: &str = "\
select client, scopes from device_authorization
where user_code = $1 and is_allowed is null and expires_at > $2";

const DECIDE: &str = "\
update device_authorization
set account = $3, token_generation = $4, authenticated_at = $5, is_allowed = $6
where user_code = $1 and is_allowed is null and expires_at > $2";

const POLL: &str = "\
select client, scopes, expires_at, polled_at, account, token_generation, authenticated_at, is_allowed
from device_authorization
where device_digest = $1";

const TOUCH: &str = "update device_authorization set polled_at = $2 where device_digest = $1";

/// Each decision is taken once.
const TAKE: &str = "delete from device_authorization where device_digest = $1 and is_allowed is not null";

const DELETE_EXPIRED: &str = "delete from device_authorization where expires_at <= $1";

/// Reads and writes the table `device_authorization`.
pub(crate) struct DeviceStore {
    db: Db,
    clock: ProcessClock,
}

/// The codes of a device that has begun to wait.
pub(crate) struct DeviceCodes {
    /// What the device asks with.
    pub(crate) device: SecretToken,
    /// What the person types.
    pub(crate) user: String,
}

/// A device that waits.
pub(crate) struct WaitingDevice {
    pub(crate) client: String,
    pub(crate) scopes: Scopes,
}

/// What a device learns when it asks.
pub(crate) enum Poll {
    /// There is no such device, or it belongs to another client.
    Unknown,
    Expired,
    /// It asks too often.
    TooSoon,
    Waiting,
    Denied,
    /// The person has allowed it.
    Allowed(AllowedDevice),
}

/// A device that a person has allowed.
pub(crate) struct AllowedDevice {
    pub(crate) account: Uuid,
    pub(crate) token_generation: i64,
    pub(crate) authenticated_at: i64,
    pub(crate) scopes: Scopes,
}

/// A row of the table, from the point of view of the device.
type PollRow = (String, String, i64, Option<i64>, Option<Uuid>, Option<i64>, Option<i64>, Option<bool>);

impl DeviceStore {
    pub(crate) fn new(db: Db, clock: ProcessClock) -> Self {
        Self { db, clock }
    }

    /// Has a device of the client begin to wait.
    pub(crate) async fn begin(&self, client: &str, scopes: &Scopes) -> Result<DeviceCodes, DatabaseError> {
        loop {
            let codes = DeviceCodes { device: SecretToken::random(), user: random_user_code() };
            let inserted = on!(&self.db, write, pool => sqlx::query(BEGIN)
                .bind(codes.device.digest().as_bytes().to_vec()).bind(&codes.user).bind(client)
                .bind(scopes.to_string()).bind(self.clock.now() + DEVICE_TTL)
                .execute(pool).await.map(|done| done.rows_affected()))?;
            // Another device may have the same user code.
            if inserted == 1 {
                return Ok(codes);
            }
        }
    }

    /// The device with this user code, if it waits.
    pub(crate) async fn find(&self, user_code: &str) -> Result<Option<WaitingDevice>, DatabaseError> {
        let row: Option<(String, String)> = on!(&self.db, read, pool => sqlx::query_as(FIND)
            .bind(user_code).bind(self.clock.now()).fetch_optional(pool).await)?;
        Ok(row.and_then(|(client, scopes)| Some(WaitingDevice { client, scopes: Scopes::parse(&scopes)? })))
    }

    /// Stores what a person who signed in at `authenticated_at` has decided. `false` if the device does not wait any more.
    pub(crate) async fn decide(
        &self,
        user_code: &str,
        account: &Account,
        authenticated_at: i64,
        is_allowed: bool,
    ) -> Result<bool, DatabaseError> {
        let decided = on!(&self.db, write, pool => sqlx::query(DECIDE)
            .bind(user_code).bind(self.clock.now()).bind(account.id).bind(account.token_generation)
            .bind(authenticated_at).bind(is_allowed)
            .execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(decided == 1)
    }

    /// Answers a device of the client. An answer that is final is given once.
    pub(crate) async fn poll(&self, device: TokenDigest, client: &str) -> Result<Poll, DatabaseError> {
        let now = self.clock.now();
        let row: Option<PollRow> = on!(&self.db, write, pool => sqlx::query_as(POLL)
            .bind(device.as_bytes().to_vec()).fetch_optional(pool).await)?;
        let Some((owner, scopes, expires_at, polled_at, account, generation, authenticated_at, is_allowed)) =
            row
        else {
            return Ok(Poll::Unknown);
        };
        if owner != client {
            return Ok(Poll::Unknown);
        }
        if expires_at <= now {
            return Ok(Poll::Expired);
        }
        on!(&self.db, write, pool => sqlx::query(TOUCH)
            .bind(device.as_bytes().to_vec()).bind(now).execute(pool).await.map(drop))?;
        let is_too_soon = polled_at.is_some_and(|polled_at| now - polled_at < POLL_INTERVAL);
        let Some(is_allowed) = is_allowed else {
            return Ok(if is_too_soon { Poll::TooSoon } else { Poll::Waiting });
        };
        let taken = on!(&self.db, write, pool => sqlx::query(TAKE)
            .bind(device.as_bytes().to_vec()).execute(pool).await.map(|done| done.rows_affected()))?;
        let allowed = account.zip(generation).zip(authenticated_at).zip(Scopes::parse(&scopes));
        Ok(match allowed {
            _ if taken == 0 => Poll::Unknown,
            Some((((account, token_generation), authenticated_at), scopes)) if is_allowed => {
                Poll::Allowed(AllowedDevice { account, token_generation, authenticated_at, scopes })
            }
            _ => Poll::Denied,
        })
    }

    /// Deletes devices that nobody has allowed in time.
    pub(crate) async fn delete_expired(&self) -> Result<(), DatabaseError> {
        on!(&self.db, write, pool =>
            sqlx::query(DELETE_EXPIRED).bind(self.clock.now()).execute(pool).await.map(drop))?;
        Ok(())
    }
}

/// The code that a person has typed, as it is stored: letters in upper case, without what separates them.
pub(crate) fn normalize_user_code(typed: &str) -> String {
    typed.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_uppercase()).collect()
}

/// The code as people read it: in two groups.
pub(crate) fn display_user_code(code: &str) -> String {
    let (first, second) = code.split_at(USER_CODE_LENGTH / 2);
    format!("{first}-{second}")
}

fn random_user_code() -> String {
    let mut code = String::new();
    while code.len() < USER_CODE_LENGTH {
        // Numbers beyond the last multiple of 20 would make the first letters more frequent.
        let [byte] = random_bytes::<1>();
        if byte < 240 {
            code.push(char::from(LETTERS[usize::from(byte) % LETTERS.len()]));
        }
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_code_is_read_in_the_way_that_it_is_shown() {
        let code = random_user_code();
        assert!(code.len() == 8 && code.bytes().all(|letter| LETTERS.contains(&letter)), "{code}");
        let shown = display_user_code(&code);
        assert_eq!(normalize_user_code(&shown), code);
        assert_eq!(normalize_user_code(&format!(" {} ", shown.to_lowercase())), code);
    }
}
