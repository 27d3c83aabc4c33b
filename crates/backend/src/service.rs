//! The Backend as a whole: opens, serves, runs its background tasks, stops.

use std::sync::Arc;

use axum::Router;
use broker::{Broker, Role};
use database::DatabaseError;
use domain::Operation;
use store::{Registrant, Store};
use tokio_util::sync::CancellationToken;

use crate::api;
use crate::api::extract::budgeted_body;
use crate::app::AppState;
use crate::auth::issuer::Issuer;
use crate::auth::token_verifier::TokenVerifier;
use crate::auth::{jwks, revocations};
use crate::background::{
    database_sampler, deadline_sweeper, delay_promoter, dependency_resolver, pruner, refresher, scheduler,
};
use crate::batching::batch_consumer::BatchConsumer;
use crate::batching::batch_statement::BatchStatement;
use crate::batching::batcher::Batcher;
use crate::catalogue::Catalogue;
use crate::events::dispatcher;
use crate::kafka::{result_consumer, ticket_republisher};
use crate::lifecycle::claim::ClaimBatch;
use crate::lifecycle::progress::ProgressBatch;
use crate::lifecycle::settle::{SettleBatch, Settler};
use crate::lifecycle::submit::{SubmissionLimits, SubmitBatch, Submitter};
use crate::long_poll::queue::{LongPoll, LongPollQueue};
use crate::metrics;
use crate::notify::notifier::Notifier;
use crate::notify::peers;
use crate::notify::ticket_publisher::TicketPublisher;
use crate::rate_limit::RateLimit;
use crate::settings::Settings;
use crate::supervisor::{BackgroundTaskFailed, Supervisor};

/// How many batches of submissions, and of reports, may be in flight at once. Claims by id have one writer.
const PARALLEL_WRITERS: usize = 2;

/// Why a Backend does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The HTTP client for Identity's signing keys cannot be built, for example because of a bad certificate authority.
    #[error("TLS to Identity cannot be set up")]
    Tls(#[source] reqwest::Error),
}

/// The Backend, open but not yet running.
pub struct Backend {
    app: Arc<AppState>,
    submit_writers: BatchConsumer<SubmitBatch>,
    claim_writers: BatchConsumer<ClaimBatch>,
    settle_writers: BatchConsumer<SettleBatch>,
    progress_writers: BatchConsumer<ProgressBatch>,
    long_poll_queue: LongPollQueue,
}

impl Backend {
    /// Opens the service on a migrated store, and registers the built-in operations. Without a `broker` Kafka is not used.
    /// Cancel `stop` to stop the service; then [`Backend::run`] returns.
    ///
    /// Fails if the database does, or if the certificate authorities for Identity are no valid PEM.
    pub async fn open(
        store: Store,
        settings: Settings,
        builtin: &[Operation],
        broker: Option<Broker>,
        stop: CancellationToken,
    ) -> Result<Self, OpenError> {
        let installation = store.installation().await?;
        metrics::start_counters();
        register_builtin(&store, builtin).await?;
        let catalogue = Catalogue::default();
        catalogue.reload(&store).await?;
        let issuer = Issuer::new(settings.identity_url.clone(), settings.identity_ca.as_deref());
        let token_verifier = TokenVerifier::new(issuer.map_err(OpenError::Tls)?);
        let notifier = Arc::new(Notifier::default());
        let limits = SubmissionLimits {
            max_parameters: settings.max_parameters,
            default_ttl: settings.default_ttl,
            max_ttl: settings.max_ttl,
            start_within: settings.start_within,
            max_unfinished_per_owner: settings.max_unfinished_per_owner,
        };
        let tickets = broker.clone().map(|broker| TicketPublisher { broker, installation });
        let (submitter, submit_writers) =
            Submitter::new(store.clone(), catalogue.clone(), notifier.clone(), tickets, limits);
        let (claims, claim_writers) =
            Batcher::new(ClaimBatch { store: store.clone(), notifier: notifier.clone() });
        let (settler, settle_writers) =
            Settler::new(store.clone(), catalogue.clone(), notifier.clone(), settings.max_result);
        let (progress, progress_writers) =
            Batcher::new(ProgressBatch { store: store.clone(), notifier: notifier.clone() });
        let (long_poll, long_poll_queue) = LongPoll::new(
            store.clone(),
            catalogue.clone(),
            notifier.clone(),
            settler.clone(),
            settings.slow_check,
        );
        let rate_limit = RateLimit::new(settings.requests_per_minute);
        let app = Arc::new(AppState {
            store,
            installation,
            settings,
            token_verifier,
            rate_limit,
            catalogue,
            notifier,
            broker,
            submitter,
            claims,
            settler,
            progress,
            long_poll,
            body_budget: budgeted_body::new_budget(),
            batch_budget: budgeted_body::new_batch_budget(),
            stop,
        });
        Ok(Self { app, submit_writers, claim_writers, settle_writers, progress_writers, long_poll_queue })
    }

    /// The whole API, for a server to serve.
    pub fn router(&self) -> Router {
        api::router(self.app.clone())
    }

    /// Runs all background tasks. Returns when `stop` is cancelled and every clone of the router is dropped, that is, after
    /// the last response. Returns early, with an error that names the task, if one ends before that.
    pub async fn run(self) -> Result<(), BackgroundTaskFailed> {
        let Self { app, submit_writers, claim_writers, settle_writers, progress_writers, long_poll_queue } =
            self;
        let mut supervisor = Supervisor::default();
        let stop = app.stop.clone();
        spawn_writers(&mut supervisor, "submission writer", PARALLEL_WRITERS, &submit_writers);
        spawn_writers(&mut supervisor, "claim writer", 1, &claim_writers);
        spawn_writers(&mut supervisor, "report writer", PARALLEL_WRITERS, &settle_writers);
        spawn_writers(&mut supervisor, "progress writer", 1, &progress_writers);
        supervisor.spawn("long poll queue", long_poll_queue.run(stop.clone()));
        supervisor.spawn("signing key refresher", jwks::run(app.token_verifier.jwks(), stop.clone()));
        let revocations = revocations::run(app.token_verifier.revocations(), stop.clone());
        supervisor.spawn("revoked token refresher", revocations);
        let peers = peers::run(app.store.clone(), app.notifier.clone(), stop.clone());
        supervisor.spawn("peer notifications", peers);
        let dispatcher = dispatcher::run(app.store.clone(), app.notifier.events.clone(), stop.clone());
        supervisor.spawn("event dispatcher", dispatcher);
        if app.settings.is_sampled {
            supervisor.spawn("database sampler", database_sampler::run(app.clone(), stop.clone()));
        }
        supervisor.spawn("delay promoter", delay_promoter::run(app.clone(), stop.clone()));
        supervisor.spawn("dependency resolver", dependency_resolver::run(app.clone(), stop.clone()));
        supervisor.spawn("pruner", pruner::run(app.clone(), stop.clone()));
        supervisor.spawn("refresher", refresher::run(app.clone(), stop.clone()));
        supervisor.spawn("scheduler", scheduler::run(app.clone(), stop.clone()));
        if let Some(tickets) = app.tickets() {
            spawn_kafka_tasks(&mut supervisor, &app, tickets, &stop);
        }
        supervisor.spawn("deadline sweeper", deadline_sweeper::run(app, stop.clone()));
        supervisor.join(&stop).await
    }
}

async fn register_builtin(store: &Store, builtin: &[Operation]) -> Result<(), DatabaseError> {
    for operation in builtin {
        match store.register(operation, Registrant::Tasker).await {
            Ok(_) => {}
            Err(store::RegisterError::Database(error)) => return Err(error),
            Err(conflict) => {
                tracing::warn!(error = %conflict, "a built-in operation was not updated: an operation of this name and version is registered with other properties");
            }
        }
    }
    Ok(())
}

fn spawn_writers<O: BatchStatement>(
    supervisor: &mut Supervisor,
    name: &'static str,
    count: usize,
    writers: &BatchConsumer<O>,
) {
    for _ in 0..count {
        supervisor.spawn(name, writers.consume_loop());
    }
}

fn spawn_kafka_tasks(
    supervisor: &mut Supervisor,
    app: &Arc<AppState>,
    tickets: TicketPublisher,
    stop: &CancellationToken,
) {
    let broker = tickets.broker.clone();
    ticket_republisher::ensure_topics(&app.catalogue, &broker);
    let (results, consume_loop) = broker
        .results(app.installation)
        .expect("settings that are valid for a producer are valid for a consumer");
    supervisor.spawn("result poll loop", consume_loop.run());
    supervisor.spawn("result consumer", result_consumer::run(app.clone(), results, stop.clone()));
    let republisher = ticket_republisher::run(app.clone(), tickets, stop.clone());
    supervisor.spawn("ticket republisher", republisher);
    supervisor.spawn("topic manager", broker.manage_topics(Role::Backend, stop.clone()));
}
