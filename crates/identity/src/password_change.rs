//! The change of the own password, for the page and for the API.

use std::sync::Arc;

use tracing::info;

use crate::accounts::account_password::PasswordRight;
use crate::accounts::account_store::Account;
use crate::accounts::password_policy::{self, BadPassword};
use crate::app::App;
use crate::authentication::lockout::SignInSource;
use crate::error::ServiceFailure;
use crate::sign_in::{SignInError, sign_in};

/// Why a password is not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasswordChangeError {
    #[error("this is not the current password, or there were too many failed attempts")]
    WrongPassword,
    #[error(transparent)]
    BadPassword(#[from] BadPassword),
    #[error("the password or the role of this account was changed meanwhile: sign in again")]
    Changed,
    #[error(transparent)]
    Service(ServiceFailure),
}

impl<E: Into<ServiceFailure>> From<E> for PasswordChangeError {
    fn from(error: E) -> Self {
        Self::Service(error.into())
    }
}

impl From<SignInError> for PasswordChangeError {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::BadCredentials => Self::WrongPassword,
            SignInError::Service(failure) => Self::Service(failure),
        }
    }
}

/// Gives an account the password `new` if `current` is its password, which is checked as a sign-in is, with its limits. The access tokens
/// of the account are revoked, and its sessions end. Returns the account as the new password leaves it. Nothing is changed if the account
/// was given another password or role since `account` was read: by an administrator, for example, since the current one is known to others.
pub(crate) async fn change_password(
    app: &Arc<App>,
    source: SignInSource,
    account: &Account,
    current: &str,
    new: &str,
) -> Result<Account, PasswordChangeError> {
    password_policy::check(new, &account.name, app.settings.min_password_length)?;
    sign_in(app, source, &account.name, current.to_owned()).await?;
    let permit = app.password_hasher.acquire(source.address, &account.name.to_ascii_lowercase()).await?;
    let hash = permit.hash(new.to_owned()).await;
    let right = PasswordRight::Own { generation: account.token_generation };
    let generation = app.accounts.set_password(account.id, &hash, right).await?;
    let token_generation = generation.ok_or(PasswordChangeError::Changed)?;
    let client_address = source.address;
    info!(target: "audit", { audit.event = "password_changed", account.id = %account.id, client.address = %client_address }, "{} changed the own password", account.id);
    Ok(Account { token_generation, ..account.clone() })
}
