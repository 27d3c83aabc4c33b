//! When two definitions of an operation are the same: when they ask for the same, whatever they say about it.

use domain::Operation;
use serde_json::{Map, Value};

/// Words of JSON Schema that only explain.
const ANNOTATIONS: [&str; 5] = ["title", "description", "examples", "$schema", "$comment"];

/// Words whose value is a schema, or a list of schemas.
const SCHEMAS: [&str; 16] = [
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

/// Words whose value gives schemas names, any names: a property may well be called `title`.
const NAMED: [&str; 6] =
    ["$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"];

/// Whether `one` and `other` differ in nothing but the annotations of their schemas: a reworded comment in a worker's
/// code, or another title from the library that writes its schemas, is no reason for a new version.
pub(crate) fn same(one: &Operation, other: &Operation) -> bool {
    let bare = |operation: &Operation| Operation {
        parameters: bare(&operation.parameters),
        result: bare(&operation.result),
        ..operation.clone()
    };
    bare(one) == bare(other)
}

/// `schema` without annotations. What is no schema (`enum`, `const`, `default`) stays as it is.
fn bare(schema: &Value) -> Value {
    match schema {
        Value::Object(words) => {
            let kept = words.iter().filter(|(word, _)| !ANNOTATIONS.contains(&word.as_str()));
            Value::Object(kept.map(|(word, value)| (word.clone(), bare_word(word, value))).collect())
        }
        Value::Array(schemas) => schemas.iter().map(bare).collect(),
        other => other.clone(),
    }
}

fn bare_word(word: &str, value: &Value) -> Value {
    match value {
        Value::Object(named) if NAMED.contains(&word) => Value::Object(
            named.iter().map(|(name, schema)| (name.clone(), bare(schema))).collect::<Map<_, _>>(),
        ),
        value if SCHEMAS.contains(&word) => bare(value),
        value => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn annotations_go_wherever_a_schema_stands() {
        let told = json!({
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
        assert_eq!(bare(&told), plain);
        assert_eq!(bare(&plain), plain);
    }

    #[test]
    fn what_only_looks_like_an_annotation_stays() {
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
        assert_eq!(bare(&schema), schema);
    }
}
