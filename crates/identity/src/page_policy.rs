//! What pages may load, and where their forms may lead (Content Security Policy Level 3).

/// The policy of a page whose forms lead to `form_targets` only.
pub(crate) fn content_security_policy(form_targets: &str) -> String {
    format!(
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action {form_targets}; frame-ancestors 'none'; base-uri 'none'"
    )
}
