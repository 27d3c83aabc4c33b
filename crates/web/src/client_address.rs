//! The address of the client that sent a request: that of the TCP connection, unless a trusted proxy names another.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::header::FORWARDED;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::Response;
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The IP address of the client; an IPv4 address that is mapped into IPv6 is given as IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// The addresses of reverse proxies whose word about their clients counts.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Arc<[IpNet]>);

/// A text that is neither an address nor a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither an address, like 192.0.2.7, nor a network, like 192.0.2.0/24 or 2001:db8::/32")]
pub struct InvalidProxy(String);

impl TrustedProxies {
    /// The proxies at these addresses and in these networks. Fails with the first text that is neither.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, InvalidProxy> {
        let parse = |text: &T| {
            let text = text.as_ref();
            let address = IpAddr::from_str(text).map(IpNet::from);
            address.or_else(|_| IpNet::from_str(text)).map_err(|_| InvalidProxy(text.to_owned()))
        };
        texts.iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The address of the client behind the connection from `peer`: the right-most one in the header that is no trusted proxy.
    /// What is to the left of it was written by the client, who may write anything.
    ///
    /// A proxy sets one of the two headers and may pass on the other as the client sent it. If both are there and name different
    /// clients, neither counts.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.contains(peer) {
            return peer;
        }
        let by = |name: HeaderName, read: fn(&str) -> Option<IpAddr>| {
            headers.contains_key(&name).then(|| self.right_most_untrusted(peer, headers, &name, read))
        };
        match (by(FORWARDED, read_forwarded), by(X_FORWARDED_FOR, read_node)) {
            (Some(one), Some(other)) if one != other => peer,
            (Some(address), _) | (_, Some(address)) => address,
            (None, None) => peer,
        }
    }

    fn right_most_untrusted(
        &self,
        peer: IpAddr,
        headers: &HeaderMap,
        name: &HeaderName,
        read: fn(&str) -> Option<IpAddr>,
    ) -> IpAddr {
        let mut nearest = peer;
        let values: Vec<_> =
            headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default()).collect();
        for element in values.iter().rev().flat_map(|value| value.rsplit(',')) {
            // An element without an address (`unknown`, a name) hides who is to the left of it.
            let Some(address) = read(element) else { return nearest };
            nearest = address;
            if !self.contains(nearest) {
                return nearest;
            }
        }
        nearest
    }
}

/// The address in an element of `Forwarded` (RFC 7239, section 4): `for=192.0.2.60;proto=http`, `For="[2001:db8::1]:4711"`.
fn read_forwarded(element: &str) -> Option<IpAddr> {
    let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, node) = pairs.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    read_node(node.trim().trim_matches('"'))
}

/// An address with or without a port; an IPv6 address with a port stands in brackets.
fn read_node(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let address =
        IpAddr::from_str(text).ok().or_else(|| SocketAddr::from_str(text).ok().map(|node| node.ip()));
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    address.or_else(bracketed).map(|address: IpAddr| address.to_canonical())
}

/// Middleware that determines the [`ClientAddress`] of every request. It must be outside of the log and of every handler that asks
/// for the address, and the server must be served with connect info.
pub async fn determine(State(proxies): State<TrustedProxies>, mut request: Request, next: Next) -> Response {
    let peer = peer(request.extensions().get());
    let address = ClientAddress(proxies.client(peer, request.headers()));
    request.extensions_mut().insert(address);
    next.run(request).await
}

fn peer(connection: Option<&ConnectInfo<SocketAddr>>) -> IpAddr {
    // Without connect info all clients have one address and share one rate limit: safe, and soon noticed.
    connection.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip().to_canonical())
}

impl<S: Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let determined = parts.extensions.get::<Self>().copied();
        Ok(determined.unwrap_or_else(|| Self(peer(parts.extensions.get()))))
    }
}
