//! The fields of a submission that only few have: priority, attempts, retries and the time of all attempts.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;

use domain::limits::MAX_DELAY_OR_START_WITHIN_MS;
use domain::problem_types::tasks::{DEPENDENCY_INVALID, OPTION_INVALID};
use domain::{
    BackoffFactor, Fault, Label, LabelValue, Labels, Priority, RawJson, Reason, RetryPolicy, RetryRequest,
    TaskId, TaskOptions, Ttl,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::api::body_fields::FreeMembers;
use crate::error::ApiError;
use crate::invalid_input_text::{did_you_mean, pointer};
use crate::lifecycle::submission_options::RequestedOptions;

/// The fields of `retry`.
const RETRY_FIELDS: [&str; 4] = ["backoffMs", "factor", "maxBackoffMs", "on"];

/// The fields as they were sent.
#[derive(Debug)]
pub(crate) struct OptionFields<'a> {
    pub(crate) priority: Option<&'a RawJson>,
    pub(crate) max_attempts: Option<&'a RawJson>,
    pub(crate) retry: Option<&'a RawJson>,
    pub(crate) total_ttl_ms: Option<&'a RawJson>,
    pub(crate) labels: Option<&'a RawJson>,
    pub(crate) after: Option<&'a RawJson>,
    pub(crate) parameters_from: Option<&'a RawJson>,
}

/// `retry` with its members as they were sent.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RetryMembers<'a> {
    #[serde(borrow)]
    backoff_ms: Option<&'a RawValue>,
    #[serde(borrow)]
    factor: Option<&'a RawValue>,
    #[serde(borrow)]
    max_backoff_ms: Option<&'a RawValue>,
    #[serde(borrow)]
    on: Option<&'a RawValue>,
}

impl OptionFields<'_> {
    /// Reads the fields; the error lists the faults of all of them.
    pub(crate) fn read(&self) -> Result<RequestedOptions, ApiError> {
        let mut faults = Vec::new();
        let mut whole = |json: Option<&RawJson>, name: &str, range| {
            json.and_then(|json| read_whole(json.text(), &format!("/{name}"), name, range, &mut faults))
        };
        let priority = whole(self.priority, "priority", 0..=9);
        let max_attempts = whole(self.max_attempts, "maxAttempts", 1..=RetryPolicy::MAX_ATTEMPTS.into());
        let total_ttl = whole(self.total_ttl_ms, "totalTtlMs", 1..=MAX_DELAY_OR_START_WITHIN_MS);
        let retry = self.retry.map(|retry| read_retry(retry.text(), &mut faults));
        let labels = self.labels.map(|labels| read_labels(labels, &mut faults)).unwrap_or_default();
        let of = if faults.is_empty() { &DEPENDENCY_INVALID } else { &OPTION_INVALID };
        let after = self.after.map(|after| read_after(after, &mut faults)).unwrap_or_default();
        let parameters_from = self.parameters_from.map(|from| read_parameters_from(from, &mut faults));
        if !faults.is_empty() {
            return Err(ApiError::Invalid { of, faults });
        }
        Ok(RequestedOptions {
            after,
            parameters_from: parameters_from.unwrap_or_default(),
            priority: priority.and_then(|priority| u8::try_from(priority).ok()?.try_into().ok())
                as Option<Priority>,
            max_attempts: max_attempts.and_then(|attempts| u32::try_from(attempts).ok()),
            retry,
            labels,
            total_ttl: total_ttl.and_then(|total| Ttl::try_from(total).ok()),
        })
    }
}

fn read_retry(text: &str, faults: &mut Vec<Fault>) -> RetryRequest {
    if let Err(fault) = check_members(text) {
        faults.push(fault);
        return RetryRequest::default();
    }
    let members: RetryMembers = serde_json::from_str(text).unwrap_or_default();
    let mut millis = |json: Option<&RawValue>, name: &str| {
        json.and_then(|json| {
            read_whole(json.get(), &format!("/retry/{name}"), name, 0..=MAX_DELAY_OR_START_WITHIN_MS, faults)
        })
    };
    let (backoff_ms, max_backoff_ms) =
        (millis(members.backoff_ms, "backoffMs"), millis(members.max_backoff_ms, "maxBackoffMs"));
    let factor = members.factor.and_then(|json| {
        let factor: Option<BackoffFactor> = serde_json::from_str(json.get()).ok();
        if factor.is_none() {
            faults.push(fault("/retry/factor", "factor must be a number from 1 to 100"));
        }
        factor
    });
    let on = members.on.map(|json| read_reasons(json.get(), faults));
    RetryRequest { backoff_ms, factor, max_backoff_ms, on }
}

/// Checks that `retry` is an object of known fields.
fn check_members(text: &str) -> Result<(), Fault> {
    let members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).map_err(|_| {
        fault("/retry", format_args!("retry must be an object with {}", RETRY_FIELDS.join(", ")))
    })?;
    match members.keys().find(|name| !RETRY_FIELDS.contains(&name.as_str())) {
        None => Ok(()),
        Some(unknown) => {
            let hint = did_you_mean(unknown, RETRY_FIELDS);
            Err(fault(&pointer("/retry", unknown), format_args!("there is no field {unknown:?}{hint}")))
        }
    }
}

fn read_reasons(text: &str, faults: &mut Vec<Fault>) -> Vec<Reason> {
    let rule = format!("a reason must be one of {}", RetryPolicy::REASONS.map(Reason::as_str).join(", "));
    let Ok(names) = serde_json::from_str::<Vec<serde_json::Value>>(text) else {
        faults.push(fault("/retry/on", "on must be a list of reasons"));
        return Vec::new();
    };
    let mut reasons = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let reason = name.as_str().and_then(|name| name.parse().ok());
        match reason.filter(|reason| RetryPolicy::REASONS.contains(reason)) {
            Some(reason) if reasons.contains(&reason) => {}
            Some(reason) => reasons.push(reason),
            None => faults.push(fault(&format!("/retry/on/{index}"), &rule)),
        }
    }
    reasons
}

/// Reads the member `labels`. Adds its faults, each with its place.
pub(crate) fn read_labels(json: &RawJson, faults: &mut Vec<Fault>) -> Labels {
    let rule = format!("labels must be an object of at most {} texts", Labels::MAX);
    let mut labels = Labels::default();
    let Ok(members) = json.read::<FreeMembers>() else {
        faults.push(fault("/labels", rule));
        return labels;
    };
    if members.0.len() > Labels::MAX {
        faults.push(fault("/labels", rule));
    }
    for (name, value) in members.0 {
        let label = match value.read::<String>() {
            Ok(value) => Label::new(&name, &value).map_err(|invalid| invalid.to_string()),
            Err(_) => Err(LabelValue::RULE.to_owned()),
        };
        let detail = match label.map(|Label { key, value }| labels.0.insert(key, value)) {
            Ok(None) => continue,
            Ok(Some(_)) => format!("{name} occurs twice"),
            Err(rule) => rule,
        };
        faults.push(fault(&pointer("/labels", &name), detail));
    }
    labels
}

/// Reads the member `after`, without repeated ids. Adds its faults, each with its place.
fn read_after(json: &RawJson, faults: &mut Vec<Fault>) -> Vec<TaskId> {
    let Some(ids) = json.read::<Vec<RawJson>>().ok().filter(|ids| ids.len() <= TaskOptions::MAX_AFTER) else {
        faults.push(fault(
            "/after",
            format_args!("after must be a list of at most {} task ids", TaskOptions::MAX_AFTER),
        ));
        return Vec::new();
    };
    let mut after = Vec::new();
    for (index, id) in ids.iter().enumerate() {
        match id.read() {
            Ok(id) if after.contains(&id) => {}
            Ok(id) => after.push(id),
            Err(_) => faults.push(fault(&format!("/after/{index}"), "a task id must be a UUID")),
        }
    }
    after
}

/// Reads the member `parametersFrom`. Adds its faults, each with its place.
fn read_parameters_from(json: &RawJson, faults: &mut Vec<Fault>) -> BTreeMap<String, TaskId> {
    let mut parameters_from = BTreeMap::new();
    let Ok(members) = json.read::<FreeMembers>() else {
        faults.push(fault("/parametersFrom", "parametersFrom must be an object of task ids"));
        return parameters_from;
    };
    for (name, id) in members.0 {
        let detail = match id.read() {
            Ok(id) if parameters_from.insert(name.clone(), id).is_none() => continue,
            Ok(_) => format!("{name} occurs twice"),
            Err(_) => "a task id must be a UUID".to_owned(),
        };
        faults.push(fault(&pointer("/parametersFrom", &name), detail));
    }
    parameters_from
}

/// A whole number within `range`; otherwise adds a fault and returns `None`.
fn read_whole(
    text: &str,
    pointer: &str,
    name: &str,
    range: RangeInclusive<u64>,
    faults: &mut Vec<Fault>,
) -> Option<u64> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    if number.is_none() {
        let rule = format!("{name} must be a whole number from {} to {}", range.start(), range.end());
        faults.push(fault(pointer, rule));
    }
    number
}

fn fault(pointer: &str, detail: impl Display) -> Fault {
    Fault { pointer: pointer.to_owned(), detail: detail.to_string() }
}
