//! The settings of the Backend.

use std::num::NonZeroU32;
use std::time::Duration;

use domain::Ttl;
use web::client_address::TrustedProxies;

/// How the Backend behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The issuer whose tokens are accepted; its signing keys are found through its discovery document.
    pub identity_url: String,
    /// The only certificate authorities that are trusted for `identity_url`, as PEM; `None`: those of the platform.
    pub identity_ca: Option<Vec<u8>>,
    /// How often overdue tasks and silent workers are looked for without any notification.
    pub check_period: Duration,
    /// How often waiting requests query the database without any notification: one from another Backend may be lost.
    pub slow_check: Duration,
    /// The time to live of a task whose submitter and operation name none; `None`: then `ttl` is required.
    pub default_ttl: Option<Ttl>,
    /// The longest time to live.
    pub max_ttl: Ttl,
    /// How long a task may wait for a grant.
    pub start_within: Ttl,
    /// How long an ended task is stored, counted from its submission.
    pub keep_ended: Duration,
    /// How long a worker that has sent heartbeats may send none before its tasks are cancelled.
    pub worker_lost: Duration,
    /// How long a task is ready before its ticket is published to Kafka again.
    pub resend_period: Duration,
    /// The origins of web pages that may call the API (CORS).
    pub cors_origins: Vec<String>,
    /// The reverse proxies that are believed when they name the address of a client.
    pub trusted_proxies: TrustedProxies,
    /// The largest parameters, in bytes.
    pub max_parameters: usize,
    /// How many unfinished tasks an owner may have; `None`: any number.
    pub max_unfinished_per_owner: Option<NonZeroU32>,
    /// How many requests about tasks a caller may send to this Backend in a minute; `None`: any number.
    pub requests_per_minute: Option<NonZeroU32>,
    /// Whether the metrics that need queries of the database are sampled.
    pub is_sampled: bool,
    /// The largest result, in bytes.
    pub max_result: usize,
    /// The time limit of a request, without the time that it asks to wait.
    pub request_timeout: Duration,
}
