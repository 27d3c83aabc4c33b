//! The body of `PUT /api/Schedule/{name}`: parsed field by field, so that every fault is reported with its place.

use domain::problem_types::schedules::SCHEDULE_INVALID;
use domain::{Fault, MissedRuns, OverlappingRuns, RawJson, Timing};
use utoipa::ToSchema;
use web::json_body::JsonBody;

use crate::api::body_fields::{BodyFields, Members};
use crate::api::task_body::TaskBody;
use crate::error::ApiError;
use crate::schedules::recurrence::invalid_period;

/// The time zone of a cron expression that names none.
const DEFAULT_TIME_ZONE: &str = "UTC";

/// A schedule to create, or to put in the place of the one of the name.
#[derive(Debug, Default, ToSchema)]
#[schema(as = NewSchedule, rename_all = "camelCase", examples(json!({"cron": "0 6 * * MON-FRI", "timeZone": "Europe/Berlin",
    "task": {"type": "GENERATE_NUMBER", "parameters": {"length": 6}, "ttl": 60_000}})))]
pub(crate) struct ScheduleBody {
    /// When it runs: a cron expression of 5 fields (minute, hour, day of the month, month, day of the week), of 6 with the second
    /// before them, or a nickname: `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. Instead of `everyMs`.
    #[schema(value_type = Option<String>, max_length = 200)]
    cron: Option<RawJson>,
    /// The time zone of `cron`, by its name in the IANA database. By default `UTC`.
    #[schema(value_type = Option<String>)]
    time_zone: Option<RawJson>,
    /// When it runs: every so many milliseconds, counted from the creation of the schedule. Instead of `cron`.
    #[schema(value_type = Option<u64>, minimum = 1000, maximum = 31_622_400_000_u64)]
    every_ms: Option<RawJson>,
    /// The task that each run submits, with the fields of `POST /api/Task` except `notBefore`, `delayMs`, `after` and `parametersFrom`.
    #[schema(value_type = TaskBody, required = true)]
    task: Option<RawJson>,
    /// What happens about its times that passed while no Backend ran; by default `one`.
    #[schema(value_type = Option<MissedRuns>)]
    missed: Option<RawJson>,
    /// What happens at its time while the task of the last run has not ended; by default `allow`.
    #[schema(value_type = Option<OverlappingRuns>)]
    overlap: Option<RawJson>,
}

/// The names of the fields.
const FIELD_NAMES: [&str; 6] = ["cron", "timeZone", "everyMs", "task", "missed", "overlap"];

/// What a body says.
#[derive(Debug)]
pub(crate) struct NewSchedule {
    pub(crate) timing: Timing,
    pub(crate) missed: MissedRuns,
    pub(crate) overlap: OverlappingRuns,
    /// The task as it was sent.
    pub(crate) task: RawJson,
}

impl ScheduleBody {
    /// Parses a body. The names of fields match in any case. Unknown and repeated fields are reported all at once.
    pub(crate) fn parse(body: &JsonBody<ApiError>) -> Result<Self, ApiError> {
        body.parse::<Members<Self>>()?.into_fields()
    }

    /// The schedule that the body describes. Neither its times nor its task are checked. Every fault is reported.
    pub(crate) fn into_new_schedule(self) -> Result<NewSchedule, ApiError> {
        let mut faults = Vec::new();
        let timing = self.timing().map_err(|fault| faults.push(fault)).ok();
        let missed = choice(self.missed.as_ref(), "missed", MissedRuns::ALL, MissedRuns::as_str);
        let missed = missed.map_err(|fault| faults.push(fault)).ok();
        let overlap = choice(self.overlap.as_ref(), "overlap", OverlappingRuns::ALL, OverlappingRuns::as_str);
        let overlap = overlap.map_err(|fault| faults.push(fault)).ok();
        if self.task.is_none() {
            faults.push(fault("task", "task is missing: give the task that each run submits"));
        }
        match (timing, missed, overlap, self.task) {
            (Some(timing), Some(missed), Some(overlap), Some(task)) => {
                Ok(NewSchedule { timing, missed, overlap, task })
            }
            _ => Err(ApiError::Invalid { of: &SCHEDULE_INVALID, faults }),
        }
    }

    fn timing(&self) -> Result<Timing, Fault> {
        match (&self.cron, &self.every_ms) {
            (Some(cron), None) => {
                let text = |json: &RawJson, name: &str| {
                    json.read::<String>().map_err(|_| fault(name, &format!("{name} must be a string")))
                };
                let expression = text(cron, "cron")?;
                let time_zone = self.time_zone.as_ref().map(|zone| text(zone, "timeZone")).transpose()?;
                let time_zone = time_zone.unwrap_or_else(|| DEFAULT_TIME_ZONE.to_owned());
                Ok(Timing::Cron { expression, time_zone })
            }
            (None, Some(period)) => {
                if self.time_zone.is_some() {
                    return Err(fault("timeZone", "timeZone belongs to cron, and there is none"));
                }
                let period_ms = period.text().parse().map_err(|_| invalid_period())?;
                Ok(Timing::Every { period_ms })
            }
            (None, None) => Err(fault("cron", "cron is missing: give either cron or everyMs")),
            (Some(_), Some(_)) => Err(fault("everyMs", "give either cron or everyMs")),
        }
    }
}

impl BodyFields for ScheduleBody {
    fn names() -> Vec<&'static str> {
        FIELD_NAMES.to_vec()
    }

    fn field(&mut self, lower: &str) -> Option<&mut Option<RawJson>> {
        match lower {
            "cron" => Some(&mut self.cron),
            "timezone" => Some(&mut self.time_zone),
            "everyms" => Some(&mut self.every_ms),
            "task" => Some(&mut self.task),
            "missed" => Some(&mut self.missed),
            "overlap" => Some(&mut self.overlap),
            _ => None,
        }
    }
}

fn fault(name: &str, detail: &str) -> Fault {
    Fault { pointer: format!("/{name}"), detail: detail.to_owned() }
}

/// The value of the field `name`, which is one of `all`; the default one if the field is missing.
fn choice<T: Copy + Default>(
    json: Option<&RawJson>,
    name: &str,
    all: &[T],
    text: fn(T) -> &'static str,
) -> Result<T, Fault> {
    let Some(json) = json else { return Ok(T::default()) };
    let given: Option<String> = json.read().ok();
    all.iter().copied().find(|value| given.as_deref() == Some(text(*value))).ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|value| text(*value)).collect();
        fault(name, &format!("{name} must be one of {}", names.join(", ")))
    })
}
