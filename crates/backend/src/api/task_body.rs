//! Bodies at the door: what came is read, every broken rule is named, and only good values go further.

use std::collections::BTreeMap;
use std::fmt;

use axum::body::Bytes;
use domain::{Fault, InvalidTtl, OwnerId, RawJson, Submission, TraceContext, Ttl};
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::app::App;
use crate::error::ApiError;

/// The fields of a submission; their names are taken in any case, as the original takes them.
const FIELDS: [&str; 3] = ["type", "parameters", "ttl"];

/// Reads a body: 400 for what is no JSON, 422 for JSON of another shape.
pub(crate) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|shape| match serde_json::from_slice::<&RawValue>(body) {
        Ok(_) => ApiError::invalid("wrong-shape", "", shape.to_string()),
        Err(error) => ApiError::Malformed(format!("the body is not JSON: {error}")),
    })
}

/// Makes a submission of a `POST /api/Task/` body, or says everything that is wrong with it.
pub(crate) async fn submission(
    app: &App,
    owner: OwnerId,
    trace: Option<TraceContext>,
    body: &Bytes,
) -> Result<Submission, ApiError> {
    let fields = fields(body)?;
    let name = match fields.get("type").map(RawJson::read::<String>) {
        Some(Ok(name)) => name,
        Some(Err(_)) => return Err(ApiError::invalid("type-malformed", "/type", "type is a string")),
        None => return Err(ApiError::invalid("type-missing", "/type", "type is missing")),
    };
    let known = app.catalogue.find(&name, &app.store).await?;
    let parameters = fields.get("parameters").cloned();
    let limit = app.settings.max_parameters;
    if parameters.as_ref().is_some_and(|json| json.text().len() > limit) {
        return Err(ApiError::ParametersTooLarge { limit });
    }
    let bounds = known.operation.ttl;
    let most = bounds.max.map_or(app.settings.max_ttl, |max| max.min(app.settings.max_ttl));
    let default = bounds.default.or(app.settings.default_ttl).map(|default| default.min(most));
    let ttl = ttl(fields.get("ttl"), default, most);
    let ttl = both(ttl, known.check(parameters.as_ref()))?;
    Ok(Submission {
        id: app.store.new_task_id(),
        owner,
        name: known.operation.name.clone(),
        queue: known.operation.queue.clone(),
        parameters,
        ttl,
        start_within: app.settings.start_within,
        trace,
    })
}

/// Two rules of one body: whoever broke both hears of both.
fn both<T>(first: Result<T, ApiError>, second: Result<(), ApiError>) -> Result<T, ApiError> {
    match (first, second) {
        (Err(ApiError::Invalid { slug, mut faults }), Err(ApiError::Invalid { faults: more, .. })) => {
            faults.extend(more);
            Err(ApiError::Invalid { slug, faults })
        }
        (first, second) => first.and_then(|value| second.map(|()| value)),
    }
}

fn fields(body: &Bytes) -> Result<BTreeMap<String, RawJson>, ApiError> {
    let Fields(given) = read(body)?;
    let mut fields = BTreeMap::new();
    let mut faults = Vec::new();
    for (name, value) in given {
        let lower = name.to_ascii_lowercase();
        let detail = if !FIELDS.contains(&lower.as_str()) {
            format!("there is no field {name:?}{}", did_you_mean(&lower, FIELDS))
        } else if fields.insert(lower, value).is_some() {
            format!("{name} stands there twice")
        } else {
            continue;
        };
        faults.push(Fault { pointer: pointer("", &name), detail });
    }
    if faults.is_empty() { Ok(fields) } else { Err(ApiError::Invalid { slug: "unknown-field", faults }) }
}

/// The fields of an object as they came: a map would hide that one of them stands there twice.
struct Fields(Vec<(String, RawJson)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with type, parameters and ttl")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// The JSON Pointer (RFC 6901) to the member `name` of what is at `place`.
pub(crate) fn pointer(place: &str, name: &str) -> String {
    format!("{place}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// A life in whole milliseconds, or which rule it breaks: each has a problem type of its own.
fn ttl(given: Option<&RawJson>, default: Option<Ttl>, most: Ttl) -> Result<Ttl, ApiError> {
    let broken = |slug, rule: String| Err(ApiError::invalid(slug, "/ttl", rule));
    let Some(given) = given else {
        return default.map_or_else(
            || broken("ttl-missing", "ttl is missing: say how many milliseconds".to_owned()),
            Ok,
        );
    };
    let text = given.text();
    let is_number = serde_json::from_str::<serde_json::Number>(text).is_ok();
    let too_large = || broken("ttl-too-large", InvalidTtl::TooLong { max: most.millis() }.to_string());
    match text.parse::<u64>() {
        Ok(millis) => match Ttl::within(millis, most) {
            Ok(ttl) => Ok(ttl),
            Err(InvalidTtl::TooLong { .. }) => too_large(),
            Err(zero @ InvalidTtl::Zero) => broken("ttl-zero", zero.to_string()),
        },
        Err(_) if !is_number => {
            broken("ttl-not-a-number", "ttl is a whole number of milliseconds".to_owned())
        }
        Err(_) if text == "-0" => broken("ttl-zero", InvalidTtl::Zero.to_string()),
        Err(_) if text.starts_with('-') => {
            broken("ttl-negative", format!("ttl is {text} ms; it is at least 1"))
        }
        Err(_) if text.contains(['.', 'e', 'E']) => broken(
            "ttl-fractional",
            format!("ttl is {text}; it is a whole number of milliseconds, written with digits alone"),
        ),
        Err(_) => too_large(),
    }
}

/// `; did you mean …?` with the nearest of `known`, if one is near.
pub(crate) fn did_you_mean<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let given = given.to_ascii_lowercase();
    let near = known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&given, &name.to_ascii_lowercase()), name))
        .filter(|(nearness, _)| *nearness > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    near.map_or_else(String::new, |(_, name)| format!("; did you mean {name}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slug(text: &str) -> String {
        let json = RawJson::parse(text.to_owned()).unwrap();
        match ttl(Some(&json), None, Ttl::DEFAULT_MAX) {
            Ok(ttl) => ttl.millis().to_string(),
            Err(ApiError::Invalid { slug, .. }) => slug.to_owned(),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn each_broken_rule_of_ttl_has_a_name() {
        for (text, expected) in [
            ("5000", "5000"),
            ("604800000", "604800000"),
            ("604800001", "ttl-too-large"),
            ("99999999999999999999999", "ttl-too-large"),
            ("0", "ttl-zero"),
            ("-0", "ttl-zero"),
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

    #[test]
    fn an_absent_ttl_is_the_default_or_a_fault() {
        let five = Ttl::try_from(5000).unwrap();
        assert_eq!(ttl(None, Some(five), Ttl::DEFAULT_MAX).ok(), Some(five));
        assert!(matches!(ttl(None, None, five), Err(ApiError::Invalid { slug: "ttl-missing", .. })));
    }

    #[test]
    fn a_near_name_is_offered_and_a_far_one_is_not() {
        assert_eq!(did_you_mean("lenght", ["length", "alphabet"]), "; did you mean length?");
        assert_eq!(did_you_mean("zzz", ["length", "alphabet"]), "");
    }
}
