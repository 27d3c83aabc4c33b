//! `/metrics`: what the services count and measure, in the text that Prometheus reads, on a listener of its own.

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

use crate::config::Metrics;
use crate::server::listener::Listener;

/// What every role counts and measures, by part.
fn parts() -> [(&'static str, Vec<MetricDescriptor>); 4] {
    [
        ("Backend", backend::METRICS.to_vec()),
        ("Kafka (Backends and workers)", broker::METRICS.to_vec()),
        ("Worker", worker::METRICS.to_vec()),
        ("Identity", identity::METRICS.to_vec()),
    ]
}

fn all() -> impl Iterator<Item = MetricDescriptor> {
    parts().into_iter().flat_map(|(_, figures)| figures)
}

/// From half a millisecond to a minute.
const SECONDS: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// How many items a statement takes.
const ITEMS: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0];

/// How often what was counted is put together, whether or not somebody reads it.
const UPKEEP: Duration = Duration::from_secs(5);

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The listener, bound and not yet served.
pub struct MetricsListener {
    listener: Listener,
    handle: PrometheusHandle,
}

/// Serves them until `stop`, if there is a place to read them.
pub fn serve_metrics(door: Option<MetricsListener>, stop: &CancellationToken) {
    if let Some(door) = door {
        door.serve(stop);
    }
}

impl MetricsListener {
    /// Begins to count, if the settings name a place to read it.
    pub async fn open(settings: &Metrics) -> Result<Option<Self>> {
        settings.check()?;
        let Some(listen) = settings.listen else { return Ok(None) };
        let listener = Listener::bind("metrics.listen", listen, settings.tls()?).await?;
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
            .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_items".to_owned()), &ITEMS));
        let handle = builder
            .and_then(PrometheusBuilder::install_recorder)
            .context("nothing can be counted in this process")?;
        describe();
        metrics::gauge!("tasker_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        Ok(Some(Self { listener, handle }))
    }

    /// Serves until `stop`, beside whatever else the process does.
    fn serve(self, stop: &CancellationToken) {
        let Self { listener, handle } = self;
        info!("metrics are served on {}/metrics", listener.url());
        let (upkept, ended) = (handle.clone(), stop.clone());
        let process = Collector::default();
        process.describe();
        let text = move || {
            process.collect();
            let text = handle.render();
            async { ([(CONTENT_TYPE, TEXT)], text) }
        };
        let router = Router::new().route("/metrics", get(text));
        let served = stop.clone();
        let tasks = TaskTracker::new();
        tasks.spawn(async move {
            if let Err(error) = listener.serve(router, served).await {
                tracing::error!(error = ?error, "metrics are served no longer");
            }
        });
        tasks.spawn(async move {
            while ended.run_until_cancelled(tokio::time::sleep(UPKEEP)).await.is_some() {
                upkept.run_upkeep();
            }
        });
    }
}

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
        for (part, figures) in parts() {
            let _ =
                write!(text, "\n## {part}\n\n| name | kind | labels | says |\n| --- | --- | --- | --- |\n");
            for MetricDescriptor { name, kind, labels, about } in figures {
                let labels = labels.split(", ").filter(|label| !label.is_empty());
                let labels: Vec<String> = labels.map(|label| format!("`{label}`")).collect();
                let _ = writeln!(text, "| `{name}` | {} | {} | {about} |", kind.as_str(), labels.join(", "));
            }
        }
        text
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "golden files are rewritten on request")]
    fn the_manual_has_every_figure() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
        let manual = std::fs::read_to_string(path).unwrap();
        let (before, written) = manual.split_once(HEAD).expect("the mark before the tables");
        if std::env::var("UPDATE_GOLDEN").is_ok() {
            std::fs::write(path, format!("{before}{}", tables())).unwrap();
        } else {
            assert_eq!(format!("{HEAD}{written}"), tables(), "`make golden` rewrites docs/metrics.md");
        }
    }

    #[test]
    fn names_follow_the_customs_and_are_nobody_elses() {
        let mut seen = BTreeSet::new();
        for MetricDescriptor { name, kind, .. } in all() {
            assert!(seen.insert(name), "{name} is there twice");
            assert!(name.starts_with("tasker_"), "{name}");
            assert_eq!(name.ends_with("_total"), kind == MetricKind::Counter, "{name}");
        }
    }

    /// Dashboards and alerts speak of nothing that is not there.
    #[test]
    fn what_is_deployed_names_figures_that_are_there() {
        let alerts = include_str!("../../../../deploy/prometheus/alerts.yaml");
        let dashboard = include_str!("../../../../deploy/grafana/tasker.json");
        serde_json::from_str::<serde_json::Value>(dashboard).expect("JSON");
        let known: BTreeSet<&str> = all().map(|figure| figure.name).collect();
        let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let words = [alerts, dashboard].join(" ");
        let named: BTreeSet<&str> =
            words.split(|character| !is_word(character)).filter(|word| word.starts_with("tasker_")).collect();
        assert!(named.len() > 15, "{named:?}");
        for name in named {
            let plain = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
            assert!(known.contains(name) || plain.is_some_and(|plain| known.contains(plain)), "{name}");
        }
    }
}
