//! A collector of traces in the test's process: it accepts OTLP over HTTP, or over HTTPS, and keeps the spans in memory.

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
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as SpanStatus;
use prost::Message as _;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use testkit::SignedCertificate;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::task::TaskTracker;

/// A running collector and the spans that it has received.
pub struct TraceCollector {
    /// The base URL, the value of the setting `traces.endpoint`.
    pub endpoint: String,
    spans: watch::Receiver<Vec<ReceivedSpan>>,
}

impl TraceCollector {
    /// Starts a collector that expects `authorization` as the header of this name; with a certificate it speaks TLS.
    pub async fn start(authorization: &'static str, certificate: Option<&SignedCertificate>) -> Self {
        Self::start_unavailable(0, authorization, certificate).await
    }

    /// Starts a collector that answers 503 to the first `rejections` batches.
    pub async fn start_unavailable(
        rejections: usize,
        authorization: &'static str,
        certificate: Option<&SignedCertificate>,
    ) -> Self {
        let (sender, spans) = watch::channel(Vec::new());
        let batches = Arc::new(AtomicUsize::new(0));
        let receive = move |headers: HeaderMap, body: Bytes| async move {
            assert_eq!(headers["authorization"], authorization);
            if batches.fetch_add(1, Ordering::Relaxed) < rejections {
                return StatusCode::SERVICE_UNAVAILABLE;
            }
            let batch = ExportTraceServiceRequest::decode(body).expect("the body is OTLP");
            sender.send_modify(|spans| spans.extend(decode(batch)));
            StatusCode::OK
        };
        let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = tcp.local_addr().expect("the listener is bound");
        let router = Router::new().route("/v1/traces", post(receive));
        let endpoint = if let Some(certificate) = certificate {
            let listener = TlsListener { tcp, acceptor: acceptor(certificate) };
            TaskTracker::new().spawn(async move { axum::serve(listener, router).await });
            format!("https://{address}")
        } else {
            TaskTracker::new().spawn(async move { axum::serve(tcp, router).await });
            format!("http://{address}")
        };
        Self { endpoint, spans }
    }

    /// The spans that were received by now.
    pub fn spans(&self) -> Vec<ReceivedSpan> {
        self.spans.borrow().clone()
    }
}

/// A span with the name of the service that sent it. Ids are hexadecimal, as in `traceparent`.
#[derive(Debug, Clone)]
pub struct ReceivedSpan {
    /// The resource attribute `service.name` of the sender.
    pub service: String,
    /// The span's name.
    pub name: String,
    /// The id of the trace.
    pub trace_id: String,
    /// The span's id.
    pub id: String,
    /// The id of the parent span; empty for a root span.
    pub parent_id: String,
    /// Whether the span's status is an error.
    pub is_error: bool,
    attributes: Vec<KeyValue>,
}

impl ReceivedSpan {
    /// The attribute with this key, as text.
    pub fn attribute(&self, key: &str) -> Option<String> {
        let attribute = self.attributes.iter().find(|attribute| attribute.key == key)?;
        Some(text(attribute.value.as_ref()))
    }
}

/// A listener whose connections speak TLS.
struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (connection, peer) = Listener::accept(&mut self.tcp).await;
            // The handshake fails with a client that does not trust the certificate.
            if let Ok(connection) = self.acceptor.accept(connection).await {
                return (connection, peer);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

fn acceptor(signed: &SignedCertificate) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(signed.certificate.as_bytes()).expect("PEM");
    let key = PrivateKeyDer::from_pem_slice(signed.key.as_bytes()).expect("PEM");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider supports the default versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("the key belongs to the certificate");
    Arc::new(config).into()
}

fn decode(batch: ExportTraceServiceRequest) -> Vec<ReceivedSpan> {
    let mut spans = Vec::new();
    for sender in batch.resource_spans {
        let attributes = sender.resource.expect("the batch names its resource").attributes;
        let service = attributes.iter().find(|attribute| attribute.key == "service.name");
        let service = text(service.expect("the resource has a service.name").value.as_ref());
        for span in sender.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            spans.push(ReceivedSpan {
                service: service.clone(),
                name: span.name,
                trace_id: hexadecimal(&span.trace_id),
                id: hexadecimal(&span.span_id),
                parent_id: hexadecimal(&span.parent_span_id),
                is_error: span.status.is_some_and(|status| status.code() == SpanStatus::Error),
                attributes: span.attributes,
            });
        }
    }
    spans
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("neither text nor an integer: {other:?}"),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
