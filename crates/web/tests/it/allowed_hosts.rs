//! The hosts that a request may name.

use axum::Router;
use axum::extract::Request;
use axum::http::Version;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use tokio::sync::watch;
use web::allowed_hosts::{self, AllowedHosts, HostPattern};

use crate::exchange::{request, send};

fn names(texts: &[&str]) -> Vec<HostPattern> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn router(hosts: AllowedHosts) -> Router {
    let routes = Router::new().route("/", get(async || "a page"));
    routes.layer(from_fn_with_state(hosts, allowed_hosts::enforce))
}

fn hosts() -> AllowedHosts {
    AllowedHosts::new("example.allowed_hosts", names(&["tasker.example", "*.svc.example"]))
}

#[tokio::test]
async fn names_of_the_setting_and_addresses_are_served() {
    for host in [
        "tasker.example",
        "Tasker.Example:8443",
        "tasker.example.",
        "a.svc.example",
        "a.b.svc.example:80",
        "127.0.0.1:8080",
        "10.0.0.7",
        "[::1]:8080",
        "[2001:db8::1]",
        "localhost:8080",
        "identity.localhost:8081",
    ] {
        let answer = send(&router(hosts()), request("GET", "/", &[("host", host)])).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (200, "a page"), "{host}");
    }
}

#[tokio::test]
async fn another_name_is_refused_and_the_answer_names_the_setting() {
    for host in [
        "evil.example",
        "tasker.example.evil.example",
        "svc.example",
        "asvc.example",
        "localhost.evil.example",
    ] {
        let answer = send(&router(hosts()), request("GET", "/", &[("host", host)])).await;
        assert_eq!(answer.status, 421, "{host}");
        let problem = answer.json();
        assert_eq!(problem["type"], "/errors/misdirected");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(host) && detail.contains("example.allowed_hosts"), "{detail}");
    }
}

#[tokio::test]
async fn a_request_names_one_host() {
    for (headers, why) in [
        (&[][..], "no Host header"),
        (&[("host", "tasker.example"), ("host", "evil.example")], "more than one Host header"),
        (&[("host", "tasker.example"), ("host", "tasker.example")], "more than one Host header"),
        (&[("host", "")], "not a host"),
        (&[("host", "tasker.example/path")], "not a host"),
        (&[("host", "ann@tasker.example")], "a user name"),
    ] {
        let answer = send(&router(hosts()), request("GET", "/", headers)).await;
        assert_eq!(answer.status, 400, "{headers:?}");
        let problem = answer.json();
        assert_eq!(problem["type"], "/errors/malformed");
        assert!(problem["detail"].as_str().unwrap().contains(why), "{problem}");
    }
}

/// A client in front of which nobody puts a name: HTTP/1.0, as of simple health checks.
#[tokio::test]
async fn http_1_0_needs_no_host_and_may_not_name_another() {
    let old = |headers: &[(&str, &str)]| -> Request {
        let mut request = request("GET", "/", headers);
        *request.version_mut() = Version::HTTP_10;
        request
    };
    assert_eq!(send(&router(hosts()), old(&[])).await.status, 200);
    assert_eq!(send(&router(hosts()), old(&[("host", "evil.example")])).await.status, 421);
}

/// The target of a request to a proxy, and `:authority` of HTTP/2.
#[tokio::test]
async fn the_host_in_the_target_counts_as_well_as_the_header() {
    for (target, host, status) in [
        ("http://tasker.example/", "tasker.example", 200),
        ("http://evil.example/", "tasker.example", 421),
        ("http://tasker.example/", "evil.example", 421),
    ] {
        let answer = send(&router(hosts()), request("GET", target, &[("host", host)])).await;
        assert_eq!(answer.status, status, "{target} {host}");
    }
    let mut without_header = request("GET", "http://tasker.example/", &[]);
    *without_header.version_mut() = Version::HTTP_2;
    assert_eq!(send(&router(hosts()), without_header).await.status, 200);
}

#[tokio::test]
async fn the_names_of_the_certificate_are_those_of_the_one_that_is_in_use() {
    let certificate = watch::Sender::new(names(&["old.example"]));
    let router = router(hosts().with_certificate(certificate.subscribe()));
    let status =
        async |host: &str| send(&router, request("GET", "/", &[("host", host)])).await.status.as_u16();
    assert_eq!((status("tasker.example").await, status("old.example").await), (200, 200));
    assert_eq!(status("new.example").await, 421);
    certificate.send_replace(names(&["new.example"]));
    assert_eq!((status("new.example").await, status("old.example").await), (200, 421));
}

#[test]
fn a_pattern_is_a_name_or_all_names_below_one() {
    for good in ["tasker", "a_b.example", "*.example", "10.0.0.7", "xn--bcher-kva.example"] {
        assert!(good.parse::<HostPattern>().is_ok(), "{good}");
    }
    for bad in
        ["", "*", "*.", "a.*.example", "https://a.example", "a.example:80", "a..b", "a/b", "bücher.example"]
    {
        let refusal = bad.parse::<HostPattern>().unwrap_err().to_string();
        assert!(refusal.contains("is not a host: write its name alone"), "{refusal}");
    }
}
