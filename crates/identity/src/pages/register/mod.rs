//! The registration page.

pub(crate) mod page;
pub(crate) mod registration_policy;

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use tracing::info;
use web::client_address::ClientAddress;

use crate::accounts::account_store::{CreateResult, CreationRight, StoredPassword};
use crate::accounts::password_policy;
use crate::accounts::registration_tokens::Kind;
use crate::accounts::username::UserName;
use crate::app::App;
use crate::authentication::rate_limit::{RateLimit, RateLimitPass};
use crate::form_body::{Form, InvalidForm};
use crate::pages::error::PageError;
use crate::pages::notice::Notice;
use crate::pages::query::PageQuery;
use crate::pages::register::page::{FieldErrors, RegisterPage};
use crate::pages::register::registration_policy::{
    PresentedToken, RegistrationRefusal, authorize_registration,
};
use crate::pages::render::{redirect, render, sentence};
use crate::pages::return_url::{LOGIN_PAGE, ReturnUrl};
use crate::pages::visitor::Visitor;
use crate::settings::OpenRegistration;
use web::network::network;

/// The query of the registration page. Other parameters are ignored.
#[derive(Deserialize)]
pub(crate) struct RegisterQuery {
    #[serde(rename = "ReturnUrl")]
    return_url: Option<String>,
    setup: Option<String>,
    invitation: Option<String>,
}

impl RegisterQuery {
    fn token(&self, kind: Kind) -> Option<&str> {
        let token = match kind {
            Kind::Setup => self.setup.as_deref(),
            Kind::Invitation => self.invitation.as_deref(),
        };
        token.filter(|token| !token.is_empty())
    }
}

/// `GET /Auth/Register`
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    ClientAddress(client_address): ClientAddress,
    visitor: Visitor,
    PageQuery(query): PageQuery<RegisterQuery>,
) -> Result<Response, PageError> {
    let presented = PresentedToken::find(&app, client_address, |kind| query.token(kind)).await?;
    if presented.is_none() && !visitor.is_admin() && app.settings.open_registration == OpenRegistration::None
    {
        return Err(PageError::RegistrationClosed);
    }
    let return_url = ReturnUrl::parse(query.return_url.as_deref());
    let is_ticked = presented.as_ref().is_some_and(PresentedToken::grants_full_access);
    let page = RegisterPage::new(&app, &visitor, presented.as_ref(), &return_url, is_ticked);
    Ok(render(StatusCode::OK, &page))
}

/// `POST /Auth/Register`
pub(crate) async fn submit(
    State(app): State<Arc<App>>,
    ClientAddress(client_address): ClientAddress,
    visitor: Visitor,
    PageQuery(query): PageQuery<RegisterQuery>,
    form: Result<Form, InvalidForm>,
) -> Result<Response, PageError> {
    let form = form?;
    let token = |kind: Kind| form.value(kind.name()).or(query.token(kind));
    let presented = PresentedToken::find(&app, client_address, token).await?;
    let checked = app.rate_limiter.check(RateLimit::SignIn, &network(client_address)).await?;
    // Whoever has a link may register, whatever others with the same address did.
    let pass = if presented.is_some() { checked.ok() } else { Some(checked?) };
    let return_url = ReturnUrl::parse(form.value("ReturnUrl").or(query.return_url.as_deref()));
    let is_ticked = form.value("IsAdmin") == Some("true");
    let page = RegisterPage::new(&app, &visitor, presented.as_ref(), &return_url, is_ticked);
    let show_errors =
        |status, errors| Ok(render(status, &page.with_errors(form.value_or_empty("Username"), errors)));

    let right = match authorize_registration(&app, &visitor, presented.as_ref(), form.value("IsAdmin")) {
        Ok(right) => right,
        Err(RegistrationRefusal::Closed) => return Err(PageError::RegistrationClosed),
        Err(RegistrationRefusal::FullAccess(status, sentence)) => {
            info!(target: "audit", { audit.event = "full_access_refused", client.address = %client_address }, "refused Full Access to {client_address}");
            return show_errors(
                status,
                FieldErrors { full_access: Some(sentence), ..FieldErrors::default() },
            );
        }
    };
    let name = match check_fields(&form, app.settings.min_password_length) {
        Ok(name) => name,
        Err(errors) => return show_errors(StatusCode::UNPROCESSABLE_ENTITY, errors),
    };
    match create_account(&app, client_address, pass, &name, form.value_or_empty("Password"), &right).await? {
        CreateResult::Created(id) => {
            info!(target: "audit", { audit.event = "account_created", account.id = %id, right = right.name(), client.address = %client_address }, "created the account {id}");
            let mut response = redirect(&return_url.through_login());
            Notice::AccountCreated(name).add_to(&app.settings, &mut response);
            Ok(response)
        }
        CreateResult::NameTaken => {
            let username = Some("This user name is taken.".to_owned());
            show_errors(StatusCode::CONFLICT, FieldErrors { username, ..FieldErrors::default() })
        }
        CreateResult::NotAdmin => Ok(redirect(LOGIN_PAGE)),
        CreateResult::TokenInvalid => Err(PageError::RegistrationTokenInvalid),
    }
}

async fn create_account(
    app: &App,
    client_address: IpAddr,
    pass: Option<RateLimitPass>,
    name: &UserName,
    password: &str,
    right: &CreationRight,
) -> Result<CreateResult, PageError> {
    let permit = app.password_hasher.acquire(client_address, name.lower_case()).await?;
    // Before the hash, which costs as much if the client hangs up.
    if let Some(pass) = pass {
        app.rate_limiter.consume(pass).await?;
    }
    let password = StoredPassword { hash: permit.hash(password.to_owned()).await, is_generated: false };
    Ok(app.accounts.create(name, &password, right).await?)
}

/// The user name of a form whose fields are valid, or every error at once.
fn check_fields(form: &Form, min_password_length: usize) -> Result<UserName, FieldErrors> {
    let (username, password) = (form.value_or_empty("Username"), form.value_or_empty("Password"));
    let name = UserName::parse(username);
    let strength = password_policy::check(password, username, min_password_length);
    let is_confirmed = form.value_or_empty("ConfirmPassword") == password;
    if let (Ok(name), Ok(()), true) = (&name, &strength, is_confirmed) {
        return Ok(name.clone());
    }
    Err(FieldErrors {
        username: name.err().map(|error| sentence(&error)),
        password: strength.err().map(|error| sentence(&error)),
        confirm: (!is_confirmed).then_some("The two passwords differ."),
        full_access: None,
    })
}
