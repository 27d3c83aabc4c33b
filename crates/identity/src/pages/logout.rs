//! Signing out: a post, since a link could be followed by accident.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::response::Response;
use tracing::info;

use super::{PageError, redirect};
use crate::app::App;
use crate::pages::return_url::LOGIN_PAGE;
use crate::pages::visitor::{Visitor, clear_cookie};

/// `POST /Auth/Logout`
pub(crate) async fn logout(State(app): State<Arc<App>>, visitor: Visitor) -> Result<Response, PageError> {
    if let Some(session) = visitor.session {
        app.sessions.end(session).await?;
    }
    if let Some(account) = visitor.account {
        info!(target: "audit", { audit.event = "signed_out", account.id = %account.id }, "{} signed out", account.id);
    }
    let mut response = redirect(LOGIN_PAGE);
    response.headers_mut().insert(SET_COOKIE, clear_cookie(&app.settings));
    Ok(response)
}
