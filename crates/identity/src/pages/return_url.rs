//! The return URL: where a page redirects after success. Only `Login` and paths of this site are accepted (no open redirect).

use crate::legacy_clients::RETURN_TO_LOGIN;

/// The longest accepted return URL, in bytes.
const MAX_LENGTH: usize = 4096;

/// The path of the login page.
pub(crate) const LOGIN_PAGE: &str = "/Auth/Login";

/// The path of the authorization endpoint.
pub(crate) const AUTHORIZATION_PAGE: &str = "/connect/authorize";

/// The path of the page with what is signed in to an account.
pub(crate) const ACCOUNT_PAGE: &str = "/Account";

/// The path of the page that allows a device.
pub(crate) const DEVICE_PAGE: &str = "/Device";

/// The path to which every refused return URL redirects.
pub(crate) const DEFAULT_PAGE: &str = "/";

/// A return URL that is safe to redirect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReturnUrl {
    /// The login page.
    Login,
    /// A path of this site, with its query.
    LocalPath(String),
}

impl ReturnUrl {
    /// Reads the parameter `ReturnUrl`. It means the login page if it is absent, and the default page if it is refused.
    pub(crate) fn parse(requested: Option<&str>) -> Self {
        match requested {
            None | Some("" | RETURN_TO_LOGIN) => Self::Login,
            Some(path) if is_local_path(path) => Self::LocalPath(path.to_owned()),
            Some(_) => Self::LocalPath(DEFAULT_PAGE.to_owned()),
        }
    }

    /// The value of the form field `ReturnUrl`.
    pub(crate) fn as_field(&self) -> &str {
        match self {
            Self::Login => RETURN_TO_LOGIN,
            Self::LocalPath(path) => path,
        }
    }

    /// The value of the header `Location`.
    pub(crate) fn as_location(&self) -> &str {
        match self {
            Self::Login => LOGIN_PAGE,
            Self::LocalPath(path) => path,
        }
    }

    /// The `Location` of the login page, which redirects to this URL in turn.
    pub(crate) fn through_login(&self) -> String {
        match self {
            Self::Login => LOGIN_PAGE.to_owned(),
            Self::LocalPath(path) => {
                let query =
                    form_urlencoded::Serializer::new(String::new()).append_pair("ReturnUrl", path).finish();
                format!("{LOGIN_PAGE}?{query}")
            }
        }
    }
}

/// Whether `path` begins with one slash, is visible ASCII, and has nothing that a browser or a proxy could read as another
/// host, even after percent-decoding.
fn is_local_path(path: &str) -> bool {
    let before_query = path.split(['?', '#']).next().unwrap_or_default();
    let decoded: Vec<u8> = percent_decode(before_query.as_bytes());
    path.len() <= MAX_LENGTH
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        && decoded.starts_with(b"/")
        && !decoded.windows(2).any(|pair| pair == b"//")
        && decoded.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'\\')
}

fn percent_decode(path: &[u8]) -> Vec<u8> {
    // In a path a plus is a plus, but the parser of forms decodes it to a space; any other letter keeps the check the same.
    let path: Vec<u8> = path.iter().map(|&byte| if byte == b'+' { b'p' } else { byte }).collect();
    form_urlencoded::parse(&path).flat_map(|(name, value)| [name, value].concat().into_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(requested: &str) -> String {
        ReturnUrl::parse(Some(requested)).as_location().to_owned()
    }

    #[test]
    fn login_and_paths_of_this_site_are_accepted() {
        assert_eq!(ReturnUrl::parse(None), ReturnUrl::Login);
        assert_eq!((location("Login"), location("")), (LOGIN_PAGE.to_owned(), LOGIN_PAGE.to_owned()));
        for path in [
            "/",
            "/connect/authorize?client_id=a&redirect_uri=https%3A%2F%2Fapp%2Fcb",
            "/a/b+c?x=//y",
            "/a=b&c",
        ] {
            assert_eq!(location(path), path);
        }
    }

    #[test]
    fn everything_else_redirects_to_the_default_page() {
        let long = format!("/{}", "a".repeat(8192));
        for evil in [
            "//e",
            "https://e",
            "/\\e",
            "\\\\e",
            "%2f%2fe",
            "/%2fe",
            "/%5ce",
            "/%09/e",
            "/\t/e",
            "javascript:alert(1)",
            "data:text/html,x",
            "/a\r\nSet-Cookie: a=b",
            "/%0d%0aa",
            "Login@e",
            "login",
            " /a",
            "e",
            "/a//e",
            "/é",
            &long,
        ] {
            assert_eq!(location(evil), DEFAULT_PAGE, "{evil:?}");
        }
    }

    #[test]
    fn the_login_page_gets_the_return_url() {
        assert_eq!(ReturnUrl::Login.through_login(), "/Auth/Login");
        let return_url = ReturnUrl::parse(Some("/a?b=c&d"));
        assert_eq!(return_url.through_login(), "/Auth/Login?ReturnUrl=%2Fa%3Fb%3Dc%26d");
    }
}
