//! What Identity counts and measures.

use std::time::Instant;

use metrics::{counter, histogram};

const SIGN_INS: &str = "tasker_sign_ins_total";
const TOKENS: &str = "tasker_tokens_total";
const HASH: &str = "tasker_password_hash_seconds";

/// Everything that Identity counts: name, labels, and what it says.
pub const COUNTERS: [(&str, &str, &str); 2] = [
    (SIGN_INS, "outcome", "names and passwords that were tried: `right`, `wrong`"),
    (TOKENS, "grant", "tokens that were given, by `password` or `client_credentials`"),
];

/// Everything that Identity measures, in the same way.
pub const HISTOGRAMS: [(&str, &str, &str); 1] = [(HASH, "", "how long a password took to hash")];

pub(crate) fn signed_in() {
    counter!(SIGN_INS, "outcome" => "right").increment(1);
}

pub(crate) fn not_signed_in() {
    counter!(SIGN_INS, "outcome" => "wrong").increment(1);
}

pub(crate) fn token(grant: &'static str) {
    counter!(TOKENS, "grant" => grant).increment(1);
}

pub(crate) fn hashed(began: Instant) {
    histogram!(HASH).record(began.elapsed());
}
