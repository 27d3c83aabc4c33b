//! Scopes (RFC 6749, section 3.3): which ones a client may request, and which ones it is granted.

use std::fmt;

/// The audience of tokens for Tasker's API, and the scope that requests such a token.
pub(crate) const AUDIENCE: &str = "TaskerWebAPI";

/// The scope that opens `/connect/userinfo`.
pub(crate) const OPENID: &str = "openid";

/// The scope that adds name and roles to the answer of `/connect/userinfo`.
pub(crate) const PROFILE: &str = "profile";

/// The scopes of the password grant; a request without `scope` is granted all of them.
pub(crate) const USER_SCOPES: &[&str] = &[OPENID, PROFILE, AUDIENCE];

/// The scopes of `client_credentials`. Those of OpenID Connect are missing, since there is no user to identify.
pub(crate) const CLIENT_SCOPES: &[&str] = &[AUDIENCE];

/// The scopes that were granted: each once, in the order of the request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scopes(Vec<&'static str>);

impl Scopes {
    /// The scopes that the parameter `scope` requests; without the parameter all that are `allowed`. `None` if it requests a
    /// scope that is not `allowed`, or none at all.
    pub(crate) fn grant(requested: Option<&str>, allowed: &[&'static str]) -> Option<Self> {
        let Some(requested) = requested else { return Some(Self(allowed.to_vec())) };
        let mut granted = Vec::new();
        for scope in requested.split(' ').filter(|scope| !scope.is_empty()) {
            let scope = *allowed.iter().find(|&&allowed| allowed == scope)?;
            if !granted.contains(&scope) {
                granted.push(scope);
            }
        }
        (!granted.is_empty()).then_some(Self(granted))
    }

    /// Whether this scope was granted.
    pub(crate) fn contains(&self, scope: &str) -> bool {
        self.0.contains(&scope)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_requested_scopes_are_granted_or_none() {
        let grant = |requested| Scopes::grant(requested, USER_SCOPES).map(|scopes| scopes.to_string());
        assert_eq!(grant(None).as_deref(), Some("openid profile TaskerWebAPI"));
        assert_eq!(grant(Some("TaskerWebAPI  openid openid")).as_deref(), Some("TaskerWebAPI openid"));
        for bad in ["openid email", "taskerwebapi", " ", "openid\tprofile"] {
            assert_eq!(grant(Some(bad)), None, "{bad:?}");
        }
        assert_eq!(Scopes::grant(Some("openid"), CLIENT_SCOPES), None);
    }
}
