//! Where the forms of a page may lead: a form that ends at a client must be allowed to, since browsers hold redirects of a form to the
//! policy of its page (Content Security Policy Level 3, `form-action`).

use axum::http::HeaderValue;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::response::Response;

use crate::clients::redirect_uri;
use crate::clients::registry::ClientRegistry;
use crate::form_body::Form;
use crate::page_policy::content_security_policy;
use crate::pages::return_url::{AUTHORIZATION_PAGE, ReturnUrl};

/// The page, whose forms may also lead to this origin.
pub(crate) fn allow(mut page: Response, origin: &str) -> Response {
    if let Ok(policy) = HeaderValue::try_from(content_security_policy(&format!("'self' {origin}"))) {
        page.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    page
}

/// The origin of the client to which a return URL leads through the authorization endpoint, if it has registered that address.
pub(crate) fn of_return_url(return_url: &ReturnUrl, clients: &ClientRegistry) -> Option<String> {
    let query = return_url.as_location().strip_prefix(AUTHORIZATION_PAGE)?.strip_prefix('?')?;
    let parameters = Form::parse(query.as_bytes()).ok()?;
    let client = clients.find(parameters.value("client_id")?)?;
    let uri = parameters.value("redirect_uri")?;
    client.has_redirect_uri(uri).then(|| redirect_uri::origin(uri))
}
