//! What every request and every answer of the API has in common: headers, refusals, the problem document.

use domain::Problem;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{
    Components, ContentBuilder, Header, HeaderBuilder, ObjectBuilder, Ref, RefOr, Required, Response,
    ResponseBuilder, Responses, Schema, Type,
};

/// A header of requests, the header of successful answers by which the service answers it, and the name of that header's component.
const ANSWERED_HEADERS: [(&str, &str, &str); 1] = [("Prefer", "Preference-Applied", "PreferenceApplied")];

/// Adds the header that every request may have. Parameters that may be left out are not `null` where they are given.
pub(super) fn add_common_parameters(operation: &mut Operation) {
    let parameters = operation.parameters.get_or_insert_default();
    for parameter in parameters.iter_mut() {
        if let RefOr::T(Parameter { schema: Some(RefOr::T(Schema::Object(object))), .. }) = parameter
            && let SchemaType::Array(types) = &object.schema_type
            && let [one, Type::Null] = &types[..]
        {
            object.schema_type = SchemaType::Type(one.clone());
        }
    }
    parameters.push(RefOr::Ref(Ref::new("#/components/parameters/XRequestId")));
}

/// Adds the answers that every operation may give, and makes the body of every refusal that has none a [`Problem`].
pub(super) fn add_common_responses(operation: &mut Operation, refuses_queries: bool) {
    let has_body = operation.request_body.is_some();
    let needs_token = needs_token(operation);
    let responses = &mut operation.responses;
    let add = |responses: &mut Responses, status: &str, description: &str| {
        let response = || ResponseBuilder::new().description(description).into();
        responses.responses.entry(status.to_owned()).or_insert_with(response);
    };
    if refuses_queries {
        add(responses, "400", "The query has a parameter that the operation does not have");
    }
    if has_body {
        add(
            responses,
            "415",
            "The body is not JSON by its `Content-Type`, or its `Content-Encoding` is neither gzip nor identity",
        );
    }
    if needs_token {
        add(responses, "401", "The bearer token is missing or not valid");
        add(responses, "403", "The token lacks the required role or scope");
        add(
            responses,
            "503",
            "The service is overloaded, or a dependency is unavailable; try again after `Retry-After`",
        );
    }
    if !responses.responses.keys().any(|status| status.starts_with('4')) {
        add(responses, "4XX", "The request cannot be read");
    }
    add(responses, "default", "Any other problem");
    for (status, response) in &mut responses.responses {
        let RefOr::T(response) = response else { continue };
        if !status.starts_with(['1', '2', '3']) && response.content.is_empty() {
            let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
            response.content.insert(Problem::MEDIA_TYPE.to_owned(), problem.into());
        }
    }
}

/// Adds the headers that every answer has, and those of some statuses.
pub(super) fn add_common_headers(operation: &mut Operation) {
    let answered = ANSWERED_HEADERS.iter().filter(|(request, ..)| takes_header(operation, request));
    let answered: Vec<_> = answered.map(|(_, name, component)| (*name, *component)).collect();
    let needs_token = needs_token(operation);
    let responses = &mut operation.responses.responses;
    let is_rate_limited = matches!(
        responses.get("429"),
        Some(RefOr::T(response)) if response.headers.contains_key("RateLimit")
    );
    for (status, response) in responses {
        let RefOr::T(response) = response else { continue };
        let mut headers = vec![("X-Request-Id", "XRequestId")];
        match status.as_str() {
            "401" => headers.push(("WWW-Authenticate", "WwwAuthenticate")),
            // The token lacks the scope.
            "403" if needs_token => headers.push(("WWW-Authenticate", "WwwAuthenticate")),
            "415" => headers.push(("Accept-Encoding", "AcceptEncoding")),
            "429" | "503" => headers.push(("Retry-After", "RetryAfter")),
            status if status.starts_with('2') => headers.extend(&answered),
            _ => {}
        }
        // The caller of a request with 401 is not known.
        if is_rate_limited && status != "401" {
            headers.extend([("RateLimit", "RateLimit"), ("RateLimit-Policy", "RateLimitPolicy")]);
        }
        for (name, component) in headers {
            let header = RefOr::Ref(Ref::new(format!("#/components/headers/{component}")));
            response.headers.insert(name.to_owned(), header);
        }
    }
}

/// Whether every request of an operation needs a token.
fn needs_token(operation: &Operation) -> bool {
    let anonymous = SecurityRequirement::default();
    operation.security.as_ref().is_some_and(|security| !security.contains(&anonymous))
}

/// Whether the requests of an operation may have this header.
fn takes_header(operation: &Operation, name: &str) -> bool {
    operation.parameters.iter().flatten().any(|parameter| match parameter {
        RefOr::T(parameter) => parameter.parameter_in == ParameterIn::Header && parameter.name == name,
        RefOr::Ref(_) => false,
    })
}

/// Adds that the requests of each caller are limited.
pub(super) fn add_rate_limit(operation: &mut Operation) {
    let sentence = "The caller has sent as many requests as it may send in a minute";
    let refusal = operation
        .responses
        .responses
        .entry("429".to_owned())
        .or_insert_with(|| RefOr::T(Response::default()));
    let RefOr::T(refusal) = refusal else { return };
    refusal.description = match refusal.description.as_str() {
        "" => sentence.to_owned(),
        other => format!("{other}; or: {sentence}"),
    };
    let header = RefOr::Ref(Ref::new("#/components/headers/RateLimit"));
    refusal.headers.insert("RateLimit".to_owned(), header);
}

/// Adds the headers and the parameter that operations refer to, and what the types of bodies do not say.
pub(super) fn add_components(components: &mut Components) {
    let request_id = ParameterBuilder::new()
        .name("X-Request-Id")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "The id of this request, 1 to 64 of `A-Z a-z 0-9 . _ -`. If it is missing or has another form, the service chooses one.",
        ))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)));
    components.parameters.insert("XRequestId".to_owned(), request_id.build().into());
    let mut add = |name: &str, header: Header| components.headers.insert(name.to_owned(), header.into());
    add("XRequestId", text_header("The id of this request, as the log of the service contains it"));
    add("AcceptEncoding", text_header("The encodings that a body may have (RFC 7694)"));
    add(
        "WwwAuthenticate",
        text_header(
            "How to authenticate, and what is wrong with the credentials (RFC 9110, RFC 6750); a Backend's realm is the issuer whose tokens are \
             accepted",
        ),
    );
    add(
        "PreferenceApplied",
        text_header("The preferences that were honoured (RFC 7240); without it there were none"),
    );
    let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
    let retry_after = HeaderBuilder::new().schema(Some(seconds));
    add("RetryAfter", retry_after.description(Some("After how many seconds to try again")).build());
    add(
        "RateLimit",
        text_header(
            "How many requests the caller may send now (`r`), and in how many seconds as many as ever (`t`): `\"requests\";r=599;t=1` \
             (draft-ietf-httpapi-ratelimit-headers-11). Only where the service limits the requests of each caller",
        ),
    );
    add(
        "RateLimitPolicy",
        text_header(
            "How many requests the caller may send (`q`) in how many seconds (`w`): `\"requests\";q=600;w=60`. Only where the service limits \
             the requests of each caller",
        ),
    );

    if let Some(RefOr::T(Schema::Object(problem))) = components.schemas.get_mut("Problem") {
        // The crate `web` writes this member.
        let instance = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("The id of this request as a URI; the log of the service contains the id."));
        problem.properties.insert("instance".to_owned(), instance.into());
    }
}

fn text_header(description: &str) -> Header {
    let text = ObjectBuilder::new().schema_type(Type::String);
    HeaderBuilder::new().schema(Some(text)).description(Some(description)).build()
}
