//! Accepts submissions: checks each against the catalogue, commits them in batches, then announces the tasks.

use std::num::NonZeroU32;
use std::sync::Arc;

use database::DatabaseError;
use domain::limits::MAX_DELAY_MS;
use domain::{InvalidTtl, NotBefore, OwnerId, RawJson, Submission, TaskId, TaskOptions, TraceContext, Ttl};
use store::Store;

use crate::batching::batch_operation::{BatchOperation, ITEM_OVERHEAD_BYTES};
use crate::batching::batch_writers::BatchWriters;
use crate::batching::batcher::Batcher;
use crate::catalogue::Catalogue;
use crate::catalogue::compiled_operation::CompiledOperation;
use crate::error::ApiError;
use crate::lifecycle::owner_limit::OwnerLimit;
use crate::metrics;
use crate::notify::notifier::Notifier;
use crate::notify::ticket_publisher::TicketPublisher;

/// A task that becomes ready so soon, in microseconds, may count as ready for the database, whose clock is only estimated here: it
/// is announced as ready at once, too.
const CLOCK_TOLERANCE_US: i64 = 1_000_000;

/// A task that somebody wants to run, before it is checked.
#[derive(Debug)]
pub(crate) struct NewTask {
    /// The type.
    pub(crate) name: String,
    /// The parameters as they were sent.
    pub(crate) parameters: Option<RawJson>,
    /// The time to live in milliseconds; `None`: the default. A time that could not be read is an error, which is reported
    /// together with what is wrong with the parameters.
    pub(crate) ttl: Result<Option<u64>, ApiError>,
    /// From when on the task may be claimed.
    pub(crate) not_before: Result<NotBefore, ApiError>,
    /// How long the task may wait for a claim once it is ready; `None`: as the settings say.
    pub(crate) start_within: Result<Option<Ttl>, ApiError>,
}

/// The limits of a submission.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SubmissionLimits {
    /// The largest parameters, in bytes.
    pub(crate) max_parameters: usize,
    /// The time to live of a task whose submitter and operation name none.
    pub(crate) default_ttl: Option<Ttl>,
    /// The longest time to live.
    pub(crate) max_ttl: Ttl,
    /// How long a task may wait for a claim.
    pub(crate) start_within: Ttl,
    /// How many unfinished tasks an owner may have; `None`: any number.
    pub(crate) max_unfinished_per_owner: Option<NonZeroU32>,
}

/// Accepts submissions.
pub(crate) struct Submitter {
    store: Store,
    catalogue: Catalogue,
    limits: SubmissionLimits,
    owner_limit: OwnerLimit,
    batcher: Batcher<SubmitBatch>,
}

impl Submitter {
    /// A submitter, and the writers that it needs.
    pub(crate) fn new(
        store: Store,
        catalogue: Catalogue,
        notifier: Arc<Notifier>,
        tickets: Option<TicketPublisher>,
        limits: SubmissionLimits,
    ) -> (Self, BatchWriters<SubmitBatch>) {
        let (batcher, writers) = Batcher::new(SubmitBatch { store: store.clone(), notifier, tickets });
        let owner_limit = OwnerLimit::new(store.clone(), limits.max_unfinished_per_owner);
        (Self { store, catalogue, limits, owner_limit, batcher }, writers)
    }

    /// Accepts a task for `owner`; its steps become part of `trace`. When this returns, the task is committed.
    pub(crate) async fn accept(
        &self,
        owner: OwnerId,
        trace: Option<TraceContext>,
        task: NewTask,
    ) -> Result<TaskId, ApiError> {
        let submission = self.check(owner, trace, task).await?;
        let id = submission.id;
        self.owner_limit.take(owner).await?;
        self.batcher.execute(submission).await?;
        let trace = trace.map(|trace| tracing::field::display(trace.id()));
        tracing::debug!(task.id = %id, trace.id = trace, "a task was accepted");
        Ok(id)
    }

    async fn check(
        &self,
        owner: OwnerId,
        trace: Option<TraceContext>,
        NewTask { name, parameters, ttl, not_before, start_within }: NewTask,
    ) -> Result<Submission, ApiError> {
        let compiled = self.catalogue.find(&name, &self.store).await?;
        let limit = self.limits.max_parameters;
        if parameters.as_ref().is_some_and(|json| json.text().len() > limit) {
            return Err(ApiError::ParametersTooLarge { limit });
        }
        let ttl = ttl.and_then(|ttl| self.resolve_ttl(&compiled, ttl));
        let parameters_are_valid = compiled.validate(parameters.as_ref()).await;
        let not_before = not_before.and_then(|not_before| self.check_not_before(not_before));
        let ((ttl, ()), (not_before, start_within)) = with_faults_of_both(
            with_faults_of_both(ttl, parameters_are_valid),
            with_faults_of_both(not_before, start_within),
        )?;
        Ok(Submission {
            id: self.store.new_task_id(),
            owner,
            type_name: compiled.operation.name.clone(),
            queue: compiled.operation.queue.clone(),
            parameters,
            ttl,
            not_before,
            start_within: start_within.unwrap_or(self.limits.start_within),
            options: TaskOptions::default(),
            trace,
        })
    }

    /// Refuses an instant that is too far in the future, by an estimate of the database's clock.
    fn check_not_before(&self, not_before: NotBefore) -> Result<NotBefore, ApiError> {
        let now = self.store.now();
        if not_before.ready_at(now) > NotBefore::DelayMs(MAX_DELAY_MS).ready_at(now) {
            let rule = "notBefore is at most a year from now";
            return Err(ApiError::invalid("not-before-invalid", "/notBefore", rule));
        }
        Ok(not_before)
    }

    /// The time to live within the bounds of the operation and of the installation.
    fn resolve_ttl(&self, compiled: &CompiledOperation, requested_ms: Option<u64>) -> Result<Ttl, ApiError> {
        let bounds = compiled.operation.ttl;
        let max = bounds.max.map_or(self.limits.max_ttl, |max| max.min(self.limits.max_ttl));
        let default = bounds.default.or(self.limits.default_ttl).map(|default| default.min(max));
        let Some(requested_ms) = requested_ms else {
            return default
                .ok_or_else(|| invalid_ttl("ttl-missing", "ttl is missing: give it in milliseconds"));
        };
        Ttl::within(requested_ms, max).map_err(|error| match error {
            InvalidTtl::TooLong { .. } => invalid_ttl("ttl-too-large", error.to_string()),
            InvalidTtl::Zero => invalid_ttl("ttl-zero", error.to_string()),
        })
    }
}

/// A submission whose `ttl` breaks the rule that `slug` names.
pub(crate) fn invalid_ttl(slug: &'static str, detail: impl Into<String>) -> ApiError {
    ApiError::invalid(slug, "/ttl", detail)
}

/// Succeeds if both do. If both are invalid, the error lists the faults of both.
fn with_faults_of_both<T, U>(
    first: Result<T, ApiError>,
    second: Result<U, ApiError>,
) -> Result<(T, U), ApiError> {
    match (first, second) {
        (Err(ApiError::Invalid { slug, mut faults }), Err(ApiError::Invalid { faults: more, .. })) => {
            faults.extend(more);
            Err(ApiError::Invalid { slug, faults })
        }
        (first, second) => Ok((first?, second?)),
    }
}

/// The batch operation behind [`Submitter`].
pub(crate) struct SubmitBatch {
    store: Store,
    notifier: Arc<Notifier>,
    tickets: Option<TicketPublisher>,
}

impl BatchOperation for SubmitBatch {
    const NAME: &'static str = "submit";

    type Input = Submission;
    type Output = ();

    fn task_id(submission: &Submission) -> TaskId {
        submission.id
    }

    fn memory_bytes(submission: &Submission) -> usize {
        ITEM_OVERHEAD_BYTES + submission.parameters.as_ref().map_or(0, |json| json.text().len())
    }

    async fn run(&self, batch: &[Submission]) -> Result<Vec<()>, DatabaseError> {
        self.store.submit(batch).await?;
        metrics::accepted(batch.len());
        let now = self.store.now();
        let delay = |task: &&Submission| task.not_before.ready_at(now).micros_since(now);
        let ready = batch.iter().filter(|task| delay(task) < CLOCK_TOLERANCE_US);
        if let Some(tickets) = &self.tickets {
            ready.clone().for_each(|task| tickets.publish_accepted(task));
        }
        self.notifier.notify_ready(ready.map(|task| &task.type_name));
        let delayed = batch.iter().filter(|task| task.not_before != NotBefore::Submission);
        let delays_ms = delayed.map(|task| delay(&task).max(0).cast_unsigned().div_ceil(1000));
        self.notifier.delay_timer.schedule(delays_ms);
        Ok(vec![(); batch.len()])
    }
}
