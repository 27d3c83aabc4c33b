//! Where traces go: to a collector, in batches, from a thread of their own; what it does not take is dropped, and told once.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::{WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanData, SpanExporter};
use reqwest::blocking::Client;
use reqwest::redirect::Policy;
use reqwest::tls::Certificate;
use tracing::{info, warn};

use crate::config::{self, Address, BadConfig};
use crate::plaintext;

/// How long the collector may take over a batch.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long what is left may take when the process ends.
const FAREWELL: Duration = Duration::from_secs(2);

/// The traces of this process. What is left is sent when it is dropped.
pub struct Traces(SdkTracerProvider);

/// Begins to record as `service`, if the settings name a collector.
pub fn start(settings: &config::Traces, service: &'static str) -> Result<Option<Traces>> {
    let Some(endpoint) = &settings.endpoint else { return Ok(None) };
    plaintext::tell_collector(endpoint);
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(client(endpoint, settings.authorities()?)?)
        .with_endpoint(format!("{endpoint}/v1/traces"))
        .with_headers(headers(settings)?)
        .with_timeout(PATIENCE)
        .build()
        .context("traces.endpoint")?;
    let told = Told { exporter, away: AtomicBool::new(false), endpoint: endpoint.to_string() };
    let resource = Resource::builder()
        .with_service_name(service)
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("process.pid", i64::from(std::process::id())));
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.sample.number())));
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(told)
        .with_sampler(sampler)
        .with_resource(resource.build())
        .build();
    global::set_tracer_provider(provider.clone());
    Ok(Some(Traces(provider)))
}

/// Refuses settings with which nothing can be recorded.
pub fn check(settings: &config::Traces) -> Result<(), BadConfig> {
    headers(settings)?;
    settings.authorities().map(|_| ())
}

impl Drop for Traces {
    fn drop(&mut self) {
        // What the collector does not take by now is lost, and that has been told.
        let _ = self.0.shutdown_with_timeout(FAREWELL);
    }
}

/// A client that waits in the exporter's thread; it cannot be made where others wait. The platform's authorities are read
/// only where they are needed: a small container has none.
fn client(endpoint: &Address, ca: Option<Vec<u8>>) -> Result<Client> {
    let needs_none = endpoint.plain_host().is_some();
    let make = move || -> Result<Client> {
        let client = Client::builder().timeout(PATIENCE).redirect(Policy::none()).no_proxy();
        let client = match ca {
            Some(pem) => client.tls_certs_only(Certificate::from_pem_bundle(&pem)?),
            None if needs_none => client.tls_certs_only([]),
            None => client,
        };
        client.build().context("traces.endpoint: TLS cannot be set up")
    };
    std::thread::spawn(make).join().map_err(|_| anyhow!("the collector's client cannot be made"))?
}

fn headers(settings: &config::Traces) -> Result<HashMap<String, String>, BadConfig> {
    let Some(headers) = &settings.headers else { return Ok(HashMap::new()) };
    let pairs = headers.expose().split(',').map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        let fits = !name.is_empty() && !name.contains(char::is_whitespace) && !value.is_empty();
        fits.then(|| (name.to_owned(), value.to_owned()))
    });
    let pairs: Option<HashMap<String, String>> = pairs.collect();
    pairs.ok_or_else(|| BadConfig::new("traces.headers: name=value, several with commas between them"))
}

/// Says once that the collector does not take them, and once that it does again.
struct Told {
    exporter: opentelemetry_otlp::SpanExporter,
    away: AtomicBool,
    endpoint: String,
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl SpanExporter for Told {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let done = self.exporter.export(batch).await;
        let endpoint = &self.endpoint;
        match &done {
            Ok(()) => {
                if self.away.swap(false, Ordering::Relaxed) {
                    info!("traces go to {endpoint} again");
                }
            }
            Err(error) => {
                if !self.away.swap(true, Ordering::Relaxed) {
                    warn!(error = cause(error), "traces do not go to {endpoint}, and are dropped meanwhile");
                }
            }
        }
        done
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

fn cause(error: &OTelSdkError) -> String {
    match error {
        OTelSdkError::InternalFailure(cause) => cause.clone(),
        other => other.to_string(),
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
        for bad in ["hush", "=hush", "a b=hush", "a="] {
            let refusal = read(bad).unwrap_err().to_string();
            assert!(refusal.starts_with("traces.headers: ") && !refusal.contains("hush"), "{refusal}");
        }
    }
}
