//! Logs each cause of an outage once, and its end, however often the failing step is repeated meanwhile.

use std::error::Error;
use std::time::{Duration, Instant};

use crate::error_chain::error_chain;

/// Causes that are stored for one outage; further ones are treated as already logged, so that a changing text cannot flood the log.
const MAX_CAUSES: usize = 16;

/// A period in which a repeated step fails, and the causes that were already logged in it.
///
/// [`OutageLog`] does the logging, too; this type is for log lines with a text or fields of their own.
#[derive(Debug, Default)]
pub struct Outage {
    since: Option<Instant>,
    causes: Vec<String>,
}

impl Outage {
    /// Records a failure. `true`: this cause is new in this outage, so log it.
    pub fn record_failure(&mut self, cause: &str) -> bool {
        self.since.get_or_insert_with(Instant::now);
        let is_new = self.causes.len() < MAX_CAUSES && !self.causes.iter().any(|known| known == cause);
        if is_new {
            self.causes.push(cause.to_owned());
        }
        is_new
    }

    /// Records a success. `Some`: it ends an outage of this length, so log that.
    pub fn record_success(&mut self) -> Option<Duration> {
        self.causes.clear();
        self.since.take().map(|since| since.elapsed())
    }

    /// Whether the last thing recorded was a failure.
    pub fn is_ongoing(&self) -> bool {
        self.since.is_some()
    }
}

/// Logs each cause of an outage once at `warn`, and its end at `info`.
#[derive(Debug)]
pub struct OutageLog {
    what: &'static str,
    outage: Outage,
}

impl OutageLog {
    /// For the step that `what` names, as a phrase that can stand before a colon (`pruning ended tasks`).
    pub fn new(what: &'static str) -> Self {
        Self { what, outage: Outage::default() }
    }

    /// Records how the step went.
    pub fn record<T, E: Error + 'static>(&mut self, result: &Result<T, E>) {
        match result {
            Ok(_) => self.record_success(),
            Err(error) => self.record_failure(error),
        }
    }

    /// Records a failure: logs its cause unless this outage has logged it before.
    pub fn record_failure(&mut self, error: &(dyn Error + 'static)) {
        let cause = error_chain(error);
        if self.outage.record_failure(&cause) {
            tracing::warn!(error = cause, "{}: failed; it will be retried", self.what);
        }
    }

    /// Records a success: logs the end of an outage, if there was one.
    pub fn record_success(&mut self) {
        if let Some(lasted) = self.outage.record_success() {
            let ms = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX);
            tracing::info!(outage.ms = ms, "{}: works again after {lasted:.1?}", self.what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_new_once_in_an_outage() {
        let mut outage = Outage::default();
        assert!(
            outage.record_failure("no route")
                && !outage.record_failure("no route")
                && outage.record_failure("refused")
        );
        assert!(outage.is_ongoing());
    }

    #[test]
    fn only_the_end_of_an_outage_is_reported() {
        let mut outage = Outage::default();
        assert_eq!(outage.record_success(), None);
        outage.record_failure("no route");
        assert!(outage.record_success().is_some());
        assert_eq!(outage.record_success(), None);
        assert!(outage.record_failure("no route"), "the next outage logs the same cause again");
    }

    #[test]
    fn changing_causes_do_not_flood_the_log() {
        let mut outage = Outage::default();
        let logged = (0..1000).filter(|n| outage.record_failure(&n.to_string())).count();
        assert_eq!(logged, MAX_CAUSES);
    }
}
