//! The address of the client.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use web::client_address::ClientAddress;

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
