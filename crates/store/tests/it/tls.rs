//! PostgreSQL over TLS: with `sslmode=verify-full` the server must be the one that was meant.

use std::path::Path;

use database::{Clock, Db};
use store::Store;
use telemetry::error_chain;
use tempfile::NamedTempFile;
use testkit::{Authority, Scratch};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::kit::{ANN, Bench};

/// The address of a database whose server must show a certificate by `ca`.
fn verified(url: &str, ca: &Path) -> String {
    format!("{url}?sslmode=verify-full&sslrootcert={}", ca.display())
}

/// Why the server at `url` is not spoken to.
async fn refusal(url: &str) -> String {
    let db = Db::open(url).unwrap();
    let refusal = db.ping().await.expect_err("it is not the one that was meant");
    assert!(refusal.is_unavailable(), "a certificate may be renewed: {refusal:?}");
    error_chain(&refusal)
}

#[tokio::test]
async fn a_verified_postgresql_keeps_tasks() {
    let bench = Bench::postgres().await;
    let db = Db::open(&verified(&bench.scratch.url, &testkit::postgres_ca())).unwrap();
    let Db::Postgres(pools) = &db else { panic!("it is PostgreSQL") };
    let query = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    let (encrypted,): (bool,) = sqlx::query_as(query).fetch_one(&pools.write).await.unwrap();
    assert!(encrypted);

    let store = Store::new(db, Clock::System);
    store.migrate().await.unwrap();
    let submission = bench.submission();
    store.submit(std::slice::from_ref(&submission)).await.unwrap();
    assert!(store.get(ANN, submission.id).await.unwrap().is_some());
    store.close().await;
    bench.finish().await;
}

#[tokio::test]
async fn a_server_by_another_authority_is_refused() {
    let (scratch, other) = (Scratch::postgres().await, NamedTempFile::new().unwrap());
    std::fs::write(other.path(), Authority::new().pem()).unwrap();
    let refusal = refusal(&verified(&scratch.url, other.path())).await;
    assert!(refusal.ends_with("invalid peer certificate: UnknownIssuer"), "{refusal}");
}

#[tokio::test]
async fn a_server_under_another_name_is_refused() {
    let scratch = Scratch::postgres().await;
    let (_, at) = scratch.url.split_once('@').unwrap();
    let (server, _) = at.split_once('/').unwrap();
    let elsewhere = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let other = elsewhere.local_addr().unwrap().to_string();
    let wire = async {
        loop {
            let (mut near, _) = elsewhere.accept().await.unwrap();
            let mut far = TcpStream::connect(server).await.unwrap();
            // The client leaves as soon as it has seen the certificate.
            let _ = copy_bidirectional(&mut near, &mut far).await;
        }
    };
    let url = verified(&scratch.url.replace(server, &other), &testkit::postgres_ca());
    let refusal = tokio::select! {
        () = wire => unreachable!("a wire does not end"),
        refusal = refusal(&url) => refusal,
    };
    assert!(refusal.contains("certificate not valid for name \"127.0.0.2\""), "{refusal}");
}
