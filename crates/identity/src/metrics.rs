//! The metrics of Identity.

use std::time::Instant;

use metrics::{counter, histogram};
use telemetry::MetricDescriptor;

const SIGN_INS: &str = "tasker_sign_ins_total";
const TOKENS: &str = "tasker_tokens_total";
const PASSWORD_HASH_SECONDS: &str = "tasker_password_hash_seconds";

/// Every metric of Identity.
pub const METRICS: &[MetricDescriptor] = &[
    MetricDescriptor::counter(SIGN_INS, "outcome", "sign-ins with name and password: `accepted`, `refused`"),
    MetricDescriptor::counter(TOKENS, "grant", "access tokens issued, by `password` or `client_credentials`"),
    MetricDescriptor::histogram(PASSWORD_HASH_SECONDS, "", "how long it took to hash or verify a password"),
];

/// Starts the counters at 0: the rate of a series that begins with its first event is not known.
pub(crate) fn start_counters() {
    for outcome in ["accepted", "refused"] {
        counter!(SIGN_INS, "outcome" => outcome).increment(0);
    }
    for grant in ["password", "client_credentials"] {
        counter!(TOKENS, "grant" => grant).increment(0);
    }
}

/// Counts a sign-in with the right name and password.
pub(crate) fn sign_in_accepted() {
    counter!(SIGN_INS, "outcome" => "accepted").increment(1);
}

/// Counts a refused sign-in.
pub(crate) fn sign_in_refused() {
    counter!(SIGN_INS, "outcome" => "refused").increment(1);
}

/// Counts an access token that was issued by this grant.
pub(crate) fn token_issued(grant: &'static str) {
    counter!(TOKENS, "grant" => grant).increment(1);
}

/// Records the duration of a password hash that `began` at this instant.
pub(crate) fn password_hashed(began: Instant) {
    histogram!(PASSWORD_HASH_SECONDS).record(began.elapsed());
}
