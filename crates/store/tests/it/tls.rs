//! PostgreSQL over TLS: with `sslmode=verify-full` the server's certificate must be valid for its name.

use std::path::Path;

use database::{Db, ProcessClock};
use store::Store;
use telemetry::error_chain;
use tempfile::NamedTempFile;
use testkit::{CertificateAuthority, TestDatabase};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::kit::{ANN, TestStore};

/// The address of a database whose server must have a certificate issued by `ca`.
fn verified(url: &str, ca: &Path) -> String {
    format!("{url}?sslmode=verify-full&sslrootcert={}", ca.display())
}

/// Why no connection to the server at `url` comes about.
async fn refusal(url: &str) -> String {
    let db = Db::open(url).unwrap();
    let refusal = db.ping().await.expect_err("the certificate is not valid");
    assert!(refusal.is_unavailable(), "a certificate may be renewed: {refusal:?}");
    error_chain(&refusal)
}

#[tokio::test]
async fn tasks_are_stored_over_verified_tls() {
    let test = TestStore::postgres().await;
    let db = Db::open(&verified(&test.scratch.url, &testkit::postgres_ca_file())).unwrap();
    let Db::Postgres(pools) = &db else { panic!("it is not PostgreSQL") };
    let query = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    let (encrypted,): (bool,) = sqlx::query_as(query).fetch_one(&pools.write).await.unwrap();
    assert!(encrypted);

    let store = Store::new(db, ProcessClock::System);
    store.migrate().await.unwrap();
    let submission = test.submission();
    store.submit(std::slice::from_ref(&submission)).await.unwrap();
    assert!(store.get(ANN, submission.id).await.unwrap().is_some());
    store.close().await;
    test.finish().await;
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let (scratch, other) = (TestDatabase::postgres().await, NamedTempFile::new().unwrap());
    std::fs::write(other.path(), CertificateAuthority::new().pem()).unwrap();
    let refusal = refusal(&verified(&scratch.url, other.path())).await;
    assert!(refusal.ends_with("invalid peer certificate: UnknownIssuer"), "{refusal}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let scratch = TestDatabase::postgres().await;
    let (_, at) = scratch.url.split_once('@').unwrap();
    let (server, _) = at.split_once('/').unwrap();
    let elsewhere = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let other = elsewhere.local_addr().unwrap().to_string();
    let forward = async {
        loop {
            let (mut near, _) = elsewhere.accept().await.unwrap();
            let mut far = TcpStream::connect(server).await.unwrap();
            // The client closes the connection as soon as it has checked the certificate.
            let _ = copy_bidirectional(&mut near, &mut far).await;
        }
    };
    let url = verified(&scratch.url.replace(server, &other), &testkit::postgres_ca_file());
    let refusal = tokio::select! {
        () = forward => unreachable!("forwarding does not end"),
        refusal = refusal(&url) => refusal,
    };
    assert!(refusal.contains("certificate not valid for name \"127.0.0.2\""), "{refusal}");
}
