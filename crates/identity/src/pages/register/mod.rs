//! The registration page.

pub(crate) mod page;
pub(crate) mod registration_policy;

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use tracing::info;

use super::{PageError, redirect, show};
use crate::accounts::account_store::{CreateResult, CreationRight};
use crate::accounts::password_policy;
use crate::accounts::registration_tokens::Kind;
use crate::accounts::username::UserName;
use crate::app::App;
use crate::authentication::rate_limit::RateLimit;
use crate::http::client_address::Address;
use crate::http::form::{Form, InvalidForm};
use crate::pages::register::page::{Errors, RegisterPage, sentence};
use crate::pages::register::registration_policy::{PresentedToken, RegistrationRefusal, right};
use crate::pages::return_url::ReturnUrl;
use crate::pages::visitor::Visitor;
use crate::settings::OpenRegistration;

/// What a link to this page may carry. Nothing else in a query is looked at.
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
pub(crate) async fn register_form(
    State(app): State<Arc<App>>,
    Address(from): Address,
    visitor: Visitor,
    Query(query): Query<RegisterQuery>,
) -> Result<Response, PageError> {
    let carried = PresentedToken::find(&app, from, |kind| query.token(kind)).await?;
    if carried.is_none() && !visitor.is_admin() && app.settings.open_registration == OpenRegistration::None {
        return Err(PageError::Closed);
    }
    let return_url = ReturnUrl::parse(query.return_url.as_deref());
    let is_ticked = carried.as_ref().is_some_and(PresentedToken::grants_full_access);
    let page = RegisterPage::new(&app, &visitor, carried.as_ref(), &return_url, is_ticked);
    Ok(show(StatusCode::OK, &page))
}

/// `POST /Auth/Register`
pub(crate) async fn register(
    State(app): State<Arc<App>>,
    Address(from): Address,
    visitor: Visitor,
    Query(query): Query<RegisterQuery>,
    form: Result<Form, InvalidForm>,
) -> Result<Response, PageError> {
    let form = form?;
    app.throttle.check(RateLimit::SignIn, from).await??;
    let carried =
        PresentedToken::find(&app, from, |kind| form.field(kind.name()).or(query.token(kind))).await?;
    let return_url = ReturnUrl::parse(form.field("ReturnUrl").or(query.return_url.as_deref()));
    let is_ticked = form.field("IsAdmin") == Some("true");
    let page = RegisterPage::new(&app, &visitor, carried.as_ref(), &return_url, is_ticked);
    let again = |status, errors| Ok(show(status, &page.with(form.text("Username"), errors)));

    let grant = match right(&app, &visitor, carried.as_ref(), form.field("IsAdmin")) {
        Ok(grant) => grant,
        Err(RegistrationRefusal::Closed) => return Err(PageError::Closed),
        Err(RegistrationRefusal::Box(status, said)) => {
            info!(target: "audit", { audit.event = "full_access_refused", client.address = %from }, "refused Full Access to {from}");
            return again(status, Errors { full_access: Some(said), ..Errors::default() });
        }
    };
    let name = match check(&form, app.settings.min_password_length) {
        Ok(name) => name,
        Err(errors) => return again(StatusCode::UNPROCESSABLE_ENTITY, errors),
    };
    let opened = open(&app, from, &name, form.text("Password"), &grant).await?;
    match opened {
        CreateResult::Account(id) => {
            info!(target: "audit", { audit.event = "account_made", account.id = %id, right = grant.word(), client.address = %from }, "made the account {id} ({name})");
            Ok(redirect(&return_url.through_login()))
        }
        CreateResult::NameTaken => {
            let said = Some("This user name is taken.".to_owned());
            again(StatusCode::CONFLICT, Errors { username: said, ..Errors::default() })
        }
        CreateResult::ProofSpent => Err(PageError::SpentProof),
    }
}

async fn open(
    app: &App,
    from: IpAddr,
    name: &UserName,
    password: &str,
    grant: &CreationRight,
) -> Result<CreateResult, PageError> {
    let (_place, hash) = app.hashing.place().await?.hash(password.to_owned()).await;
    app.throttle.consume(RateLimit::SignIn, from).await?;
    Ok(app.accounts.open(name, &hash, grant).await?)
}

/// Everything that is wrong with the fields, at once.
fn check(form: &Form, shortest: usize) -> Result<UserName, Errors> {
    let (typed, password) = (form.text("Username"), form.text("Password"));
    let name = UserName::parse(typed);
    let strength = password_policy::check(password, typed, shortest);
    let repeated = form.text("ConfirmPassword") == password;
    if let (Ok(name), Ok(()), true) = (&name, &strength, repeated) {
        return Ok(name.clone());
    }
    Err(Errors {
        username: name.err().map(|bad| sentence(&bad)),
        password: strength.err().map(|bad| sentence(&bad)),
        confirm: (!repeated).then_some("The two passwords differ."),
        full_access: None,
    })
}
