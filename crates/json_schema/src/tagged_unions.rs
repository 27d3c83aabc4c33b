//! Guards the alternatives of tagged unions (`{"op": "And", …}`) in `oneOf` and `anyOf` by their tags. Without guards the validator
//! tries all alternatives at every level, which takes exponential time. With them it tries the one whose tag the document has.

use serde_json::{Map, Value, json};

/// The schema with a guard around each alternative that requires members of a constant value: `if` they have it `then` the
/// alternative, `else` nothing is valid. It accepts the same documents.
pub(crate) fn select_alternatives_by_tag(schema: &Value) -> Value {
    match schema {
        Value::Object(keywords) => {
            let guard = |(keyword, value): (&String, &Value)| {
                let value = match keyword.as_str() {
                    "oneOf" | "anyOf" => guard_each(value),
                    // These hold data and not schemas.
                    "const" | "enum" | "default" | "examples" => value.clone(),
                    _ => select_alternatives_by_tag(value),
                };
                (keyword.clone(), value)
            };
            Value::Object(keywords.iter().map(guard).collect())
        }
        Value::Array(schemas) => Value::Array(schemas.iter().map(select_alternatives_by_tag).collect()),
        other => other.clone(),
    }
}

fn guard_each(alternatives: &Value) -> Value {
    let guard = |alternative: &Value| {
        let guarded = select_alternatives_by_tag(alternative);
        let tags = alternative.as_object().map(tags).unwrap_or_default();
        if tags.is_empty() {
            return guarded;
        }
        let names: Vec<&String> = tags.keys().collect();
        json!({"if": {"properties": tags, "required": names}, "then": guarded, "else": false})
    };
    match alternatives {
        Value::Array(alternatives) => alternatives.iter().map(guard).collect(),
        other => other.clone(),
    }
}

/// The required members with a constant value, each as a schema of that constant alone. Without `type: object` the alternative
/// also accepts what is no object, so it has no tags.
fn tags(alternative: &Map<String, Value>) -> Map<String, Value> {
    let is_object = alternative.get("type").is_some_and(|kind| kind == "object");
    let required = alternative.get("required").and_then(Value::as_array);
    let properties = alternative.get("properties").and_then(Value::as_object);
    let (true, Some(required), Some(properties)) = (is_object, required, properties) else {
        return Map::new();
    };
    let tag = |(name, schema): (&String, &Value)| {
        let is_required = required.iter().any(|required| required == name);
        let constant = schema.get("const").filter(|_| is_required)?;
        Some((name.clone(), json!({"const": constant})))
    };
    properties.iter().filter_map(tag).collect()
}
