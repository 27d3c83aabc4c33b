//! Name resolution in which names below `localhost` always lead somewhere (RFC 6761, 6.3).

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The system's name resolution. A name such as `identity.localhost` that the system does not know is this machine: systems
/// differ in whether they resolve such names, and browsers always do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocalhostResolver;

impl Resolve for LocalhostResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move { Ok(lookup(name.as_str()).await?) })
    }
}

async fn lookup(name: &str) -> io::Result<Addrs> {
    match tokio::net::lookup_host((name, 0)).await {
        Ok(found) => Ok(Box::new(found.collect::<Vec<_>>().into_iter())),
        Err(_) if is_below_localhost(name) => {
            Ok(Box::new(std::iter::once(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))))
        }
        Err(error) => Err(error),
    }
}

fn is_below_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.rsplit_once('.').is_some_and(|(_, last)| last.eq_ignore_ascii_case("localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_below_localhost_are_known_by_their_last_label() {
        for name in ["identity.localhost", "a.b.LOCALHOST", "identity.localhost."] {
            assert!(is_below_localhost(name), "{name}");
        }
        for name in ["localhost", "localhost.example.org", "notlocalhost", "a.notlocalhost"] {
            assert!(!is_below_localhost(name), "{name}");
        }
    }
}
