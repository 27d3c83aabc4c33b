//! The template of the registration page and its texts.

use askama::Template;

use crate::accounts::registration_tokens::Kind;
use crate::app::App;
use crate::pages::register::registration_policy::PresentedToken;
use crate::pages::return_url::ReturnUrl;
use crate::pages::visitor::Visitor;
use crate::settings::OpenRegistration;

/// The errors of the form, by field.
#[derive(Clone, Default)]
pub(crate) struct FieldErrors {
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) confirm: Option<&'static str>,
    pub(crate) full_access: Option<&'static str>,
}

/// The registration page.
#[derive(Clone, Template)]
#[template(path = "register.html")]
pub(crate) struct RegisterPage<'a> {
    username: &'a str,
    return_url: &'a str,
    /// The hidden field with the registration token: its name and its value.
    token_field: Option<(&'static str, &'a str)>,
    /// What the registration token is for.
    notice: Option<String>,
    password_hint: String,
    /// The text below the box "Full Access"; without it the box is not shown, since ticking it could only be refused.
    full_access_hint: Option<&'static str>,
    is_ticked: bool,
    errors: FieldErrors,
}

impl<'a> RegisterPage<'a> {
    /// An empty form.
    pub(crate) fn new(
        app: &App,
        visitor: &Visitor,
        presented: Option<&'a PresentedToken>,
        return_url: &'a ReturnUrl,
        is_ticked: bool,
    ) -> Self {
        let min_length = app.settings.min_password_length;
        Self {
            username: "",
            return_url: return_url.as_field(),
            token_field: presented.map(|presented| (presented.kind.name(), presented.secret.as_str())),
            notice: presented.map(notice),
            password_hint: format!("{min_length} characters or more. A few words make a good password."),
            full_access_hint: full_access_hint(app.settings.open_registration, visitor, presented),
            is_ticked,
            errors: FieldErrors::default(),
        }
    }

    /// The form with the user name that was sent and its errors. Passwords are never sent back.
    pub(crate) fn with_errors<'b>(&self, username: &'b str, errors: FieldErrors) -> RegisterPage<'b>
    where
        'a: 'b,
    {
        RegisterPage { username, errors, ..self.clone() }
    }
}

impl RegisterPage<'_> {
    /// The name of the field that has the focus: the first one with an error.
    fn focus(&self) -> &'static str {
        let FieldErrors { username, password, confirm, full_access } = &self.errors;
        match (username, password, confirm, full_access) {
            (None, Some(_), ..) => "Password",
            (None, None, Some(_), _) => "ConfirmPassword",
            (None, None, None, Some(_)) => "IsAdmin",
            _ => "Username",
        }
    }
}

fn notice(presented: &PresentedToken) -> String {
    match presented.kind {
        Kind::Setup => "This link creates the first administrator of this Tasker.".to_owned(),
        Kind::Invitation => format!("You are invited as {}.", presented.token.role.name()),
    }
}

fn full_access_hint(
    open_registration: OpenRegistration,
    visitor: &Visitor,
    presented: Option<&PresentedToken>,
) -> Option<&'static str> {
    match presented {
        Some(presented) => presented.grants_full_access().then_some("Granted by your link."),
        None if visitor.is_admin() => Some("Granted by you, as an administrator."),
        None if open_registration == OpenRegistration::Full => {
            Some("Open to everyone here, for trying Tasker out.")
        }
        None => Some("Needs a setup link or an invitation."),
    }
}
