//! A request of a call: its method, its URL and its body, also after a redirect.

use domain::RawJson;
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Method, StatusCode, Url};

use crate::http_operation::address_rule::{AddressRule, RefusedAddress};
use crate::http_operation::query_parameters::with_parameters;
use crate::http_operation::settings::HttpMethod;
use crate::sdk::operation::Failure;

/// A request that is to be sent.
pub(crate) struct OutgoingRequest {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) body: Option<String>,
    /// Whether no redirect has led to another origin, so that the headers of the settings, which may be secrets, are sent too. They are
    /// not sent again after a redirect back either: the other origin chose that URL.
    pub(crate) has_setting_headers: bool,
}

/// Why a URL must not be called.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RefusedUrl {
    #[error("its scheme must be http or https")]
    Scheme,
    #[error("it must hold no user name and no password, which a header can hold")]
    Credentials,
    #[error(transparent)]
    Address(#[from] RefusedAddress),
}

/// Fails if `url` must not be called. Of a host that is a name, the addresses are checked when the connection is made.
pub(crate) fn check_url(url: &Url, rule: &AddressRule) -> Result<(), RefusedUrl> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(RefusedUrl::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(RefusedUrl::Credentials);
    }
    let host = url.host_str().unwrap_or_default();
    // Every spelling of an IPv4 address, such as `0x7f.1`, is a plain address by now: the parser of URLs rewrites it.
    match host.trim_start_matches('[').trim_end_matches(']').parse() {
        Ok(address) => Ok(rule.check(address)?),
        Err(_) => Ok(()),
    }
}

impl OutgoingRequest {
    /// The first request of a call. Without a body, `parameters` are in the query of the URL.
    pub(crate) fn first(method: HttpMethod, url: &Url, parameters: &RawJson) -> Result<Self, Failure> {
        let (url, body) = match method {
            HttpMethod::Get | HttpMethod::Delete => (with_parameters(url, parameters)?, None),
            HttpMethod::Post | HttpMethod::Put | HttpMethod::Patch => {
                (url.clone(), Some(parameters.text().to_owned()))
            }
        };
        let method = match method {
            HttpMethod::Get => Method::GET,
            HttpMethod::Post => Method::POST,
            HttpMethod::Put => Method::PUT,
            HttpMethod::Patch => Method::PATCH,
            HttpMethod::Delete => Method::DELETE,
        };
        Ok(Self { method, url, body, has_setting_headers: true })
    }

    /// The URL to which an answer to this request redirects; `None` if the answer is no redirect. Fails if the URL must not be called.
    pub(crate) fn redirect_target(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        rule: &AddressRule,
    ) -> Result<Option<Url>, Failure> {
        if !matches!(
            status,
            StatusCode::MOVED_PERMANENTLY
                | StatusCode::FOUND
                | StatusCode::SEE_OTHER
                | StatusCode::TEMPORARY_REDIRECT
                | StatusCode::PERMANENT_REDIRECT
        ) {
            return Ok(None);
        }
        let Some(location) = headers.get(LOCATION) else { return Ok(None) };
        let target = location.to_str().ok().and_then(|location| self.url.join(location).ok());
        let target = target.ok_or_else(|| refused_redirect("the header Location holds no URL"))?;
        check_url(&target, rule).map_err(|error| refused_redirect(&error.to_string()))?;
        if self.url.scheme() == "https" && target.scheme() != "https" {
            return Err(refused_redirect("it leads from https to http, which is not encrypted"));
        }
        Ok(Some(target))
    }

    /// The request that follows a redirect to `target`. As browsers do (Fetch Standard, 4.4), it is a GET without a body after the
    /// status 303, and after 301 and 302 if it was a POST.
    pub(crate) fn redirected(self, status: StatusCode, target: Url) -> Self {
        let becomes_get = match status {
            StatusCode::SEE_OTHER => true,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            _ => false,
        };
        let (method, body) = if becomes_get { (Method::GET, None) } else { (self.method, self.body) };
        let has_setting_headers = self.has_setting_headers && self.url.origin() == target.origin();
        Self { method, url: target, body, has_setting_headers }
    }
}

/// The failure of a call whose redirect is not followed.
fn refused_redirect(cause: &str) -> Failure {
    Failure::new(format!("the redirect of the server is not followed: {cause}")).permanent()
}

#[cfg(test)]
mod tests {
    use domain::RetryHint;
    use reqwest::header::HeaderValue;

    use super::*;

    fn refusal(url: &str) -> Option<String> {
        check_url(&url.parse().unwrap(), &AddressRule::new(&[])).err().map(|error| error.to_string())
    }

    fn request(method: HttpMethod, url: &str) -> OutgoingRequest {
        let parameters = RawJson::parse("{}".to_owned()).unwrap();
        OutgoingRequest::first(method, &url.parse().unwrap(), &parameters).unwrap()
    }

    fn target(from: &str, location: &'static str) -> Result<Option<Url>, Failure> {
        let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_static(location))]);
        let request = request(HttpMethod::Post, from);
        request.redirect_target(StatusCode::FOUND, &headers, &AddressRule::new(&[]))
    }

    #[test]
    fn public_urls_and_names_are_not_refused() {
        for url in ["http://1.1.1.1/", "https://example.org:8443/x", "http://[2606:4700:4700::1111]/"] {
            assert_eq!(refusal(url), None, "{url}");
        }
    }

    #[test]
    fn every_spelling_of_a_refused_address_is_refused() {
        for url in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://0x7f.1/",
            "http://2130706433/",
            "http://0177.0.0.1/",
            "http://127.0.0.1./",
            "http://%31%32%37.0.0.1/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "https://169.254.169.254/latest/meta-data",
        ] {
            assert!(refusal(url).is_some_and(|text| text.contains("must not be called")), "{url}");
        }
    }

    #[test]
    fn other_schemes_and_credentials_are_refused() {
        for (url, part) in [
            ("ftp://example.org/", "scheme"),
            ("file:///etc/passwd", "scheme"),
            ("http://user@example.org/", "user name"),
            ("http://:password@example.org/", "password"),
        ] {
            assert!(refusal(url).is_some_and(|text| text.contains(part)), "{url}");
        }
    }

    #[test]
    fn a_redirect_may_be_relative() {
        let found = target("https://example.org/a/b", "../c").unwrap().unwrap();
        assert_eq!(found.as_str(), "https://example.org/c");
    }

    #[test]
    fn redirects_to_refused_urls_are_permanent_failures() {
        for location in [
            "http://example.org/",
            "https://127.0.0.1/",
            "//169.254.169.254/",
            "ftp://example.org/",
            "https://user:password@example.org/",
            "https://",
        ] {
            let failure = target("https://example.org/", location).unwrap_err();
            assert_eq!(failure.retry_hint(), Some(RetryHint::Never), "{location}");
        }
    }

    #[test]
    fn a_redirect_changes_the_method_as_in_browsers() {
        for (method, status, expected, has_body) in [
            (HttpMethod::Post, StatusCode::FOUND, Method::GET, false),
            (HttpMethod::Post, StatusCode::TEMPORARY_REDIRECT, Method::POST, true),
            (HttpMethod::Put, StatusCode::FOUND, Method::PUT, true),
            (HttpMethod::Put, StatusCode::SEE_OTHER, Method::GET, false),
            (HttpMethod::Delete, StatusCode::PERMANENT_REDIRECT, Method::DELETE, false),
        ] {
            let next = request(method, "https://example.org/")
                .redirected(status, "https://example.org/next".parse().unwrap());
            assert_eq!((next.method, next.body.is_some()), (expected, has_body), "{method:?} {status}");
        }
    }

    #[test]
    fn headers_of_the_settings_stay_at_their_origin() {
        let origin = "https://example.org/";
        for (targets, expected) in [
            (&["https://example.org/other", "https://example.org:443/"][..], true),
            (&["https://example.org:8443/"], false),
            (&["https://www.example.org/"], false),
            (&["https://example.com/", "https://example.org/"], false),
        ] {
            let next = targets.iter().fold(request(HttpMethod::Get, origin), |request, target| {
                request.redirected(StatusCode::FOUND, target.parse().unwrap())
            });
            assert_eq!(next.has_setting_headers, expected, "{targets:?}");
        }
    }
}
