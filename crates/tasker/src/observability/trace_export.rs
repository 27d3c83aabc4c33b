//! The export of traces: spans are sent to a collector in batches, by OpenTelemetry's own thread; rejected spans are dropped.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use opentelemetry::{KeyValue, global};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use reqwest::blocking::Client;
use reqwest::redirect::Policy;
use reqwest::tls::Certificate;
use secrecy::ExposeSecret;
use telemetry::{Outage, error_chain};
use tracing::{info, warn};

use crate::config::error::ConfigError;
use crate::config::sections::Traces;
use crate::config::values::Address;
use crate::server::plaintext_warnings;

/// How long the collector may take to answer a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the last spans may take to be sent when the process ends.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// The trace export of the process. The last spans are sent when it is dropped.
pub struct TraceExport(SdkTracerProvider);

/// Starts to record and to export spans of `service`; `None` if the settings name no collector.
///
/// # Errors
///
/// If a setting of `[traces]` is invalid.
pub fn start(settings: &Traces, service: &'static str) -> Result<Option<TraceExport>> {
    let Some(endpoint) = &settings.endpoint else { return Ok(None) };
    plaintext_warnings::warn_about_collector(endpoint);
    let resource = Resource::builder()
        .with_service_name(service)
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("process.pid", i64::from(std::process::id())));
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.sample.number())));
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter(endpoint, settings)?)
        .with_sampler(sampler)
        .with_resource(resource.build())
        .build();
    global::set_tracer_provider(provider.clone());
    Ok(Some(TraceExport(provider)))
}

impl Drop for TraceExport {
    fn drop(&mut self) {
        // Spans that the collector does not accept in time are lost; the HTTP client below has logged why.
        let _ = self.0.shutdown_with_timeout(SHUTDOWN_TIMEOUT);
    }
}

/// Checks the settings of `[traces]` without sending anything.
///
/// # Errors
///
/// If [`start`] would fail.
pub fn check(settings: &Traces) -> Result<(), ConfigError> {
    headers(settings)?;
    let Some(endpoint) = &settings.endpoint else { return settings.authorities().map(drop) };
    exporter(endpoint, settings).map(drop)
}

/// Sends an empty OTLP request to the collector and waits for the answer: `Ok` says that the collector accepts traces,
/// `Err` why not. It blocks.
pub fn probe(endpoint: &Address, settings: &Traces) -> Result<String, String> {
    let text = |error: ConfigError| error.to_string();
    let client = http_client(endpoint, settings.authorities().map_err(text)?).map_err(text)?;
    let request = client.post(traces_url(endpoint)).header("content-type", "application/x-protobuf");
    let request = headers(settings)
        .map_err(text)?
        .into_iter()
        .fold(request, |request, (name, value)| request.header(name, value));
    match request.send() {
        Ok(answer) if answer.status().is_success() => Ok("the collector accepts traces".to_owned()),
        Ok(answer) => Err(format!(
            "the collector answers {}: are the address and traces.headers right?",
            answer.status()
        )),
        Err(error) => Err(error_chain(&error)),
    }
}

/// The OTLP exporter. OpenTelemetry's own environment variables apply to it too.
fn exporter(endpoint: &Address, settings: &Traces) -> Result<SpanExporter, ConfigError> {
    let client = http_client(endpoint, settings.authorities()?)?;
    let client =
        OutageLoggingClient { client, outage: Mutex::new(Outage::default()), endpoint: endpoint.to_string() };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_http_client(client)
        .with_endpoint(traces_url(endpoint))
        .with_headers(headers(settings)?)
        .with_timeout(REQUEST_TIMEOUT)
        .build();
    exporter.map_err(|error| ConfigError::new(format!("traces.endpoint: {error}")))
}

/// The URL to which spans are posted (OTLP/HTTP).
fn traces_url(endpoint: &Address) -> String {
    format!("{endpoint}/v1/traces")
}

/// The blocking HTTP client of the exporter's thread. It is built in a thread of its own, because reqwest refuses to build
/// a blocking client in an async runtime. The platform's authorities are read only where they are needed: a small container
/// has none.
fn http_client(endpoint: &Address, ca: Option<Vec<u8>>) -> Result<Client, ConfigError> {
    let is_plaintext = endpoint.plaintext_host().is_some();
    let build = move || {
        let client = Client::builder().timeout(REQUEST_TIMEOUT).redirect(Policy::none()).no_proxy();
        let client = match ca {
            Some(pem) => client.tls_certs_only(Certificate::from_pem_bundle(&pem)?),
            None if is_plaintext => client.tls_certs_only([]),
            None => client,
        };
        client.build()
    };
    let client = std::thread::spawn(build).join().expect("building a client does not panic");
    client.map_err(|error| ConfigError::new(format!("traces.endpoint: {}", error_chain(&error))))
}

/// The headers of `traces.headers`. The error does not show them: they may hold a secret.
fn headers(settings: &Traces) -> Result<HashMap<String, String>, ConfigError> {
    let Some(headers) = &settings.headers else { return Ok(HashMap::new()) };
    let pairs = headers.expose_secret().split(',').map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        let is_valid = !pair.contains(char::is_control)
            && !name.is_empty()
            && !name.contains(char::is_whitespace)
            && !value.is_empty();
        is_valid.then(|| (name.to_owned(), value.to_owned()))
    });
    let pairs: Option<HashMap<String, String>> = pairs.collect();
    pairs.ok_or_else(|| ConfigError::new("traces.headers: write name=value, several separated by commas"))
}

/// An HTTP client that logs when the collector begins to reject spans, and when it accepts them again.
#[derive(Debug)]
struct OutageLoggingClient {
    client: Client,
    outage: Mutex<Outage>,
    endpoint: String,
}

#[async_trait]
impl HttpClient for OutageLoggingClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let result = self.client.send_bytes(request).await;
        let failure = match &result {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("the collector answers {}", answer.status())),
            Err(error) => Some(error_chain(&**error)),
        };
        self.record(failure);
        result
    }
}

impl OutageLoggingClient {
    /// Logs each cause of an outage once, and its end.
    fn record(&self, failure: Option<String>) {
        let mut outage = self.outage.lock();
        let endpoint = &self.endpoint;
        match failure {
            Some(cause) => {
                if outage.record_failure(&cause) {
                    warn!(error = cause, "traces are not accepted by {endpoint} and are dropped: {cause}");
                }
            }
            None => {
                if outage.record_success().is_some() {
                    info!("traces are accepted by {endpoint} again");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_pairs_and_an_error_does_not_show_them() {
        let read = |text: &str| headers(&Traces { headers: Some(text.into()), ..Traces::default() });
        let both = read("authorization=Bearer abc, x-scope = a=b").unwrap();
        assert_eq!((both["authorization"].as_str(), both["x-scope"].as_str()), ("Bearer abc", "a=b"));
        for bad in ["a=hush\nb=hush", "hush", "=hush", "a b=hush", "a="] {
            let refusal = read(bad).unwrap_err().to_string();
            assert!(refusal.starts_with("traces.headers: ") && !refusal.contains("hush"), "{refusal}");
        }
    }
}
