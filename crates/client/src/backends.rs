//! The addresses of the Backends of one installation, of which a client uses one until it fails.

use parking_lot::Mutex;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use domain::InstallationId;
use domain::problem_types::workers::ANOTHER_INSTALLATION;
use reqwest::Url;

use crate::error::ClientError;
use crate::transport;

/// How long a Backend may answer every request with 503, or no request in time, before the client goes on at the next. It lives, and its database may
/// be back at once; a Backend that is cut off from its database alone is left in time, before a worker counts as lost.
const UNAVAILABILITY_LIMIT: Duration = Duration::from_secs(2);

/// The Backends of a client and of those that were made of it.
#[derive(Debug)]
pub(crate) struct Backends {
    urls: Vec<Url>,
    state: Mutex<State>,
    /// The installation that the Backends must belong to, once one has named it.
    installation: OnceLock<InstallationId>,
}

#[derive(Debug, Default)]
struct State {
    /// The index of the Backend that is used.
    current: usize,
    /// When that Backend has last served a request.
    served_at: Option<Instant>,
    /// When that Backend began to answer every request with 503.
    unavailable_since: Option<Instant>,
}

/// What an answer, or its absence, says of a Backend.
enum Verdict {
    /// It serves requests.
    Serving,
    /// It is there, and does not serve at the moment.
    Unavailable,
    /// It has not answered in time.
    Silent,
    /// It is not there, or it is not one of the installation.
    Gone,
}

impl Backends {
    /// The Backends at `addresses`; the first is used first. Fails if there is none, or if one is invalid.
    pub(crate) fn new(addresses: &[String]) -> Result<Self, ClientError> {
        let urls =
            addresses.iter().map(|address| transport::base_url(address)).collect::<Result<Vec<_>, _>>()?;
        if urls.is_empty() {
            return Err(ClientError::BadAddress { address: String::new() });
        }
        Ok(Self { urls, state: Mutex::default(), installation: OnceLock::new() })
    }

    /// The base URL of the Backend that is used.
    pub(crate) fn current(&self) -> &Url {
        &self.urls[self.state.lock().current]
    }

    /// Whether there is another Backend to go on at.
    pub(crate) fn are_several(&self) -> bool {
        self.urls.len() > 1
    }

    /// The installation that a Backend must belong to; `None` as long as none has named it, or if there is one Backend only.
    pub(crate) fn installation(&self) -> Option<InstallationId> {
        self.installation.get().copied().filter(|_| self.are_several())
    }

    /// Remembers the installation that the first Backend has named.
    pub(crate) fn set_installation(&self, installation: InstallationId) {
        self.installation.get_or_init(|| installation);
    }

    /// Goes on at the next Backend if the result of a request to `url` shows that this one is gone. A request that was sent to an
    /// earlier Backend changes nothing.
    pub(crate) fn record<T>(&self, url: &Url, result: &Result<T, ClientError>) {
        let mut state = self.state.lock();
        if !is_below(url, &self.urls[state.current]) {
            return;
        }
        let is_over = match verdict(result) {
            Verdict::Serving => {
                (state.served_at, state.unavailable_since) = (Some(Instant::now()), None);
                false
            }
            // A Backend that is slow and has served other requests meanwhile is not left.
            Verdict::Silent => state.served_at.is_none_or(|at| at.elapsed() >= UNAVAILABILITY_LIMIT),
            Verdict::Unavailable => {
                state.unavailable_since.get_or_insert_with(Instant::now).elapsed() >= UNAVAILABILITY_LIMIT
            }
            Verdict::Gone => true,
        };
        if is_over {
            *state = State { current: (state.current + 1) % self.urls.len(), ..State::default() };
        }
    }
}

fn is_below(url: &Url, base: &Url) -> bool {
    url.origin() == base.origin() && url.path().starts_with(base.path())
}

fn verdict<T>(result: &Result<T, ClientError>) -> Verdict {
    match result {
        Err(ClientError::Unreachable { source, .. }) if source.is_timeout() && !source.is_connect() => {
            Verdict::Silent
        }
        // A proxy whose Backend is gone answers with 502 to 504 and without a problem.
        Err(
            ClientError::Unreachable { .. }
            | ClientError::Untrusted { .. }
            | ClientError::Unexpected { status: 502..=504, .. },
        ) => Verdict::Gone,
        Err(ClientError::Refused { problem, .. }) if problem.is(&ANOTHER_INSTALLATION) => Verdict::Gone,
        Err(ClientError::Refused { problem, .. }) if problem.status == 503 => Verdict::Unavailable,
        _ => Verdict::Serving,
    }
}

#[cfg(test)]
mod tests {
    use domain::Problem;
    use domain::problem_types::requests::BUSY;

    use super::*;

    fn backends() -> Backends {
        Backends::new(&["http://a:1".to_owned(), "http://a:1/x".to_owned(), "http://b:1".to_owned()]).unwrap()
    }

    fn gone() -> Result<(), ClientError> {
        Err(ClientError::Unexpected { url: String::new(), status: 502, retry_after: None, source: None })
    }

    fn unavailable() -> Result<(), ClientError> {
        let problem = Box::new(Problem::new(&BUSY, "later"));
        Err(ClientError::Refused { problem, retry_after: None })
    }

    #[test]
    fn many_failures_of_one_backend_lead_to_the_next_and_not_further() {
        let backends = backends();
        let first = Url::parse("http://a:1/api/Task").unwrap();
        let second = Url::parse("http://a:1/x/api/Task").unwrap();
        for _ in 0..3 {
            backends.record(&first, &gone());
        }
        assert_eq!(backends.current().as_str(), "http://a:1/x");
        backends.record(&second, &Ok(()));
        assert_eq!(backends.current().as_str(), "http://a:1/x", "a Backend that serves is not left");
        for url in [second, Url::parse("http://b:1/api/Task").unwrap()] {
            backends.record(&url, &gone());
        }
        assert_eq!(backends.current().as_str(), "http://a:1/", "after the last comes the first");
    }

    #[test]
    fn a_backend_that_is_unavailable_for_a_moment_is_not_left() {
        let backends = backends();
        let url = Url::parse("http://a:1/api/Task").unwrap();
        backends.record(&url, &unavailable());
        backends.record(&url, &unavailable());
        assert_eq!(backends.current().as_str(), "http://a:1/");
        let since = Instant::now().checked_sub(UNAVAILABILITY_LIMIT);
        backends.state.lock().unavailable_since = since;
        backends.record(&url, &Ok(()));
        backends.record(&url, &unavailable());
        assert_eq!(backends.current().as_str(), "http://a:1/", "it has served since");
        backends.state.lock().unavailable_since = since;
        backends.record(&url, &unavailable());
        assert_eq!(backends.current().as_str(), "http://a:1/x");
    }
}
