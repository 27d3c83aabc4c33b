//! What the registration page shows.

use askama::Template;

use crate::accounts::registration_tokens::Kind;
use crate::app::App;
use crate::pages::register::registration_policy::PresentedToken;
use crate::pages::return_url::ReturnUrl;
use crate::pages::visitor::Visitor;
use crate::settings::OpenRegistration;

/// What is wrong, field by field.
#[derive(Clone, Default)]
pub(super) struct Errors {
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) confirm: Option<&'static str>,
    pub(super) full_access: Option<&'static str>,
}

#[derive(Clone, Template)]
#[template(path = "register.html")]
pub(super) struct RegisterPage<'a> {
    username: &'a str,
    return_url: &'a str,
    /// The hidden field that carries the proof on: its name and its text.
    proof: Option<(&'static str, &'a str)>,
    welcome: Option<String>,
    password_hint: String,
    /// What stands under the box; no box, where it could only be refused.
    full_access: Option<&'static str>,
    is_ticked: bool,
    errors: Errors,
}

impl<'a> RegisterPage<'a> {
    pub(super) fn new(
        app: &App,
        visitor: &Visitor,
        carried: Option<&'a PresentedToken>,
        return_url: &'a ReturnUrl,
        is_ticked: bool,
    ) -> Self {
        let shortest = app.settings.min_password_length;
        Self {
            username: "",
            return_url: return_url.as_field(),
            proof: carried.map(|carried| (carried.kind.name(), carried.token.as_str())),
            welcome: carried.map(welcome),
            password_hint: format!("{shortest} characters or more; a few words make a good one."),
            full_access: hint(app.settings.open_registration, visitor, carried),
            is_ticked,
            errors: Errors::default(),
        }
    }

    /// The same page, with what was typed and what is wrong with it. Passwords are never sent back.
    pub(super) fn with<'b>(&self, username: &'b str, errors: Errors) -> RegisterPage<'b>
    where
        'a: 'b,
    {
        RegisterPage { username, errors, ..self.clone() }
    }
}

impl RegisterPage<'_> {
    /// Where the typing goes on: at the first field that is wrong.
    fn focus(&self) -> &'static str {
        let Errors { username, password, confirm, full_access } = &self.errors;
        match (username, password, confirm, full_access) {
            (None, Some(_), ..) => "Password",
            (None, None, Some(_), _) => "ConfirmPassword",
            (None, None, None, Some(_)) => "IsAdmin",
            _ => "Username",
        }
    }
}

fn welcome(carried: &PresentedToken) -> String {
    match carried.kind {
        Kind::Setup => "This link makes the first administrator of this Tasker.".to_owned(),
        Kind::Invitation => format!("You are invited as {}.", carried.proof.role.name()),
    }
}

fn hint(open: OpenRegistration, visitor: &Visitor, carried: Option<&PresentedToken>) -> Option<&'static str> {
    match carried {
        Some(carried) => carried.grants_full_access().then_some("Granted by your link."),
        None if visitor.is_admin() => Some("Granted by you, as an administrator."),
        None if open == OpenRegistration::Full => Some("Open to everyone here, for trying Tasker out."),
        None => Some("Needs a setup link or an invitation."),
    }
}

/// An error's words as a sentence: a capital letter and a full stop.
pub(super) fn sentence(error: &impl std::error::Error) -> String {
    let words = error.to_string();
    let first = words.chars().next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", words.chars().skip(1).collect::<String>())
}
