//! Scopes: what a client may ask for, and what it gets when it does not say.

use std::fmt;

use crate::tokens::access_token::AUDIENCE;

pub(crate) const OPENID: &str = "openid";
pub(crate) const PROFILE: &str = "profile";

/// What a person's client may ask for. Without a wish it gets all of it.
pub(crate) const USER_SCOPES: &[&str] = &[OPENID, PROFILE, AUDIENCE];

/// What a program may ask for: there is nobody whose identity it could want.
pub(crate) const CLIENT_SCOPES: &[&str] = &[AUDIENCE];

/// Granted scopes, each once, in the order of the request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scopes(Vec<&'static str>);

impl Scopes {
    /// What is granted of `wish`; nothing, where it holds a scope that is not `allowed`.
    pub(crate) fn grant(wish: Option<&str>, allowed: &[&'static str]) -> Option<Self> {
        let Some(wish) = wish else { return Some(Self(allowed.to_vec())) };
        let mut granted = Vec::new();
        for scope in wish.split(' ').filter(|scope| !scope.is_empty()) {
            let scope = *allowed.iter().find(|&&allowed| allowed == scope)?;
            if !granted.contains(&scope) {
                granted.push(scope);
            }
        }
        (!granted.is_empty()).then_some(Self(granted))
    }

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
    fn s18_scopes_are_granted_whole_or_not_at_all() {
        let grant = |wish| Scopes::grant(wish, USER_SCOPES).map(|scopes| scopes.to_string());
        assert_eq!(grant(None).as_deref(), Some("openid profile TaskerWebAPI"));
        assert_eq!(grant(Some("TaskerWebAPI  openid openid")).as_deref(), Some("TaskerWebAPI openid"));
        for bad in ["openid email", "taskerwebapi", " ", "openid\tprofile"] {
            assert_eq!(grant(Some(bad)), None, "{bad:?}");
        }
        assert_eq!(Scopes::grant(Some("openid"), CLIENT_SCOPES), None);
    }
}
