//! The network of an address: what every limit by address counts.

use std::net::IpAddr;

/// The name of the network that is one client as far as limits are concerned: an IPv4 address itself; for an IPv6 address its /64,
/// since whoever has one of those addresses has all; `loopback` for 127.0.0.0/8 and `::1`, which are one machine.
pub fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        address if address.is_loopback() => "loopback".to_owned(),
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// The name of the wider network, of the size that a provider has: an IPv4 /16, an IPv6 /32; `loopback` as for [`network`]. Whoever
/// has many networks has them there.
pub fn provider_network(address: IpAddr) -> String {
    match address.to_canonical() {
        address if address.is_loopback() => "loopback".to_owned(),
        IpAddr::V4(address) => {
            let [a, b, ..] = address.octets();
            format!("{a}.{b}.0.0/16")
        }
        IpAddr::V6(address) => {
            let [a, b, ..] = address.segments();
            format!("{a:x}:{b:x}::/32")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_one_client_are_one_network() {
        let network = |address: &str| network(address.parse().unwrap());
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:10.0.0.1"), network("10.0.0.1"));
        assert_ne!(network("10.0.0.1"), network("10.0.0.2"));
        for loopback in ["127.0.0.1", "127.200.0.9", "::1", "::ffff:127.0.0.3"] {
            assert_eq!(network(loopback), "loopback", "{loopback}");
        }
        assert_ne!(network("::2"), "loopback");
    }

    #[test]
    fn the_networks_of_a_provider_are_one() {
        let network = |address: &str| provider_network(address.parse().unwrap());
        assert_eq!(network("10.0.0.1"), network("::ffff:10.0.255.1"));
        assert_ne!(network("10.0.0.1"), network("10.1.0.1"));
        assert_eq!(network("2001:db8::1"), network("2001:db8:ffff::1"));
        assert_ne!(network("2001:db8::1"), network("2001:db9::1"));
    }
}
