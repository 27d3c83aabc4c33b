//! `/errors` and `/errors/{slug}`: what each type of problem means, as a page for people and as JSON for programs. They are the addresses that
//! problems have as their `type` (RFC 9457).

use std::sync::LazyLock;

use askama::Template;
use axum::Json;
use axum::extract::Path;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, VARY};
use axum::http::{HeaderMap, HeaderName};
use axum::response::{Html, IntoResponse, Response};
use domain::problem_types::problem_type::Section;
use domain::problem_types::requests::NO_SUCH_ADDRESS;
use domain::problem_types::table::{self, SECTIONS};
use domain::{Problem, ProblemType};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::assets::{self, Asset};
use crate::problem;

/// What a type of problems means.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!(ProblemExplanation::of(&domain::problem_types::tasks::NO_SUCH_TASK))))]
pub(crate) struct ProblemExplanation {
    /// The `type` of such problems: the path of this explanation.
    #[serde(rename = "type")]
    kind: String,
    /// The `title` of such problems.
    title: &'static str,
    /// The HTTP status code of such problems.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// When a request has such a problem.
    meaning: &'static str,
    /// What the caller can do.
    remedy: &'static str,
    /// Such a problem.
    problem: Problem,
}

/// What every type of problems means.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProblemExplanationList {
    /// The types, part by part of the API.
    types: Vec<ProblemExplanation>,
}

impl ProblemExplanation {
    fn of(of: &ProblemType) -> Self {
        let ProblemType { title, status, meaning, remedy, .. } = *of;
        let problem = Problem::example(of);
        Self { kind: problem.kind.clone(), title, status, meaning, remedy, problem }
    }
}

/// The page of one type.
#[derive(Template)]
#[template(path = "problem_type.html")]
struct TypePage {
    of: &'static ProblemType,
    example: String,
}

/// The page of all types.
#[derive(Template)]
#[template(path = "problem_types.html")]
struct ListPage {
    sections: &'static [&'static Section],
}

static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("problems.css", "text/css; charset=utf-8", include_bytes!("../assets/problems.css"))
});

/// What the answers have in common: a page loads its stylesheet and nothing else, and caches keep the two forms apart.
const HEADERS: [(HeaderName, &str); 3] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (CACHE_CONTROL, "public, max-age=3600"),
    (VARY, "accept"),
];

/// The path of the stylesheet.
pub fn style_url() -> &'static str {
    STYLE.url()
}

/// The routes, and that of the stylesheet.
pub fn routes<S: Clone + Send + Sync + 'static>() -> OpenApiRouter<S> {
    let pages = OpenApiRouter::new().routes(routes!(list)).routes(routes!(explain));
    pages.merge(OpenApiRouter::from(assets::router([&*STYLE])))
}

/// List the types of problems
///
/// What each `type` of a problem document (RFC 9457) means and what to do about it. Browsers get a page.
#[utoipa::path(get, path = "/errors", operation_id = "listProblemTypes", tag = "Problems", security(()),
    responses((status = 200, description = "The types", content((ProblemExplanationList = "application/json"), (String = "text/html")))))]
pub(crate) async fn list(headers: HeaderMap) -> Response {
    if wants_page(&headers) {
        return page(&ListPage { sections: &SECTIONS });
    }
    let types = table::all().map(ProblemExplanation::of).collect();
    (HEADERS, Json(ProblemExplanationList { types })).into_response()
}

/// Explain a type of problems
///
/// The path is the `type` of the problem documents (RFC 9457) that it explains. Browsers get a page.
#[utoipa::path(get, path = "/errors/{slug}", operation_id = "explainProblemType", tag = "Problems", security(()),
    params(("slug" = String, Path, description = "The last part of the `type`", example = "no-such-task")),
    responses(
        (status = 200, description = "What the type means", content((ProblemExplanation = "application/json"), (String = "text/html"))),
        (status = 404, description = "There is no such type")))]
pub(crate) async fn explain(Path(slug): Path<String>, headers: HeaderMap) -> Response {
    let Some(of) = table::find(&slug) else {
        let detail = "there is no such type of problems; GET /errors lists them";
        return problem::response(Problem::new(&NO_SUCH_ADDRESS, detail));
    };
    if wants_page(&headers) {
        let example = serde_json::to_string_pretty(&Problem::example(of)).expect("a problem is JSON");
        return page(&TypePage { of, example });
    }
    (HEADERS, Json(ProblemExplanation::of(of))).into_response()
}

fn page(page: &impl Template) -> Response {
    (HEADERS, Html(page.render().expect("a template renders into memory"))).into_response()
}

/// Whether the client names HTML among what it accepts, as browsers do. Who accepts anything (`*/*`) gets JSON.
fn wants_page(headers: &HeaderMap) -> bool {
    let texts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut media_types =
        texts.flat_map(|text| text.split(',')).map(|range| range.split(';').next().unwrap_or_default());
    media_types.any(|media_type| media_type.trim().eq_ignore_ascii_case("text/html"))
}
