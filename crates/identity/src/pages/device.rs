//! The page on which a person allows a device that has no browser (RFC 8628, section 3.3).

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use tracing::info;
use web::client_address::ClientAddress;
use web::network::network;

use crate::app::App;
use crate::authentication::rate_limit::RateLimit;
use crate::form_body::{Form, InvalidForm};
use crate::grants::device_store::{WaitingDevice, display_user_code, normalize_user_code};
use crate::pages::error::PageError;
use crate::pages::notice::Notice;
use crate::pages::query::PageQuery;
use crate::pages::render::{redirect, render};
use crate::pages::return_url::{DEFAULT_PAGE, DEVICE_PAGE, ReturnUrl};
use crate::pages::rights;
use crate::pages::visitor::{SignedIn, Visitor};

const UNKNOWN_CODE: &str = "No device waits with this code: it has expired, was used, or is mistyped.";

#[derive(Template)]
#[template(path = "device.html")]
struct DevicePage<'a> {
    code: &'a str,
    error: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "device_consent.html")]
struct DeviceConsentPage<'a> {
    code: String,
    client: &'a str,
    account: &'a str,
    rights: Vec<&'static str>,
}

/// The query of the page.
#[derive(Deserialize)]
pub(crate) struct DeviceQuery {
    user_code: Option<String>,
}

/// `GET /Device`
pub(crate) async fn show(visitor: Visitor, PageQuery(query): PageQuery<DeviceQuery>) -> Response {
    let code = query.user_code.as_deref().map(normalize_user_code).unwrap_or_default();
    if visitor.account.is_none() {
        let here = ReturnUrl::parse(Some(&format!("{DEVICE_PAGE}?user_code={code}")));
        return redirect(&here.through_login());
    }
    // The code is not looked up: a link with it must not lead straight to the question whether to allow the device.
    render(StatusCode::OK, &DevicePage { code: &code, error: None })
}

/// `POST /Device`: the code, and then the decision.
pub(crate) async fn submit(
    State(app): State<Arc<App>>,
    ClientAddress(client_address): ClientAddress,
    visitor: Visitor,
    form: Result<Form, InvalidForm>,
) -> Result<Response, PageError> {
    let form = form?;
    let code = normalize_user_code(form.value_or_empty("user_code"));
    let Some(signed_in) = visitor.signed_in() else {
        let here = ReturnUrl::parse(Some(&format!("{DEVICE_PAGE}?user_code={code}")));
        return Ok(redirect(&here.through_login()));
    };
    let pass = app.rate_limiter.check(RateLimit::Device, &network(client_address)).await??;
    let Some(device) = app.devices.find(&code).await? else {
        app.rate_limiter.consume(pass).await?;
        return Ok(unknown_code(&code));
    };
    match form.value("decision") {
        None => Ok(consent_page(&app, &signed_in, &device, &code)),
        Some(decision) => decide(&app, &signed_in, &device, &code, decision == "allow").await,
    }
}

fn consent_page(app: &App, signed_in: &SignedIn<'_>, device: &WaitingDevice, code: &str) -> Response {
    let client = app.clients.find(&device.client).map_or(device.client.as_str(), |client| &client.name);
    let rights = device.scopes.iter().map(rights::sentence).collect();
    let page =
        DeviceConsentPage { code: display_user_code(code), client, account: &signed_in.account.name, rights };
    render(StatusCode::OK, &page)
}

async fn decide(
    app: &App,
    signed_in: &SignedIn<'_>,
    device: &WaitingDevice,
    code: &str,
    is_allowed: bool,
) -> Result<Response, PageError> {
    let account = signed_in.account;
    if !app.devices.decide(code, account, signed_in.at, is_allowed).await? {
        return Ok(unknown_code(code));
    }
    let mut response = redirect(DEFAULT_PAGE);
    if is_allowed {
        info!(target: "audit", { audit.event = "client_allowed", account.id = %account.id, client.id = device.client }, "{} let a device of {} act for it", account.id, device.client);
        Notice::DeviceAllowed.add_to(&app.settings, &mut response);
    } else {
        Notice::DeviceDenied.add_to(&app.settings, &mut response);
    }
    Ok(response)
}

fn unknown_code(code: &str) -> Response {
    render(StatusCode::UNPROCESSABLE_ENTITY, &DevicePage { code, error: Some(UNKNOWN_CODE) })
}
