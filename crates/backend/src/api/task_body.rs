//! A task to submit, alone or in a batch: parsed field by field, so that every fault is reported with its place.

use std::sync::LazyLock;

use domain::limits::MAX_DELAY_OR_START_WITHIN_MS;
use domain::problem_types::tasks::{
    DURATION_INVALID, NOT_BEFORE_INVALID, TTL_FRACTIONAL, TTL_NEGATIVE, TTL_NOT_A_NUMBER, TYPE_MALFORMED,
    TYPE_MISSING,
};
use domain::{Labels, NotBefore, Priority, RawJson, RetryRequest, TaskId, Timestamp, Ttl, TypeName};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use web::json_body::{InvalidJson, JsonBody};

use crate::api::body_fields::{BodyFields, Members};
use crate::api::option_fields::OptionFields;
use crate::error::ApiError;
use crate::lifecycle::submit::{NewTask, invalid_ttl};

/// What a submission may contain beside its parameters, in bytes.
pub(crate) const BODY_OVERHEAD_BYTES: usize = 16 * 1024;

/// A task to submit.
#[derive(Debug, Default, ToSchema)]
#[schema(as = NewTask, rename_all = "camelCase", examples(json!({"type": "GENERATE_NUMBER", "parameters": {"length": 6}, "ttl": 60_000})))]
pub(crate) struct TaskBody {
    /// The operation to run; `GET /api/Operation` lists them.
    #[schema(value_type = TypeName, required = true)]
    r#type: Option<RawJson>,
    /// The operation's parameters, as its JSON Schema describes them.
    #[schema(value_type = Option<serde_json::Value>)]
    parameters: Option<RawJson>,
    /// The time to live in milliseconds, from the grant to the deadline.
    #[schema(value_type = Ttl, required = true)]
    ttl: Option<RawJson>,
    /// The task is ready, and may be claimed, from this instant on, at most a year from now. Instead of `delayMs`.
    #[schema(value_type = Option<Timestamp>)]
    not_before: Option<RawJson>,
    /// The task is ready, and may be claimed, this many milliseconds after its submission. Instead of `notBefore`.
    #[schema(value_type = Option<u64>, maximum = 31_622_400_000_u64)]
    delay_ms: Option<RawJson>,
    /// How long the task may wait for a grant, in milliseconds from when it is ready; then it ends as `NOT_STARTED`. By default
    /// as long as the settings of the installation say.
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 31_622_400_000_u64)]
    start_within_ms: Option<RawJson>,
    /// Labels, to find the task by: at most 8.
    #[schema(value_type = Option<Labels>)]
    labels: Option<RawJson>,
    /// The priority among the ready tasks of the type: a higher one is granted first. 4 by default.
    #[schema(value_type = Option<Priority>)]
    priority: Option<RawJson>,
    /// How many attempts may fail, the first one included; 1 by default. After a failed, expired or lost attempt the task is
    /// CREATED again, and ready after a pause.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 100)]
    max_attempts: Option<RawJson>,
    /// When the task is tried again.
    #[schema(value_type = Option<RetryRequest>)]
    retry: Option<RawJson>,
    /// How long all attempts may take together, in milliseconds from the first claim: an attempt is granted the smaller of `ttl`
    /// and what is left.
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 31_622_400_000_u64)]
    total_ttl_ms: Option<RawJson>,
    /// The task is ready when all of these tasks of yours have finished. If one ends otherwise, the task is cancelled (`DEPENDENCY_FAILED`).
    #[schema(value_type = Option<Vec<TaskId>>, max_items = 100)]
    after: Option<RawJson>,
    /// The results of tasks of `after` that become members of the parameters, by the names of the members. The parameters are checked
    /// when they are complete; if they are not valid then, the task is cancelled (`DEPENDENCY_FAILED`).
    #[schema(value_type = Option<HashMap<String, TaskId>>)]
    parameters_from: Option<RawJson>,
}

/// The names of the fields, as the published schema has them.
static FIELD_NAMES: LazyLock<Vec<String>> = LazyLock::new(|| match TaskBody::schema() {
    RefOr::T(Schema::Object(object)) => object.properties.into_keys().collect(),
    _ => Vec::new(),
});

impl TaskBody {
    /// Parses a body. The names of fields match in any case. Unknown and repeated fields are reported all at once.
    pub(crate) fn parse(body: &JsonBody<ApiError>) -> Result<Self, ApiError> {
        body.parse::<Members<Self>>()?.into_fields()
    }

    /// Parses a task that is a part of a body.
    pub(crate) fn read(json: &RawJson) -> Result<Self, ApiError> {
        json.read::<Members<Self>>().map_err(InvalidJson::Shape)?.into_fields()
    }

    /// The members by which a task says when it runs: an instant of its own, or other tasks.
    pub(crate) fn times(&self) -> impl Iterator<Item = &'static str> {
        let times = [
            ("notBefore", &self.not_before),
            ("delayMs", &self.delay_ms),
            ("after", &self.after),
            ("parametersFrom", &self.parameters_from),
        ];
        times.into_iter().filter(|(_, value)| value.is_some()).map(|(name, _)| name)
    }

    /// The task that the body describes. Fails if its type is missing or not a string.
    pub(crate) fn into_new_task(self) -> Result<NewTask, ApiError> {
        let name = match self.r#type.as_ref().map(RawJson::read::<String>) {
            Some(Ok(name)) => name,
            Some(Err(_)) => return Err(ApiError::invalid(&TYPE_MALFORMED, "/type", "type must be a string")),
            None => return Err(ApiError::invalid(&TYPE_MISSING, "/type", "type is missing")),
        };
        let ttl = self.ttl.as_ref().map(|json| parse_ttl(json.text())).transpose();
        let not_before = self.read_not_before();
        let start_within = self.start_within_ms.as_ref().map(|json| {
            let millis = read_millis(json, "startWithinMs", 1)?;
            Ok(Ttl::try_from(millis).expect("it is within the bounds of a TTL"))
        });
        let start_within = start_within.transpose();
        let options = OptionFields {
            priority: self.priority.as_ref(),
            max_attempts: self.max_attempts.as_ref(),
            retry: self.retry.as_ref(),
            total_ttl_ms: self.total_ttl_ms.as_ref(),
            labels: self.labels.as_ref(),
            after: self.after.as_ref(),
            parameters_from: self.parameters_from.as_ref(),
        };
        let options = options.read();
        Ok(NewTask {
            name,
            parameters: self.parameters,
            ttl,
            not_before,
            start_within,
            options,
            schedule: None,
        })
    }

    fn read_not_before(&self) -> Result<NotBefore, ApiError> {
        let invalid = |detail| ApiError::invalid(&NOT_BEFORE_INVALID, "/notBefore", detail);
        match (&self.not_before, &self.delay_ms) {
            (None, None) => Ok(NotBefore::Submission),
            (None, Some(delay)) => Ok(NotBefore::DelayMs(read_millis(delay, "delayMs", 0)?)),
            (Some(instant), None) => {
                let instant = instant.read().map_err(|_| {
                    invalid("notBefore must be a date and time of RFC 3339, like \"2026-11-24T09:30:00Z\"")
                })?;
                Ok(NotBefore::Instant(instant))
            }
            (Some(_), Some(_)) => Err(invalid("give either notBefore or delayMs")),
        }
    }
}

impl BodyFields for TaskBody {
    fn names() -> Vec<&'static str> {
        FIELD_NAMES.iter().map(String::as_str).collect()
    }

    fn field(&mut self, name: &str) -> Option<&mut Option<RawJson>> {
        match name {
            "type" => Some(&mut self.r#type),
            "parameters" => Some(&mut self.parameters),
            "ttl" => Some(&mut self.ttl),
            "notbefore" => Some(&mut self.not_before),
            "delayms" => Some(&mut self.delay_ms),
            "startwithinms" => Some(&mut self.start_within_ms),
            "labels" => Some(&mut self.labels),
            "priority" => Some(&mut self.priority),
            "maxattempts" => Some(&mut self.max_attempts),
            "retry" => Some(&mut self.retry),
            "totalttlms" => Some(&mut self.total_ttl_ms),
            "after" => Some(&mut self.after),
            "parametersfrom" => Some(&mut self.parameters_from),
            _ => None,
        }
    }
}

/// The field `name`, which is a whole number of milliseconds from `min` to [`MAX_DELAY_OR_START_WITHIN_MS`].
fn read_millis(json: &RawJson, name: &str, min: u64) -> Result<u64, ApiError> {
    json.text()
        .parse()
        .ok()
        .filter(|millis| (min..=MAX_DELAY_OR_START_WITHIN_MS).contains(millis))
        .ok_or_else(|| {
            let rule = format!(
                "{name} must be a whole number of milliseconds, {min} to {MAX_DELAY_OR_START_WITHIN_MS}"
            );
            ApiError::invalid(&DURATION_INVALID, format!("/{name}"), rule)
        })
}

/// A whole number of milliseconds, or an error whose problem type says what is wrong with `text`.
fn parse_ttl(text: &str) -> Result<u64, ApiError> {
    if let Ok(millis) = text.parse() {
        return Ok(millis);
    }
    if serde_json::from_str::<serde_json::Number>(text).is_err() {
        return Err(invalid_ttl(&TTL_NOT_A_NUMBER, "ttl must be a whole number of milliseconds"));
    }
    if text == "-0" {
        return Ok(0);
    }
    if text.starts_with('-') {
        return Err(invalid_ttl(&TTL_NEGATIVE, format!("ttl is {text} ms; it must be at least 1")));
    }
    if text.contains(['.', 'e', 'E']) {
        let detail =
            format!("ttl is {text}; it must be a whole number of milliseconds, written with digits alone");
        return Err(invalid_ttl(&TTL_FRACTIONAL, detail));
    }
    // A number beyond 64 bits is above every limit.
    Ok(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_published_field_is_parsed() {
        assert_eq!(FIELD_NAMES.len(), 13);
        for name in FIELD_NAMES.iter() {
            assert!(TaskBody::default().field(&name.to_ascii_lowercase()).is_some(), "{name}");
        }
    }

    #[test]
    fn each_broken_rule_of_ttl_has_a_problem_type_of_its_own() {
        let slug = |text: &str| match parse_ttl(text) {
            Ok(millis) => millis.to_string(),
            Err(ApiError::Invalid { of, .. }) => of.slug.to_owned(),
            Err(other) => panic!("{other}"),
        };
        let beyond_64_bits = u64::MAX.to_string();
        for (text, expected) in [
            ("5000", "5000"),
            ("604800001", "604800001"),
            ("99999999999999999999999", &*beyond_64_bits),
            ("0", "0"),
            ("-0", "0"),
            ("-1", "ttl-negative"),
            ("-1.5", "ttl-negative"),
            ("1.5", "ttl-fractional"),
            ("5e3", "ttl-fractional"),
            ("\"5000\"", "ttl-not-a-number"),
            ("null", "ttl-not-a-number"),
            ("[1]", "ttl-not-a-number"),
        ] {
            assert_eq!(slug(text), expected, "{text}");
        }
    }
}
