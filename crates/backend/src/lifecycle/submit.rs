//! Accepts submissions: checks each against the catalogue, commits them in batches, then announces the tasks.

use std::num::NonZeroU32;
use std::sync::Arc;

use database::DatabaseError;
use domain::limits::MAX_DELAY_OR_START_WITHIN_MS;
use domain::problem_types::tasks::{
    DURATION_INVALID, NOT_BEFORE_INVALID, PARAMETERS_TOO_LARGE, TTL_MISSING, TTL_TOO_LARGE, TTL_ZERO,
};
use domain::{
    Fault, InvalidTtl, NotBefore, Operation, OwnerId, ProblemType, RawJson, RequestKey, ScheduleName,
    Submission, SubmissionRequest, TaskId, TaskOptions, Timestamp, TraceContext, Ttl,
};
use store::{Store, SubmissionOutcome};

use crate::batching::batch_consumer::BatchConsumer;
use crate::batching::batch_statement::{BatchStatement, ITEM_OVERHEAD_BYTES};
use crate::batching::batcher::Batcher;
use crate::catalogue::Catalogue;
use crate::catalogue::compiled_operation::CompiledOperation;
use crate::error::ApiError;
use crate::lifecycle::announce_accepted::announce_accepted;
use crate::lifecycle::dependencies::check_dependencies;
use crate::lifecycle::owner_limit::OwnerLimit;
use crate::lifecycle::submission_options::RequestedOptions;
use crate::notify::notifier::Notifier;
use crate::notify::ticket_publisher::TicketPublisher;

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
    /// How long the task may wait for a grant once it is ready; `None`: as the settings say.
    pub(crate) start_within: Result<Option<Ttl>, ApiError>,
    /// What only few submissions name.
    pub(crate) options: Result<RequestedOptions, ApiError>,
    /// The schedule that submits it, and the time for which it does; without a time somebody runs the schedule by hand.
    pub(crate) schedule: Option<(ScheduleName, Option<Timestamp>)>,
}

/// The most faults of a batch that are reported; of a batch with more, the first ones are.
const MAX_BATCH_FAULTS: usize = 100;

/// The tasks of an accepted request.
#[derive(Debug)]
pub(crate) struct AcceptedTasks {
    /// Their ids, in the order of the request.
    pub(crate) ids: Vec<TaskId>,
    /// Whether an earlier request with the same idempotency key made them.
    pub(crate) is_repeated: bool,
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
    /// How long a task may wait for a grant.
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
    ) -> (Self, BatchConsumer<SubmitBatch>) {
        let (batcher, writers) = Batcher::new(SubmitBatch { store: store.clone(), notifier, tickets });
        let owner_limit = OwnerLimit::new(store.clone(), limits.max_unfinished_per_owner);
        (Self { store, catalogue, limits, owner_limit, batcher }, writers)
    }

    /// Accepts a task for `owner`; its steps become part of `trace`. When this returns, the task is committed, now or by an earlier
    /// request with the same `key`.
    pub(crate) async fn accept(
        &self,
        owner: OwnerId,
        trace: Option<TraceContext>,
        task: NewTask,
        key: Option<RequestKey>,
    ) -> Result<AcceptedTasks, ApiError> {
        let checked = async { Ok(vec![self.check(owner, trace, task).await?]) };
        self.accept_checked(owner, trace, checked, key).await
    }

    /// Accepts all of `tasks` for `owner`, or none. The error of invalid ones lists the faults of each, at `/tasks/INDEX`.
    pub(crate) async fn accept_batch(
        &self,
        owner: OwnerId,
        trace: Option<TraceContext>,
        tasks: Vec<Result<NewTask, ApiError>>,
        key: Option<RequestKey>,
    ) -> Result<AcceptedTasks, ApiError> {
        self.accept_checked(owner, trace, self.check_batch(owner, trace, tasks), key).await
    }

    /// Accepts a new task with the type, the parameters, the times and the options of the task `id` of `owner`, if the catalogue of today
    /// allows it.
    pub(crate) async fn accept_again(
        &self,
        owner: OwnerId,
        trace: Option<TraceContext>,
        id: TaskId,
        key: Option<RequestKey>,
    ) -> Result<AcceptedTasks, ApiError> {
        let checked = async {
            let content = self.store.content(owner, id).await?.ok_or(ApiError::NoTask)?;
            let task = NewTask {
                name: content.type_name.to_string(),
                parameters: content.parameters,
                ttl: Ok(Some(content.ttl.millis())),
                not_before: Ok(NotBefore::Submission),
                start_within: Ok(Some(content.start_within)),
                options: Ok(content.options.into()),
                schedule: None,
            };
            let submission = self.check(owner, trace, task).await?;
            let options = TaskOptions { rerun_of: Some(id), ..submission.options };
            Ok(vec![Submission { options, ..submission }])
        };
        self.accept_checked(owner, trace, checked, key).await
    }

    /// Stores the tasks that `checked` returns. If they are refused, or were not found, an earlier request with the same `key` decides:
    /// its answer holds whatever has changed since.
    async fn accept_checked(
        &self,
        owner: OwnerId,
        trace: Option<TraceContext>,
        checked: impl Future<Output = Result<Vec<Submission>, ApiError>>,
        key: Option<RequestKey>,
    ) -> Result<AcceptedTasks, ApiError> {
        let accepted = async {
            let tasks = checked.await?;
            self.owner_limit.take(owner, tasks.len()).await?;
            let ids: Vec<TaskId> = tasks.iter().map(|task| task.id).collect();
            let outcome = self.batcher.execute(SubmissionRequest { tasks, key }).await?;
            if outcome == SubmissionOutcome::Accepted {
                let trace = trace.map(|trace| tracing::field::display(trace.id()));
                for id in &ids {
                    tracing::debug!(task.id = %id, trace.id = trace, "a task was accepted");
                }
            }
            accepted_tasks(outcome, ids)
        };
        match (accepted.await, key) {
            (Err(error), Some(key)) if error.is_refusal() => {
                match self.store.submitted_under(key).await {
                    Ok(Some(outcome)) => accepted_tasks(outcome, Vec::new()),
                    // A database that does not answer now changes nothing about the refusal.
                    Ok(None) | Err(_) => Err(error),
                }
            }
            (accepted, _) => accepted,
        }
    }

    async fn check_batch(
        &self,
        owner: OwnerId,
        trace: Option<TraceContext>,
        tasks: Vec<Result<NewTask, ApiError>>,
    ) -> Result<Vec<Submission>, ApiError> {
        let (mut checked, mut first_type, mut faults) = (Vec::with_capacity(tasks.len()), None, Vec::new());
        for (index, task) in tasks.into_iter().enumerate() {
            let submission = match task {
                Ok(task) => self.check(owner, trace, task).await,
                Err(error) => Err(error),
            };
            let (of, of_task) = match submission {
                Ok(submission) => {
                    checked.push(submission);
                    continue;
                }
                Err(ApiError::Invalid { of, faults }) => (of, faults),
                Err(error @ ApiError::ParametersTooLarge { .. }) => {
                    let fault = Fault { pointer: "/parameters".to_owned(), detail: error.to_string() };
                    (&PARAMETERS_TOO_LARGE, vec![fault])
                }
                Err(error) => return Err(error),
            };
            first_type.get_or_insert(of);
            let at = |fault: Fault| Fault { pointer: format!("/tasks/{index}{}", fault.pointer), ..fault };
            faults.extend(of_task.into_iter().map(at));
            if faults.len() >= MAX_BATCH_FAULTS {
                break;
            }
        }
        first_type.map_or(Ok(checked), |of| Err(ApiError::Invalid { of, faults }))
    }

    /// Checks a task against the catalogue and the limits, and gives it an id. It is not stored.
    pub(crate) async fn check(
        &self,
        owner: OwnerId,
        trace: Option<TraceContext>,
        NewTask { name, parameters, ttl, not_before, start_within, options, schedule }: NewTask,
    ) -> Result<Submission, ApiError> {
        let compiled = self.catalogue.find(&name, &self.store).await?;
        self.check_size(parameters.as_ref())?;
        let ttl = ttl.and_then(|ttl| self.resolve_ttl(&compiled, ttl));
        let options = check_dependencies(&self.store, owner, parameters.as_ref(), options).await?;
        let parameters_are_valid = match &options {
            // They are checked when they are complete.
            Ok(options) if !options.parameters_from.is_empty() => Ok(()),
            _ => compiled.validate(parameters.as_ref()).await,
        };
        let operation = &compiled.operation;
        let not_before = not_before.and_then(|not_before| self.check_not_before(not_before, operation));
        let start_within = start_within.and_then(|requested| self.resolve_start_within(requested, operation));
        let options = options.and_then(|options| options.resolve(operation));
        let ((ttl, ()), ((not_before, start_within), options)) = with_faults_of_both(
            with_faults_of_both(ttl, parameters_are_valid),
            with_faults_of_both(with_faults_of_both(not_before, start_within), options),
        )?;
        let (schedule, scheduled_for) = schedule.unzip();
        let options = TaskOptions { schedule, scheduled_for: scheduled_for.flatten(), ..options };
        Ok(Submission {
            id: self.store.new_task_id(),
            owner,
            type_name: compiled.operation.name.clone(),
            queue: compiled.operation.queue.clone(),
            parameters,
            ttl,
            not_before,
            start_within,
            options,
            trace,
        })
    }

    /// Checks the parameters of a task of the type `name` that was accepted without them.
    pub(crate) async fn check_parameters(&self, name: &str, parameters: &RawJson) -> Result<(), ApiError> {
        self.check_size(Some(parameters))?;
        self.catalogue.find(name, &self.store).await?.validate(Some(parameters)).await
    }

    fn check_size(&self, parameters: Option<&RawJson>) -> Result<(), ApiError> {
        let limit = self.limits.max_parameters;
        let is_too_large = parameters.is_some_and(|json| json.text().len() > limit);
        if is_too_large { Err(ApiError::ParametersTooLarge { limit }) } else { Ok(()) }
    }

    /// Counts one more task of `owner`. Fails if the owner has as many unfinished tasks as it may have.
    pub(crate) async fn count(&self, owner: OwnerId) -> Result<(), ApiError> {
        self.owner_limit.take(owner, 1).await
    }

    /// Refuses an instant that is too far in the future, by an estimate of the database's clock.
    fn check_not_before(&self, not_before: NotBefore, operation: &Operation) -> Result<NotBefore, ApiError> {
        let now = self.store.now();
        if let Some(max) = operation.maxima.delay_ms
            && not_before.ready_at(now) > NotBefore::DelayMs(max).ready_at(now)
        {
            let field = if matches!(not_before, NotBefore::Instant(_)) { "/notBefore" } else { "/delayMs" };
            let rule = format!("a task of {} must be ready at most {max} ms from now", operation.name);
            return Err(ApiError::invalid(&NOT_BEFORE_INVALID, field, rule));
        }
        if not_before.ready_at(now) > NotBefore::DelayMs(MAX_DELAY_OR_START_WITHIN_MS).ready_at(now) {
            let rule = "notBefore must be at most a year from now";
            return Err(ApiError::invalid(&NOT_BEFORE_INVALID, "/notBefore", rule));
        }
        Ok(not_before)
    }

    /// How long the task may wait for a claim, within the bounds of the operation.
    fn resolve_start_within(&self, requested: Option<Ttl>, operation: &Operation) -> Result<Ttl, ApiError> {
        let max = operation.maxima.start_within_ms;
        match (requested, max) {
            (Some(requested), Some(max)) if requested > max => {
                let rule = format!("startWithinMs must be at most {} for {}", max.millis(), operation.name);
                Err(ApiError::invalid(&DURATION_INVALID, "/startWithinMs", rule))
            }
            (Some(requested), _) => Ok(requested),
            (None, max) => {
                let default = operation.defaults.start_within_ms.unwrap_or(self.limits.start_within);
                Ok(max.map_or(default, |max| default.min(max)))
            }
        }
    }

    /// The time to live within the bounds of the operation and of the installation.
    fn resolve_ttl(&self, compiled: &CompiledOperation, requested_ms: Option<u64>) -> Result<Ttl, ApiError> {
        let bounds = compiled.operation.ttl;
        let max = bounds.max.map_or(self.limits.max_ttl, |max| max.min(self.limits.max_ttl));
        let default = bounds.default.or(self.limits.default_ttl).map(|default| default.min(max));
        let Some(requested_ms) = requested_ms else {
            return default
                .ok_or_else(|| invalid_ttl(&TTL_MISSING, "ttl is missing: give it in milliseconds"));
        };
        Ttl::within(requested_ms, max).map_err(|error| match error {
            InvalidTtl::TooLong { .. } => invalid_ttl(&TTL_TOO_LARGE, error.to_string()),
            InvalidTtl::Zero => invalid_ttl(&TTL_ZERO, error.to_string()),
        })
    }
}

/// The tasks of a request with this outcome: `ids` if it made them itself.
fn accepted_tasks(outcome: SubmissionOutcome, ids: Vec<TaskId>) -> Result<AcceptedTasks, ApiError> {
    match outcome {
        SubmissionOutcome::Accepted => Ok(AcceptedTasks { ids, is_repeated: false }),
        SubmissionOutcome::Repeated(ids) => Ok(AcceptedTasks { ids, is_repeated: true }),
        SubmissionOutcome::KeyReused => Err(ApiError::KeyReused),
        SubmissionOutcome::UnderWay => Err(ApiError::SubmissionUnderWay),
    }
}

/// A submission whose `ttl` breaks the rule that `of` names.
pub(crate) fn invalid_ttl(of: &'static ProblemType, detail: impl Into<String>) -> ApiError {
    ApiError::invalid(of, "/ttl", detail)
}

/// Succeeds if both do. If both are invalid, the error lists the faults of both.
pub(crate) fn with_faults_of_both<T, U>(
    first: Result<T, ApiError>,
    second: Result<U, ApiError>,
) -> Result<(T, U), ApiError> {
    match (first, second) {
        (Err(ApiError::Invalid { of, mut faults }), Err(ApiError::Invalid { faults: more, .. })) => {
            faults.extend(more);
            Err(ApiError::Invalid { of, faults })
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

impl BatchStatement for SubmitBatch {
    const METRIC_LABEL: &'static str = "submit";

    type Input = SubmissionRequest;
    type Output = SubmissionOutcome;

    fn task_id(request: &SubmissionRequest) -> TaskId {
        request.tasks[0].id
    }

    fn memory_bytes(request: &SubmissionRequest) -> usize {
        let of_task = |task: &Submission| {
            ITEM_OVERHEAD_BYTES + task.parameters.as_ref().map_or(0, |json| json.text().len())
        };
        request.tasks.iter().map(of_task).sum()
    }

    async fn run(&self, batch: &[SubmissionRequest]) -> Result<Vec<SubmissionOutcome>, DatabaseError> {
        let outcomes = self.store.submit_requests(batch).await?;
        let with_outcomes = batch.iter().zip(&outcomes);
        let accepted = with_outcomes.filter(|(_, outcome)| **outcome == SubmissionOutcome::Accepted);
        let accepted: Vec<&Submission> = accepted.flat_map(|(request, _)| &request.tasks).collect();
        announce_accepted(&self.store, &self.notifier, self.tickets.as_ref(), &accepted);
        Ok(outcomes)
    }
}
