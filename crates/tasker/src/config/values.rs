//! A value with a rule of its own: an address ends without a slash.

use std::fmt;

use serde::Deserialize;

/// The address of a service, without a slash at its end, so that two spellings of one issuer are one issuer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Address(String);

impl Address {
    /// Its host, if it is spoken to without TLS.
    pub fn plain_host(&self) -> Option<&str> {
        let rest = self.0.strip_prefix("http://")?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
        match place.split_once(']') {
            Some((inside, _)) => Some(inside.trim_start_matches('[')),
            None => place.split(':').next(),
        }
    }
}

impl TryFrom<String> for Address {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        if host.is_some_and(|host| !host.trim_end_matches('/').is_empty()) {
            Ok(Self(text.trim_end_matches('/').to_owned()))
        } else {
            Err("an address begins with http:// or https://, like https://tasker.example.org")
        }
    }
}

impl std::str::FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_and_no_slash_at_its_end() {
        assert_eq!("http://127.0.0.1:8081/".parse::<Address>().unwrap().to_string(), "http://127.0.0.1:8081");
        for bad in ["", "127.0.0.1:8081", "ftp://a", "https://", "http:///"] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_host_stands_between_the_scheme_and_the_port() {
        let host = |text: &str| text.parse::<Address>().unwrap().plain_host().map(str::to_owned);
        assert_eq!(host("http://backend:8080/tasker").as_deref(), Some("backend"));
        assert_eq!(host("http://ann@10.0.0.1").as_deref(), Some("10.0.0.1"));
        assert_eq!(host("http://[::1]:8080").as_deref(), Some("::1"));
        assert_eq!(host("https://backend:8080"), None);
    }
}
