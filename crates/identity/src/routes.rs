//! The routes of Identity: pages for browsers, and for programs the operations that the OpenAPI document describes.

use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::normalize_path::{self, Templates};
use web::query_names::{self, QueryNames};
use web::request_span::{self, TraceRoots};
use web::{compression, problem_pages, request_log};

use crate::api::openapi::{ApiDoc, DOCUMENT_PATH, complete};
use crate::api::problem::ApiError;
use crate::api::{invitations, own_password, users};
use crate::app::App;
use crate::authorization::{consent, endpoint};
use crate::oauth::error::TokenError;
use crate::oauth::{
    device_authorization, discovery, introspection, revocations, token, token_revocation, userinfo,
};
use crate::pages::return_url::{ACCOUNT_PAGE, AUTHORIZATION_PAGE, DEVICE_PAGE};
use crate::pages::{
    access, assets, device, end_session, error, home, invite, login, logout, password, register,
};
use crate::{health, layers};

/// No request to Identity begins a trace; it continues those that come with a request.
const NO_TRACE_ROOT: TraceRoots = &[];

/// The paths of the pages.
const PAGES: [&str; 11] = [
    "/",
    "/Auth/Register",
    "/Auth/Login",
    "/Auth/Password",
    "/Auth/Logout",
    "/Auth/Invite",
    AUTHORIZATION_PAGE,
    "/connect/consent",
    "/connect/endsession",
    DEVICE_PAGE,
    ACCOUNT_PAGE,
];

/// The OpenAPI document as it is published.
pub fn openapi() -> OpenApi {
    let document = OpenApiRouter::with_openapi(ApiDoc::without_routes());
    let document = document.merge(token_endpoint()).merge(token_operations()).merge(standard_operations());
    let document = document.merge(account_operations()).merge(health_operations());
    complete(document.merge(problem_pages::routes()).into_openapi())
}

/// All routes with their layers.
pub(crate) fn router(app: &Arc<App>) -> Router {
    let (settings, document) = (&app.settings, openapi());
    let with_state = |routes: Router<Arc<App>>| routes.with_state(Arc::clone(app));
    let documented = document.paths.paths.keys().map(String::as_str);
    let templates = Templates::new(
        documented.chain(PAGES).chain([DOCUMENT_PATH, problem_pages::style_url()]).chain(assets::urls()),
    );
    let names = from_fn_with_state(QueryNames::from_document(&document), query_names::refuse_unknown);

    let pages = pages(app).merge(assets::router());
    let pages = pages.fallback(error::not_found).method_not_allowed_fallback(error::wrong_method);
    let pages = layers::guard_pages(with_state(pages), settings);
    let token = Router::from(token_endpoint().merge(token_operations()))
        .method_not_allowed_fallback(async || TokenError::Method);
    let token = layers::guard_api(with_state(token), layers::OAUTH_ERROR_RESPONSES, settings);
    let health = Router::from(health_operations()).layer(from_fn(request_log::log_at_debug));
    let accounts = Router::from(account_operations());
    let accounts = accounts.layer(from_fn_with_state(Arc::clone(app), layers::run_to_end));
    let apis = accounts.merge(health).merge(Router::from(problem_pages::routes())).layer(names);
    let apis = apis.merge(standard_operations()).merge(document_route(&document));
    let apis = apis.method_not_allowed_fallback(async || ApiError::WrongMethod);
    let apis = layers::guard_api(with_state(apis), layers::PROBLEM_RESPONSES, settings);
    normalize_path::apply(layers::observe(pages.merge(token).merge(apis), settings), templates)
}

/// The routes for browsers.
fn pages(app: &Arc<App>) -> Router<Arc<App>> {
    let [home, register, login, password, logout, invite, authorize, consent, end_session, device, access] =
        PAGES;
    let run_to_end = from_fn_with_state(Arc::clone(app), layers::run_to_end);
    let sign_in = Router::new()
        .route(register, get(register::show).post(register::submit))
        .route_layer(run_to_end.clone())
        .route(login, get(login::show).post(login::submit))
        .route(authorize, get(endpoint::show).post(endpoint::submit))
        .route(consent, post(consent::submit))
        .route_layer(from_fn(layers::keep_opener));
    Router::new()
        .route(password, get(password::show).post(password::submit))
        .route(invite, post(invite::submit))
        .route_layer(run_to_end)
        .merge(sign_in)
        .route(home, get(home::show))
        .route(logout, post(logout::submit))
        .route(access, get(access::show).post(access::submit))
        .route(device, get(device::show).post(device::submit))
        .route(end_session, get(end_session::show).post(end_session::submit))
}

/// The token endpoint of OAuth 2.
fn token_endpoint() -> OpenApiRouter<Arc<App>> {
    let issue = OpenApiRouter::new().routes(routes!(token::issue));
    issue.layer(from_fn_with_state(NO_TRACE_ROOT, request_span::record))
}

/// The operations with tokens that were issued, which answer as the token endpoint does.
fn token_operations() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(introspection::inspect))
        .routes(routes!(token_revocation::revoke))
        .routes(routes!(device_authorization::begin))
}

/// The other operations for OAuth 2 clients, Backends among them. They read queries as the standards say (RFC 6749, RFC 6750).
fn standard_operations() -> OpenApiRouter<Arc<App>> {
    let revocations = OpenApiRouter::new().routes(routes!(revocations::list));
    OpenApiRouter::new()
        .routes(routes!(userinfo::show, userinfo::show_by_post))
        .routes(routes!(discovery::metadata))
        .routes(routes!(discovery::oauth_metadata))
        .routes(routes!(discovery::jwks))
        .merge(revocations.layer(from_fn(request_log::log_at_debug)))
}

/// The operations with accounts.
fn account_operations() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(users::list, users::create))
        .routes(routes!(users::read, users::update, users::delete))
        .routes(routes!(own_password::change))
        .routes(routes!(users::unlock))
        .routes(routes!(users::reset_password))
        .routes(routes!(invitations::create))
}

/// The probes of operators.
fn health_operations() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(health::live)).routes(routes!(health::ready))
}

/// The OpenAPI document as a file.
fn document_route(document: &OpenApi) -> Router<Arc<App>> {
    let document = serde_json::to_vec(document).expect("an OpenAPI document is JSON");
    let json = [(CONTENT_TYPE, "application/json")];
    let route = get(move || async move { (json, document).into_response() });
    compression::gzip(Router::new().route(DOCUMENT_PATH, route))
}
