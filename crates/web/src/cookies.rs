//! A cookie for one host: its name, its attributes, how it is read from a request, set and deleted.

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};
use cookie::time::Duration;
use cookie::{Cookie, SameSite};

/// A value that a cookie cannot contain (RFC 6265, section 4.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cookie's value must be visible ASCII without quotes, commas, semicolons and backslashes")]
pub struct InvalidCookieValue;

/// A cookie that is sent to this host only, is hidden from scripts (`HttpOnly`), is not sent when another site posts
/// (`SameSite=Lax`), and ends with the browser's session unless it is [`lasting`](Self::lasting).
///
/// Over HTTPS it is `Secure` and its name begins with `__Host-`, so that browsers refuse a cookie of this name from any other
/// host, such as a subdomain. Over plain HTTP browsers would not store such a cookie, so both are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostCookie {
    name: String,
    is_https: bool,
    /// `None`: it ends with the browser's session.
    max_age: Option<Duration>,
}

impl HostCookie {
    /// A cookie called `name`, or `__Host-` and `name` where the service is reached over HTTPS.
    pub fn new(name: &str, is_https: bool) -> Self {
        let prefix = if is_https { "__Host-" } else { "" };
        Self { name: format!("{prefix}{name}"), is_https, max_age: None }
    }

    /// A cookie that the browser keeps for `max_age`, beyond its own session.
    #[must_use]
    pub fn lasting(self, max_age: std::time::Duration) -> Self {
        let seconds = i64::try_from(max_age.as_secs()).unwrap_or(i64::MAX);
        Self { max_age: Some(Duration::seconds(seconds)), ..self }
    }

    /// The cookie's name as browsers send it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value that a request carries, of several the first: browsers send the one with the longest path first (RFC 6265,
    /// section 5.4). `axum-extra`'s `CookieJar` would give the last.
    pub fn read<'headers>(&self, headers: &'headers HeaderMap) -> Option<&'headers str> {
        let values = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut cookies = values.flat_map(Cookie::split_parse).flatten();
        cookies.find(|cookie| cookie.name() == self.name)?.value_raw()
    }

    /// The value of `Set-Cookie` that gives the browser a cookie with `value`, such as a token in base64url.
    pub fn set(&self, value: &str) -> Result<HeaderValue, InvalidCookieValue> {
        // The characters of `cookie-octet`.
        let is_allowed = |byte: u8| byte.is_ascii_graphic() && !b"\",;\\".contains(&byte);
        if !value.bytes().all(is_allowed) {
            return Err(InvalidCookieValue);
        }
        header(&self.with_value(value)).ok_or(InvalidCookieValue)
    }

    /// The value of `Set-Cookie` that makes the browser delete the cookie.
    pub fn delete(&self) -> HeaderValue {
        let mut cookie = self.with_value("");
        cookie.set_max_age(Duration::ZERO);
        header(&cookie).expect("a name and attributes that are visible ASCII")
    }

    fn with_value<'value>(&'value self, value: &'value str) -> Cookie<'value> {
        let cookie = Cookie::build((self.name.as_str(), value));
        let cookie = cookie.path("/").http_only(true).same_site(SameSite::Lax);
        let cookie = if self.is_https { cookie.secure(true) } else { cookie };
        match self.max_age {
            Some(max_age) => cookie.max_age(max_age).build(),
            None => cookie.build(),
        }
    }
}

fn header(cookie: &Cookie<'_>) -> Option<HeaderValue> {
    HeaderValue::try_from(cookie.to_string()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(header: &HeaderValue) -> Vec<&str> {
        let mut attributes: Vec<_> = header.to_str().unwrap().split("; ").collect();
        attributes.sort_unstable();
        attributes
    }

    fn read(cookie: &HostCookie, values: &[&'static str]) -> Option<String> {
        let headers: HeaderMap =
            values.iter().map(|value| (COOKIE, HeaderValue::from_static(value))).collect();
        cookie.read(&headers).map(str::to_owned)
    }

    #[test]
    fn over_https_the_cookie_is_secure_and_bound_to_its_host() {
        let cookie = HostCookie::new("session", true);
        let set = cookie.set("abc-_").unwrap();
        assert_eq!(
            attributes(&set),
            ["HttpOnly", "Path=/", "SameSite=Lax", "Secure", "__Host-session=abc-_"]
        );
        assert_eq!(read(&cookie, &["session=x; __Host-session=y"]), Some("y".to_owned()));
    }

    #[test]
    fn over_http_the_cookie_has_its_plain_name_and_deleting_it_ends_its_life() {
        let cookie = HostCookie::new("session", false);
        assert_eq!(
            attributes(&cookie.set("abc").unwrap()),
            ["HttpOnly", "Path=/", "SameSite=Lax", "session=abc"]
        );
        let deleted = cookie.delete();
        assert_eq!(attributes(&deleted), ["HttpOnly", "Max-Age=0", "Path=/", "SameSite=Lax", "session="]);
    }

    #[test]
    fn the_first_of_several_cookies_is_read() {
        let cookie = HostCookie::new("session", false);
        assert_eq!(read(&cookie, &["a=1;session=x ; session=y", "session=z"]), Some("x".to_owned()));
        assert_eq!(read(&cookie, &["a=1", "session=z"]), Some("z".to_owned()));
        assert_eq!(read(&cookie, &["garbage; =; Session=x; a-session=x"]), None);
        assert_eq!(read(&cookie, &[]), None);
    }

    #[test]
    fn a_value_that_would_add_attributes_or_headers_is_refused() {
        let cookie = HostCookie::new("session", false);
        for value in ["a;Domain=x", "a b", "a\r\nX: y", "\u{e9}", "a,b", "\"a\""] {
            assert_eq!(cookie.set(value), Err(InvalidCookieValue), "{value:?}");
        }
    }
}
