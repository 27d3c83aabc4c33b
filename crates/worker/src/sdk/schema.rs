//! Generates the JSON Schemas of an operation's parameters and result from their Rust types.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

/// The schema of the parameters `T`. An object whose type neither allows nor refuses unknown members refuses them, so that
/// a mistyped name is caught at submission.
pub(crate) fn of_parameters<T: JsonSchema>() -> Value {
    let mut schema = inline().for_deserialize().into_generator().into_root_schema_for::<T>();
    let is_object = schema.get("type").is_some_and(|kind| kind == "object");
    let allows_by_default = ["additionalProperties", "unevaluatedProperties"]
        .iter()
        .all(|keyword| schema.get(*keyword).is_none());
    if is_object && allows_by_default {
        let keyword = if is_composed(&schema) { "unevaluatedProperties" } else { "additionalProperties" };
        schema.insert(keyword.to_owned(), Value::Bool(false));
    }
    schema.to_value()
}

/// The schema of the result `T`.
pub(crate) fn result_schema<T: JsonSchema>() -> Value {
    inline().for_serialize().into_generator().into_root_schema_for::<T>().to_value()
}

/// Settings that write the schema of each type in the place of its use, so that readers need not follow references.
fn inline() -> SchemaSettings {
    SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true)
}

/// Whether the schema has members outside its own `properties`: `additionalProperties` would refuse those.
fn is_composed(schema: &schemars::Schema) -> bool {
    ["allOf", "anyOf", "oneOf", "$ref"].iter().any(|keyword| schema.get(*keyword).is_some())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is read")]
    struct Named {
        name: String,
    }

    #[derive(JsonSchema)]
    struct NoMembers {}

    #[test]
    fn unknown_members_are_refused_by_default() {
        assert_eq!(of_parameters::<Named>()["additionalProperties"], json!(false));
        assert_eq!(of_parameters::<NoMembers>()["additionalProperties"], json!(false));
    }

    #[test]
    fn a_type_that_allows_unknown_members_still_allows_them() {
        let schema = of_parameters::<BTreeMap<String, u8>>();
        assert_eq!(schema["additionalProperties"]["type"], json!("integer"));
        assert_eq!(of_parameters::<Value>().get("additionalProperties"), None);
    }
}
