//! JSON Schemas out of an operation's types, as strict as the catalogue wants them.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

/// The schema of parameters. An object that says nothing of unknown members refuses them: a mistyped name is caught at
/// submission.
pub(crate) fn of_parameters<T: JsonSchema>() -> Value {
    let mut schema = inline().for_deserialize().into_generator().into_root_schema_for::<T>();
    let is_object = schema.get("type").is_some_and(|kind| kind == "object");
    let is_silent =
        ["additionalProperties", "unevaluatedProperties"].iter().all(|word| schema.get(*word).is_none());
    if is_object && is_silent {
        let word = if is_composed(&schema) { "unevaluatedProperties" } else { "additionalProperties" };
        schema.insert(word.to_owned(), Value::Bool(false));
    }
    schema.to_value()
}

/// The schema of results.
pub(crate) fn of_result<T: JsonSchema>() -> Value {
    inline().for_serialize().into_generator().into_root_schema_for::<T>().to_value()
}

/// Types stand where they are used, so that a reader of the catalogue need not look elsewhere.
fn inline() -> SchemaSettings {
    SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true)
}

/// Whether members are named outside `properties` too; `additionalProperties` would refuse those.
fn is_composed(schema: &schemars::Schema) -> bool {
    ["allOf", "anyOf", "oneOf", "$ref"].iter().any(|word| schema.get(*word).is_some())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Named {
        name: String,
    }

    #[derive(JsonSchema)]
    struct Nothing {}

    #[test]
    fn unknown_members_are_refused() {
        assert_eq!(of_parameters::<Named>()["additionalProperties"], json!(false));
        assert_eq!(of_parameters::<Nothing>()["additionalProperties"], json!(false));
    }

    #[test]
    fn a_type_that_takes_any_member_keeps_doing_so() {
        let schema = of_parameters::<BTreeMap<String, u8>>();
        assert_eq!(schema["additionalProperties"]["type"], json!("integer"));
        assert_eq!(of_parameters::<Value>().get("additionalProperties"), None);
    }
}
