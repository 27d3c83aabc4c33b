//! TLS: every listener and every client of the services and of the command line, and certificates that are replaced.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use reqwest::header::{SET_COOKIE, STRICT_TRANSPORT_SECURITY};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use testkit::{CertificateAuthority, SignedCertificate};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::end_to_end::assert_serves_users;
use crate::kit::api_client::{ApiClient, PASSWORD};
use crate::kit::cluster::free_address;
use crate::kit::command::{run, set_arguments, tasker_command};
use crate::kit::process::Process;
use crate::kit::service_urls::ServiceUrls;
use crate::kit::tasker_up::{TaskerUp, UP_ON_FREE_PORTS};
use crate::kit::wait_until::{MAX_WAIT, wait_until};

const BACKEND_CERT: &str = "backend.tls_cert=cert.pem";
const BACKEND_KEY: &str = "backend.tls_key=key.pem";
const BACKEND_CA: &str = "backend.tls_ca=ca.pem";
const IDENTITY_CERT: &str = "identity.tls_cert=cert.pem";
const IDENTITY_KEY: &str = "identity.tls_key=key.pem";
const WORKER_CA: &str = "worker.tls_ca=ca.pem";

/// The settings of TLS for `tasker up`: of both listeners, and of their clients in the same process.
const ALL_TLS: [&str; 6] = [BACKEND_CERT, IDENTITY_CERT, BACKEND_KEY, IDENTITY_KEY, BACKEND_CA, WORKER_CA];

/// A certificate authority, and a directory with `ca.pem`, `cert.pem` and `key.pem`.
struct TlsFixture {
    home: TempDir,
    authority: CertificateAuthority,
}

impl TlsFixture {
    /// A fixture with a certificate for these hosts.
    fn new(hosts: &[&str]) -> Self {
        let (home, authority) = (TempDir::new().unwrap(), CertificateAuthority::new());
        std::fs::write(home.path().join("ca.pem"), authority.pem()).unwrap();
        std::fs::write(home.path().join("secret"), "a secret of the test\n").unwrap();
        let fixture = Self { home, authority };
        fixture.write_certificate(&fixture.authority.sign(hosts));
        fixture
    }

    fn home(&self) -> &Path {
        self.home.path()
    }

    /// Writes a certificate and its key into `cert.pem` and `key.pem`.
    fn write_certificate(&self, signed: &SignedCertificate) {
        std::fs::write(self.home().join("cert.pem"), &signed.certificate).unwrap();
        std::fs::write(self.home().join("key.pem"), &signed.key).unwrap();
    }

    /// Starts a Backend with TLS on a free port of the address `host`, without an Identity. Returns its port too.
    fn start_backend(&self, host: &str) -> (Process, u16) {
        let listen = format!("backend.listen={host}:0");
        let settings = ["database.url=sqlite:tasks.db", &listen, BACKEND_CERT, BACKEND_KEY];
        let mut backend = Process::start_service(self.home(), "backend", &settings);
        let address = backend.wait_for_line("the Backend listens on");
        (backend, address.rsplit_once(':').unwrap().1.parse().unwrap())
    }

    /// Opens a connection that trusts the authority.
    async fn connect(&self, port: u16) -> TlsStream<TcpStream> {
        let mut trusted = RootCertStore::empty();
        trusted.add(der(&self.authority.pem())).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(trusted)
            .with_no_client_auth();
        let tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let host = std::net::IpAddr::from([127, 0, 0, 1]).into();
        TlsConnector::from(Arc::new(config)).connect(host, tcp).await.unwrap()
    }
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// The certificate that the server has presented on a connection.
fn presented(connection: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    connection.get_ref().1.peer_certificates().unwrap()[0].clone()
}

/// Whether the server answers a request on a connection, which stays open.
async fn is_served(connection: &mut TlsStream<TcpStream>) -> bool {
    connection.write_all(b"GET /health/live HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").await.unwrap();
    let mut response = [0; 4096];
    let length = connection.read(&mut response).await.unwrap();
    response[..length].starts_with(b"HTTP/1.1 200 ")
}

#[tokio::test]
async fn a_process_for_each_service_serves_users_over_tls() {
    let fixture = TlsFixture::new(&["127.0.0.1", "tasker.example.org"]);
    let (backend_address, identity_address) = (free_address(), free_address());
    let urls = ServiceUrls {
        backend: format!("https://{backend_address}"),
        identity: format!("https://{identity_address}"),
        ca: Some(fixture.authority.pem()),
    };
    let database = "database.url=sqlite:tasks.db";
    let mut worker = Process::start_service(
        fixture.home(),
        "worker",
        &[
            "worker.client_id=rig",
            "worker.client_secret=a secret of the test",
            "worker.simulate_work_ms=[50, 100]",
            &format!("worker.backend_url={}", urls.backend),
            &format!("worker.identity_url={}", urls.identity),
            WORKER_CA,
        ],
    );
    let listen = format!("backend.listen={backend_address}");
    let identity_url = format!("backend.identity_url={}", urls.identity);
    let settings = [database, &listen, &identity_url, BACKEND_CERT, BACKEND_KEY, BACKEND_CA];
    let mut backend = Process::start_service(fixture.home(), "backend", &settings);
    let listen = format!("identity.listen={identity_address}");
    let clients = r#"identity.clients=[{ id = "rig", secret_file = "secret", roles = ["Worker"] }]"#;
    let hosts = r#"identity.allowed_hosts=["id.example.org"]"#;
    let settings = [database, &listen, clients, hosts, IDENTITY_CERT, IDENTITY_KEY];
    let mut identity = Process::start_service(fixture.home(), "identity", &settings);
    let setup_link = identity.wait_for_line("Setup link:");
    assert!(setup_link.starts_with(&urls.identity), "the default issuer is the listener's URL: {setup_link}");
    worker.wait_for_line("takes tasks");

    assert_serves_users(&urls).await;
    assert_browsers_are_kept_on_tls(&urls).await;
    assert_the_command_line_needs_the_authority(&urls, &fixture).await;
    for process in [&mut worker, &mut backend, &mut identity] {
        process.stop();
    }
}

/// Asserts that cookies are for TLS alone, and that both services send `Strict-Transport-Security` (RFC 6797).
async fn assert_browsers_are_kept_on_tls(urls: &ServiceUrls) {
    let form = [("Username", "ann"), ("Password", PASSWORD)];
    let login = urls.http_client().post(format!("{}/Auth/Login", urls.identity)).form(&form);
    let login = login.header("host", "id.example.org").send().await.unwrap();
    let cookie = login.headers()[SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("__Host-") && cookie.contains("; Secure"), "{cookie}");
    assert!(login.headers()[STRICT_TRANSPORT_SECURITY].to_str().unwrap().starts_with("max-age=31536000"));
    let health = urls.http_client().get(format!("{}/health/live", urls.backend));
    let health = health.header("host", "tasker.example.org").send().await.unwrap();
    assert_eq!(health.status(), 200, "a name in the certificate");
    assert_eq!(health.headers()[STRICT_TRANSPORT_SECURITY], "max-age=31536000");
}

/// Asserts that client commands trust the certificate authority of `--tls-ca` or `TASKER_TLS_CA` and no other.
async fn assert_the_command_line_needs_the_authority(urls: &ServiceUrls, fixture: &TlsFixture) {
    let ann = ApiClient::sign_in(urls, "ann").await;
    let list = |more: &[&str], variable: &str| {
        let list = [&["list", "--backend-url", &urls.backend][..], more].concat();
        let command = &mut tasker_command(fixture.home(), list);
        run(command.env("TASKER_TOKEN", ann.token()).env("TASKER_TLS_CA", variable))
    };
    assert_eq!(list(&["--tls-ca", "ca.pem"], "").code, 0);
    assert_eq!(list(&[], "ca.pem").code, 0);
    let both = list(&["--tls-ca", "ca.pem"], "absent.pem");
    assert_eq!(both.code, 0, "the flag takes precedence over the variable: {}", both.stderr);
    std::fs::write(fixture.home().join("other.pem"), CertificateAuthority::new().pem()).unwrap();
    let refused = list(&[], "other.pem");
    assert_eq!(refused.code, 9);
    let error = format!("error: the certificate of {}/api/Task/?limit=50 is refused: ", urls.backend);
    assert!(refused.stderr.starts_with(&error), "{}", refused.stderr);
    let hint = "UnknownIssuer\nhint: is its authority in the file that --tls-ca";
    assert!(refused.stderr.contains(hint), "{}", refused.stderr);
    let invalid = list(&["--tls-ca", "secret"], "");
    assert_eq!(invalid.code, 2);
    let error = "error: --tls-ca = secret: there is no certificate";
    assert!(invalid.stderr.starts_with(error), "{}", invalid.stderr);
    let absent = list(&[], "absent.pem");
    let error = "error: TASKER_TLS_CA = absent.pem: it cannot be read";
    assert!(absent.stderr.starts_with(error), "{}", absent.stderr);
    let plaintext = ["list", "--backend-url", &urls.backend.replace("https:", "http:")];
    let plaintext = run(tasker_command(fixture.home(), plaintext).env("TASKER_TOKEN", ann.token()));
    assert_eq!(plaintext.code, 9);
    assert!(plaintext.stderr.contains("hint: does it speak TLS?"), "{}", plaintext.stderr);
}

#[tokio::test]
async fn tasker_up_speaks_tls_and_its_client_commands_trust_its_authority() {
    let fixture = TlsFixture::new(&["localhost"]);
    let ca = fixture.authority.pem();
    let mut up = TaskerUp::start_in(fixture.home, &ALL_TLS);
    assert!(up.backend_url.starts_with("https://localhost:"), "{}", up.backend_url);
    assert!(up.identity_url.starts_with("https://localhost:"), "{}", up.identity_url);
    let login = up.run_command(["submit", "GENERATE_LOGIN", "--ttl", "30s", "--wait"]);
    assert_eq!(login.code, 0, "{}", login.stderr);
    assert_serves_users(&ServiceUrls { ca: Some(ca), ..up.urls() }).await;
    up.process().stop();
    assert_eq!(up.process().count_lines("WARN"), 0, "{:?}", up.process().output());
}

#[tokio::test]
async fn a_client_logs_that_it_refuses_a_certificate_of_an_unknown_authority() {
    let fixture = TlsFixture::new(&["127.0.0.1"]);
    let mut up = TaskerUp::start_in(fixture.home, &ALL_TLS);
    let home = TempDir::new().unwrap();
    std::fs::write(home.path().join("ca.pem"), CertificateAuthority::new().pem()).unwrap();
    let mut worker = Process::start_service(
        home.path(),
        "worker",
        &[
            "worker.client_id=rig",
            "worker.client_secret=x",
            &format!("worker.backend_url={}", up.backend_url),
            &format!("worker.identity_url={}", up.identity_url),
            WORKER_CA,
        ],
    );
    let error = worker.wait_for_line("requests to the Backend fail and are retried:");
    assert!(error.contains(&format!("the certificate of {}/", up.identity_url)), "{error}");
    assert!(error.contains("is refused: invalid peer certificate: UnknownIssuer"), "{error}");

    let identity_url = format!("backend.identity_url={}", up.identity_url);
    let settings = ["database.url=sqlite:tasks.db", "backend.listen=127.0.0.1:0", &identity_url, BACKEND_CA];
    let mut backend = Process::start_service(home.path(), "backend", &settings);
    let error = backend.wait_for_line("the keys of Identity cannot be fetched");
    assert!(error.contains("UnknownIssuer"), "{error}");
    up.process().stop();
    let warnings = up.process().count_lines("WARN");
    assert_eq!(warnings, 0, "a server does not warn of handshakes that clients refuse");
}

#[tokio::test]
async fn a_replaced_certificate_is_presented_without_a_restart_and_one_without_its_key_is_not() {
    let fixture = TlsFixture::new(&["127.0.0.1"]);
    let (mut backend, port) = fixture.start_backend("127.0.0.1");
    let mut open = fixture.connect(port).await;
    let first = presented(&open);
    assert!(is_served(&mut open).await);

    let next = fixture.authority.sign(&["127.0.0.1"]);
    let other_key = fixture.authority.sign(&["127.0.0.1"]).key;
    fixture.write_certificate(&SignedCertificate { key: other_key, ..next.clone() });
    let mismatch = "backend.tls_key = key.pem: it is not the key of backend.tls_cert = cert.pem";
    let rest = backend.wait_for_line(mismatch);
    assert!(rest.contains("the old certificate stays in use"), "{rest}");
    assert_eq!(presented(&fixture.connect(port).await), first);
    assert!(is_served(&mut open).await);

    fixture.write_certificate(&next);
    let next = der(&next.certificate);
    wait_until("the new certificate is presented", async || {
        let certificate = presented(&fixture.connect(port).await);
        assert!(certificate == first || certificate == next, "one of both is presented");
        certificate == next
    })
    .await;
    assert!(is_served(&mut open).await, "a connection from before the change is still served");
    backend.wait_for_line("backend.tls_cert = cert.pem: new connections use the new certificate");
    backend.stop();
    assert_eq!(backend.count_lines("stays in use"), 1, "{:?}", backend.output());
}

#[tokio::test]
async fn a_listener_with_tls_may_accept_other_machines() {
    let fixture = TlsFixture::new(&["127.0.0.1"]);
    let (_backend, port) = fixture.start_backend("0.0.0.0");
    assert!(is_served(&mut fixture.connect(port).await).await);
}

#[test]
fn an_invalid_certificate_is_refused_at_the_start() {
    let fixture = TlsFixture::new(&["127.0.0.1"]);
    let certificate = std::fs::read_to_string(fixture.home().join("cert.pem")).unwrap();
    let key = fixture.authority.sign(&["127.0.0.1"]).key;
    fixture.write_certificate(&SignedCertificate { certificate, key });
    let refusal = |settings: &[&str]| {
        let arguments = UP_ON_FREE_PORTS.into_iter().chain(set_arguments(settings.iter().copied()));
        let output = run(&mut tasker_command(fixture.home(), arguments));
        assert_eq!((output.code, output.stdout.as_str()), (2, ""), "{}", output.stderr);
        output.stderr
    };
    let mismatch = refusal(&ALL_TLS);
    let error = "error: backend.tls_key = key.pem: it is not the key of backend.tls_cert = cert.pem";
    assert_eq!(mismatch, error);
    let without_key = refusal(&[IDENTITY_CERT]);
    assert_eq!(without_key, "error: identity.tls_cert is set and identity.tls_key is not");
    let absent = refusal(&["identity.tls_cert=absent.pem", IDENTITY_KEY]);
    assert!(absent.starts_with("error: identity.tls_cert = absent.pem: it cannot be read: "), "{absent}");
    let empty_ca = refusal(&["backend.tls_ca=key.pem"]);
    assert!(empty_ca.starts_with("error: backend.tls_ca = key.pem: there is no certificate"), "{empty_ca}");
}

#[tokio::test]
async fn a_client_that_makes_no_handshake_delays_no_other_and_is_disconnected() {
    let fixture = TlsFixture::new(&["127.0.0.1"]);
    let settings = [&ALL_TLS[..], &["log.level=warn,tasker=debug"]].concat();
    let mut up = TaskerUp::start_in(fixture.home, &settings);
    let address = up.backend_url.strip_prefix("https://").unwrap();
    let mut silent = std::net::TcpStream::connect(address).unwrap();
    let plaintext = reqwest::get(format!("http://{address}/health/live")).await;
    assert!(plaintext.is_err(), "{plaintext:?}");
    up.process().wait_for_line("a TLS handshake failed");
    assert_eq!(up.run_command(["list"]).code, 0, "other clients are served meanwhile");
    silent.set_read_timeout(Some(MAX_WAIT)).unwrap();
    assert_eq!(silent.read(&mut [0; 16]).expect("the server closes the connection"), 0);
    up.process().wait_for_line("a TLS handshake timed out");
}

#[test]
fn connections_to_other_machines_without_tls_are_warned_of_at_the_start() {
    let home = TempDir::new().unwrap();
    let settings = [
        "worker.client_id=rig",
        "worker.client_secret=x",
        "worker.backend_url=http://backend.invalid:8080",
        "worker.identity_url=https://id.invalid",
    ];
    let mut worker = Process::start_service(home.path(), "worker", &settings);
    let warning =
        "worker.backend_url = http://backend.invalid:8080: connections to backend.invalid have no TLS";
    worker.wait_for_line(warning);
    worker.wait_for_line("requests to the Backend fail and are retried");
    assert_eq!(worker.count_lines("have no TLS"), 1, "{:?}", worker.output());

    let database = "database.url=postgres://tasker:hush@db.invalid/tasker?sslmode=disable";
    let settings = [database, "identity.listen=127.0.0.1:0"];
    let mut identity = Process::start_service(home.path(), "identity", &settings);
    identity.wait_for_line("database.url: connections to PostgreSQL at db.invalid have no TLS");
    let settings = [database, "backend.identity_url=http://id.invalid", "backend.listen=127.0.0.1:0"];
    let mut backend = Process::start_service(home.path(), "backend", &settings);
    backend.wait_for_line("database.url: connections to PostgreSQL at db.invalid have no TLS");
    backend.wait_for_line("backend.identity_url = http://id.invalid: connections to id.invalid have no TLS");
}

#[test]
fn plain_http_needs_no_certificate_authorities_of_the_platform() {
    let home = TempDir::new().unwrap();
    let no_authorities = [("SSL_CERT_FILE", "/nowhere"), ("SSL_CERT_DIR", "/nowhere")];
    let mut up = Process::start(tasker_command(home.path(), UP_ON_FREE_PORTS).envs(no_authorities));
    up.wait_for_line("Ready.");
    let submit = ["submit", "ECHO", "--ttl", "30s", "--wait"];
    let output = run(tasker_command(home.path(), submit).envs(no_authorities));
    assert_eq!(output.code, 0, "{}", output.stderr);
    let over_tls = ["list", "--backend-url", "https://127.0.0.1:9", "--token", "t"];
    let output = run(tasker_command(home.path(), over_tls).envs(no_authorities));
    assert!(output.stderr.starts_with("error: TLS cannot be set up: "), "{}", output.stderr);
}
