//! The endpoint `/metrics`: the metrics of all services in Prometheus's text format, on a listener of its own.

use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use telemetry::{MetricDescriptor, MetricKind};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;
use web::allowed_hosts::AllowedHosts;

use crate::config::sections::Metrics;
use crate::server::listener::Listener;

/// The metrics of every service, by the part of Tasker that records them.
fn parts() -> [(&'static str, Vec<MetricDescriptor>); 4] {
    [
        ("Backend", backend::METRICS.to_vec()),
        ("Kafka (Backends and workers)", broker::METRICS.to_vec()),
        ("Worker", worker::METRICS.to_vec()),
        ("Identity", identity::METRICS.to_vec()),
    ]
}

fn all() -> impl Iterator<Item = MetricDescriptor> {
    parts().into_iter().flat_map(|(_, metrics)| metrics)
}

/// The buckets of histograms in seconds: from half a millisecond to a minute.
const SECONDS_BUCKETS: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// The buckets of histograms of the number of items in one SQL statement.
const ITEMS_BUCKETS: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0];

/// How often recorded histogram values are aggregated, so that memory stays bounded when nobody scrapes.
const UPKEEP_PERIOD: Duration = Duration::from_secs(5);

/// The content type of Prometheus's text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The listener of `/metrics`, bound but not yet serving, and the recorder.
pub struct MetricsListener {
    listener: Listener,
    handle: PrometheusHandle,
}

/// Serves metrics until `stop` is cancelled, if there is a listener.
pub fn serve_metrics(metrics: Option<MetricsListener>, stop: &CancellationToken) {
    if let Some(metrics) = metrics {
        metrics.serve(stop);
    }
}

impl MetricsListener {
    /// Binds the listener and starts to record metrics; `None` if `metrics.listen` is not set.
    ///
    /// # Errors
    ///
    /// If the settings are invalid or the port cannot be bound.
    pub async fn open(settings: &Metrics) -> Result<Option<Self>> {
        settings.check()?;
        let Some(listen) = settings.listen else { return Ok(None) };
        let hosts = AllowedHosts::new("metrics.allowed_hosts", settings.allowed_hosts.0.clone());
        let listener = Listener::bind("metrics.listen", listen, settings.tls()?, hosts).await?;
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS_BUCKETS)
            .and_then(|builder| {
                builder.set_buckets_for_metric(Matcher::Suffix("_items".to_owned()), &ITEMS_BUCKETS)
            });
        let handle = builder
            .and_then(PrometheusBuilder::install_recorder)
            .context("metrics cannot be recorded in this process")?;
        describe();
        metrics::gauge!("tasker_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        Ok(Some(Self { listener, handle }))
    }

    /// Spawns the tasks that serve and aggregate metrics until `stop` is cancelled.
    fn serve(self, stop: &CancellationToken) {
        let Self { listener, handle } = self;
        info!("metrics are served on {}/metrics", listener.url());
        let (upkeep, upkeep_stop, serve_stop) = (handle.clone(), stop.clone(), stop.clone());
        let process = Collector::default();
        process.describe();
        let text = move || {
            process.collect();
            let text = handle.render();
            async { ([(CONTENT_TYPE, TEXT_FORMAT)], text) }
        };
        let router = Router::new().route("/metrics", get(text));
        let tasks = TaskTracker::new();
        tasks.spawn(async move {
            if let Err(error) = listener.serve(router, serve_stop).await {
                tracing::error!(error = ?error, "the metrics listener failed");
            }
        });
        tasks.spawn(async move {
            while upkeep_stop.run_until_cancelled(tokio::time::sleep(UPKEEP_PERIOD)).await.is_some() {
                upkeep.run_upkeep();
            }
        });
    }
}

/// Registers the descriptions, which Prometheus shows as HELP.
fn describe() {
    for MetricDescriptor { name, kind, about, .. } in all() {
        match kind {
            MetricKind::Counter => metrics::describe_counter!(name, about),
            MetricKind::Gauge => metrics::describe_gauge!(name, about),
            MetricKind::Histogram => metrics::describe_histogram!(name, about),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write as _;

    use super::*;

    const HEAD: &str = "<!-- `make golden` writes the tables below from the code. -->\n";

    fn tables() -> String {
        let mut text = HEAD.to_owned();
        for (part, metrics) in parts() {
            let _ = write!(
                text,
                "\n## {part}\n\n| name | kind | labels | meaning |\n| --- | --- | --- | --- |\n"
            );
            for MetricDescriptor { name, kind, labels, about } in metrics {
                let labels = labels.split(", ").filter(|label| !label.is_empty());
                let labels: Vec<String> = labels.map(|label| format!("`{label}`")).collect();
                let _ = writeln!(text, "| `{name}` | {} | {} | {about} |", kind.as_str(), labels.join(", "));
            }
        }
        text
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "golden files are rewritten on request")]
    fn the_metrics_page_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
        let manual = std::fs::read_to_string(path).unwrap();
        let (before, written) = manual.split_once(HEAD).expect("the marker before the tables");
        if std::env::var("UPDATE_GOLDEN").is_ok() {
            std::fs::write(path, format!("{before}{}", tables())).unwrap();
        } else {
            assert_eq!(format!("{HEAD}{written}"), tables(), "`make golden` rewrites docs/metrics.md");
        }
    }

    #[test]
    fn names_follow_the_conventions_and_are_unique() {
        let mut seen = BTreeSet::new();
        for MetricDescriptor { name, kind, .. } in all() {
            assert!(seen.insert(name), "{name} is not unique");
            assert!(name.starts_with("tasker_"), "{name}");
            assert_eq!(name.ends_with("_total"), kind == MetricKind::Counter, "{name}");
        }
    }

    /// A dashboard or an alert with a misspelt metric would stay silent.
    #[test]
    fn dashboard_and_alerts_name_existing_metrics() {
        let alerts = include_str!("../../../../deploy/prometheus/alerts.yaml");
        let dashboard = include_str!("../../../../deploy/grafana/tasker.json");
        serde_json::from_str::<serde_json::Value>(dashboard).expect("JSON");
        let known: BTreeSet<&str> = all().map(|metric| metric.name).collect();
        let is_name_character = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let text = [alerts, dashboard].join(" ");
        let named: BTreeSet<&str> = text
            .split(|character| !is_name_character(character))
            .filter(|name| name.starts_with("tasker_"))
            .collect();
        assert!(named.len() > 15, "{named:?}");
        for name in named {
            let plain = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
            assert!(known.contains(name) || plain.is_some_and(|plain| known.contains(plain)), "{name}");
        }
    }
}
