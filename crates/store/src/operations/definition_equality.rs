//! Whether two definitions of an operation are equivalent: equal but for the annotations of their JSON Schemas.

use domain::Operation;
use serde_json::{Map, Value};

/// Keywords of JSON Schema that only annotate.
const ANNOTATION_KEYWORDS: [&str; 5] = ["title", "description", "examples", "$schema", "$comment"];

/// Keywords whose value is a schema or a list of schemas.
const SUBSCHEMA_KEYWORDS: [&str; 16] = [
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "oneOf",
    "prefixItems",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// Keywords whose value maps names to schemas. The names are free: a property may well be called `title`.
const SCHEMA_MAP_KEYWORDS: [&str; 6] =
    ["$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"];

/// Whether `one` and `other` differ at most in the annotations of their schemas. A reworded comment in a worker's code, or
/// another title from the library that generates its schemas, needs no new version.
pub(crate) fn is_equivalent(one: &Operation, other: &Operation) -> bool {
    let strip = |operation: &Operation| Operation {
        parameters: strip_annotations(&operation.parameters),
        result: strip_annotations(&operation.result),
        ..operation.clone()
    };
    strip(one) == strip(other)
}

/// `schema` without annotations. Values that are no schemas (of `enum`, `const`, `default`) stay as they are.
fn strip_annotations(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let rest = members.iter().filter(|(keyword, _)| !ANNOTATION_KEYWORDS.contains(&keyword.as_str()));
            Value::Object(
                rest.map(|(keyword, value)| (keyword.clone(), strip_member(keyword, value))).collect(),
            )
        }
        Value::Array(schemas) => schemas.iter().map(strip_annotations).collect(),
        other => other.clone(),
    }
}

fn strip_member(keyword: &str, value: &Value) -> Value {
    match value {
        Value::Object(named) if SCHEMA_MAP_KEYWORDS.contains(&keyword) => Value::Object(
            named
                .iter()
                .map(|(name, schema)| (name.clone(), strip_annotations(schema)))
                .collect::<Map<_, _>>(),
        ),
        value if SUBSCHEMA_KEYWORDS.contains(&keyword) => strip_annotations(value),
        value => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn annotations_are_stripped_from_every_schema() {
        let annotated = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Echo", "description": "d", "type": "object",
            "properties": { "say": { "description": "d", "type": "string", "examples": ["a"] } },
            "items": { "title": "t" },
            "prefixItems": [{ "$comment": "c", "type": "null" }, true],
            "$defs": { "Deep": { "anyOf": [{ "not": { "title": "t", "const": 1 } }] } },
        });
        let plain = json!({
            "type": "object",
            "properties": { "say": { "type": "string" } },
            "items": {},
            "prefixItems": [{ "type": "null" }, true],
            "$defs": { "Deep": { "anyOf": [{ "not": { "const": 1 } }] } },
        });
        assert_eq!(strip_annotations(&annotated), plain);
        assert_eq!(strip_annotations(&plain), plain);
    }

    #[test]
    fn names_and_values_that_look_like_annotations_stay() {
        let schema = json!({
            "properties": { "title": { "type": "string" }, "description": true, "properties": {} },
            "patternProperties": { "examples": false },
            "required": ["title"],
            "default": { "title": "t" },
            "const": { "description": "d" },
            "enum": [{ "title": "t" }],
            "dependentRequired": { "title": ["description"] },
            "dependencies": { "title": ["description"] },
        });
        assert_eq!(strip_annotations(&schema), schema);
    }
}
