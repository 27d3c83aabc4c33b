//! The Backend: the REST API, its pipelines and its sweeps. Every route is on this screen.

mod app;
mod bells;
mod caller;
mod catalogue;
mod claims;
mod error;
mod figures;
mod health;
mod hear;
mod keys;
mod life;
mod limits;
mod look;
mod openapi;
mod paths;
mod pipeline;
mod posted;
mod prefer;
mod pulls;
mod ready;
mod results;
mod submission;
mod sweep;
mod tasks;
mod tickets;
mod traced;
mod unique;
mod untold;
mod upkeep;
mod watch;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::{CACHE_CONTROL, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use broker::{Broker, Role};
use domain::Operation;
use store::{Store, StoreError};
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use app::Settings;
pub use figures::FIGURES;
pub use life::Dead;
pub use limits::{BadOrigin, origin};

use app::{App, Claim, Settle, Submit};
use bells::Bells;
use caller::Verifier;
use catalogue::Catalogue;
use error::ApiError;
use keys::Keys;
use life::Parts;
use openapi::Contract;
use pipeline::{Pipeline, Writers};
use pulls::{Holder, Pulls};

/// What a request may hold beside its parameters.
const ENVELOPE: usize = 16 * 1024;

/// The largest body of the service API: a batch of results.
const SERVICE_BODY: usize = 32 * 1024 * 1024;

/// Why a Backend does not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Not even a connection to Identity can be made ready.
    #[error("TLS to Identity cannot be set up")]
    Tls(#[source] reqwest::Error),
}

/// The Backend, open but not yet running.
pub struct Backend {
    app: App,
    submits: Writers<Submit>,
    claims: Writers<Claim>,
    settles: Writers<Settle>,
    holder: Holder,
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
                Err(store::RegisterError::Store(error)) => return Err(error.into()),
                Err(conflict) => {
                    tracing::warn!(error = %conflict, "a built-in operation stays as it was registered");
                }
            }
        }
        let catalogue = Catalogue::default();
        catalogue.reload(&store).await?;
        let keys = Keys::of(settings.identity_url.clone(), settings.identity_ca.as_deref());
        let verifier = Verifier::new(keys.map_err(OpenError::Tls)?);
        let bells = Arc::new(Bells::default());
        let (submit, submits) =
            Pipeline::new(Submit { store: store.clone(), bells: bells.clone(), broker: broker.clone() });
        let (claim, claims) = Pipeline::new(Claim { store: store.clone(), bells: bells.clone() });
        let (settle, settles) = Pipeline::new(Settle { store: store.clone(), bells: bells.clone() });
        let (pulls, holder) =
            Pulls::new(store.clone(), catalogue.clone(), bells.clone(), settle.clone(), settings.slow_check);
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
        let document = serde_json::to_vec(&openapi::complete(document)).expect("an OpenAPI document is JSON");
        let json = [(axum::http::header::CONTENT_TYPE, "application/json")];
        let routes = api
            .route(openapi::DOCUMENT, get(move || async move { (json, document).into_response() }))
            .route("/{file}", get(openapi::file))
            .route("/", get(|| async { Redirect::to("/index.html") }))
            .fallback(|| async { ApiError::NoRoute })
            .method_not_allowed_fallback(|| async { ApiError::NoMethod })
            .layer(axum::middleware::from_fn_with_state(self.app.clone(), limits::in_time))
            .layer(axum::middleware::from_fn(traced::request))
            .layer(axum::middleware::from_fn(figures::request))
            .layer(CatchPanicLayer::custom(|_| {
                ApiError::Internal("a handler panicked".into()).into_response()
            }))
            .layer(always(X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .layer(always(REFERRER_POLICY, "no-referrer"))
            .layer(always(CACHE_CONTROL, "no-store"))
            .layer(limits::cors(&self.app.settings.cors_origins))
            .layer(DefaultBodyLimit::max(self.app.settings.max_parameters + ENVELOPE))
            .with_state(self.app.clone());
        paths::any_case(routes)
    }

    /// Runs the pipelines and the sweeps until `stop` has rung and the last request is answered, which is when the last
    /// router is gone. If a part of it breaks before, it returns at once: what is left cannot serve, and the process should
    /// end.
    pub async fn run(self) -> Result<(), Dead> {
        let Self { app, submits, claims, settles, holder } = self;
        let mut parts = Parts::default();
        let stop = app.stop.clone();
        submits.start("writer of submissions", 2, &mut parts);
        claims.start("writer of claims", 1, &mut parts);
        settles.start("writer of reports", 2, &mut parts);
        parts.spawn("holder of asks", holder.run(stop.clone()));
        parts.spawn("keeper of keys", keys::run(app.clone(), stop.clone()));
        parts.spawn("ear", hear::run(app.clone(), stop.clone()));
        if app.settings.is_sampled {
            parts.spawn("samples", figures::sample(app.clone(), stop.clone()));
        }
        parts.spawn("pruning", upkeep::forget(app.clone(), stop.clone()));
        parts.spawn("upkeep", upkeep::refresh(app.clone(), stop.clone()));
        if let Some(broker) = app.broker.clone() {
            kafka(&app, broker, &stop, &mut parts);
        }
        parts.spawn("sweep", sweep::run(app, stop.clone()));
        parts.live(&stop).await
    }
}

/// What a Backend does with Kafka, among `parts`.
fn kafka(app: &App, broker: Broker, stop: &CancellationToken, parts: &mut Parts) {
    tickets::want_queues(app, &broker);
    let (results, pump) = broker.results().expect("settings that have made a producer make a consumer");
    parts.spawn("pump of results", pump.run());
    parts.spawn("reader of results", posted::settle(app.clone(), results, stop.clone()));
    parts.spawn("offers", tickets::offer_again(app.clone(), broker.clone(), stop.clone()));
    parts.spawn("keeper of topics", broker.keep(Role::Backend, stop.clone()));
}

/// The contract as it is published.
pub fn openapi() -> utoipa::openapi::OpenApi {
    openapi::complete(api().into_openapi())
}

/// A header that every answer carries unless its handler says otherwise.
fn always(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}

fn api() -> OpenApiRouter<App> {
    let user = OpenApiRouter::new()
        .routes(routes!(tasks::submit, tasks::list))
        .routes(routes!(tasks::get))
        .routes(routes!(tasks::result))
        .routes(routes!(tasks::cancel))
        .routes(routes!(catalogue::list));
    let service = OpenApiRouter::new()
        .routes(routes!(claims::patch))
        .routes(routes!(claims::request))
        .routes(routes!(results::report))
        .routes(routes!(results::heartbeat))
        .routes(routes!(results::workers))
        .routes(routes!(catalogue::register))
        .layer(DefaultBodyLimit::max(SERVICE_BODY));
    let health = OpenApiRouter::new().routes(routes!(health::live)).routes(routes!(health::ready));
    OpenApiRouter::with_openapi(Contract::empty()).merge(user).merge(service).merge(health)
}
