//! The one way in: whoever says who they are, at a page or at the token endpoint, comes through here.

use std::net::IpAddr;

use database::DatabaseError;
use tracing::info;
use uuid::Uuid;

use crate::accounts::account_store::Account;
use crate::accounts::username::UserName;
use crate::app::App;
use crate::authentication::password_hashing::{self, HashingQueueFull, HashingSlot};
use crate::authentication::rate_limit::{FailedAttempts, RateLimit, RateLimited};
use crate::metrics;
use crate::role::Role;

/// Why somebody does not come in.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Unknown, wrong, disabled or made to wait: nobody outside is told which.
    BadCredentials,
    /// The address has tried too often.
    RateLimited(RateLimited),
    /// Too many are at the door.
    HashingQueueFull,
    Database(DatabaseError),
}

impl From<DatabaseError> for Refusal {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl From<HashingQueueFull> for Refusal {
    fn from(_: HashingQueueFull) -> Self {
        Self::HashingQueueFull
    }
}

impl From<RateLimited> for Refusal {
    fn from(too_many: RateLimited) -> Self {
        Self::RateLimited(too_many)
    }
}

/// The account of `name`, if `password` is its password.
///
/// Every refusal takes the same steps in the same order, an unknown name included: its misses go to the row of
/// nobody, which no account has. The place is held to the end, so that no more guesses than there are places can
/// pass the throttle before the first of them is counted.
pub(crate) async fn sign_in(
    app: &App,
    name: &str,
    password: String,
    from: IpAddr,
) -> Result<Account, Refusal> {
    app.throttle.check(RateLimit::SignIn, from).await??;
    let place = app.hashing.place().await?;
    let (account, hash) = find(app, name).await?;
    let misses = app.throttle.misses(account.id).await?;
    let (place, is_right) = place.verify(password.clone(), hash.clone()).await;
    if !is_right || account.is_disabled || misses == FailedAttempts::Wait {
        // While an account waits its count stands still; nobody's takes the miss, since a write is worth time too.
        let counted = if misses == FailedAttempts::Wait { Uuid::nil() } else { account.id };
        app.throttle.miss(counted).await?;
        app.throttle.consume(RateLimit::SignIn, from).await?;
        metrics::not_signed_in();
        info!(target: "audit", { audit.event = "sign_in_refused", account.id = %account.id, client.address = %from }, "refused a sign-in from {from}");
        return Err(Refusal::BadCredentials);
    }
    metrics::signed_in();
    if misses == FailedAttempts::Some {
        app.throttle.clear(account.id).await?;
    }
    if password_hashing::is_outdated(&hash) {
        rehash(app, place, &account, password, &hash).await?;
    }
    Ok(account)
}

/// The account and its hash; nobody's where there is none.
async fn find(app: &App, name: &str) -> Result<(Account, String), DatabaseError> {
    // A name that breaks the rules is looked up too: in vain, but not faster.
    let folded = UserName::parse(name).map_or_else(|_| String::new(), |name| name.folded().to_owned());
    let nobody = || Account { id: Uuid::nil(), name: String::new(), role: Role::User, is_disabled: true };
    let found = app.accounts.find(&folded).await?;
    Ok(found.unwrap_or_else(|| (nobody(), password_hashing::DUMMY_HASH.to_owned())))
}

async fn rehash(
    app: &App,
    place: HashingSlot,
    account: &Account,
    password: String,
    old: &str,
) -> Result<(), DatabaseError> {
    let (_, new) = place.hash(password).await;
    app.accounts.rehash(account.id, old, &new).await
}
