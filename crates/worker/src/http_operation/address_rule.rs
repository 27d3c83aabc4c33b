//! Which addresses a call may reach: public ones, and those that the settings list.
//!
//! A URL, a name's addresses and a redirect may all lead to a service that trusts whoever reaches it from inside: a database on
//! this machine, or the metadata service of a cloud, which gives out credentials. The networks are those that IANA's registries
//! of special-purpose addresses list as not globally reachable.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The addresses that the calls of one operation may reach.
#[derive(Debug, Clone)]
pub(crate) struct AddressRule {
    allowed: Arc<[IpNet]>,
}

/// An address is not public, and the settings do not list it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the address {address} must not be called: it is {kind}, and http.allowed_networks does not list it")]
pub(crate) struct RefusedAddress {
    address: IpAddr,
    /// What the address is, for people.
    kind: &'static str,
}

impl AddressRule {
    /// Allows every public address, and the networks `allowed`.
    pub(crate) fn new(allowed: &[IpNet]) -> Self {
        Self { allowed: allowed.into() }
    }

    /// Fails if `address` must not be called.
    pub(crate) fn check(&self, address: IpAddr) -> Result<(), RefusedAddress> {
        // An IPv4 address that is mapped to IPv6 is reached over IPv4.
        let address = address.to_canonical();
        if self.allowed.iter().any(|network| network.contains(&address)) {
            return Ok(());
        }
        let kind = match address {
            IpAddr::V4(address) => special_kind_v4(address),
            IpAddr::V6(address) => special_kind_v6(address),
        };
        kind.map_or(Ok(()), |kind| Err(RefusedAddress { address, kind }))
    }
}

/// The networks of IPv4 that are not public.
const SPECIAL_V4: &[(Ipv4Net, &str)] = &[
    (v4([0, 0, 0, 0], 8), "an address of this machine"),
    (v4([10, 0, 0, 0], 8), "a private address"),
    (v4([100, 64, 0, 0], 10), "a shared address of a provider's network"),
    (v4([127, 0, 0, 0], 8), "a loopback address"),
    // Azure's virtual machines reach the platform's agent, which knows their secrets, at this otherwise public address.
    (v4([168, 63, 129, 16], 32), "a metadata address of a cloud"),
    // With 169.254.169.254, the metadata service of most clouds.
    (v4([169, 254, 0, 0], 16), "a link-local address"),
    (v4([172, 16, 0, 0], 12), "a private address"),
    (v4([192, 0, 0, 0], 24), "an address for protocols"),
    (v4([192, 0, 2, 0], 24), "an address for documentation"),
    (v4([192, 88, 99, 0], 24), "an address of 6to4 relays"),
    (v4([192, 168, 0, 0], 16), "a private address"),
    (v4([198, 18, 0, 0], 15), "an address for benchmarks"),
    (v4([198, 51, 100, 0], 24), "an address for documentation"),
    (v4([203, 0, 113, 0], 24), "an address for documentation"),
    (v4([224, 0, 0, 0], 4), "a multicast address"),
    // With 255.255.255.255, the broadcast address.
    (v4([240, 0, 0, 0], 4), "a reserved address"),
];

/// The networks of IPv6 that are not public. Those outside of [`GLOBAL_UNICAST`] are here for their names.
const SPECIAL_V6: &[(Ipv6Net, &str)] = &[
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), "an address of this machine"),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), "a loopback address"),
    // Teredo (2001::/32), whose addresses hold IPv4 addresses, is among them.
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), "an address for protocols"),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), "an address for documentation"),
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), "a 6to4 address"),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), "an address for documentation"),
    // With fd00:ec2::254, a metadata service.
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), "a private address"),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), "a link-local address"),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), "a multicast address"),
];

/// The part of IPv6 from which public addresses are given out. All else, such as `::/96` for IPv4-compatible addresses, is reserved.
const GLOBAL_UNICAST: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// The addresses under which a network of IPv6 alone reaches IPv4 (RFC 6052): their last four bytes are the IPv4 address.
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);

const fn v4(bytes: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::from_octets(bytes), prefix)
}

const fn v6(segments: [u16; 8], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::from_segments(segments), prefix)
}

/// What `address` is if it is not public.
fn special_kind_v4(address: Ipv4Addr) -> Option<&'static str> {
    SPECIAL_V4.iter().find(|(network, _)| network.contains(&address)).map(|(_, kind)| *kind)
}

/// What `address` is if it is not public.
fn special_kind_v6(address: Ipv6Addr) -> Option<&'static str> {
    if NAT64.contains(&address) {
        let [.., a, b, c, d] = address.octets();
        return special_kind_v4(Ipv4Addr::new(a, b, c, d));
    }
    let special = SPECIAL_V6.iter().find(|(network, _)| network.contains(&address)).map(|(_, kind)| *kind);
    special.or_else(|| (!GLOBAL_UNICAST.contains(&address)).then_some("a reserved address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(allowed: &[&str]) -> AddressRule {
        let networks: Vec<IpNet> = allowed.iter().map(|network| network.parse().unwrap()).collect();
        AddressRule::new(&networks)
    }

    fn is_allowed(rule: &AddressRule, address: &str) -> bool {
        rule.check(address.parse().unwrap()).is_ok()
    }

    #[test]
    fn public_addresses_are_allowed() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "168.63.129.15",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2606:4700:4700::1111",
            "2a00:1450:4001::1",
            "64:ff9b::1.1.1.1",
            "::ffff:1.1.1.1",
        ] {
            assert!(is_allowed(&rule(&[]), address), "{address}");
        }
    }

    #[test]
    fn addresses_that_are_not_public_are_refused() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.0.1",
            "169.254.169.254",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::8.8.8.8",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:10.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1.1.1.1",
            "100::1",
            "2001::1",
            "2001:0:102:304::f5ff:fffe",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "3fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_allowed(&rule(&[]), address), "{address}");
        }
    }

    #[test]
    fn listed_networks_are_allowed_and_nothing_beside_them() {
        let rule = rule(&["10.1.0.0/16", "fd00:1::/32", "127.0.0.1/32"]);
        for address in ["10.1.0.0", "10.1.255.255", "127.0.0.1", "::ffff:10.1.2.3", "fd00:1::7", "1.1.1.1"] {
            assert!(is_allowed(&rule, address), "{address}");
        }
        for address in ["10.0.255.255", "10.2.0.0", "127.0.0.2", "::1", "64:ff9b::10.1.2.3", "fd00:2::7"] {
            assert!(!is_allowed(&rule, address), "{address}");
        }
    }

    #[test]
    fn a_refusal_says_what_the_address_is() {
        let refusal = rule(&[]).check("::ffff:169.254.169.254".parse().unwrap()).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "the address 169.254.169.254 must not be called: it is a link-local address, and http.allowed_networks does not list it"
        );
    }
}
