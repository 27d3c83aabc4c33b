//! The contract as a document made from the code, and Swagger UI to try it out.

use std::io::Read;
use std::sync::Arc;

use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use domain::Problem;
use flate2::read::GzDecoder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ContentBuilder, HeaderBuilder, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi as _};
use utoipa_swagger_ui::Config;

use crate::api::middleware::normalize_path::Name;
use crate::error::ApiError;

/// Where the document is.
pub(crate) const DOCUMENT: &str = "/swagger/v1/swagger.json";

/// Swagger UI needs its own files, inline styles and inline pictures, and nothing from elsewhere.
const POLICY: &str =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "Tasker", description = "Submit a task with a time-to-live; no task outlives it."),
    components(schemas(Problem)),
    modifiers(&Bearer),
    tags(
        (name = "Task", description = "A user's own tasks"),
        (name = "Operation", description = "What may be asked for"),
        (name = "Service", description = "For workers: roles Worker and Admin"),
        (name = "Health", description = "For whoever runs it"),
    )
)]
pub(crate) struct ApiDoc;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut OpenApi) {
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.bearer_format = Some("JWT".to_owned());
        bearer.description = Some(
            "An access token alone, without the word Bearer: POST /connect/token at Identity gives one."
                .to_owned(),
        );
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

impl ApiDoc {
    pub(crate) fn empty() -> OpenApi {
        Self::openapi()
    }
}

/// Completes a document: whatever is refused is refused by a [`Problem`], and what holds everywhere is said everywhere.
pub(crate) fn complete(mut document: OpenApi) -> OpenApi {
    let paths = document.paths.paths.values_mut();
    let operations = paths.flat_map(|path| {
        [&mut path.get, &mut path.put, &mut path.post, &mut path.patch].into_iter().filter_map(Option::as_mut)
    });
    for operation in operations {
        refuse(operation);
    }
    document
}

fn refuse(operation: &mut Operation) {
    let mut refuse = |status: &str, why: &str| {
        let responses = &mut operation.responses.responses;
        responses.entry(status.to_owned()).or_insert_with(|| ResponseBuilder::new().description(why).into());
    };
    if operation.security.is_some() {
        refuse("401", "No bearer token, or one that does not count");
        refuse("403", "The token lacks the role or the scope");
        refuse("503", "A part is away or too busy; try again shortly");
        refuse("default", "Anything else");
    }
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if status.starts_with(['1', '2', '3']) {
            continue;
        }
        let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        response.content.insert(Problem::MEDIA_TYPE.to_owned(), problem.into());
        let header = match status.as_str() {
            "401" => "WWW-Authenticate",
            "503" => "Retry-After",
            _ => continue,
        };
        response.headers.insert(header.to_owned(), HeaderBuilder::new().build().into());
    }
}

/// One of Swagger UI's files, from the binary, where they lie compressed.
pub(crate) async fn file(Name(file): Name, given: HeaderMap) -> Result<Response, ApiError> {
    let config = Config::from(DOCUMENT).try_it_out_enabled(true).persist_authorization(true);
    let file = utoipa_swagger_ui::serve(&file, Arc::new(config)).ok().flatten().ok_or(ApiError::NoRoute)?;
    let mut headers = HeaderMap::new();
    let kind = HeaderValue::try_from(file.content_type).map_err(|error| ApiError::Internal(error.into()))?;
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    let mut bytes = file.bytes.into_owned();
    if file.gzpipped && accepts_gzip(&given) {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    } else if file.gzpipped {
        let mut plain = Vec::new();
        let read = GzDecoder::new(bytes.as_slice()).read_to_end(&mut plain);
        read.map_err(|error| ApiError::Internal(error.into()))?;
        bytes = plain;
    }
    Ok((headers, bytes).into_response())
}

fn accepts_gzip(given: &HeaderMap) -> bool {
    let codings = given.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    codings.flat_map(|codings| codings.split(',')).any(|coding| {
        let (name, quality) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim().eq_ignore_ascii_case("gzip") && !matches!(quality.trim(), "q=0" | "q=0.0")
    })
}
