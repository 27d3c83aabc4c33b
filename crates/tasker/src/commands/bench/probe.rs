//! Requests that are sent one after the other and measured, to see how they fare while the server does something else.

use std::time::{Duration, Instant};

use client::ClientError;
use hdrhistogram::Histogram;
use tokio_util::sync::CancellationToken;

use crate::commands::bench::measured::{new_histogram, record};

/// The pause between two requests, so that the probe itself is no load.
const PAUSE: Duration = Duration::from_millis(2);

/// A request that was answered.
#[derive(Debug, Clone, Copy)]
struct AnsweredRequest {
    sent: Instant,
    took: Duration,
}

/// The requests of a probe.
#[derive(Debug, Default)]
pub struct Probe {
    requests: Vec<AnsweredRequest>,
}

impl Probe {
    /// Sends requests until `stop`.
    ///
    /// # Errors
    ///
    /// If a request fails.
    pub async fn run(
        stop: CancellationToken,
        request: impl AsyncFn() -> Result<(), ClientError>,
    ) -> Result<Self, ClientError> {
        let mut probe = Self::default();
        while !stop.is_cancelled() {
            let sent = Instant::now();
            request().await?;
            probe.requests.push(AnsweredRequest { sent, took: sent.elapsed() });
            tokio::time::sleep(PAUSE).await;
        }
        Ok(probe)
    }

    /// The durations of the requests that were answered before `end`, in microseconds.
    pub fn before(&self, end: Instant) -> Histogram<u64> {
        self.durations(|request| request.sent + request.took < end)
    }

    /// The durations of the requests that were on their way at some time between `start` and `end`, in microseconds.
    pub fn during(&self, start: Instant, end: Instant) -> Histogram<u64> {
        self.durations(|request| request.sent < end && request.sent + request.took >= start)
    }

    fn durations(&self, is_counted: impl Fn(&AnsweredRequest) -> bool) -> Histogram<u64> {
        let mut durations = new_histogram();
        for request in self.requests.iter().filter(|request| is_counted(request)) {
            record(&mut durations, request.took);
        }
        durations
    }
}
