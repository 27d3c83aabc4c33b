//! Sign-in: turns a user name and a password into an account, for the login page and for the token endpoint.

use std::sync::Arc;

use database::DatabaseError;
use tracing::{Instrument, info};
use web::network::network;

use crate::accounts::account_store::{Account, StoredPassword};
use crate::accounts::username::UserName;
use crate::app::App;
use crate::authentication::lockout::{SignInSource, UNKNOWN_ACCOUNT_ID};
use crate::authentication::password_hashing::{self, HashingPermit};
use crate::authentication::rate_limit::{RateLimit, RateLimitPass};
use crate::error::ServiceFailure;
use crate::metrics;
use crate::role::Role;

/// Why a sign-in is refused.
#[derive(Debug)]
pub(crate) enum SignInError {
    /// The name is unknown, the password is wrong, the account is disabled or locked out. Callers do not learn which.
    BadCredentials,
    /// The credentials may be right, but cannot be checked now.
    Service(ServiceFailure),
}

impl<E: Into<ServiceFailure>> From<E> for SignInError {
    fn from(error: E) -> Self {
        Self::Service(error.into())
    }
}

/// A sign-in that has its permit to hash.
struct Attempt {
    source: SignInSource,
    lower_name: String,
    password: String,
    permit: HashingPermit,
    /// What it takes from the limit of sign-ins with this name from this network.
    cost: RateLimitPass,
    /// What a failure takes from the limit of the network; `None` if that is exhausted and does not apply.
    failure_cost: Option<RateLimitPass>,
}

/// The account of `name`, if `password` is its password and nothing else forbids the sign-in. Two limits apply: that of the network's
/// failures, unless the account has signed in from this device before, and that of the sign-ins with this name from this network.
///
/// From the permit on it runs in a task of its own, so that a client which hangs up is counted as one that waits for the answer.
pub(crate) async fn sign_in(
    app: &Arc<App>,
    source: SignInSource,
    name: &str,
    password: String,
) -> Result<Account, SignInError> {
    let network = network(source.address);
    // An invalid name is looked up too, as the empty name, which no account has: the refusal takes as long.
    let lower_name =
        UserName::parse(name).map_or_else(|_| String::new(), |name| name.lower_case().to_owned());
    let failure_cost = match app.rate_limiter.check(RateLimit::SignIn, &network).await? {
        Ok(pass) => Some(pass),
        Err(_) if app.lockout.is_known_device(&lower_name, source).await? => None,
        Err(limited) => return Err(limited.into()),
    };
    let cost = app.rate_limiter.check(RateLimit::AccountSignIn, &format!("{network} {lower_name}")).await??;
    let permit = app.password_hasher.acquire(source.address, &lower_name).await?;
    let attempt = Attempt { source, lower_name, password, permit, cost, failure_cost };
    let checking = check_password(Arc::clone(app), attempt).in_current_span();
    app.running.spawn(checking).await.expect("a sign-in does not panic")
}

/// Every refusal takes the same steps in the same order, so that its duration does not tell which names exist: for an unknown
/// name a hash is verified and a failure is written too. The permit is held until the end, so that no more guesses than there
/// are permits can read the lockout before the first of them is counted.
async fn check_password(app: Arc<App>, attempt: Attempt) -> Result<Account, SignInError> {
    let Attempt { source, lower_name, password, permit, cost, failure_cost } = attempt;
    app.rate_limiter.consume(cost).await?;
    let (account, stored) = find_account(&app, &lower_name).await?;
    let lockout = app.lockout.status(&account, source).await?;
    let is_right = permit.verify(password.clone(), stored.hash.clone()).await;
    // A generated password is too long to be guessed, so guesses lock nobody out.
    let is_locked_out = lockout.is_locked_out && !stored.is_generated;
    if !is_right || account.is_disabled || is_locked_out {
        app.lockout.record_failure(&lockout).await?;
        if let Some(cost) = failure_cost {
            app.rate_limiter.consume(cost).await?;
        }
        return Err(refuse(&account, source));
    }
    // Another password may have been set while this one was checked.
    if !app.lockout.record_success(&lockout, source).await? {
        return Err(refuse(&account, source));
    }
    metrics::sign_in_accepted();
    if password_hashing::is_outdated(&stored.hash) {
        upgrade_hash(&app, &permit, &account, password, &stored.hash).await?;
    }
    Ok(account)
}

fn refuse(account: &Account, source: SignInSource) -> SignInError {
    metrics::sign_in_refused();
    let client_address = source.address;
    info!(target: "audit", { audit.event = "sign_in_refused", account.id = %account.id, client.address = %client_address }, "refused a sign-in from {client_address}");
    SignInError::BadCredentials
}

/// The account with this name in lower case and its password hash; for an unknown name a disabled account and
/// [`password_hashing::DUMMY_HASH`].
async fn find_account(app: &App, lower_name: &str) -> Result<(Account, StoredPassword), DatabaseError> {
    let unknown = || Account {
        id: UNKNOWN_ACCOUNT_ID,
        name: String::new(),
        role: Role::User,
        is_disabled: true,
        token_generation: 0,
    };
    let found = app.accounts.find(lower_name).await?;
    let no_password =
        || StoredPassword { hash: password_hashing::DUMMY_HASH.to_owned(), is_generated: false };
    Ok(found.unwrap_or_else(|| (unknown(), no_password())))
}

/// Replaces a hash of weaker parameters by one of today's, while the password is known.
async fn upgrade_hash(
    app: &App,
    permit: &HashingPermit,
    account: &Account,
    password: String,
    old: &str,
) -> Result<(), DatabaseError> {
    let new = permit.hash(password).await;
    app.accounts.replace_hash(account.id, old, &new).await
}
