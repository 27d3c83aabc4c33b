//! Where traces go: to a collector, in batches, from a thread of their own; what it does not take is dropped, and told once.

use secrecy::ExposeSecret;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
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
use telemetry::error_chain;
use tracing::{info, warn};

use crate::config::{self, Address, ConfigError};
use crate::server::plaintext_warnings;

/// How long the collector may take over a batch.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long what is left may take when the process ends.
const FAREWELL: Duration = Duration::from_secs(2);

/// The traces of this process. What is left is sent when it is dropped.
pub struct Traces(SdkTracerProvider);

/// Begins to record as `service`, if the settings name a collector.
pub fn start(settings: &config::Traces, service: &'static str) -> Result<Option<Traces>> {
    let Some(endpoint) = &settings.endpoint else { return Ok(None) };
    plaintext_warnings::tell_collector(endpoint);
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
    Ok(Some(Traces(provider)))
}

/// Refuses settings with which nothing can be recorded.
pub fn check(settings: &config::Traces) -> Result<(), ConfigError> {
    headers(settings)?;
    let Some(endpoint) = &settings.endpoint else { return settings.authorities().map(drop) };
    exporter(endpoint, settings).map(drop)
}

/// Sends nothing to the collector of these settings, as OTLP writes it, and says how that ended. It waits.
pub fn ask(endpoint: &Address, settings: &config::Traces) -> Result<String, String> {
    let said = |error: ConfigError| error.to_string();
    let client = client(endpoint, settings.authorities().map_err(said)?).map_err(said)?;
    let request = client.post(place(endpoint)).header("content-type", "application/x-protobuf");
    let request = headers(settings)
        .map_err(said)?
        .into_iter()
        .fold(request, |request, (name, value)| request.header(name, value));
    match request.send() {
        Ok(answer) if answer.status().is_success() => Ok("the collector takes traces".to_owned()),
        Ok(answer) => Err(format!(
            "the collector answers {}: are the address and traces.headers right?",
            answer.status()
        )),
        Err(error) => Err(error_chain(&error)),
    }
}

/// What sends them. OpenTelemetry's variables have a say in it too.
fn exporter(endpoint: &Address, settings: &config::Traces) -> Result<SpanExporter, ConfigError> {
    let client = client(endpoint, settings.authorities()?)?;
    let told = Told { client, away: AtomicBool::new(false), endpoint: endpoint.to_string() };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_http_client(told)
        .with_endpoint(place(endpoint))
        .with_headers(headers(settings)?)
        .with_timeout(PATIENCE)
        .build();
    exporter.map_err(|error| ConfigError::new(format!("traces.endpoint: {error}")))
}

/// Where the collector takes them (OTLP/HTTP).
fn place(endpoint: &Address) -> String {
    format!("{endpoint}/v1/traces")
}

impl Drop for Traces {
    fn drop(&mut self) {
        // What the collector does not take by now is lost, and that has been told.
        let _ = self.0.shutdown_with_timeout(FAREWELL);
    }
}

/// A client that waits in the exporter's thread; it cannot be made where others wait. The platform's authorities are read
/// only where they are needed: a small container has none.
fn client(endpoint: &Address, ca: Option<Vec<u8>>) -> Result<Client, ConfigError> {
    let needs_none = endpoint.plain_host().is_some();
    let make = move || {
        let client = Client::builder().timeout(PATIENCE).redirect(Policy::none()).no_proxy();
        let client = match ca {
            Some(pem) => client.tls_certs_only(Certificate::from_pem_bundle(&pem)?),
            None if needs_none => client.tls_certs_only([]),
            None => client,
        };
        client.build()
    };
    let client = std::thread::spawn(make).join().expect("a client is made without a panic");
    client.map_err(|error| ConfigError::new(format!("traces.endpoint: {}", error_chain(&error))))
}

fn headers(settings: &config::Traces) -> Result<HashMap<String, String>, ConfigError> {
    let Some(headers) = &settings.headers else { return Ok(HashMap::new()) };
    let pairs = headers.expose_secret().split(',').map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        let fits = !pair.contains(char::is_control)
            && !name.is_empty()
            && !name.contains(char::is_whitespace)
            && !value.is_empty();
        fits.then(|| (name.to_owned(), value.to_owned()))
    });
    let pairs: Option<HashMap<String, String>> = pairs.collect();
    pairs.ok_or_else(|| ConfigError::new("traces.headers: name=value, several with commas between them"))
}

/// Says once that the collector does not take them, and once that it does again.
#[derive(Debug)]
struct Told {
    client: Client,
    away: AtomicBool,
    endpoint: String,
}

#[async_trait]
impl HttpClient for Told {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let done = self.client.send_bytes(request).await;
        let refusal = match &done {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answers {}", answer.status())),
            Err(error) => Some(error_chain(&**error)),
        };
        let (endpoint, was_away) = (&self.endpoint, self.away.swap(refusal.is_some(), Ordering::Relaxed));
        match refusal {
            Some(cause) if !was_away => {
                warn!(error = cause, "traces do not go to {endpoint}, and are dropped meanwhile: {cause}");
            }
            None if was_away => info!("traces go to {endpoint} again"),
            _ => {}
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_pairs_and_are_not_told_when_they_are_not() {
        let read =
            |text: &str| headers(&config::Traces { headers: Some(text.into()), ..config::Traces::default() });
        let both = read("authorization=Bearer abc, x-scope = a=b").unwrap();
        assert_eq!((both["authorization"].as_str(), both["x-scope"].as_str()), ("Bearer abc", "a=b"));
        for bad in ["a=hush\nb=hush", "hush", "=hush", "a b=hush", "a="] {
            let refusal = read(bad).unwrap_err().to_string();
            assert!(refusal.starts_with("traces.headers: ") && !refusal.contains("hush"), "{refusal}");
        }
    }
}
