//! An operation whose runs are calls to a URL.

use std::fmt;
use std::path::Path;

use domain::limits::MAX_SENT_RESULT_BYTES;
use domain::{RawJson, TraceContext};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use telemetry::error_chain;

use crate::http_operation::address_rule::AddressRule;
use crate::http_operation::checked_resolver::CheckedResolver;
use crate::http_operation::header_secrets::HeaderSecrets;
use crate::http_operation::outgoing_request::{OutgoingRequest, check_url};
use crate::http_operation::response::{exchange_failure, read_result};
use crate::http_operation::setting_headers;
use crate::http_operation::settings::{HttpMethod, HttpSettings};
use crate::output_format::OutputFormat;
use crate::sdk::context::Context;
use crate::sdk::operation::Failure;

/// The most redirects that the settings may allow.
const MAX_REDIRECTS: u8 = 10;

/// Calls a URL for each task of its type.
///
/// A connection is used for one request and then closed, also when the future of a call is dropped: the server notices that nobody waits
/// any more. Whether it stops its work then is up to the server.
pub(crate) struct HttpOperation {
    client: Client,
    method: HttpMethod,
    url: Url,
    headers: HeaderMap,
    secrets: HeaderSecrets,
    rule: AddressRule,
    max_result_bytes: usize,
    redirects: u8,
}

/// Without its URL and headers, which may hold secrets.
impl fmt::Debug for HttpOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOperation").field("method", &self.method).finish_non_exhaustive()
    }
}

impl HttpOperation {
    /// Checks the settings and reads the files of headers, whose paths are relative to `base_directory`. An error names the setting.
    pub(crate) fn new(settings: &HttpSettings, base_directory: &Path) -> Result<Self, String> {
        let HttpSettings { method, ref url, ref headers, ref allowed_networks, max_result_bytes, redirects } =
            *settings;
        let rule = AddressRule::new(allowed_networks);
        let url = Url::parse(url).map_err(|error| format!("http.url: {error}"))?;
        check_url(&url, &rule).map_err(|error| format!("http.url: {error}"))?;
        let headers = setting_headers::read(headers, base_directory)?;
        let secrets = HeaderSecrets::of(&headers);
        if !(1..=MAX_SENT_RESULT_BYTES).contains(&max_result_bytes) {
            return Err(format!(
                "http.max_result_bytes: {max_result_bytes} is not between 1 and {MAX_SENT_RESULT_BYTES}"
            ));
        }
        if redirects > MAX_REDIRECTS {
            return Err(format!("http.redirects: {redirects} is more than {MAX_REDIRECTS}"));
        }
        let may_use_tls = url.scheme() == "https" || redirects > 0;
        let client =
            http_client(&rule, may_use_tls).map_err(|error| format!("http: {}", error_chain(&error)))?;
        Ok(Self { client, method, url, headers, secrets, rule, max_result_bytes, redirects })
    }

    /// Calls the URL with `parameters` and returns what the server answers. Fails at the deadline of the task; a caller that drops the
    /// future earlier ends the call, too.
    pub(crate) async fn call(
        &self,
        parameters: &RawJson,
        context: &Context,
        output: OutputFormat,
    ) -> Result<RawJson, Failure> {
        let exchange = async {
            let response = self.respond(parameters, context).await?;
            read_result(response, self.max_result_bytes, output, &self.secrets).await
        };
        let answer = tokio::time::timeout(context.remaining(), exchange).await;
        answer.unwrap_or_else(|_| Err(Failure::new("the server has not answered before the deadline")))
    }

    /// The answer of the server, after as many redirects as the settings allow.
    async fn respond(&self, parameters: &RawJson, context: &Context) -> Result<Response, Failure> {
        let mut request = OutgoingRequest::first(self.method, &self.url, parameters)?;
        for _ in 0..self.redirects {
            let response = self.send(&request, context).await?;
            let status = response.status();
            match request.redirect_target(status, response.headers(), &self.rule)? {
                Some(target) => request = request.redirected(status, target),
                None => return Ok(response),
            }
        }
        // A redirect beyond the allowed ones is not followed: its status is a failure.
        self.send(&request, context).await
    }

    async fn send(&self, request: &OutgoingRequest, context: &Context) -> Result<Response, Failure> {
        let mut builder = self.client.request(request.method.clone(), request.url.clone());
        if let Some(body) = &request.body {
            builder = builder.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        if request.has_setting_headers {
            builder = builder.headers(self.headers.clone());
        }
        let task = context.task().to_string();
        builder = builder
            .header("tasker-attempt", context.attempt())
            .header("tasker-deadline-ms", context.remaining().as_millis().to_string())
            // The same for every attempt, so that the server can tell a repetition.
            .header("idempotency-key", &task)
            .header("tasker-task-id", task);
        if let Some(trace) = context.trace() {
            builder = builder.header(TraceContext::HEADER, trace.to_string());
        }
        builder.send().await.map_err(exchange_failure)
    }
}

/// The HTTP client of one operation. Redirects are followed by the operation itself, which checks them; the proxy variables of the
/// environment are ignored, since a proxy would resolve names by itself.
///
/// The platform's certificate authorities are loaded only if TLS may be used: a small container has none, and loading them would then
/// fail for plain HTTP, too.
fn http_client(rule: &AddressRule, may_use_tls: bool) -> reqwest::Result<Client> {
    let builder = Client::builder()
        .user_agent(concat!("tasker/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(CheckedResolver::new(rule.clone()))
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .http1_only()
        .pool_max_idle_per_host(0);
    if may_use_tls { builder.build() } else { builder.tls_certs_only([]).build() }
}
