//! The checks of `tasker doctor` at other machines: the layout of Kafka's topics, and the clocks of the services.

use std::time::Duration;

use broker::Broker;
use client::server_time;
use database::ProcessClock;

use crate::commands::checks::Service;
use crate::commands::doctor::finding::{Finding, Verdict};
use crate::config::sections::Config;

/// The largest offset of a clock without a warning. A service states its time in whole seconds (HTTP `Date`).
const MAX_CLOCK_OFFSET: Duration = Duration::from_secs(2);

/// A finding for each existing topic: its partitions and its replication factor.
pub fn topics(kafka: &Broker, config: &Config) -> Vec<Finding> {
    let (partitions, replication) = (config.kafka.partitions.get(), config.kafka.replication.get());
    let findings = kafka.topic_layouts().into_iter().map(|(topic, layout)| {
        let (found, replicas) = (layout.partitions.unsigned_abs(), layout.replicas.unsigned_abs());
        let shown = format!("partitions {found}, replication {replicas}");
        if replicas < replication {
            let message = format!(
                "{shown}; kafka.replication = {replication} applies to new topics only: reassign its partitions"
            );
            Finding::new(topic, Verdict::Warn, message)
        } else if found < partitions {
            let message = format!(
                "{shown}; kafka.partitions = {partitions} applies to new topics only: add partitions to it"
            );
            Finding::new(topic, Verdict::Warn, message)
        } else {
            Finding::new(topic, Verdict::Ok, shown)
        }
    });
    findings.collect()
}

/// The clock offsets of the services that this service connects to. A service that does not answer is left out: a probe
/// has reported it.
pub async fn clocks(config: &Config, service: Service) -> Vec<Finding> {
    let mut servers = Vec::new();
    if service.includes(Service::Backend) {
        let ca = config.backend.authorities();
        servers.push(("backend.identity_url", &config.backend.identity_url, ca));
    }
    if service.includes(Service::Worker) {
        let ca = || config.worker.authorities();
        servers.push(("worker.identity_url", &config.worker.identity_url, ca()));
        servers.extend(config.worker.backend_url.iter().map(|address| ("worker.backend_url", address, ca())));
    }
    let mut findings = Vec::new();
    for (subject, address, ca) in servers {
        let Ok(ca) = ca else { continue };
        let before = ProcessClock::System.now();
        if let Ok(Some(theirs)) = server_time(&address.to_string(), ca.as_deref()).await {
            findings
                .push(clock_finding(subject, smallest_offset(theirs.0, before, ProcessClock::System.now())));
        }
    }
    findings
}

/// The finding about a clock that differs from this machine's by so many microseconds.
pub fn clock_finding(subject: &'static str, offset_micros: i64) -> Finding {
    let size = Duration::from_micros(offset_micros.unsigned_abs());
    let sign = if offset_micros < 0 { '-' } else { '+' };
    let verdict = if size > MAX_CLOCK_OFFSET { Verdict::Warn } else { Verdict::Ok };
    Finding::new(subject, verdict, format!("its clock is {sign}{:.3} s from ours", size.as_secs_f64()))
}

/// The smallest offset in microseconds that explains that a clock, which shows whole seconds only, showed `theirs` at some
/// instant between `before` and `after`.
fn smallest_offset(theirs: i64, before: i64, after: i64) -> i64 {
    let (least, most) = (theirs - after, theirs + 1_000_000 - before);
    if least > 0 { least } else { most.min(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_is_the_smallest_that_a_whole_second_allows() {
        assert_eq!(smallest_offset(10_000_000, 10_200_000, 10_300_000), 0, "the same second");
        assert_eq!(smallest_offset(10_000_000, 11_100_000, 11_200_000), -100_000);
        assert_eq!(smallest_offset(15_000_000, 10_200_000, 10_300_000), 4_700_000);
    }
}
