//! The Backend: the REST API, its pipelines and its sweeps. Every route is on this screen.

mod api;
mod app;
mod auth;
mod background;
mod batching;
mod catalogue;
mod error;
mod kafka;
mod long_poll;
mod metrics;
mod notify;
mod supervisor;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::{CACHE_CONTROL, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use broker::{Broker, Role};
use database::DatabaseError;
use domain::Operation;
use store::Store;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use crate::api::middleware::timeout::{InvalidOrigin, origin};
pub use crate::metrics::METRICS;
pub use crate::supervisor::BackgroundTaskFailed;
pub use app::Settings;

use crate::api::openapi::ApiDoc;
use crate::auth::jwks::Jwks;
use crate::auth::token_verifier::TokenVerifier;
use crate::batching::batcher::{BatchWriters, Batcher};
use crate::long_poll::queue::{LongPoll, LongPollQueue};
use crate::notify::notifier::Notifier;
use crate::supervisor::Parts;
use app::{App, Claim, Settle, Submit};
use catalogue::Catalogue;
use error::ApiError;

/// What a request may hold beside its parameters.
const BODY_OVERHEAD_BYTES: usize = 16 * 1024;

/// The largest body of the service API: a batch of results.
const WORKER_API_BODY_LIMIT: usize = 32 * 1024 * 1024;

/// Why a Backend does not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// Not even a connection to Identity can be made ready.
    #[error("TLS to Identity cannot be set up")]
    Tls(#[source] reqwest::Error),
}

/// The Backend, open but not yet running.
pub struct Backend {
    app: App,
    submits: BatchWriters<Submit>,
    claims: BatchWriters<Claim>,
    settles: BatchWriters<Settle>,
    holder: LongPollQueue,
}

impl Backend {
    /// Opens the service on a migrated store. `stop` ends its waiting; [`Backend::run`] returns after that.
    pub async fn open(
        store: Store,
        settings: Settings,
        builtin: &[Operation],
        broker: Option<Broker>,
        stop: CancellationToken,
    ) -> Result<Self, OpenError> {
        for operation in builtin {
            match store.register(operation).await {
                Ok(()) => {}
                Err(store::RegisterError::Database(error)) => return Err(error.into()),
                Err(conflict) => {
                    tracing::warn!(error = %conflict, "a built-in operation stays as it was registered");
                }
            }
        }
        let catalogue = Catalogue::default();
        catalogue.reload(&store).await?;
        let keys = Jwks::of(settings.identity_url.clone(), settings.identity_ca.as_deref());
        let verifier = TokenVerifier::new(keys.map_err(OpenError::Tls)?);
        let bells = Arc::new(Notifier::default());
        let (submit, submits) =
            Batcher::new(Submit { store: store.clone(), bells: bells.clone(), broker: broker.clone() });
        let (claim, claims) = Batcher::new(Claim { store: store.clone(), bells: bells.clone() });
        let (settle, settles) = Batcher::new(Settle { store: store.clone(), bells: bells.clone() });
        let (pulls, holder) = LongPoll::new(
            store.clone(),
            catalogue.clone(),
            bells.clone(),
            settle.clone(),
            settings.slow_check,
        );
        let parts = app::Parts {
            store,
            settings,
            verifier,
            catalogue,
            bells,
            broker,
            submit,
            claim,
            settle,
            pulls,
            stop,
        };
        Ok(Self { app: App::new(parts), submits, claims, settles, holder })
    }

    /// The whole API, for a server to serve.
    pub fn router(&self) -> Router {
        let (api, document) = api().split_for_parts();
        let document =
            serde_json::to_vec(&api::openapi::complete(document)).expect("an OpenAPI document is JSON");
        let json = [(axum::http::header::CONTENT_TYPE, "application/json")];
        let routes = api
            .route(api::openapi::DOCUMENT, get(move || async move { (json, document).into_response() }))
            .route("/{file}", get(api::openapi::file))
            .route("/", get(|| async { Redirect::to("/index.html") }))
            .fallback(|| async { ApiError::NoRoute })
            .method_not_allowed_fallback(|| async { ApiError::NoMethod })
            .layer(axum::middleware::from_fn_with_state(
                self.app.clone(),
                api::middleware::timeout::enforce_timeout,
            ))
            .layer(axum::middleware::from_fn(api::middleware::trace_context::request))
            .layer(axum::middleware::from_fn(metrics::request))
            .layer(CatchPanicLayer::custom(|_| {
                ApiError::Internal("a handler panicked".into()).into_response()
            }))
            .layer(always(X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .layer(always(REFERRER_POLICY, "no-referrer"))
            .layer(always(CACHE_CONTROL, "no-store"))
            .layer(api::middleware::timeout::cors(&self.app.settings.cors_origins))
            .layer(DefaultBodyLimit::max(self.app.settings.max_parameters + BODY_OVERHEAD_BYTES))
            .with_state(self.app.clone());
        api::middleware::normalize_path::normalize_path(routes)
    }

    /// Runs the pipelines and the sweeps until `stop` has rung and the last request is answered, which is when the last
    /// router is gone. If a part of it breaks before, it returns at once: what is left cannot serve, and the process should
    /// end.
    pub async fn run(self) -> Result<(), BackgroundTaskFailed> {
        let Self { app, submits, claims, settles, holder } = self;
        let mut parts = Parts::default();
        let stop = app.stop.clone();
        submits.start("writer of submissions", 2, &mut parts);
        claims.start("writer of claims", 1, &mut parts);
        settles.start("writer of reports", 2, &mut parts);
        parts.spawn("holder of asks", holder.run(stop.clone()));
        parts.spawn("keeper of keys", auth::jwks::run(app.clone(), stop.clone()));
        parts.spawn("ear", notify::peers::run(app.clone(), stop.clone()));
        if app.settings.is_sampled {
            parts.spawn("samples", metrics::sample(app.clone(), stop.clone()));
        }
        parts.spawn("pruning", background::pruner::forget(app.clone(), stop.clone()));
        parts.spawn("upkeep", background::pruner::refresh(app.clone(), stop.clone()));
        if let Some(broker) = app.broker.clone() {
            kafka(&app, broker, &stop, &mut parts);
        }
        parts.spawn("sweep", background::deadline_sweeper::run(app, stop.clone()));
        parts.live(&stop).await
    }
}

/// What a Backend does with Kafka, among `parts`.
fn kafka(app: &App, broker: Broker, stop: &CancellationToken, parts: &mut Parts) {
    kafka::ticket_republisher::ensure_topics(app, &broker);
    let (results, pump) = broker.results().expect("settings that have made a producer make a consumer");
    parts.spawn("pump of results", pump.run());
    parts.spawn("reader of results", kafka::result_consumer::settle(app.clone(), results, stop.clone()));
    parts.spawn(
        "offers",
        kafka::ticket_republisher::republish_waiting(app.clone(), broker.clone(), stop.clone()),
    );
    parts.spawn("keeper of topics", broker.manage_topics(Role::Backend, stop.clone()));
}

/// The contract as it is published.
pub fn openapi() -> utoipa::openapi::OpenApi {
    api::openapi::complete(api().into_openapi())
}

/// A header that every answer carries unless its handler says otherwise.
fn always(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}

fn api() -> OpenApiRouter<App> {
    let user = OpenApiRouter::new()
        .routes(routes!(api::tasks::submit, api::tasks::list))
        .routes(routes!(api::tasks::get))
        .routes(routes!(api::tasks::result))
        .routes(routes!(api::tasks::cancel))
        .routes(routes!(catalogue::list));
    let service = OpenApiRouter::new()
        .routes(routes!(api::claims::patch))
        .routes(routes!(api::claims::request))
        .routes(routes!(api::results::report))
        .routes(routes!(api::results::heartbeat))
        .routes(routes!(api::results::workers))
        .routes(routes!(catalogue::register))
        .layer(DefaultBodyLimit::max(WORKER_API_BODY_LIMIT));
    let health = OpenApiRouter::new().routes(routes!(api::health::live)).routes(routes!(api::health::ready));
    OpenApiRouter::with_openapi(ApiDoc::empty()).merge(user).merge(service).merge(health)
}
