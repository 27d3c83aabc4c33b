//! Path normalization: the fixed segments of a path match in any case, and a slash at the end does not count.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::Uri;
use axum::http::uri::PathAndQuery;
use tower::ServiceExt;

/// The route templates of a service, as its router has them (`/api/Task/{id}/result`). They say which segments are fixed and how
/// these are spelt, so that no second list of them is needed.
///
/// Cheap to clone: every layer around a router clones what is inside for each request.
#[derive(Debug, Clone, Default)]
pub struct Templates(Arc<[Vec<Segment>]>);

/// A part of a template between two slashes.
#[derive(Debug)]
enum Segment {
    Literal(String),
    /// `{id}`: one segment, whose case is significant.
    Parameter,
    /// `{*path}`: all that follows, whose case is significant.
    Wildcard,
}

impl Templates {
    /// Reads templates in axum's syntax.
    pub fn new<T: AsRef<str>>(templates: impl IntoIterator<Item = T>) -> Self {
        let segment = |text: &str| match text {
            text if text.starts_with("{*") => Segment::Wildcard,
            text if text.contains('{') => Segment::Parameter,
            text => Segment::Literal(text.to_owned()),
        };
        let template = |text: T| segments(text.as_ref()).map(segment).collect();
        let mut templates: Vec<Vec<Segment>> = templates.into_iter().map(template).collect();
        // Of several templates that match a path the first counts, as in the router: the one with the earlier literal.
        templates.sort_by_key(|template| template.iter().map(Segment::precedence).collect::<Vec<_>>());
        Self(templates.into())
    }

    /// The spelling of `path` that the router knows: fixed segments as in the template that matches, parameters as they
    /// came. A path that matches no template only loses the slashes at its ends.
    pub fn normalize(&self, path: &str) -> String {
        let given: Vec<&str> = segments(path).collect();
        let template = self.0.iter().find(|template| matches(template, &given));
        let fixed = template.into_iter().flatten().map(Some).chain(std::iter::repeat(None));
        let spelt = given.iter().zip(fixed).map(|(given, segment)| match segment {
            Some(Segment::Literal(text)) => text.as_str(),
            _ => *given,
        });
        format!("/{}", spelt.collect::<Vec<_>>().join("/"))
    }
}

impl Segment {
    /// The router tries a literal before a parameter, and a parameter before a wildcard.
    fn precedence(&self) -> u8 {
        match self {
            Self::Literal(_) => 0,
            Self::Parameter => 1,
            Self::Wildcard => 2,
        }
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.trim_matches('/').split('/')
}

fn matches(template: &[Segment], given: &[&str]) -> bool {
    let is_whole = match template.last() {
        Some(Segment::Wildcard) => given.len() >= template.len(),
        _ => given.len() == template.len(),
    };
    is_whole
        && template.iter().zip(given).all(|(segment, given)| match segment {
            Segment::Literal(text) => text.eq_ignore_ascii_case(given),
            Segment::Parameter | Segment::Wildcard => true,
        })
}

/// Wraps `router` so that every spelling of a path reaches its route. It must be the outermost: a layer of the router itself
/// runs after the route is chosen.
pub fn apply(router: Router, templates: Templates) -> Router {
    Router::new().fallback_service(router.map_request(move |mut request: Request| {
        let path = templates.normalize(request.uri().path());
        if path != request.uri().path() {
            set_path(request.uri_mut(), &path);
        }
        request
    }))
}

/// Gives `uri` another path; its query stays. A URI that cannot have a path stays as it is: that of `CONNECT` is a host and a port
/// (RFC 9112, section 3.2.3).
fn set_path(uri: &mut Uri, path: &str) {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    if let Ok(path_and_query) = format!("{path}{query}").parse::<PathAndQuery>() {
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(path_and_query);
        if let Ok(with_path) = Uri::from_parts(parts) {
            *uri = with_path;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn templates() -> Templates {
        Templates::new([
            "/",
            "/{file}",
            "/index.html",
            "/api/Task",
            "/api/Task/{id}",
            "/api/Task/{id}/result",
            "/api/Task/request/{id}",
            "/api/Task/request",
            "/api/Operation/{type}",
            "/api/Worker/heartbeat",
            "/swagger/v1/swagger.json",
            "/files/{*path}",
        ])
    }

    #[test]
    fn fixed_segments_have_one_spelling_and_parameters_keep_theirs() {
        for (given, normal) in [
            ("/API/task/", "/api/Task"),
            ("/api/TASK/0191/RESULT", "/api/Task/0191/result"),
            ("/api/task/Request/0191/", "/api/Task/request/0191"),
            ("/api/task/Request", "/api/Task/request"),
            ("/Api/operation/Result", "/api/Operation/Result"),
            ("/api/worker/Heartbeat//", "/api/Worker/heartbeat"),
            ("/Swagger/V1/Swagger.json", "/swagger/v1/swagger.json"),
            ("/INDEX.html", "/index.html"),
            ("/Logo.svg", "/Logo.svg"),
            ("/FILES/Some/Where", "/files/Some/Where"),
            ("/", "/"),
        ] {
            assert_eq!(templates().normalize(given), normal);
        }
    }

    #[test]
    fn a_path_without_a_route_keeps_its_case() {
        assert_eq!(templates().normalize("/API/Unknown/Path/"), "/API/Unknown/Path");
        assert_eq!(templates().normalize("/API/Task/1/Result/2"), "/API/Task/1/Result/2");
        assert_eq!(Templates::default().normalize("/API/Task"), "/API/Task");
    }

    #[test]
    fn a_template_that_matches_the_whole_path_wins_over_one_with_an_earlier_literal_that_does_not() {
        let templates = Templates::new(["/a/b/d", "/a/{x}/c"]);
        assert_eq!(templates.normalize("/A/B/C"), "/a/B/c");
        assert_eq!(templates.normalize("/A/B/D"), "/a/b/d");
    }

    #[test]
    fn the_order_in_which_templates_are_given_does_not_matter() {
        for list in [["/a/{x}", "/a/b"], ["/a/b", "/a/{x}"]] {
            assert_eq!(Templates::new(list).normalize("/a/B"), "/a/b");
        }
    }
}
