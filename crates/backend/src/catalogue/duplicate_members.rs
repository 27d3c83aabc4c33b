//! Refuses JSON in which an object has two members of the same name: parsers differ in which of the two they take.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Deserializes from any JSON document without storing it. Fails if an object has two members of the same name.
pub(crate) struct NoDuplicateMembers;

impl<'de> Deserialize<'de> for NoDuplicateMembers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = NoDuplicateMembers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON document")
    }

    fn visit_bool<E>(self, _: bool) -> Result<NoDuplicateMembers, E> {
        Ok(NoDuplicateMembers)
    }

    fn visit_i64<E>(self, _: i64) -> Result<NoDuplicateMembers, E> {
        Ok(NoDuplicateMembers)
    }

    fn visit_u64<E>(self, _: u64) -> Result<NoDuplicateMembers, E> {
        Ok(NoDuplicateMembers)
    }

    fn visit_f64<E>(self, _: f64) -> Result<NoDuplicateMembers, E> {
        Ok(NoDuplicateMembers)
    }

    fn visit_str<E>(self, _: &str) -> Result<NoDuplicateMembers, E> {
        Ok(NoDuplicateMembers)
    }

    fn visit_unit<E>(self) -> Result<NoDuplicateMembers, E> {
        Ok(NoDuplicateMembers)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<NoDuplicateMembers, A::Error> {
        while seq.next_element::<NoDuplicateMembers>()?.is_some() {}
        Ok(NoDuplicateMembers)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NoDuplicateMembers, A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if names.contains(&name) {
                return Err(A::Error::custom(format_args!("{name:?} occurs twice")));
            }
            names.insert(name);
            map.next_value::<NoDuplicateMembers>()?;
        }
        Ok(NoDuplicateMembers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duplicate_member_is_found_at_any_depth() {
        let read = |text| serde_json::from_str::<NoDuplicateMembers>(text).map_err(|error| error.to_string());
        assert!(read(r#"{"a": [1, -1, 1.5, "a", null, true, {"a": {}}], "b": 2}"#).is_ok());
        assert!(read(r#"{"a": [{"b": 1, "b": 1}]}"#).err().unwrap().contains(r#""b" occurs twice"#));
    }
}
