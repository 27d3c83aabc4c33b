//! TLS at every door: the services, those who ask them, the command line, and certificates that are replaced.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::io::Read;
use std::net::TcpStream as Plain;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{SET_COOKIE, STRICT_TRANSPORT_SECURITY};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use testkit::{Authority, Signed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::end_to_end::serves_as_promised;
use crate::kit::cluster::{free_port, role};
use crate::kit::person::{Addresses, Person};
use crate::kit::process::{Process, Up, run, tasker};

/// An authority, and a home in which `ca.pem`, `cert.pem` and `key.pem` lie.
struct Prepared {
    home: TempDir,
    authority: Authority,
}

impl Prepared {
    /// With a certificate for these hosts.
    fn new(hosts: &[&str]) -> Self {
        let (home, authority) = (TempDir::new().unwrap(), Authority::new());
        std::fs::write(home.path().join("ca.pem"), authority.pem()).unwrap();
        std::fs::write(home.path().join("secret"), "a secret of the test\n").unwrap();
        let ground = Self { home, authority };
        ground.lay(&ground.authority.sign(hosts));
        ground
    }

    fn home(&self) -> &Path {
        self.home.path()
    }

    /// Puts a certificate and its key into their files.
    fn lay(&self, signed: &Signed) {
        std::fs::write(self.home().join("cert.pem"), &signed.certificate).unwrap();
        std::fs::write(self.home().join("key.pem"), &signed.key).unwrap();
    }

    /// A Backend with TLS whose Identity is nowhere; `listen` has port 0. Returns its port too.
    fn backend(&self, listen: &str) -> (Process, u16) {
        let listen = format!("backend.listen={listen}:0");
        let settings = ["database.url=sqlite:tasks.db", &listen, CERT[0], KEY[0]];
        let mut backend = role(self.home(), "backend", &settings);
        let address = backend.after("the Backend listens on");
        (backend, address.rsplit_once(':').unwrap().1.parse().unwrap())
    }

    /// A connection that trusts the authority.
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
        let name = std::net::IpAddr::from([127, 0, 0, 1]).into();
        TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap()
    }
}

const CERT: [&str; 2] = ["backend.tls_cert=cert.pem", "identity.tls_cert=cert.pem"];
const KEY: [&str; 2] = ["backend.tls_key=key.pem", "identity.tls_key=key.pem"];
const CA: [&str; 2] = ["backend.tls_ca=ca.pem", "worker.tls_ca=ca.pem"];

/// Everything that a listener and those who ask it need, for `tasker up`.
const ALL: [&str; 6] = [CERT[0], CERT[1], KEY[0], KEY[1], CA[0], CA[1]];

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// The certificate that a connection was shown.
fn shown(connection: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    connection.get_ref().1.peer_certificates().unwrap()[0].clone()
}

/// One request on a connection that stays open.
async fn is_alive(connection: &mut TlsStream<TcpStream>) -> bool {
    connection.write_all(b"GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut answer = [0; 4096];
    let length = connection.read(&mut answer).await.unwrap();
    answer[..length].starts_with(b"HTTP/1.1 200 ")
}

#[tokio::test]
async fn a_process_for_each_role_serves_as_promised_over_tls() {
    let ground = Prepared::new(&["127.0.0.1"]);
    let (backend_at, identity_at) = (free_port(), free_port());
    let at = Addresses {
        backend: format!("https://{backend_at}"),
        identity: format!("https://{identity_at}"),
        ca: Some(ground.authority.pem()),
    };
    let (backend_url, issuer) =
        (format!("worker.backend_url={}", at.backend), format!("identity_url={}", at.identity));
    let (worker_issuer, secret) = (format!("worker.{issuer}"), "worker.client_secret=a secret of the test");
    let who = ["worker.client_id=rig", secret, "worker.simulate_work_ms=[50, 100]", CA[1]];
    let settings = [&who[..], &[&backend_url, &worker_issuer]].concat();
    let mut worker = role(ground.home(), "worker", &settings);
    let database = "database.url=sqlite:tasks.db";
    let (listen, issuer) = (format!("backend.listen={backend_at}"), format!("backend.{issuer}"));
    let mut backend = role(ground.home(), "backend", &[database, &listen, &issuer, CERT[0], KEY[0], CA[0]]);
    let listen = format!("identity.listen={identity_at}");
    let clients = r#"identity.clients=[{ id = "rig", secret_file = "secret", roles = ["Worker"] }]"#;
    let mut identity = role(ground.home(), "identity", &[database, &listen, clients, CERT[1], KEY[1]]);
    assert!(identity.after("Setup link:").starts_with(&at.identity), "the issuer follows the listener");
    worker.after("takes tasks");

    serves_as_promised(&at).await;
    browsers_are_told_to_stay_with_tls(&at).await;
    the_command_line_must_be_told_the_authority(&at, &ground).await;
    for process in [&mut worker, &mut backend, &mut identity] {
        process.terminate();
        assert!(process.ended().success(), "{:?}", process.seen());
    }
}

async fn browsers_are_told_to_stay_with_tls(at: &Addresses) {
    let form = [("Username", "ann"), ("Password", "seven-green-herons")];
    let login = at.http().post(format!("{}/Auth/Login", at.identity)).form(&form).send().await.unwrap();
    let cookie = login.headers()[SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("__Host-") && cookie.contains("; Secure"), "{cookie}");
    let api = at.http().get(format!("{}/health/live", at.backend)).send().await.unwrap();
    assert_eq!(api.headers()[STRICT_TRANSPORT_SECURITY], "max-age=31536000");
    assert!(login.headers()[STRICT_TRANSPORT_SECURITY].to_str().unwrap().starts_with("max-age=31536000"));
}

async fn the_command_line_must_be_told_the_authority(at: &Addresses, ground: &Prepared) {
    let ann = Person::sign_in(at, "ann").await;
    let list = |more: &[&str], variable: &str| {
        let list = [&["list", "--backend-url", &at.backend][..], more].concat();
        let command = &mut tasker(ground.home(), list);
        run(command.env("TASKER_TOKEN", ann.token()).env("TASKER_TLS_CA", variable))
    };
    assert_eq!(list(&["--tls-ca", "ca.pem"], "").code, 0);
    assert_eq!(list(&[], "ca.pem").code, 0);
    assert_eq!(list(&["--tls-ca", "ca.pem"], "absent.pem").code, 0, "the flag wins");
    std::fs::write(ground.home().join("other.pem"), Authority::new().pem()).unwrap();
    let refused = list(&[], "other.pem");
    assert_eq!(refused.code, 9);
    let says = format!("error: the certificate of {}/api/Task/?limit=50 is refused: ", at.backend);
    assert!(refused.err.starts_with(&says), "{}", refused.err);
    assert!(
        refused.err.contains("UnknownIssuer\nhint: is its authority in the file that --tls-ca"),
        "{}",
        refused.err
    );
    let reject = list(&["--tls-ca", "secret"], "");
    assert_eq!(reject.code, 2);
    assert!(reject.err.starts_with("error: --tls-ca = secret: there is no certificate"), "{}", reject.err);
    let absent = list(&[], "absent.pem");
    assert!(absent.err.starts_with("error: TASKER_TLS_CA = absent.pem: it cannot be read"), "{}", absent.err);
    let plain = ["list", "--backend-url", &at.backend.replace("https:", "http:")];
    let plain = run(tasker(ground.home(), plain).env("TASKER_TOKEN", ann.token()));
    assert_eq!(plain.code, 9);
    assert!(plain.err.contains("hint: does it speak TLS?"), "{}", plain.err);
}

#[tokio::test]
async fn tasker_up_speaks_tls_and_its_command_line_knows_whom_to_trust() {
    let ground = Prepared::new(&["localhost"]);
    let ca = ground.authority.pem();
    let mut up = Up::start_in(ground.home, &ALL);
    assert!(up.backend.starts_with("https://localhost:"), "{}", up.backend);
    assert!(up.identity.starts_with("https://localhost:"), "{}", up.identity);
    let login = up.ask(["submit", "GENERATE_LOGIN", "--ttl", "30s", "--wait"]);
    assert_eq!(login.code, 0, "{}", login.err);
    serves_as_promised(&Addresses { ca: Some(ca), ..up.addresses() }).await;
    up.process().terminate();
    assert!(up.process().ended().success());
    let told = up.process().seen().iter().filter(|line| line.contains("WARN")).count();
    assert_eq!(told, 0, "{:?}", up.process().seen());
}

#[tokio::test]
async fn who_does_not_know_the_authority_says_so() {
    let ground = Prepared::new(&["127.0.0.1"]);
    let mut up = Up::start_in(ground.home, &ALL);
    let home = TempDir::new().unwrap();
    std::fs::write(home.path().join("ca.pem"), Authority::new().pem()).unwrap();
    let (backend, issuer) =
        (format!("worker.backend_url={}", up.backend), format!("identity_url={}", up.identity));
    let worker_issuer = format!("worker.{issuer}");
    let who = ["worker.client_id=rig", "worker.client_secret=x", CA[1], &backend, &worker_issuer];
    let mut worker = role(home.path(), "worker", &who);
    let says = worker.after("keeps trying to reach the Backend:");
    assert!(says.contains(&format!("the certificate of {}/", up.identity)), "{says}");
    assert!(says.contains("is refused: invalid peer certificate: UnknownIssuer"), "{says}");

    let issuer = format!("backend.{issuer}");
    let settings = ["database.url=sqlite:tasks.db", "backend.listen=127.0.0.1:0", &issuer, CA[0]];
    let mut backend = role(home.path(), "backend", &settings);
    assert!(backend.after("the keys of Identity cannot be fetched").contains("UnknownIssuer"));
    up.process().terminate();
    assert!(up.process().ended().success());
    assert!(!up.process().seen().iter().any(|line| line.contains("WARN")), "it is its clients' affair");
}

#[tokio::test]
async fn a_replaced_certificate_is_shown_without_a_restart_and_a_broken_one_is_not() {
    let ground = Prepared::new(&["127.0.0.1"]);
    let (mut backend, port) = ground.backend("127.0.0.1");
    let mut open = ground.connect(port).await;
    let first = shown(&open);
    assert!(is_alive(&mut open).await);

    let next = ground.authority.sign(&["127.0.0.1"]);
    let mismatch = Signed { key: ground.authority.sign(&["127.0.0.1"]).key, ..next.clone() };
    ground.lay(&mismatch);
    let told = backend.after("backend.tls_key = key.pem: it is not the key of backend.tls_cert = cert.pem");
    assert!(told.contains("the old certificate stays in use"), "{told}");
    assert_eq!(shown(&ground.connect(port).await), first);
    assert!(is_alive(&mut open).await);

    ground.lay(&next);
    loop {
        let now = shown(&ground.connect(port).await);
        assert!(is_alive(&mut open).await, "what was open goes on");
        if now == der(&next.certificate) {
            break;
        }
        assert_eq!(now, first);
        tokio::task::yield_now().await;
    }
    backend.after("backend.tls_cert = cert.pem: new connections use the new certificate");
    backend.terminate();
    assert!(backend.ended().success());
    let warnings = backend.seen().iter().filter(|line| line.contains("stays in use"));
    assert_eq!(warnings.count(), 1, "{:?}", backend.seen());
}

#[tokio::test]
async fn with_tls_a_listener_may_be_reached_by_other_machines() {
    let ground = Prepared::new(&["127.0.0.1"]);
    let (_backend, port) = ground.backend("0.0.0.0");
    assert!(is_alive(&mut ground.connect(port).await).await);
}

#[test]
fn a_certificate_that_cannot_be_shown_is_refused_at_the_start() {
    let ground = Prepared::new(&["127.0.0.1"]);
    let own = std::fs::read_to_string(ground.home().join("cert.pem")).unwrap();
    let key = ground.authority.sign(&["127.0.0.1"]).key;
    ground.lay(&Signed { certificate: own, key });
    let free = ["up", "--backend-addr", "127.0.0.1:0", "--identity-addr", "127.0.0.1:0"];
    let refusal = |settings: &[&str]| {
        let sets = settings.iter().flat_map(|setting| ["--set", setting]);
        let said = run(&mut tasker(ground.home(), free.into_iter().chain(sets)));
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{}", said.err);
        said.err
    };
    let mismatch = refusal(&ALL);
    let says = "error: backend.tls_key = key.pem: it is not the key of backend.tls_cert = cert.pem";
    assert_eq!(mismatch, says);
    let half = refusal(&[CERT[1]]);
    assert_eq!(half, "error: identity.tls_cert is set and identity.tls_key is not");
    let absent = refusal(&["identity.tls_cert=absent.pem", KEY[1]]);
    assert!(absent.starts_with("error: identity.tls_cert = absent.pem: it cannot be read: "), "{absent}");
    let nobody = refusal(&["backend.tls_ca=key.pem"]);
    assert!(nobody.starts_with("error: backend.tls_ca = key.pem: there is no certificate"), "{nobody}");
}

#[tokio::test]
async fn whoever_does_not_shake_hands_keeps_nobody_waiting() {
    let ground = Prepared::new(&["127.0.0.1"]);
    let mut up = Up::start_in(ground.home, &[&ALL[..], &["log.level=warn,tasker=debug"]].concat());
    let place = up.backend.strip_prefix("https://").unwrap();
    let mut silent = Plain::connect(place).unwrap();
    let plain = reqwest::get(format!("http://{place}/health/live")).await;
    assert!(plain.is_err(), "{plain:?}");
    up.process().after("a TLS handshake failed");
    assert_eq!(up.ask(["list"]).code, 0, "others are served meanwhile");
    silent.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    assert_eq!(silent.read(&mut [0; 16]).expect("the server ends it"), 0);
    up.process().after("a TLS handshake timed out");
}

#[test]
fn what_others_can_read_is_told_at_the_start() {
    let home = TempDir::new().unwrap();
    let who = ["worker.client_id=rig", "worker.client_secret=x"];
    let far = ["worker.backend_url=http://backend.invalid:8080", "worker.identity_url=https://id.invalid"];
    let mut worker = role(home.path(), "worker", &[who, far].concat());
    worker.after(
        "worker.backend_url = http://backend.invalid:8080: connections to backend.invalid have no TLS",
    );
    worker.after("keeps trying to reach the Backend");
    let told = worker.seen().iter().filter(|line| line.contains("have no TLS")).count();
    assert_eq!(told, 1, "{:?}", worker.seen());

    let away = "database.url=postgres://tasker:hush@db.invalid/tasker?sslmode=disable";
    let mut identity = role(home.path(), "identity", &[away, "identity.listen=127.0.0.1:0"]);
    identity.after("database.url: connections to PostgreSQL at db.invalid have no TLS");
    let near = "backend.identity_url=http://id.invalid";
    let mut backend = role(home.path(), "backend", &[away, near, "backend.listen=127.0.0.1:0"]);
    backend.after("database.url: connections to PostgreSQL at db.invalid have no TLS");
    backend.after("backend.identity_url = http://id.invalid: connections to id.invalid have no TLS");
}

#[test]
fn a_machine_without_authorities_needs_none_for_plain_http() {
    let home = TempDir::new().unwrap();
    let nobody = [("SSL_CERT_FILE", "/nowhere"), ("SSL_CERT_DIR", "/nowhere")];
    let free = ["up", "--backend-addr", "127.0.0.1:0", "--identity-addr", "127.0.0.1:0"];
    let mut up = Process::start(tasker(home.path(), free).envs(nobody));
    up.after("Ready.");
    let ask = ["submit", "ECHO", "--ttl", "30s", "--wait"];
    let said = run(tasker(home.path(), ask).envs(nobody));
    assert_eq!(said.code, 0, "{}", said.err);
    let secured = ["list", "--backend-url", "https://127.0.0.1:9", "--token", "t"];
    let said = run(tasker(home.path(), secured).envs(nobody));
    assert!(said.err.starts_with("error: TLS cannot be set up: "), "{}", said.err);
}
