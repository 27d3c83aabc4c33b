//! Scopes (RFC 6749, section 3.3): which ones a client may request, and which ones it is granted.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The audience of tokens for Tasker's API, and the scope that requests such a token.
pub(crate) const AUDIENCE: &str = "TaskerWebAPI";

/// What a client may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// Who the user is: opens `/connect/userinfo`, and adds an ID token to the answer for a code.
    #[serde(rename = "openid")]
    OpenId,
    /// The user's name and roles, at `/connect/userinfo` and in ID tokens.
    #[serde(rename = "profile")]
    Profile,
    /// A refresh token.
    #[serde(rename = "offline_access")]
    OfflineAccess,
    /// Tasker's API.
    #[serde(rename = "TaskerWebAPI")]
    TaskerWebApi,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 4] = [Self::OpenId, Self::Profile, Self::OfflineAccess, Self::TaskerWebApi];

    /// The name in requests and tokens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenId => "openid",
            Self::Profile => "profile",
            Self::OfflineAccess => "offline_access",
            Self::TaskerWebApi => AUDIENCE,
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

/// The scopes of the password grant; a request without `scope` is granted all of them.
pub(crate) const USER_SCOPES: [Scope; 3] = [Scope::OpenId, Scope::Profile, Scope::TaskerWebApi];

/// The scopes that were granted: each once, in the order of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scopes(Vec<Scope>);

impl Scopes {
    /// The scopes that the parameter `scope` requests; without the parameter all that are `allowed` but a refresh token, which a client
    /// must ask for. `None` if it requests a scope that is not `allowed`, or none at all.
    pub(crate) fn grant(requested: Option<&str>, allowed: &[Scope]) -> Option<Self> {
        let Some(requested) = requested else {
            let all = allowed.iter().copied().filter(|scope| *scope != Scope::OfflineAccess);
            return Some(Self(all.collect()));
        };
        let granted = Self::parse(requested)?;
        let is_allowed = granted.0.iter().all(|scope| allowed.contains(scope));
        (is_allowed && !granted.0.is_empty()).then_some(granted)
    }

    /// The scopes in a text, separated by blanks. `None` if there is one that does not exist.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut scopes = Vec::new();
        for name in text.split(' ').filter(|name| !name.is_empty()) {
            let scope = Scope::from_name(name)?;
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        Some(Self(scopes))
    }

    /// Those of these scopes that the parameter `scope` requests; without the parameter all. `None` if it requests another one.
    pub(crate) fn narrow(&self, requested: Option<&str>) -> Option<Self> {
        match requested {
            Some(_) => Self::grant(requested, &self.0),
            None => Some(self.clone()),
        }
    }

    /// Whether this scope was granted.
    pub(crate) fn contains(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }

    /// Whether all of `others` were granted.
    pub(crate) fn include(&self, others: &Self) -> bool {
        others.0.iter().all(|scope| self.contains(*scope))
    }

    /// The scopes.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Scope> {
        self.0.iter().copied()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Scope::name).collect();
        f.write_str(&names.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_requested_scopes_are_granted_or_none() {
        let grant = |requested| Scopes::grant(requested, &USER_SCOPES).map(|scopes| scopes.to_string());
        assert_eq!(grant(None).as_deref(), Some("openid profile TaskerWebAPI"));
        assert_eq!(grant(Some("TaskerWebAPI  openid openid")).as_deref(), Some("TaskerWebAPI openid"));
        for bad in ["openid email", "taskerwebapi", " ", "openid\tprofile", "openid offline_access"] {
            assert_eq!(grant(Some(bad)), None, "{bad:?}");
        }
        assert_eq!(Scopes::grant(Some("openid"), &[Scope::TaskerWebApi]), None);
    }

    #[test]
    fn a_refresh_token_must_be_asked_for() {
        let all = Scopes::grant(None, &Scope::ALL).unwrap();
        assert!(!all.contains(Scope::OfflineAccess) && all.contains(Scope::OpenId));
    }

    #[test]
    fn a_refresh_may_ask_for_less_and_not_for_more() {
        let granted = Scopes::parse("openid offline_access").unwrap();
        assert_eq!(granted.narrow(None), Some(granted.clone()));
        assert_eq!(granted.narrow(Some("openid")), Scopes::parse("openid"));
        assert_eq!(granted.narrow(Some("openid TaskerWebAPI")), None);
    }
}
