//! Values with rules of their own: an address ends without a slash, a file has a directory, a log is begun anew by size or by
//! age, a share is one of all.

use std::fmt;
use std::path::Path;

use domain::Timestamp;
use serde::Deserialize;

/// The address of a service, without a slash at its end, so that two spellings of one issuer are one issuer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Address(String);

impl Address {
    /// Its host, if it is spoken to without TLS.
    pub fn plain_host(&self) -> Option<&str> {
        let rest = self.0.strip_prefix("http://")?;
        let place = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        match place.split_once(']') {
            Some((inside, _)) => Some(inside.trim_start_matches('[')),
            None => place.split(':').next(),
        }
    }
}

impl TryFrom<String> for Address {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        let authority = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
        match authority {
            None | Some("") => {
                Err("an address begins with http:// or https://, like https://tasker.example.org")
            }
            Some(authority) if authority.contains('@') => {
                Err("an address is shown, so it holds no name and no password")
            }
            Some(_) => Ok(Self(text.trim_end_matches('/').to_owned())),
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

/// The directory of a file that a setting names.
pub fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// When a log file is begun anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Rotate {
    /// By somebody else, or not at all.
    Never,
    /// Before it has more bytes than this.
    Size(u64),
    /// With each hour, UTC.
    Hourly,
    /// With each day, UTC.
    Daily,
}

impl Default for Rotate {
    fn default() -> Self {
        Self::Size(100_000_000)
    }
}

impl Rotate {
    /// Whether a file of so many bytes is too large.
    pub const fn is_full(self, bytes: u64) -> bool {
        matches!(self, Self::Size(most) if bytes > most)
    }

    /// The number of the hour or of the day; always the same where neither counts.
    pub const fn period(self, at: Timestamp) -> i64 {
        match self {
            Self::Never | Self::Size(_) => 0,
            Self::Hourly => at.0.div_euclid(3_600_000_000),
            Self::Daily => at.0.div_euclid(86_400_000_000),
        }
    }
}

impl TryFrom<String> for Rotate {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let units = [("GB", 1_000_000_000), ("MB", 1_000_000), ("KB", 1000), ("B", 1)];
        match text.as_str() {
            "never" => Ok(Self::Never),
            "hourly" => Ok(Self::Hourly),
            "daily" => Ok(Self::Daily),
            size => units
                .iter()
                .find_map(|(unit, bytes)| {
                    size.strip_suffix(unit)?.trim().parse::<u64>().ok()?.checked_mul(*bytes)
                })
                .filter(|bytes| *bytes > 0)
                .map(Self::Size)
                .ok_or("\"daily\", \"hourly\", \"never\", or a size like \"100MB\""),
        }
    }
}

/// A part of something: from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Share(f64);

impl Share {
    /// All of it.
    pub const ALL: Self = Self(1.0);

    /// As a number.
    pub const fn number(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Share {
    type Error = &'static str;

    fn try_from(number: f64) -> Result<Self, Self::Error> {
        if (0.0..=1.0).contains(&number) { Ok(Self(number)) } else { Err("a part of all: from 0 to 1") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_part_of_all() {
        assert_eq!(Share::try_from(0.25).map(Share::number), Ok(0.25));
        for bad in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(Share::try_from(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_has_a_scheme_and_no_slash_at_its_end() {
        assert_eq!("http://127.0.0.1:8081/".parse::<Address>().unwrap().to_string(), "http://127.0.0.1:8081");
        for bad in ["", "127.0.0.1:8081", "ftp://a", "https://", "http:///"] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_log_is_begun_anew_by_size_or_by_age() {
        let read = |text: &str| Rotate::try_from(text.to_owned());
        assert_eq!(read("100MB"), Ok(Rotate::Size(100_000_000)));
        assert_eq!(read("2 GB"), Ok(Rotate::Size(2_000_000_000)));
        for bad in ["", "0MB", "100", "MB", "weekly", "99999999999GB"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let (evening, midnight) = (Timestamp(86_399_999_999), Timestamp(86_400_000_000));
        assert_ne!(Rotate::Daily.period(evening), Rotate::Daily.period(midnight));
        assert_eq!(Rotate::Daily.period(Timestamp(0)), Rotate::Daily.period(evening));
        assert!(
            Rotate::Size(10).is_full(11) && !Rotate::Size(10).is_full(10) && !Rotate::Daily.is_full(u64::MAX)
        );
    }

    #[test]
    fn a_host_stands_between_the_scheme_and_the_port() {
        let host = |text: &str| text.parse::<Address>().unwrap().plain_host().map(str::to_owned);
        assert_eq!(host("http://backend:8080/tasker").as_deref(), Some("backend"));
        let named: Result<Address, _> = "http://ann:hush@10.0.0.1".parse();
        assert!(named.is_err_and(|refusal| refusal.contains("no name and no password")));
        assert_eq!(host("http://[::1]:8080").as_deref(), Some("::1"));
        assert_eq!(host("https://backend:8080"), None);
    }
}
