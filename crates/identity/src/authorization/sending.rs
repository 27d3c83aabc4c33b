//! The code that a client gets for a person.

use axum::response::Response;
use tracing::info;

use crate::app::App;
use crate::authorization::answer::Refusal;
use crate::authorization::request::AuthorizationRequest;
use crate::grants::grant_store::{CodeBinding, NewGrant};
use crate::pages::render::redirect;
use crate::pages::visitor::SignedIn;

/// Starts a grant and sends its code to the client.
pub(crate) async fn send_code(
    app: &App,
    request: &AuthorizationRequest<'_>,
    signed_in: &SignedIn<'_>,
) -> Result<Response, Refusal> {
    let AuthorizationRequest { client, destination, scopes, code_challenge, nonce, .. } = request;
    let SignedIn { account, at, session } = *signed_in;
    let grant =
        NewGrant { account, client: &client.id, scopes, authenticated_at: at, session: Some(session) };
    let binding =
        CodeBinding { redirect_uri: &destination.redirect_uri, code_challenge, nonce: nonce.as_deref() };
    let code = app.grants.start_with_code(&grant, &binding).await?;
    info!(target: "audit", { audit.event = "client_allowed", account.id = %account.id, client.id = client.id }, "{} let {} act for it", account.id, client.id);
    Ok(redirect(&destination.with(&app.settings.issuer, &[("code", code.as_str())])))
}
