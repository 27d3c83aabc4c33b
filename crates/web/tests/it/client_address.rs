//! The address of the client.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use web::client_address::{ClientAddress, TrustedProxies, determine};

use crate::exchange::{request, send};

fn router() -> Router {
    Router::new().route("/", get(async |ClientAddress(address): ClientAddress| address.to_string()))
}

#[tokio::test]
async fn the_address_is_that_of_the_connection_and_not_of_a_header() {
    for (peer, address) in [
        ("192.0.2.1:80", "192.0.2.1"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("[::ffff:192.0.2.1]:80", "192.0.2.1"),
    ] {
        let headers = [("x-forwarded-for", "203.0.113.7"), ("forwarded", "for=203.0.113.7")];
        let mut request = request("GET", "/", &headers);
        request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
        assert_eq!(send(&router(), request).await.text(), address);
    }
}

#[tokio::test]
async fn without_connect_info_all_clients_have_one_address() {
    assert_eq!(send(&router(), request("GET", "/", &[])).await.text(), "0.0.0.0");
}

/// The address of a client whose request comes from `peer` with these headers, by way of the proxies `10.0.0.0/8` and `::1`.
async fn address_of(peer: &str, headers: &[(&str, &str)]) -> String {
    let proxies = TrustedProxies::parse(&["10.0.0.0/8", "::1"]).unwrap();
    let router = router().layer(from_fn_with_state(proxies, determine));
    let mut request = request("GET", "/", headers);
    request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
    send(&router, request).await.text().to_owned()
}

#[tokio::test]
async fn behind_trusted_proxies_the_right_most_untrusted_address_counts() {
    const PROXY: &str = "10.0.0.1:80";
    for (peer, headers, expected) in [
        (PROXY, vec![("x-forwarded-for", "203.0.113.7")], "203.0.113.7"),
        (PROXY, vec![("x-forwarded-for", "198.51.100.1, 203.0.113.7 ,10.0.0.2")], "203.0.113.7"),
        (PROXY, vec![("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "203.0.113.7")], "203.0.113.7"),
        (PROXY, vec![("x-forwarded-for", "203.0.113.7:4711")], "203.0.113.7"),
        (
            PROXY,
            vec![("forwarded", "for=198.51.100.1, for=203.0.113.7;proto=https;by=10.0.0.1")],
            "203.0.113.7",
        ),
        (PROXY, vec![("forwarded", r#"proto=https;For="[2001:db8::1]:4711""#)], "2001:db8::1"),
        (PROXY, vec![("forwarded", r#"for="[2001:db8::1]""#)], "2001:db8::1"),
        ("[::1]:80", vec![("x-forwarded-for", "::ffff:203.0.113.7")], "203.0.113.7"),
        ("[::ffff:10.0.0.1]:80", vec![("x-forwarded-for", "203.0.113.7")], "203.0.113.7"),
        (PROXY, vec![("x-forwarded-for", "10.0.0.9")], "10.0.0.9"),
        (PROXY, vec![], "10.0.0.1"),
        (PROXY, vec![("x-forwarded-for", "198.51.100.1, unknown")], "10.0.0.1"),
        (PROXY, vec![("forwarded", "for=198.51.100.1, for=_hidden")], "10.0.0.1"),
        (PROXY, vec![("x-forwarded-for", "203.0.113.7"), ("forwarded", "for=203.0.113.7")], "203.0.113.7"),
        (PROXY, vec![("x-forwarded-for", "203.0.113.7"), ("forwarded", "for=198.51.100.1")], "10.0.0.1"),
        ("203.0.113.9:80", vec![("x-forwarded-for", "10.0.0.1")], "203.0.113.9"),
        ("203.0.113.9:80", vec![("forwarded", "for=10.0.0.1")], "203.0.113.9"),
    ] {
        assert_eq!(address_of(peer, &headers).await, expected, "{peer} {headers:?}");
    }
}

#[test]
fn a_proxy_is_an_address_or_a_network() {
    assert!(TrustedProxies::parse(&["192.0.2.7", "192.0.2.0/24", "2001:db8::/32", "::1"]).is_ok());
    for bad in ["", "proxy", "192.0.2.0/33", "*", "192.0.2.1:80"] {
        assert!(
            TrustedProxies::parse(&[bad]).unwrap_err().to_string().contains("is neither an address"),
            "{bad}"
        );
    }
}
