//! Bodies that are parsed field by field, so that the answer names every fault and not only the first.

use std::fmt;
use std::marker::PhantomData;

use domain::problem_types::tasks::UNKNOWN_FIELD;
use domain::{Fault, RawJson};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::error::ApiError;
use crate::invalid_input_text::{did_you_mean, pointer};

/// A body's fields, each as the JSON that was sent.
pub(crate) trait BodyFields: Default {
    /// The names of the fields, as the published schema has them.
    fn names() -> Vec<&'static str>;

    /// The field whose name in small letters is `lower`.
    fn field(&mut self, lower: &str) -> Option<&mut Option<RawJson>>;
}

/// The members of an object in their order: a map would hide that one occurs twice.
pub(crate) struct Members<F> {
    members: Vec<(String, RawJson)>,
    fields: PhantomData<fn() -> F>,
}

impl<F: BodyFields> Members<F> {
    /// The members as fields. Their names match in any case. Unknown and repeated fields are reported all at once.
    pub(crate) fn into_fields(self) -> Result<F, ApiError> {
        let mut fields = F::default();
        let mut faults = Vec::new();
        for (name, value) in self.members {
            let lower = name.to_ascii_lowercase();
            let detail = match fields.field(&lower) {
                None => {
                    let hint = did_you_mean(&lower, F::names());
                    format!("there is no field {name:?}{hint}")
                }
                Some(field) if field.is_some() => format!("{name} occurs twice"),
                Some(field) => {
                    *field = Some(value);
                    continue;
                }
            };
            faults.push(Fault { pointer: pointer("", &name), detail });
        }
        if faults.is_empty() { Ok(fields) } else { Err(ApiError::Invalid { of: &UNKNOWN_FIELD, faults }) }
    }
}

/// The members of an object whose names are free, in their order.
pub(crate) struct FreeMembers(pub(crate) Vec<(String, RawJson)>);

impl<'de, F: BodyFields> Deserialize<'de> for Members<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = Object { expected: format!("an object with {}", F::names().join(", ")) };
        Ok(Self { members: deserializer.deserialize_map(object)?, fields: PhantomData })
    }
}

impl<'de> Deserialize<'de> for FreeMembers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Object { expected: "an object".to_owned() }).map(Self)
    }
}

/// Reads the members of an object.
struct Object {
    expected: String,
}

impl<'de> Visitor<'de> for Object {
    type Value = Vec<(String, RawJson)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.expected)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}
