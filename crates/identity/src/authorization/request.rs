//! The request of a client for a code (RFC 6749, section 4.1.1; OpenID Connect Core 1.0, section 3.1.2.1).

use crate::authorization::answer::{Destination, ErrorCode, Refusal};
use crate::clients::client::{Client, GrantType};
use crate::clients::registry::ClientRegistry;
use crate::form_body::Form;
use crate::oauth::pkce;
use crate::pages::error::PageError;
use crate::scope::Scopes;
use crate::time::SECOND;

/// A request whose parameters are valid.
pub(crate) struct AuthorizationRequest<'a> {
    pub(crate) client: &'a Client,
    pub(crate) destination: Destination,
    pub(crate) scopes: Scopes,
    pub(crate) code_challenge: String,
    pub(crate) nonce: Option<String>,
    pub(crate) login_hint: Option<String>,
    prompts: Prompts,
    /// The longest time since the person has signed in, in microseconds.
    max_age: Option<i64>,
}

/// What the person is to be shown (the parameter `prompt`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Prompts {
    none: bool,
    login: bool,
    consent: bool,
}

impl<'a> AuthorizationRequest<'a> {
    /// Reads a request. Without a client and an address that it has registered nobody is sent anywhere: that fails with a page.
    pub(crate) fn parse(parameters: &Form, clients: &'a ClientRegistry) -> Result<Self, Refusal> {
        let client = parameters.value("client_id").and_then(|id| clients.find(id));
        let client = client.ok_or(Refusal::Page(PageError::UnknownClient))?;
        let uri = parameters.value("redirect_uri");
        let uri = uri
            .filter(|uri| client.has_redirect_uri(uri))
            .ok_or(Refusal::Page(PageError::UnknownRedirectUri))?;
        let destination =
            Destination { redirect_uri: uri.to_owned(), state: parameters.value("state").map(str::to_owned) };
        match Self::parse_rest(parameters, client, &destination) {
            Ok(request) => Ok(request),
            Err((code, sentence)) => Err(destination.refuse(code, sentence)),
        }
    }

    fn parse_rest(
        parameters: &Form,
        client: &'a Client,
        destination: &Destination,
    ) -> Result<Self, (ErrorCode, &'static str)> {
        if !client.may_use(GrantType::AuthorizationCode) {
            return Err((ErrorCode::UnauthorizedClient, "this client may not request a code"));
        }
        if parameters.value("request").is_some() {
            return Err((ErrorCode::RequestNotSupported, "`request` is not supported"));
        }
        if parameters.value("request_uri").is_some() {
            return Err((ErrorCode::RequestUriNotSupported, "`request_uri` is not supported"));
        }
        match parameters.value("response_type") {
            Some("code") => {}
            Some(_) => return Err((ErrorCode::UnsupportedResponseType, "`response_type` must be `code`")),
            None => return Err((ErrorCode::InvalidRequest, "`response_type` is missing")),
        }
        if parameters.value("response_mode").is_some_and(|mode| mode != "query") {
            return Err((ErrorCode::InvalidRequest, "`response_mode` must be `query`"));
        }
        let challenge = parameters.value("code_challenge").filter(|challenge| pkce::is_challenge(challenge));
        let challenge = challenge.filter(|_| parameters.value("code_challenge_method") == Some(pkce::METHOD));
        let challenge = challenge
            .ok_or((ErrorCode::InvalidRequest, "`code_challenge` of the method S256 (RFC 7636) is needed"))?;
        let scopes = Scopes::grant(parameters.value("scope"), &client.scopes);
        let scopes = scopes
            .ok_or((ErrorCode::InvalidScope, "a scope does not exist, or this client may not request it"))?;
        let prompts = Prompts::parse(parameters.value("prompt").unwrap_or_default())?;
        let max_age = parameters.value("max_age").map(str::parse::<u32>).transpose();
        let max_age =
            max_age.map_err(|_| (ErrorCode::InvalidRequest, "`max_age` must be a number of seconds"))?;
        Ok(Self {
            client,
            destination: destination.clone(),
            scopes,
            code_challenge: challenge.to_owned(),
            nonce: parameters.value("nonce").map(str::to_owned),
            login_hint: parameters.value("login_hint").map(str::to_owned),
            prompts,
            max_age: max_age.map(|seconds| i64::from(seconds) * SECOND),
        })
    }

    /// Whether nothing may be shown to the person.
    pub(crate) const fn is_silent(&self) -> bool {
        self.prompts.none
    }

    /// Whether somebody who has signed in at this instant must do so again.
    pub(crate) fn needs_new_sign_in(&self, signed_in_at: i64, now: i64) -> bool {
        self.prompts.login || self.max_age.is_some_and(|max_age| now - signed_in_at > max_age)
    }

    /// Whether the person must be asked although the client needs no consent, or has it.
    pub(crate) const fn asks_for_consent(&self) -> bool {
        self.prompts.consent
    }
}

impl Prompts {
    fn parse(text: &str) -> Result<Self, (ErrorCode, &'static str)> {
        let mut prompts = Self::default();
        for prompt in text.split(' ').filter(|prompt| !prompt.is_empty()) {
            match prompt {
                "none" => prompts.none = true,
                // There is one account in a session, so to select one is to sign in.
                "login" | "select_account" => prompts.login = true,
                "consent" => prompts.consent = true,
                _ => {
                    return Err((
                        ErrorCode::InvalidRequest,
                        "`prompt` may have none, login, consent and select_account",
                    ));
                }
            }
        }
        if prompts.none && (prompts.login || prompts.consent) {
            return Err((ErrorCode::InvalidRequest, "`prompt` has `none` and others"));
        }
        Ok(prompts)
    }
}
