//! The metrics of a process in Prometheus' text format: fetched, waited for, and summed by name and labels.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{interval, timeout};

use crate::kit::wait_until::MAX_WAIT;

/// The pause between two scrapes: the program samples its gauges once in a while.
const SCRAPE_INTERVAL: Duration = Duration::from_millis(100);

/// The series of one scrape, `name{label="value",…}`, with their values.
#[derive(Debug)]
pub struct Scrape(HashMap<String, f64>);

impl Scrape {
    /// Fetches `/metrics` below the base URL.
    pub async fn fetch(url: &str) -> Self {
        let response = reqwest::get(format!("{url}/metrics")).await.expect("the endpoint answers");
        let content_type = response.headers()["content-type"].to_str().expect("the header is ASCII");
        assert!(content_type.starts_with("text/plain"), "{content_type}");
        let text = response.text().await.expect("the body is text");
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let series = lines.map(|line| line.rsplit_once(' ').expect("a series, a space and a value"));
        Self(series.map(|(name, value)| (name.to_owned(), value.parse().expect("a number"))).collect())
    }

    /// Fetches `/metrics` until `condition` holds. Panics with `what`, the condition in words, after a minute.
    pub async fn wait_until(url: &str, what: &str, condition: impl Fn(&Self) -> bool) -> Self {
        let poll = async {
            let mut scrapes = interval(SCRAPE_INTERVAL);
            loop {
                scrapes.tick().await;
                let scrape = Self::fetch(url).await;
                if condition(&scrape) {
                    return scrape;
                }
            }
        };
        timeout(MAX_WAIT, poll).await.unwrap_or_else(|_| panic!("not within a minute: {what}"))
    }

    /// The sum of the series of this name that have all of these labels, each written `label="value"`.
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let matches = |series: &&String| {
            let (series_name, rest) = series.split_once('{').unwrap_or((series, ""));
            series_name == name && labels.iter().all(|label| rest.contains(label))
        };
        self.0.keys().filter(matches).map(|series| self.0[series]).sum()
    }

    /// Whether [`sum`](Self::sum) is `value`, up to rounding.
    pub fn sum_is(&self, name: &str, labels: &[&str], value: f64) -> bool {
        (self.sum(name, labels) - value).abs() < 0.1
    }

    /// Every series, without its value.
    pub fn series(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}
