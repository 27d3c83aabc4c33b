//! Signing out. It takes a POST, since a link could be followed by accident or by a prefetch.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::response::Response;
use tracing::info;

use crate::app::App;
use crate::pages::error::PageError;
use crate::pages::notice::Notice;
use crate::pages::render::redirect;
use crate::pages::return_url::LOGIN_PAGE;
use crate::pages::visitor::{Visitor, delete_cookie};

/// `POST /Auth/Logout`
pub(crate) async fn submit(State(app): State<Arc<App>>, visitor: Visitor) -> Result<Response, PageError> {
    end(&app, visitor, None).await
}

/// Ends the session of the visitor and leads to `destination`, by default to the login page.
pub(crate) async fn end(
    app: &App,
    visitor: Visitor,
    destination: Option<&str>,
) -> Result<Response, PageError> {
    if let Some(session) = visitor.session {
        app.sessions.end(session).await?;
    }
    if let Some(account) = visitor.account {
        info!(target: "audit", { audit.event = "signed_out", account.id = %account.id }, "{} signed out", account.id);
    }
    let mut response = redirect(destination.unwrap_or(LOGIN_PAGE));
    response.headers_mut().insert(SET_COOKIE, delete_cookie(&app.settings));
    Notice::SignedOut.add_to(&app.settings, &mut response);
    Ok(response)
}
