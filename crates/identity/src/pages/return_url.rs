//! Where a page leads when it is done: `Login`, or a place on this site, and nowhere else.

/// The original's word for the login page, and what an absent `ReturnUrl` means.
const LOGIN: &str = "Login";
const LONGEST: usize = 2048;

/// The login page.
pub(crate) const LOGIN_PAGE: &str = "/Auth/Login";
/// Where everything leads that may not lead elsewhere.
pub(crate) const DEFAULT_PAGE: &str = "/";

/// A place that may be gone to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReturnUrl {
    /// The login page.
    Login,
    /// A path of this site, with its query.
    Here(String),
}

impl ReturnUrl {
    /// What was asked for, if it is `Login` or a path of this site; else the default page.
    pub(crate) fn parse(wish: Option<&str>) -> Self {
        match wish {
            None | Some("" | LOGIN) => Self::Login,
            Some(path) if is_local_path(path) => Self::Here(path.to_owned()),
            Some(_) => Self::Here(DEFAULT_PAGE.to_owned()),
        }
    }

    /// As a form carries it.
    pub(crate) fn as_field(&self) -> &str {
        match self {
            Self::Login => LOGIN,
            Self::Here(path) => path,
        }
    }

    /// As `Location` names it.
    pub(crate) fn as_location(&self) -> &str {
        match self {
            Self::Login => LOGIN_PAGE,
            Self::Here(path) => path,
        }
    }

    /// The login page, which leads there in turn.
    pub(crate) fn through_login(&self) -> String {
        match self {
            Self::Login => LOGIN_PAGE.to_owned(),
            Self::Here(path) => {
                let query =
                    form_urlencoded::Serializer::new(String::new()).append_pair("ReturnUrl", path).finish();
                format!("{LOGIN_PAGE}?{query}")
            }
        }
    }
}

/// One slash at the beginning, visible ASCII, and nothing that a browser or a proxy might read as another host, not
/// even after decoding.
fn is_local_path(path: &str) -> bool {
    let before_query = path.split(['?', '#']).next().unwrap_or_default();
    let decoded: Vec<u8> = decode(before_query.as_bytes());
    path.len() <= LONGEST
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        && decoded.starts_with(b"/")
        && !decoded.windows(2).any(|pair| pair == b"//")
        && decoded.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'\\')
}

fn decode(path: &[u8]) -> Vec<u8> {
    // A plus is a plus in a path; the parser of forms would make it a space.
    let path: Vec<u8> = path.iter().map(|&byte| if byte == b'+' { b'p' } else { byte }).collect();
    form_urlencoded::parse(&path).flat_map(|(name, text)| [name, text].concat().into_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads(wish: &str) -> String {
        ReturnUrl::parse(Some(wish)).as_location().to_owned()
    }

    #[test]
    fn s90_login_and_paths_of_this_site_are_followed() {
        assert_eq!(ReturnUrl::parse(None), ReturnUrl::Login);
        assert_eq!((leads("Login"), leads("")), (LOGIN_PAGE.to_owned(), LOGIN_PAGE.to_owned()));
        for here in [
            "/",
            "/connect/authorize?client_id=a&redirect_uri=https%3A%2F%2Fapp%2Fcb",
            "/a/b+c?x=//y",
            "/a=b&c",
        ] {
            assert_eq!(leads(here), here);
        }
    }

    #[test]
    fn s90_everything_else_leads_to_the_default_page() {
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
            assert_eq!(leads(evil), DEFAULT_PAGE, "{evil:?}");
        }
    }

    #[test]
    fn the_way_through_login_keeps_the_place() {
        assert_eq!(ReturnUrl::Login.through_login(), "/Auth/Login");
        let place = ReturnUrl::parse(Some("/a?b=c&d"));
        assert_eq!(place.through_login(), "/Auth/Login?ReturnUrl=%2Fa%3Fb%3Dc%26d");
    }
}
