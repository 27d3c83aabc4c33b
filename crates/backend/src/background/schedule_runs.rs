//! The runs of the schedules whose time has come: each submits its tasks, and moves its schedule to the next time.

use database::DatabaseError;
use domain::{MissedRuns, OverlappingRuns, Submission, Timestamp};
use store::{RunResult, ScheduleRun, StoredSchedule};

use crate::api::task_body::TaskBody;
use crate::app::AppState;
use crate::error::ApiError;
use crate::lifecycle::announce_accepted::announce_accepted;
use crate::schedules::recurrence::Recurrence;

/// How many schedules one transaction runs, and after how many bytes of tasks it takes no further one.
const BATCH_SIZE: u32 = 100;
const MAX_BATCH_BYTES: usize = 8 << 20;

/// How late a run may be that does not count as missed, in microseconds.
const TOLERANCE_US: i64 = 10_000_000;

/// How many missed runs are made up for.
const MAX_MISSED_RUNS: usize = 100;

/// The longest text of an error that is stored with a schedule, in characters.
const MAX_ERROR_CHARS: usize = 1000;

/// Why schedules are not run at the moment.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A task cannot be checked.
    #[error(transparent)]
    Check(ApiError),
}

/// Runs every schedule whose time has come, and sets the timer for the next one if its time comes soon.
pub(super) async fn run_due(app: &AppState) -> Result<(), RunError> {
    loop {
        let (now, next) = app.store.next_scheduled().await?;
        let Some(next) = next else { return Ok(()) };
        if next > now {
            let remaining_ms = next.micros_since(now).cast_unsigned().div_ceil(1000);
            if u128::from(remaining_ms) <= 2 * app.settings.check_period.as_millis() {
                app.notifier.schedule_timer.schedule(std::iter::once(remaining_ms));
            }
            return Ok(());
        }
        let (mut runs, mut bytes) = (Vec::new(), 0);
        for schedule in app.store.due_schedules(now, BATCH_SIZE).await? {
            let run = plan(app, schedule, now).await?;
            bytes += run.tasks.len() * run.schedule.definition.task.text().len();
            runs.push(run);
            if bytes > MAX_BATCH_BYTES {
                break;
            }
        }
        let results = app.store.run_schedules(&runs).await?;
        if results.iter().all(|result| *result == RunResult::Lost) {
            // Another Backend is running them.
            return Ok(());
        }
        announce(app, runs, &results);
    }
}

/// Announces the tasks that were submitted, and logs why others were not. An error that lasts is logged when it begins.
fn announce(app: &AppState, runs: Vec<ScheduleRun>, results: &[RunResult]) {
    let mut accepted: Vec<Submission> = Vec::new();
    for (run, result) in runs.into_iter().zip(results).filter(|(_, result)| **result != RunResult::Lost) {
        let (definition, before) = (&run.schedule.definition, &run.schedule.last_error);
        if let Some(error) = &run.error
            && before.as_ref().map(|before| &before.detail) != Some(error)
        {
            let (name, owner) = (&definition.name, definition.owner);
            tracing::warn!(schedule.name = %name, account.id = %owner, %error, "a run of the schedule {name} of {owner} submitted no task, or not every missed one");
        }
        if *result == RunResult::Submitted {
            accepted.extend(run.tasks.into_iter().map(|(_, task)| task));
        }
    }
    let accepted: Vec<&Submission> = accepted.iter().collect();
    announce_accepted(&app.store, &app.notifier, app.tickets().as_ref(), &accepted);
}

/// What to do about a schedule whose time has come by `now`. Fails if that cannot be found out at the moment.
async fn plan(app: &AppState, schedule: StoredSchedule, now: Timestamp) -> Result<ScheduleRun, RunError> {
    let definition = &schedule.definition;
    let recurrence = match Recurrence::new(&definition.timing, definition.anchor) {
        Ok(recurrence) => recurrence,
        // It was valid: the time zone is not in the database of this machine any more.
        Err(fault) => {
            let error = Some(format!("the schedule does not run any more: {}", fault.detail));
            return Ok(ScheduleRun { schedule, tasks: Vec::new(), error, next: None });
        }
    };
    let next = recurrence.next_after(now);
    let (times, mut error) = times_to_run(&schedule, &recurrence, now);
    let mut tasks = Vec::with_capacity(times.len());
    for time in times {
        match submission(app, &schedule, time).await {
            Ok(task) => tasks.push((time, task)),
            Err(refusal) if refusal.is_of_submission() => {
                error = Some(refusal.to_string().chars().take(MAX_ERROR_CHARS).collect());
                break;
            }
            Err(failure) => return Err(RunError::Check(failure)),
        }
    }
    Ok(ScheduleRun { schedule, tasks, error, next })
}

/// The times for which a schedule runs now, and what is wrong if these are not all that have come.
fn times_to_run(
    schedule: &StoredSchedule,
    recurrence: &Recurrence,
    now: Timestamp,
) -> (Vec<Timestamp>, Option<String>) {
    let definition = &schedule.definition;
    let Some(first) = definition.next else { return (Vec::new(), None) };
    let is_for_all = definition.missed == MissedRuns::All && definition.overlap == OverlappingRuns::Allow;
    let max = if is_for_all { MAX_MISSED_RUNS } else { 1 };
    let mut times = recurrence.last_times(first, now, max);
    if definition.missed == MissedRuns::Skip
        && times.iter().all(|time| now.micros_since(*time) > TOLERANCE_US)
    {
        let error = times.pop().map(|time| format!("the run of {time} was missed: no Backend was running"));
        return (times, error);
    }
    let has_more = is_for_all && times.first().is_some_and(|time| *time > first);
    let error =
        has_more.then(|| format!("of the missed runs only the last {MAX_MISSED_RUNS} were made up for"));
    (times, error)
}

/// The task of a run, checked as if its owner submitted it now.
async fn submission(
    app: &AppState,
    schedule: &StoredSchedule,
    time: Timestamp,
) -> Result<Submission, ApiError> {
    let definition = &schedule.definition;
    let mut task = TaskBody::read(&definition.task)?.into_new_task()?;
    task.schedule = Some((definition.name.clone(), Some(time)));
    let submission = app.submitter.check(definition.owner, None, task).await?;
    app.submitter.count(definition.owner).await?;
    Ok(submission)
}
