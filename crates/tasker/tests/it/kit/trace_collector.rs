//! A collector of traces of a test's own: it takes OTLP over HTTP, as any collector does.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::serve::Listener;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::Message as _;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use testkit::Signed;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::task::TaskTracker;

/// A step as it was recorded.
#[derive(Debug, Clone)]
pub struct Step {
    /// Which service took it.
    pub service: String,
    /// What it is called.
    pub name: String,
    /// Its trace, in hexadecimal digits.
    pub trace: String,
    /// Its own id.
    pub id: String,
    /// The id of the step that it is a part of.
    pub parent: String,
    /// Whether it did what it was for.
    pub is_well: bool,
    attributes: Vec<KeyValue>,
}

/// What was recorded, and where it is told.
pub struct Collector {
    /// The setting `traces.endpoint`.
    pub endpoint: String,
    steps: watch::Receiver<Vec<Step>>,
}

impl Collector {
    /// Listens from now on; it wants to hear `secret`. With a certificate it speaks TLS.
    pub async fn start(secret: &'static str, certificate: Option<&Signed>) -> Self {
        Self::busy(0, secret, certificate).await
    }

    /// The same, and it has no time for so many batches at first.
    pub async fn busy(times: usize, secret: &'static str, certificate: Option<&Signed>) -> Self {
        let (told, steps) = watch::channel(Vec::new());
        let asked = Arc::new(AtomicUsize::new(0));
        let take = move |headers: HeaderMap, body: Bytes| async move {
            assert_eq!(headers["authorization"], secret);
            if asked.fetch_add(1, Ordering::Relaxed) < times {
                return StatusCode::SERVICE_UNAVAILABLE;
            }
            let batch = ExportTraceServiceRequest::decode(body).expect("OTLP");
            told.send_modify(|steps| steps.extend(read(batch)));
            StatusCode::OK
        };
        let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = tcp.local_addr().expect("it is bound");
        let router = Router::new().route("/v1/traces", post(take));
        let endpoint = if let Some(certificate) = certificate {
            let listener = Secured { tcp, acceptor: acceptor(certificate) };
            TaskTracker::new().spawn(async move { axum::serve(listener, router).await });
            format!("https://{address}")
        } else {
            TaskTracker::new().spawn(async move { axum::serve(tcp, router).await });
            format!("http://{address}")
        };
        Self { endpoint, steps }
    }

    /// Everything that was recorded by now.
    pub fn steps(&self) -> Vec<Step> {
        self.steps.borrow().clone()
    }
}

/// A listener that speaks TLS.
struct Secured {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Secured {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (connection, peer) = Listener::accept(&mut self.tcp).await;
            // Who does not trust the certificate hangs up.
            if let Ok(secured) = self.acceptor.accept(connection).await {
                return (secured, peer);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

fn acceptor(signed: &Signed) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(signed.certificate.as_bytes()).expect("PEM");
    let key = PrivateKeyDer::from_pem_slice(signed.key.as_bytes()).expect("PEM");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the usual versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a certificate and its key");
    Arc::new(config).into()
}

impl Step {
    /// What was noted of it, as text.
    pub fn noted(&self, key: &str) -> Option<String> {
        let noted = self.attributes.iter().find(|noted| noted.key == key)?;
        Some(text(noted.value.as_ref()))
    }
}

fn read(batch: ExportTraceServiceRequest) -> Vec<Step> {
    let mut steps = Vec::new();
    for from in batch.resource_spans {
        let of = from.resource.expect("who says so").attributes;
        let service = of.iter().find(|noted| noted.key == "service.name").expect("a service");
        let service = text(service.value.as_ref());
        for span in from.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            steps.push(Step {
                service: service.clone(),
                name: span.name,
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                is_well: span.status.is_none_or(|status| status.code != 2),
                attributes: span.attributes,
            });
        }
    }
    steps
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
