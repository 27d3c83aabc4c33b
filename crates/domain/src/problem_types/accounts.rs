//! Problems of requests to Identity.

use crate::problem_types::problem_type::{INVALID_REQUEST, problem_types};

problem_types! { "Accounts" &["Accounts", "Tokens"];
    NO_SUCH_USER = 404, "no-such-user", "No such user",
        "There is no account with this name.",
        "GET /api/User lists the accounts.",
        "there is no account with this name";
    NAME_TAKEN = 409, "name-taken", "The name is taken",
        "There is already an account with this name. Names that differ in upper and lower case only are the same.",
        "Choose another name.",
        "there is already an account with this name";
    LAST_ADMINISTRATOR = 409, "last-administrator", "The last administrator",
        "No administrator would be left, and nobody could make one.",
        "Give another account the role Admin first.",
        "this is the last administrator: give another account the role first";
    ACCOUNT_CHANGED = 409, "account-changed", "The account was changed",
        "The password or the role of the account was changed while the request was served, so the request changed nothing.",
        "Sign in again and repeat the request if it is still what you want.",
        "the password or the role of this account was changed meanwhile: sign in again";
    NOT_OWN_ACCOUNT = 403, "not-own-account", "Not your account",
        "Only the account itself may do this.",
        "Sign in with that account. An administrator resets a password instead (POST /api/User/{name}/reset).",
        "only the account itself can change its password so; administrators reset it";
    INVALID = 422, "invalid", INVALID_REQUEST,
        "A value in the body breaks a rule.",
        "Correct what errors lists.",
        "a password has at least 8 characters" at "/password";
    CROSS_SITE = 403, "cross-site", "Cross-site request refused",
        "A browser sent the request from a page of another site, which may not call Identity.",
        "Add the page's origin to identity.cors_origins if the page may.",
        "a browser sent this request from another site";
    RATE_LIMITED = 429, "rate-limited", "Too many attempts",
        "Too many attempts to sign in or to register came from the network of the client's address.",
        "Wait for the seconds in the header Retry-After, then try again.",
        "too many attempts came from your address: wait a little, then try again";
}
