//! The OpenAPI document, derived from the handlers and their types.

use domain::{Problem, TaskEvent, TaskOrder};
use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::{OpenApi, RefOr, Schema};
use utoipa::{Modify, OpenApi as _};
use web::openapi;

/// Where the document is served.
pub(crate) const DOCUMENT_PATH: &str = "/swagger/v1/swagger.json";

/// The parts of the document that belong to no single handler.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Tasker",
        description = "A task queue: submit tasks that workers run. Each task has a time to live and is cancelled when it expires."
    ),
    components(schemas(Problem, TaskEvent, TaskOrder)),
    modifiers(&BearerScheme),
    servers((url = "/", description = "The Backend that serves this document")),
    tags(
        (name = "Tasks", description = "Submit tasks, follow them, read their results, cancel them. Requires the role User or Admin; callers see their own tasks only."),
        (name = "Administration", description = "The tasks of all owners as they go, without parameters, results and texts of errors. Requires the role Admin."),
        (name = "Schedules", description = "Tasks that are submitted again and again. Requires the role User or Admin; callers see their own schedules only."),
        (name = "Operations", description = "The types that tasks can have. Workers register them."),
        (name = "Workers", description = "Claim tasks, report their results, send heartbeats. Requires the role Worker or Admin."),
        (name = "Health", description = "Probes for load balancers and orchestrators. No token is required."),
        (name = "Problems", description = "What the types of problem documents (RFC 9457) mean. No token is required."),
    )
)]
pub(crate) struct ApiDoc;

struct BearerScheme;

impl Modify for BearerScheme {
    fn modify(&self, document: &mut OpenApi) {
        let bearer = openapi::bearer_scheme(
            "An access token from Identity (POST /connect/token) with the scope TaskerWebAPI. An operation lists the roles of \
             which the token must have one. Enter the token alone, without the word Bearer.",
        );
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", bearer);
    }
}

impl ApiDoc {
    /// A document without routes.
    pub(crate) fn without_routes() -> OpenApi {
        Self::openapi()
    }
}

/// Completes the document of the handlers.
pub(crate) fn complete(document: OpenApi) -> OpenApi {
    let mut document = openapi::complete(document, |_| true);
    // These bodies are parsed by hand, so their types do not say that unknown members are refused.
    let schemas = document.components.as_mut().map(|components| &mut components.schemas);
    for (name, schema) in schemas.into_iter().flatten() {
        if let (RefOr::T(Schema::Object(body)), "NewTask" | "NewTaskBatch" | "CancelFilter" | "NewSchedule") =
            (schema, &**name)
        {
            body.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
        }
    }
    document
}
