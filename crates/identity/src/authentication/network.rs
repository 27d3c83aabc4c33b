//! The network of an address, as far as one client may be behind all of its addresses.

use std::net::IpAddr;

/// The name of the network: an IPv4 address itself; for an IPv6 address its /64, since whoever has one of those addresses has all.
pub(crate) fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// The name of the wider network, of the size that a provider has: an IPv4 /16, an IPv6 /32. Whoever has many networks has them there.
pub(crate) fn provider_network(address: IpAddr) -> String {
    match address.to_canonical() {
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
    fn the_addresses_of_an_ipv6_network_are_one_client() {
        let network = |address: &str| network(address.parse().unwrap());
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:10.0.0.1"), network("10.0.0.1"));
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
