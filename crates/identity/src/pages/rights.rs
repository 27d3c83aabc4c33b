//! What scopes let a client do, in words for people.

use crate::scope::Scope;

/// What a scope lets a client do, as a sentence.
pub(crate) const fn sentence(scope: Scope) -> &'static str {
    match scope {
        Scope::OpenId => "Know which account is yours",
        Scope::Profile => "See your user name and your roles",
        Scope::OfflineAccess => "Stay signed in until you end it",
        Scope::TaskerWebApi => "Submit, see and cancel tasks in your name, with all your roles",
    }
}
