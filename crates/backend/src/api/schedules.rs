//! `/api/Schedule` and below: a user's tasks that are submitted again and again.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use domain::limits::MAX_SCHEDULES_PER_OWNER;
use domain::problem_types::schedules::SCHEDULE_INVALID;
use domain::{
    Fault, OwnerId, RawJson, Schedule, ScheduleList, ScheduleName, ScheduleSummary, TaskId, Timestamp,
    Timing, TypeName,
};
use store::{ScheduleDefinition, StoredSchedule};
use web::json_body::JsonBody;
use web::request_span::RequestTrace;

use crate::api::extract::authenticated::UserCaller;
use crate::api::extract::params::NamePath;
use crate::api::schedule_body::{NewSchedule, ScheduleBody};
use crate::api::task_body::TaskBody;
use crate::app::AppState;
use crate::error::ApiError;
use crate::lifecycle::submit::with_faults_of_both;
use crate::schedules::recurrence::Recurrence;

/// How many of the next runs a schedule shows.
const SHOWN_RUNS: usize = 3;

/// List the schedules
///
/// The answer has all of the caller's schedules, at most 1000.
#[utoipa::path(get, path = "/api/Schedule", operation_id = "listSchedules", tag = "Schedules",
    security(("bearer" = ["User"]), ("bearer" = ["Admin"])),
    responses((status = 200, body = ScheduleList, description = "The schedules by name")))]
pub(crate) async fn list(
    State(app): State<Arc<AppState>>,
    UserCaller(owner): UserCaller,
) -> Result<Json<ScheduleList>, ApiError> {
    let schedules = app.store.schedules(owner).await?;
    Ok(Json(ScheduleList { schedules: schedules.into_iter().map(summary).collect() }))
}

/// Create or replace a schedule
///
/// A schedule that exists is replaced; it stays paused if it is. If its times stay the same, its next run does, too, so that a repeated
/// request changes nothing. The task is checked now as a submission is, and again by each run.
#[utoipa::path(put, path = "/api/Schedule/{name}", operation_id = "putSchedule", tag = "Schedules",
    security(("bearer" = ["User"]), ("bearer" = ["Admin"])), params(("name" = ScheduleName, Path, description = "The schedule's name")),
    request_body = ScheduleBody,
    responses((status = 200, body = Schedule, description = "The schedule is replaced"),
        (status = 201, body = Schedule, description = "The schedule is created",
            headers(("Location" = String, description = "The schedule's path"))),
        (status = 400, description = "The body is not JSON, or the name is invalid"),
        (status = 409, description = "The caller has as many schedules as an owner may have"),
        (status = 413, description = "The body or the parameters are too large"),
        (status = 422, description = "The request is invalid; `errors` lists each fault and its place")))]
pub(crate) async fn put(
    State(app): State<Arc<AppState>>,
    UserCaller(owner): UserCaller,
    NamePath(name): NamePath,
    body: JsonBody<ApiError>,
) -> Result<(StatusCode, HeaderMap, Json<Schedule>), ApiError> {
    let name: ScheduleName = name.parse().map_err(|_| ApiError::Malformed(ScheduleName::RULE.to_owned()))?;
    let location =
        HeaderValue::from_str(&format!("/api/Schedule/{name}")).expect("a schedule's name is ASCII");
    let definition = definition(&app, owner, name, ScheduleBody::parse(&body)?.into_new_schedule()?).await?;
    let stored = app.store.put_schedule(&definition).await?;
    let stored = stored.ok_or(ApiError::TooManySchedules { limit: MAX_SCHEDULES_PER_OWNER })?;
    set_timer(&app, &stored);
    let mut headers = HeaderMap::new();
    if stored.revision > 1 {
        return Ok((StatusCode::OK, headers, Json(view(stored))));
    }
    headers.insert(LOCATION, location);
    Ok((StatusCode::CREATED, headers, Json(view(stored))))
}

/// Read one schedule
///
/// With its next three times and the last task that it submitted.
#[utoipa::path(get, path = "/api/Schedule/{name}", operation_id = "getSchedule", tag = "Schedules",
    security(("bearer" = ["User"]), ("bearer" = ["Admin"])), params(("name" = ScheduleName, Path, description = "The schedule's name")),
    responses((status = 200, body = Schedule, description = "The schedule"),
        (status = 404, description = "The caller has no such schedule")))]
pub(crate) async fn get(
    State(app): State<Arc<AppState>>,
    UserCaller(owner): UserCaller,
    NamePath(name): NamePath,
) -> Result<Json<Schedule>, ApiError> {
    let (_, stored) = find(&app, owner, &name).await?;
    Ok(Json(view(stored)))
}

/// Delete a schedule
///
/// The tasks that it has submitted stay as they are.
#[utoipa::path(delete, path = "/api/Schedule/{name}", operation_id = "deleteSchedule", tag = "Schedules",
    security(("bearer" = ["User"]), ("bearer" = ["Admin"])), params(("name" = ScheduleName, Path, description = "The schedule's name")),
    responses((status = 204, description = "The schedule is deleted"),
        (status = 404, description = "The caller has no such schedule")))]
pub(crate) async fn remove(
    State(app): State<Arc<AppState>>,
    UserCaller(owner): UserCaller,
    NamePath(name): NamePath,
) -> Result<StatusCode, ApiError> {
    let name = name.parse().map_err(|_| ApiError::NoSchedule)?;
    let is_deleted = app.store.delete_schedule(owner, &name).await?;
    if is_deleted { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::NoSchedule) }
}

/// Run a schedule now
///
/// Submits the schedule's task at once, and answers as to a submission. The schedule's own times and its last task stay as they
/// are. A paused schedule can be run, too.
#[utoipa::path(post, path = "/api/Schedule/{name}/run", operation_id = "runSchedule", tag = "Schedules",
    security(("bearer" = ["User"]), ("bearer" = ["Admin"])), params(("name" = ScheduleName, Path, description = "The schedule's name")),
    responses((status = 201, body = TaskId, description = "The task is accepted and stored durably",
            headers(("Location" = String, description = "The task's path"))),
        (status = 404, description = "The caller has no such schedule"),
        (status = 413, description = "The task's parameters are larger than is allowed now"),
        (status = 422, description = "The task is not valid any more; `errors` lists each fault and its place in the schedule"),
        (status = 429, description = "The caller has as many unfinished tasks as an owner may have")))]
pub(crate) async fn run(
    State(app): State<Arc<AppState>>,
    UserCaller(owner): UserCaller,
    RequestTrace(trace): RequestTrace,
    NamePath(name): NamePath,
) -> Result<(StatusCode, [(HeaderName, HeaderValue); 1], Json<TaskId>), ApiError> {
    let (name, stored) = find(&app, owner, &name).await?;
    let below_task = |error: ApiError| error.below("/task");
    let mut task =
        TaskBody::read(&stored.definition.task).and_then(TaskBody::into_new_task).map_err(below_task)?;
    task.schedule = Some((name, None));
    let accepted = app.submitter.accept(owner, trace, task, None).await.map_err(below_task)?;
    let id = accepted.ids[0];
    let location = HeaderValue::from_str(&format!("/api/Task/{id}")).expect("an id is ASCII");
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(id)))
}

/// Pause a schedule
///
/// It does not run until it is resumed.
#[utoipa::path(post, path = "/api/Schedule/{name}/pause", operation_id = "pauseSchedule", tag = "Schedules",
    security(("bearer" = ["User"]), ("bearer" = ["Admin"])), params(("name" = ScheduleName, Path, description = "The schedule's name")),
    responses((status = 200, body = Schedule, description = "The schedule is paused"),
        (status = 404, description = "The caller has no such schedule")))]
pub(crate) async fn pause(
    State(app): State<Arc<AppState>>,
    UserCaller(owner): UserCaller,
    NamePath(name): NamePath,
) -> Result<Json<Schedule>, ApiError> {
    let name = name.parse().map_err(|_| ApiError::NoSchedule)?;
    let stored = app.store.pause_schedule(owner, &name).await?.ok_or(ApiError::NoSchedule)?;
    Ok(Json(view(stored)))
}

/// Resume a paused schedule
///
/// It runs again from its next time on. Times that passed while it was paused are not missed runs.
#[utoipa::path(post, path = "/api/Schedule/{name}/resume", operation_id = "resumeSchedule", tag = "Schedules",
    security(("bearer" = ["User"]), ("bearer" = ["Admin"])), params(("name" = ScheduleName, Path, description = "The schedule's name")),
    responses((status = 200, body = Schedule, description = "The schedule runs"),
        (status = 404, description = "The caller has no such schedule"),
        (status = 422, description = "The schedule has no time any more, or its time zone is not known any more")))]
pub(crate) async fn resume(
    State(app): State<Arc<AppState>>,
    UserCaller(owner): UserCaller,
    NamePath(name): NamePath,
) -> Result<Json<Schedule>, ApiError> {
    loop {
        let (_, stored) = find(&app, owner, &name).await?;
        if stored.definition.next.is_some() {
            return Ok(Json(view(stored)));
        }
        let ScheduleDefinition { timing, anchor, .. } = &stored.definition;
        let (now, _) = app.store.next_scheduled().await?;
        let next = next_run(timing, *anchor, now).map_err(invalid)?;
        // Another request may have changed the schedule since it was read.
        if let Some(resumed) = app.store.resume_schedule(&stored, Some(next)).await? {
            set_timer(&app, &resumed);
            return Ok(Json(view(resumed)));
        }
    }
}

/// Checks a schedule: its times, and its task as a submission of `owner`.
async fn definition(
    app: &AppState,
    owner: OwnerId,
    name: ScheduleName,
    NewSchedule { timing, missed, overlap, task }: NewSchedule,
) -> Result<ScheduleDefinition, ApiError> {
    let (now, _) = app.store.next_scheduled().await?;
    let next = next_run(&timing, now, now).map_err(invalid);
    let type_name = check_task(app, owner, &task).await.map_err(|error| error.below("/task"));
    let (next, type_name) = with_faults_of_both(next, type_name)?;
    Ok(ScheduleDefinition {
        owner,
        name,
        timing,
        anchor: now,
        missed,
        overlap,
        type_name,
        task,
        next: Some(next),
    })
}

/// Checks the task of a schedule as a submission that is not stored. Its type.
async fn check_task(app: &AppState, owner: OwnerId, task: &RawJson) -> Result<TypeName, ApiError> {
    let task = TaskBody::read(task)?;
    let own_times: Vec<Fault> = task.times().map(own_time).collect();
    let own_times = if own_times.is_empty() {
        Ok(())
    } else {
        Err(ApiError::Invalid { of: &SCHEDULE_INVALID, faults: own_times })
    };
    let checked = match task.into_new_task() {
        Ok(task) => app.submitter.check(owner, None, task).await,
        Err(error) => Err(error),
    };
    let ((), submission) = with_faults_of_both(own_times, checked)?;
    Ok(submission.type_name)
}

fn own_time(name: &str) -> Fault {
    let detail = format!("the schedule says when its task runs: leave {name} out");
    Fault { pointer: format!("/{name}"), detail }
}

/// The next run after `now`, the database's time.
fn next_run(timing: &Timing, anchor: Timestamp, now: Timestamp) -> Result<Timestamp, Fault> {
    Recurrence::new(timing, anchor)?.next_after(now).ok_or_else(|| Fault {
        pointer: "/cron".to_owned(),
        detail: "cron never matches: no date is as it says".to_owned(),
    })
}

fn invalid(fault: Fault) -> ApiError {
    ApiError::Invalid { of: &SCHEDULE_INVALID, faults: vec![fault] }
}

async fn find(
    app: &AppState,
    owner: OwnerId,
    name: &str,
) -> Result<(ScheduleName, StoredSchedule), ApiError> {
    let name: ScheduleName = name.parse().map_err(|_| ApiError::NoSchedule)?;
    let stored = app.store.schedule(owner, &name).await?.ok_or(ApiError::NoSchedule)?;
    Ok((name, stored))
}

/// Lets this Backend run the schedule when its time comes.
fn set_timer(app: &AppState, stored: &StoredSchedule) {
    let until = |next: Timestamp| next.micros_since(app.store.now()).max(0).cast_unsigned().div_ceil(1000);
    app.notifier.schedule_timer.schedule(stored.definition.next.map(until).into_iter());
}

fn view(stored: StoredSchedule) -> Schedule {
    let definition = stored.definition;
    let recurrence = Recurrence::new(&definition.timing, definition.anchor);
    let next_runs = match (definition.next, recurrence) {
        (Some(next), Ok(recurrence)) => recurrence.times_from(next, SHOWN_RUNS),
        (next, _) => next.into_iter().collect(),
    };
    let (cron, time_zone, every_ms) = timing_members(definition.timing);
    Schedule {
        name: definition.name,
        cron,
        time_zone,
        every_ms,
        task: definition.task,
        missed: definition.missed,
        overlap: definition.overlap,
        paused: stored.is_paused,
        creation_date: stored.created,
        next_runs,
        last_task: stored.last_task,
        last_error: stored.last_error,
    }
}

fn summary(stored: StoredSchedule) -> ScheduleSummary {
    let definition = stored.definition;
    let (cron, time_zone, every_ms) = timing_members(definition.timing);
    ScheduleSummary {
        name: definition.name,
        type_name: definition.type_name,
        cron,
        time_zone,
        every_ms,
        paused: stored.is_paused,
        next_run: definition.next,
        last_task: stored.last_task,
        last_error: stored.last_error,
    }
}

/// The members `cron`, `timeZone` and `everyMs`.
fn timing_members(timing: Timing) -> (Option<String>, Option<String>, Option<u64>) {
    match timing {
        Timing::Cron { expression, time_zone } => (Some(expression), Some(time_zone), None),
        Timing::Every { period_ms } => (None, None, Some(period_ms)),
    }
}
