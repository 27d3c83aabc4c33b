//! The page on which people change their own password.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use web::client_address::ClientAddress;

use crate::accounts::account_store::Account;
use crate::accounts::password_policy;
use crate::app::App;
use crate::authentication::lockout::SignInSource;
use crate::form_body::{Form, InvalidForm};
use crate::pages::error::PageError;
use crate::pages::notice::Notice;
use crate::pages::render::{redirect, render, sentence};
use crate::pages::return_url::{DEFAULT_PAGE, LOGIN_PAGE};
use crate::pages::visitor::Visitor;
use crate::password_change::{PasswordChangeError, change_password};

/// The errors of the form, by field.
#[derive(Default)]
struct FieldErrors {
    current: Option<String>,
    new: Option<String>,
    confirm: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "password.html")]
struct PasswordPage {
    hint: String,
    errors: FieldErrors,
}

fn page(app: &App, status: StatusCode, errors: FieldErrors) -> Response {
    let hint =
        format!("{} characters or more. A few words make a good password.", app.settings.min_password_length);
    render(status, &PasswordPage { hint, errors })
}

/// `GET /Auth/Password`
pub(crate) async fn show(State(app): State<Arc<App>>, visitor: Visitor) -> Response {
    match visitor.account {
        Some(_) => page(&app, StatusCode::OK, FieldErrors::default()),
        None => redirect(LOGIN_PAGE),
    }
}

/// `POST /Auth/Password`: the current password is a sign-in, with its limits. The new one revokes the access tokens of the account and
/// ends its sessions; this browser gets another one.
pub(crate) async fn submit(
    State(app): State<Arc<App>>,
    ClientAddress(client_address): ClientAddress,
    visitor: Visitor,
    form: Result<Form, InvalidForm>,
) -> Result<Response, PageError> {
    let form = form?;
    let Some(account) = &visitor.account else { return Ok(redirect(LOGIN_PAGE)) };
    let refuse = |errors| Ok(page(&app, StatusCode::UNPROCESSABLE_ENTITY, errors));
    let new = form.value_or_empty("NewPassword");
    if let Err(errors) = check_new(&app, account, new, form.value_or_empty("ConfirmPassword")) {
        return refuse(errors);
    }
    let source = SignInSource { address: client_address, device: visitor.device() };
    let current = form.value_or_empty("Password");
    match change_password(&app, source, account, current, new).await {
        Ok(account) => sign_in_again(&app, &visitor, &account).await,
        Err(PasswordChangeError::Service(failure)) => Err(failure.into()),
        Err(error @ PasswordChangeError::Changed) => {
            let errors = FieldErrors { current: Some(sentence(&error)), ..FieldErrors::default() };
            Ok(page(&app, StatusCode::CONFLICT, errors))
        }
        Err(error @ PasswordChangeError::WrongPassword) => {
            refuse(FieldErrors { current: Some(sentence(&error)), ..FieldErrors::default() })
        }
        Err(error @ PasswordChangeError::BadPassword(_)) => {
            refuse(FieldErrors { new: Some(sentence(&error)), ..FieldErrors::default() })
        }
    }
}

fn check_new(app: &App, account: &Account, new: &str, confirmation: &str) -> Result<(), FieldErrors> {
    let strength = password_policy::check(new, &account.name, app.settings.min_password_length);
    if strength.is_ok() && confirmation == new {
        return Ok(());
    }
    Err(FieldErrors {
        current: None,
        new: strength.err().map(|error| sentence(&error)),
        confirm: (confirmation != new).then_some("The two passwords differ."),
    })
}

/// Starts a session for the new password, and remembers the device, which was forgotten with the old one. `account` has the generation
/// that begins with the new password; if yet another one was set meanwhile, there is no session.
async fn sign_in_again(app: &App, visitor: &Visitor, account: &Account) -> Result<Response, PageError> {
    let mut response = redirect(DEFAULT_PAGE);
    visitor.start_session(app, account, &mut response).await?;
    Notice::PasswordChanged.add_to(&app.settings, &mut response);
    Ok(response)
}
