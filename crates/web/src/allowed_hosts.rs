//! The hosts under whose names a listener is reached. A request that names another host is refused: otherwise DNS
//! rebinding would make a foreign page same-origin, and the checks of CORS and CSRF would pass.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{Request, State};
use axum::http::Version;
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::Response;
use domain::problem_types::requests::{MALFORMED, MISDIRECTED};
use domain::{Problem, is_ip_address, is_loopback_host};
use tokio::sync::watch;
use tracing::warn;

use crate::problem;

/// A host name, or every name below one (`*.example.org`), in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern(String);

/// A text that is no host name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a host: write its name alone, like tasker.example.org, or *.example.org for every name below it"
)]
pub struct InvalidHost(String);

impl FromStr for HostPattern {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let is_label = |label: &str| {
            !label.is_empty()
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        let name = text.strip_prefix("*.").unwrap_or(text);
        if is_ip_address(text) || name.split('.').all(is_label) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(InvalidHost(text.to_owned()))
    }
}

impl HostPattern {
    fn matches(&self, host: &str) -> bool {
        match self.0.strip_prefix('*') {
            Some(end) => host.len() > end.len() && host.ends_with(end),
            None => self.0 == host,
        }
    }
}

/// The hosts that the requests to one listener may name. IP addresses, `localhost` and the names below it are always among them:
/// no DNS server decides where they lead.
#[derive(Debug, Clone)]
pub struct AllowedHosts(Arc<Hosts>);

#[derive(Debug)]
struct Hosts {
    /// The setting to which other names can be added.
    setting: &'static str,
    names: Vec<HostPattern>,
    /// The names in the listener's certificate, which may be replaced: a browser has checked them before its request.
    certificate: Option<watch::Receiver<Vec<HostPattern>>>,
    /// Whether a refused request was logged.
    is_logged: AtomicBool,
}

impl AllowedHosts {
    /// Allows `names`. `setting` is the setting that error texts name for adding more.
    pub fn new(setting: &'static str, names: Vec<HostPattern>) -> Self {
        Self(Arc::new(Hosts { setting, names, certificate: None, is_logged: AtomicBool::new(false) }))
    }

    /// These hosts and those that the listener's certificate names at the time of a request.
    #[must_use]
    pub fn with_certificate(self, names: watch::Receiver<Vec<HostPattern>>) -> Self {
        let Hosts { setting, names: own, .. } = &*self.0;
        let (names, own) = (Some(names), own.clone());
        Self(Arc::new(Hosts { setting, names: own, certificate: names, is_logged: AtomicBool::new(false) }))
    }

    fn contains(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let is_named = |names: &[HostPattern]| names.iter().any(|pattern| pattern.matches(&host));
        let Hosts { names, certificate, .. } = &*self.0;
        is_ip_address(&host)
            || is_loopback_host(&host)
            || is_named(names)
            || certificate.as_ref().is_some_and(|names| is_named(&names.borrow()))
    }

    /// The answer 421 (RFC 9110, section 15.5.20) to a request that names `host`. The first one is logged, for the operator of a
    /// listener that is reached under a name nobody has written down.
    fn refuse(&self, host: &str) -> Response {
        let setting = self.0.setting;
        if !self.0.is_logged.swap(true, Ordering::Relaxed) {
            warn!(
                "a request under the host name {host} was refused with 421, since {setting} does not have that name; \
                 add it if clients use it. Further refusals are not logged"
            );
        }
        let detail = format!(
            "this service is not reached under the host name {host}; if it should be, its operator adds the name to {setting}"
        );
        problem::response(Problem::new(&MISDIRECTED, detail))
    }
}

/// Middleware that answers 421 to a request that names a host which is not allowed, and 400 to one that names none or two
/// (RFC 9112, section 3.2), or whose target is nothing but a host and a port, which is a request to a proxy (section 3.2.3).
/// HTTP/1.0 knows requests without a host, and browsers send none of those.
pub async fn enforce(State(allowed): State<AllowedHosts>, request: Request, next: Next) -> Response {
    match named_hosts(&request) {
        Ok(named) => match named.iter().map(Authority::host).find(|host| !allowed.contains(host)) {
            Some(other) => allowed.refuse(other),
            None => next.run(request).await,
        },
        Err(detail) => problem::response(Problem::new(&MALFORMED, detail)),
    }
}

/// The hosts that a request names: that of its target if the target has one, which is how HTTP/2 names it, and that of the header
/// `Host`. Fails with the rule that the request breaks.
fn named_hosts(request: &Request) -> Result<Vec<Authority>, &'static str> {
    if request.uri().path().is_empty() {
        return Err("the target of the request is neither a path nor a URL");
    }
    let mut named: Vec<Authority> = request.uri().authority().cloned().into_iter().collect();
    let mut headers = request.headers().get_all(HOST).iter();
    match (headers.next(), headers.next()) {
        (_, Some(_)) => return Err("the request has more than one Host header"),
        (None, None) if request.version() == Version::HTTP_11 => {
            return Err("the request has no Host header");
        }
        (None, None) => {}
        (Some(host), None) => {
            let host = Authority::try_from(host.as_bytes());
            named.push(host.map_err(|_| "the Host header is not a host with or without a port")?);
        }
    }
    // A user name before the host belongs to no request (RFC 9110, section 4.2.4).
    if named.iter().any(|authority| authority.as_str().contains('@')) {
        return Err("the host of the request has a user name");
    }
    Ok(named)
}
