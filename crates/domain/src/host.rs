//! Whether a host is an IP address, and whether it is this machine.

use std::net::IpAddr;

/// Whether a host name or address is this machine: `localhost`, a name below it, or a loopback address. An IPv6 address may stand in
/// brackets.
pub fn is_loopback_host(host: &str) -> bool {
    let name = host.to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || ip_address(host).is_some_and(|ip| ip.to_canonical().is_loopback())
}

/// Whether a host is an IP address and not a name. An IPv6 address may stand in brackets.
pub fn is_ip_address(host: &str) -> bool {
    ip_address(host).is_some()
}

fn ip_address(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_names_are_this_machine() {
        for here in ["localhost", "LocalHost", "api.localhost", "127.0.0.1", "127.1.2.3", "[::1]", "::1"] {
            assert!(is_loopback_host(here), "{here}");
        }
        for elsewhere in ["backend", "10.0.0.1", "0.0.0.0", "localhost.example.org", "[::2]"] {
            assert!(!is_loopback_host(elsewhere), "{elsewhere}");
        }
    }
}
