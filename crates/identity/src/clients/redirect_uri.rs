//! Redirect URIs: which ones a client may register, and which ones of a request are registered (RFC 9700, section 2.1; RFC 8252).

/// A redirect URI that a client may not register.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRedirectUri {
    /// It has characters that do not belong into a URI, or a fragment, or a user name.
    #[error("must be an absolute URI of visible ASCII without `#`, `\\`, `*` and `@`")]
    Malformed,
    /// It is sent over the network in clear text.
    #[error(
        "must be https, or http on the loopback address, or a scheme of the program's own such as com.example.app"
    )]
    Scheme,
}

/// The beginnings of the addresses that lead to the person's own machine. A program there may listen on any port (RFC 8252, section 7.3).
const LOOPBACK: [&str; 3] = ["http://127.0.0.1", "http://[::1]", "http://localhost"];

/// Checks a URI that a client registers.
pub(crate) fn check(uri: &str) -> Result<(), InvalidRedirectUri> {
    let is_visible = uri.bytes().all(|byte| byte.is_ascii_graphic() && !b"#\\*@".contains(&byte));
    let Some((scheme, rest)) = uri.split_once(':').filter(|_| is_visible) else {
        return Err(InvalidRedirectUri::Malformed);
    };
    match scheme {
        "https" if host(rest).is_some() => Ok(()),
        "http" if loopback_parts(uri).is_some() => Ok(()),
        // A scheme of a program's own is a domain name of its maker, backwards (RFC 8252, section 7.1).
        _ if scheme.contains('.') && scheme.bytes().all(is_of_scheme) && !rest.is_empty() => Ok(()),
        _ => Err(InvalidRedirectUri::Scheme),
    }
}

/// Whether the URI of a request is one of the `registered` ones.
pub(crate) fn is_any_registered(registered: &[String], requested: &str) -> bool {
    registered.iter().any(|registered| is_registered(registered, requested))
}

/// Whether the URI of a request is the `registered` one: byte for byte, but for the port of a loopback address.
fn is_registered(registered: &str, requested: &str) -> bool {
    registered == requested
        || loopback_parts(registered).is_some_and(|parts| Some(parts) == loopback_parts(requested))
}

/// A URI with further parameters in its query.
pub(crate) fn with_parameters<'a>(
    uri: &str,
    parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    let separator = if uri.contains('?') { '&' } else { '?' };
    format!("{uri}{separator}{query}")
}

/// The origin of a URI, as a Content Security Policy names it; only the scheme of one that has no host.
pub(crate) fn origin(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once(':') else { return String::new() };
    match host(rest) {
        Some(host) if scheme == "https" || scheme == "http" => format!("{scheme}://{host}"),
        _ => format!("{scheme}:"),
    }
}

fn host(after_scheme: &str) -> Option<&str> {
    let rest = after_scheme.strip_prefix("//")?;
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    (!host.is_empty()).then_some(host)
}

const fn is_of_scheme(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.')
}

/// The host of a loopback address, and what follows its port.
fn loopback_parts(uri: &str) -> Option<(&'static str, &str)> {
    LOOPBACK.into_iter().find_map(|host| {
        let rest = uri.strip_prefix(host)?;
        let rest = match rest.strip_prefix(':') {
            Some(port) => {
                let digits = port.bytes().take_while(u8::is_ascii_digit).count();
                let number: u16 = port[..digits].parse().ok()?;
                (number != 0).then_some(&port[digits..])?
            }
            None => rest,
        };
        (rest.is_empty() || rest.starts_with(['/', '?'])).then_some((host, rest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_may_register_https_loopback_and_a_scheme_of_its_own() {
        for good in [
            "https://app.example.org/cb",
            "https://app.example.org:8443/cb?x=1",
            "http://127.0.0.1/cb",
            "http://[::1]:9000/cb",
            "http://localhost:3000",
            "com.example.app:/cb",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "http://app.example.org/cb",
            "ftp://a/b",
            "javascript:alert(1)",
            "data:text/html,x",
            "https:///cb",
            "http://127.0.0.1.evil/cb",
            "http://localhost:0/cb",
            "http://localhost:99999/",
        ] {
            assert_eq!(check(bad), Err(InvalidRedirectUri::Scheme), "{bad}");
        }
        for bad in [
            "",
            "/cb",
            "https://a/cb#x",
            "https://a@b/cb",
            "https://*.a/cb",
            "https://a\\b",
            "https://a/ b",
            "https://é/",
        ] {
            assert_eq!(check(bad), Err(InvalidRedirectUri::Malformed), "{bad}");
        }
    }

    #[test]
    fn a_request_must_name_a_registered_uri_exactly() {
        let registered = "https://app.example.org/cb";
        assert!(is_registered(registered, registered));
        for other in [
            "https://app.example.org/cb/",
            "https://app.example.org/cb?x",
            "https://app.example.org/CB",
            "https://APP.example.org/cb",
            "https://app.example.org:443/cb",
            "https://sub.app.example.org/cb",
            "https://user@app.example.org/cb",
            "https://app.example.org/a/../cb",
            "https://app.example.org/cb#",
            "http://app.example.org/cb",
        ] {
            assert!(!is_registered(registered, other), "{other}");
        }
    }

    #[test]
    fn the_port_of_a_loopback_address_is_free_and_nothing_else() {
        for registered in ["http://127.0.0.1/cb", "http://127.0.0.1:1/cb"] {
            assert!(is_registered(registered, "http://127.0.0.1:49152/cb"));
            for other in [
                "http://127.0.0.1:49152/cb2",
                "http://localhost:49152/cb",
                "http://127.0.0.1.evil.example/cb",
                "http://127.0.0.1:80@evil.example/cb",
                "http://127.0.0.1:x/cb",
                "https://127.0.0.1/cb",
            ] {
                assert!(!is_registered(registered, other), "{other}");
            }
        }
    }

    #[test]
    fn the_origin_is_what_a_form_may_lead_to() {
        assert_eq!(origin("https://app.example.org:8443/cb?x"), "https://app.example.org:8443");
        assert_eq!(origin("http://[::1]:9000/cb"), "http://[::1]:9000");
        assert_eq!(origin("com.example.app:/cb"), "com.example.app:");
    }
}
