//! Types of setting values that have rules of their own: addresses, log rotation, ratios.

use std::fmt;
use std::path::Path;

use domain::Timestamp;
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use web::allowed_hosts::{HostPattern, InvalidHost};
use web::client_address::{InvalidProxy, TrustedProxies};

/// The base URL of a service (`http://` or `https://`), stored without a trailing slash so that two spellings of one
/// issuer are equal.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Address(String);

impl Address {
    /// The host; an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        let (_, rest) = self.0.split_once("://").unwrap_or(("", &self.0));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        match authority.split_once(']') {
            Some((inside, _)) => inside.trim_start_matches('['),
            None => authority.split(':').next().unwrap_or(authority),
        }
    }

    /// The host, if the address is plain `http://`.
    pub fn plaintext_host(&self) -> Option<&str> {
        self.0.starts_with("http://").then(|| self.host())
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
                Err("an address is shown in logs, so it must hold no name and no password")
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

/// The base URLs of one or more processes of a service: one address, or a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressList(Vec<Address>);

impl AddressList {
    /// The addresses; at least one.
    pub fn iter(&self) -> std::slice::Iter<'_, Address> {
        self.0.iter()
    }

    /// The addresses as texts.
    pub fn to_strings(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

impl From<Address> for AddressList {
    fn from(address: Address) -> Self {
        Self(vec![address])
    }
}

impl TryFrom<Vec<Address>> for AddressList {
    type Error = &'static str;

    fn try_from(addresses: Vec<Address>) -> Result<Self, Self::Error> {
        let is_repeated = |(index, address)| addresses[..index].contains(address);
        if addresses.is_empty() {
            Err("a list of addresses has at least one")
        } else if addresses.iter().enumerate().any(is_repeated) {
            Err("a list has each address once")
        } else {
            Ok(Self(addresses))
        }
    }
}

impl<'de> Deserialize<'de> for AddressList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AddressListVisitor)
    }
}

/// Reads an [`AddressList`]; an error says which of its addresses breaks which rule.
struct AddressListVisitor;

impl<'de> Visitor<'de> for AddressListVisitor {
    type Value = AddressList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address or a list of addresses")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<AddressList, E> {
        text.parse::<Address>().map(AddressList::from).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<AddressList, A::Error> {
        let mut addresses: Vec<Address> = Vec::new();
        while let Some(address) = elements.next_element()? {
            addresses.push(address);
        }
        AddressList::try_from(addresses).map_err(de::Error::custom)
    }
}

/// The reverse proxies of a listener that are trusted.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Proxies(pub TrustedProxies);

impl TryFrom<Vec<String>> for Proxies {
    type Error = InvalidProxy;

    fn try_from(texts: Vec<String>) -> Result<Self, Self::Error> {
        TrustedProxies::parse(&texts).map(Self)
    }
}

/// The names of hosts under which a listener is reached.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Hosts(pub Vec<HostPattern>);

impl TryFrom<Vec<String>> for Hosts {
    type Error = InvalidHost;

    fn try_from(texts: Vec<String>) -> Result<Self, Self::Error> {
        texts.iter().map(|text| text.parse()).collect::<Result<_, _>>().map(Self)
    }
}

impl Hosts {
    /// These names and the hosts of `addresses`.
    pub fn and_those_of<'a>(&self, addresses: impl IntoIterator<Item = &'a Address>) -> Vec<HostPattern> {
        let others = addresses.into_iter().filter_map(|address| address.host().parse().ok());
        self.0.iter().cloned().chain(others).collect()
    }
}

/// The directory of a file; `.` for a bare file name.
pub fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// When the log file is rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Rotate {
    /// Tasker does not rotate it.
    Never,
    /// Before it would grow beyond this many bytes.
    Size(u64),
    /// At each full hour, UTC.
    Hourly,
    /// At midnight, UTC.
    Daily,
}

impl Default for Rotate {
    fn default() -> Self {
        Self::Size(100_000_000)
    }
}

impl Rotate {
    /// Whether a file of this many bytes is too large.
    pub const fn is_full(self, bytes: u64) -> bool {
        matches!(self, Self::Size(max) if bytes > max)
    }

    /// The number of the hour or day, counted from 1970; 0 where the file is not rotated by time.
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
                .ok_or("write \"daily\", \"hourly\", \"never\", or a size like \"100MB\""),
        }
    }
}

/// A number from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Ratio(f64);

impl Ratio {
    /// 1.
    pub const ONE: Self = Self(1.0);

    /// The number.
    pub const fn number(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Ratio {
    type Error = &'static str;

    fn try_from(number: f64) -> Result<Self, Self::Error> {
        if (0.0..=1.0).contains(&number) { Ok(Self(number)) } else { Err("write a number from 0 to 1") }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_ratio_is_from_0_to_1() {
        assert_eq!(Ratio::try_from(0.25).map(Ratio::number), Ok(0.25));
        for bad in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(Ratio::try_from(bad).is_err(), "{bad}");
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
    fn one_address_or_several_different_ones_are_a_list() {
        let read = |text: &str| toml::from_str::<BTreeMap<String, AddressList>>(&format!("x = {text}"));
        let strings = |text| read(text).unwrap()["x"].to_strings();
        assert_eq!(strings(r#""http://a/""#), ["http://a"]);
        assert_eq!(strings(r#"["http://a", "https://b"]"#), ["http://a", "https://b"]);
        for (bad, rule) in [
            ("[]", "at least one"),
            (r#"["http://a", "http://a/"]"#, "each address once"),
            (r#"["http://a", "b"]"#, "an address begins with http"),
            ("1", "an address or a list of addresses"),
        ] {
            let refusal = read(bad).unwrap_err().to_string();
            assert!(refusal.contains(rule), "{refusal}");
        }
    }

    #[test]
    fn a_log_is_rotated_by_size_or_by_time() {
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
    fn the_host_of_a_plain_address_is_known() {
        let host = |text: &str| text.parse::<Address>().unwrap().plaintext_host().map(str::to_owned);
        assert_eq!(host("http://backend:8080/tasker").as_deref(), Some("backend"));
        let named: Result<Address, _> = "http://ann:hush@10.0.0.1".parse();
        assert!(named.is_err_and(|refusal| refusal.contains("no name and no password")));
        assert_eq!(host("http://[::1]:8080").as_deref(), Some("::1"));
        assert_eq!(host("https://backend:8080"), None);
    }
}
