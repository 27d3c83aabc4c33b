//! What `tasker doctor` looks at around this machine: how Kafka's topics are made, and what time it is at the services.

use std::time::Duration;

use broker::Broker;
use client::server_clock;
use database::Clock;

use crate::commands::doctor::finding::{Finding, Verdict};
use crate::commands::probes::Role;
use crate::config::Config;

/// Clocks that differ by more than this are warned of. A service tells its time to the second.
const SKEW: Duration = Duration::from_secs(2);

/// Each topic that is there: its partitions, and on how many brokers it is kept.
pub fn topics(kafka: &Broker, config: &Config) -> Vec<Finding> {
    let (partitions, replication) = (config.kafka.partitions.get(), config.kafka.replication.get());
    let shapes = kafka.topic_layouts().into_iter().map(|(topic, shape)| {
        let (found, kept) = (shape.partitions.unsigned_abs(), shape.replicas.unsigned_abs());
        let is = format!("partitions {found}, replication {kept}");
        if kept < replication {
            let said =
                format!("{is}; kafka.replication = {replication} is for new topics: reassign its partitions");
            Finding::new(topic, Verdict::Warn, said)
        } else if found < partitions {
            let said =
                format!("{is}; kafka.partitions = {partitions} is for new topics: add partitions to it");
            Finding::new(topic, Verdict::Warn, said)
        } else {
            Finding::new(topic, Verdict::Ok, is)
        }
    });
    shapes.collect()
}

/// The clocks of the services that the role asks. One that does not answer has been told of.
pub async fn clocks(config: &Config, role: Role) -> Vec<Finding> {
    let mut asked = Vec::new();
    if role.has(Role::Backend) {
        asked.push(("backend.identity_url", &config.backend.identity_url, config.backend.authorities()));
    }
    if role.has(Role::Worker) {
        let ca = || config.worker.authorities();
        asked.push(("worker.identity_url", &config.worker.identity_url, ca()));
        asked.push(("worker.backend_url", &config.worker.backend_url, ca()));
    }
    let mut findings = Vec::new();
    for (about, address, ca) in asked {
        let Ok(ca) = ca else { continue };
        let before = Clock::System.now();
        if let Ok(Some(said)) = server_clock(&address.to_string(), ca.as_deref()).await {
            let micros = offset(said.0, before, Clock::System.now());
            findings.push(clock(about, micros));
        }
    }
    findings
}

/// A clock that is so many microseconds from ours.
pub fn clock(about: &'static str, offset: i64) -> Finding {
    let (by, sign) = (Duration::from_micros(offset.unsigned_abs()), if offset < 0 { '-' } else { '+' });
    let verdict = if by > SKEW { Verdict::Warn } else { Verdict::Ok };
    Finding::new(about, verdict, format!("its clock is {sign}{:.3} s from ours", by.as_secs_f64()))
}

/// How far a clock that says a whole second is from ours, in microseconds: by the least that explains what it said at
/// some instant between `before` and `after`.
fn offset(said: i64, before: i64, after: i64) -> i64 {
    let (least, most) = (said - after, said + 1_000_000 - before);
    if least > 0 { least } else { most.min(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_as_far_away_as_its_second_shows() {
        assert_eq!(offset(10_000_000, 10_200_000, 10_300_000), 0, "the same second");
        assert_eq!(offset(10_000_000, 11_100_000, 11_200_000), -100_000);
        assert_eq!(offset(15_000_000, 10_200_000, 10_300_000), 4_700_000);
    }
}
