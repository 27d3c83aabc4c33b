//! Compiled JSON Schemas (draft 2020-12): the Backend and the workers check parameters and results against them.
//!
//! The validator is a large generic library; this crate is compiled once, with little optimisation, instead of once in each
//! crate that validates.

mod step_estimator;
mod tagged_unions;

use std::fmt;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;

use crate::step_estimator::{StepEstimator, size};
use crate::tagged_unions::select_alternatives_by_tag;

/// The most violations that are listed for one document.
const MAX_VIOLATIONS: usize = 20;

/// The description of a violation that is longer than this, in bytes, does not quote the value.
const MAX_DETAIL_BYTES_WITH_VALUE: usize = 300;

/// The keywords that describe a schema and check nothing.
const ANNOTATIONS: [&str; 7] = ["$schema", "$id", "$comment", "title", "description", "default", "examples"];

/// The steps that every validation may take. Each value of the document adds [`EXTRA_STEPS_PER_VALUE`].
const BASE_STEPS: u64 = 50_000;

/// The further steps that a validation may take for each value of the document.
const EXTRA_STEPS_PER_VALUE: u64 = 16;

/// The most steps of a validation that lists violations, each of which takes memory.
const MAX_STEPS_OF_LIST: u64 = 250_000;

/// The most steps for a single value: it limits the alternatives that a schema has for one place.
const MAX_STEPS_OF_SCHEMA: u64 = 10_000;

/// The most patterns in a schema.
const MAX_PATTERNS: usize = 50;

/// The largest compiled pattern, in bytes. (`\pL{1,200}` has megabytes.)
const MAX_COMPILED_PATTERN_BYTES: usize = 100 << 10;

/// A compiled JSON Schema.
#[derive(Debug)]
pub struct JsonSchema {
    source: Value,
    /// `None`: the schema accepts every document.
    checks: Option<Checks>,
}

#[derive(Debug)]
struct Checks {
    validator: Validator,
    work: StepEstimator,
}

/// The schema is not a valid JSON Schema, or takes too much work.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSchema(String);

/// A rule of the schema that a document breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// An object has a member that the schema does not allow.
    UnknownMember {
        /// The JSON Pointer (RFC 6901) of the object.
        object: String,
        /// The name of the member.
        name: String,
        /// The names that the schema declares for members of the object.
        declared: Vec<String>,
    },
    /// A value breaks another rule.
    Rule {
        /// The JSON Pointer (RFC 6901) of the value.
        pointer: String,
        /// The rule, in words.
        detail: String,
    },
}

impl JsonSchema {
    /// Compiles a schema. Schemas come from outside, so patterns run in linear time and are limited, and so are the alternatives
    /// that a validation may have to try for one value.
    pub fn compile(source: &Value) -> Result<Self, InvalidSchema> {
        if accepts_everything(source) {
            return Ok(Self { source: source.clone(), checks: None });
        }
        let source = select_alternatives_by_tag(source);
        let patterns = count_patterns(&source);
        if patterns > MAX_PATTERNS {
            return Err(InvalidSchema(format!(
                "it has {patterns} patterns; at most {MAX_PATTERNS} are allowed"
            )));
        }
        let work = StepEstimator::of_schema(&source).map_err(InvalidSchema)?;
        if work.estimate(&Value::Null, MAX_STEPS_OF_SCHEMA).is_err() {
            let cause =
                "its references and alternatives (allOf, anyOf, oneOf, $ref) are too many for one value";
            return Err(InvalidSchema(cause.to_owned()));
        }
        let patterns = PatternOptions::regex()
            .size_limit(MAX_COMPILED_PATTERN_BYTES)
            .dfa_size_limit(MAX_COMPILED_PATTERN_BYTES);
        let validator = jsonschema::options().with_pattern_options(patterns).build(&source);
        let validator = validator.map_err(|error| match error.to_string() {
            text if text.ends_with("\"regex\"") => InvalidSchema(format!(
                "{text}, or its compiled form has more than {MAX_COMPILED_PATTERN_BYTES} bytes"
            )),
            text => InvalidSchema(text),
        })?;
        Ok(Self { source, checks: Some(Checks { validator, work }) })
    }

    /// Whether the schema accepts every document, so that a document need not be parsed to be checked.
    pub const fn accepts_everything(&self) -> bool {
        self.checks.is_none()
    }

    /// The rules that `document` breaks, at most 20 of them; none if it is valid. A document that would take too many
    /// steps is invalid, too: the time is in proportion to its size.
    pub fn violations(&self, document: &Value) -> Vec<Violation> {
        let Some(Checks { validator, work }) = &self.checks else { return Vec::new() };
        let whole =
            |detail: &str| vec![Violation::Rule { pointer: String::new(), detail: detail.to_owned() }];
        let max = BASE_STEPS + EXTRA_STEPS_PER_VALUE * size(document);
        let Ok(steps) = work.estimate(document, max) else {
            return whole("checking it against its schema would take too many steps");
        };
        if validator.is_valid(document) {
            return Vec::new();
        }
        if steps > MAX_STEPS_OF_LIST {
            return whole("the document does not match its schema, and is too large to list the violations");
        }
        let errors = validator.iter_errors(document);
        errors.flat_map(|error| self.violations_of(&error)).take(MAX_VIOLATIONS).collect()
    }

    fn violations_of(&self, error: &ValidationError<'_>) -> Vec<Violation> {
        let pointer = error.instance_path().to_string();
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                let declared = self.declared_members(&error.schema_path().to_string());
                let unknown = |name: &String| Violation::UnknownMember {
                    object: pointer.clone(),
                    name: name.clone(),
                    declared: declared.clone(),
                };
                unexpected.iter().map(unknown).collect()
            }
            _ => {
                let detail =
                    Some(error.to_string()).filter(|detail| detail.len() <= MAX_DETAIL_BYTES_WITH_VALUE);
                let detail = detail.unwrap_or_else(|| error.masked_with("this").to_string());
                vec![Violation::Rule { pointer, detail }]
            }
        }
    }

    /// The members that are declared beside the keyword at `keyword_pointer`: in a schema, `additionalProperties` and
    /// `properties` are members of the same object.
    fn declared_members(&self, keyword_pointer: &str) -> Vec<String> {
        let parent = keyword_pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
        let declared = self.source.pointer(&format!("{parent}/properties")).and_then(Value::as_object);
        declared.into_iter().flatten().map(|(name, _)| name.clone()).collect()
    }
}

/// Whether the schema has no keyword that checks anything.
fn accepts_everything(schema: &Value) -> bool {
    match schema {
        Value::Bool(accepts) => *accepts,
        Value::Object(keywords) => keywords.keys().all(|keyword| ANNOTATIONS.contains(&&**keyword)),
        _ => false,
    }
}

/// The number of patterns in the schema.
fn count_patterns(schema: &Value) -> usize {
    match schema {
        Value::Object(keywords) => {
            let own = |(keyword, value): (&String, &Value)| match keyword.as_str() {
                "pattern" => 1,
                "patternProperties" => {
                    value.as_object().map_or(0, serde_json::Map::len) + count_patterns(value)
                }
                _ => count_patterns(value),
            };
            keywords.iter().map(own).sum()
        }
        Value::Array(schemas) => schemas.iter().map(count_patterns).sum(),
        _ => 0,
    }
}

/// The pointer of the value, unless it is the whole document, and the rule that it breaks.
impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointer = match self {
            Self::UnknownMember { object: pointer, .. } | Self::Rule { pointer, .. } => pointer,
        };
        if !pointer.is_empty() {
            write!(f, "{pointer}: ")?;
        }
        match self {
            Self::UnknownMember { name, .. } => write!(f, "there is no member {name:?}"),
            Self::Rule { detail, .. } => f.write_str(detail),
        }
    }
}

/// The texts of `violations`, as one text.
pub fn join(violations: &[Violation]) -> String {
    violations.iter().map(Violation::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn texts(schema: &Value, document: &Value) -> Vec<String> {
        let schema = JsonSchema::compile(schema).unwrap();
        schema.violations(document).iter().map(Violation::to_string).collect()
    }

    #[test]
    fn each_violation_names_its_place_and_its_rule() {
        let login = json!({"type": "object", "properties": {"length": {"type": "integer", "maximum": 18}},
            "required": ["length"], "additionalProperties": false});
        assert_eq!(texts(&login, &json!({"length": 5})), [""; 0]);
        assert_eq!(
            texts(&login, &json!({"length": 19, "lenght": 5})),
            ["/length: 19 is greater than the maximum of 18", "there is no member \"lenght\""]
        );
        let schema = JsonSchema::compile(&login).unwrap();
        let unknown = schema.violations(&json!({"length": 1, "lenght": 5}));
        let declared = vec!["length".to_owned()];
        let (object, name) = (String::new(), "lenght".to_owned());
        assert_eq!(unknown, [Violation::UnknownMember { object, name, declared }]);
    }

    #[test]
    fn a_long_value_is_not_quoted_and_not_every_violation_is_listed() {
        let words = json!({"type": "array", "items": {"type": "integer"}});
        let document = json!(vec!["x".repeat(MAX_DETAIL_BYTES_WITH_VALUE); MAX_VIOLATIONS + 1]);
        let texts = texts(&words, &document);
        assert_eq!(texts.len(), MAX_VIOLATIONS);
        assert_eq!(texts[0], "/0: this is not of type \"integer\"");
    }

    #[test]
    fn a_schema_without_a_rule_accepts_everything() {
        for schema in [
            json!(true),
            json!({}),
            json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Any"}),
        ] {
            assert!(JsonSchema::compile(&schema).unwrap().accepts_everything(), "{schema}");
        }
        for schema in [json!(false), json!({"type": "object"})] {
            assert!(!JsonSchema::compile(&schema).unwrap().accepts_everything(), "{schema}");
        }
        assert_eq!(texts(&json!(false), &json!(1)).len(), 1);
    }

    /// A tagged union of expressions, as a program's types describe it.
    fn expressions() -> Value {
        let branch = |op: &str| {
            json!({"type": "object", "required": ["op", "args"], "properties": {
                "op": {"type": "string", "const": op}, "args": {"type": "array", "items": {"$ref": "#/$defs/Expr"}}}})
        };
        let value = json!({"type": "object", "required": ["op", "value"], "properties": {
            "op": {"const": "Value"}, "value": {"type": "integer"}}});
        json!({"$ref": "#/$defs/Expr", "$defs": {"Expr": {"oneOf": [branch("And"), branch("Or"), branch("Not"), value]}}})
    }

    fn nested_expression(depth: usize, value: &Value) -> Value {
        let innermost = json!({"op": "Value", "value": value});
        (0..depth).fold(innermost, |inner, _| json!({"op": "And", "args": [inner]}))
    }

    /// Each alternative of each level would be tried: 3 to the power of 40 steps.
    #[test]
    fn a_tagged_union_is_validated_in_time_that_is_in_proportion_to_the_document() {
        assert_eq!(texts(&expressions(), &nested_expression(40, &json!(1))), [""; 0]);
        let invalid = texts(&expressions(), &nested_expression(40, &json!("x")));
        assert!(invalid[0].ends_with("'oneOf' keyword"), "{invalid:?}");
        assert!(!texts(&expressions(), &json!({"op": "Xor", "args": []})).is_empty());
        assert!(!texts(&expressions(), &json!(5)).is_empty());
    }

    #[test]
    fn a_document_that_takes_too_many_steps_is_refused() {
        let lists = json!({"$ref": "#/$defs/L", "$defs": {"L": {"anyOf": [{"type": "string"},
            {"type": "array", "items": {"$ref": "#/$defs/L"}},
            {"type": "array", "maxItems": 5, "items": {"$ref": "#/$defs/L"}}]}}});
        let nested = |depth: usize| (0..depth).fold(json!("x"), |inner, _| json!([inner]));
        assert_eq!(texts(&lists, &nested(5)), [""; 0]);
        assert_eq!(texts(&lists, &nested(60)), ["checking it against its schema would take too many steps"]);
    }

    #[test]
    fn schemas_that_take_too_much_work_are_refused() {
        let refusal = |schema: &Value| JsonSchema::compile(schema).unwrap_err().to_string();
        let chain = |length: usize, link: &dyn Fn(Value) -> Value| {
            let mut definitions = serde_json::Map::new();
            for number in 0..length {
                let next = json!({"$ref": format!("#/$defs/d{}", number + 1)});
                definitions.insert(format!("d{number}"), link(next));
            }
            definitions.insert(format!("d{length}"), json!({"type": "integer"}));
            json!({"$ref": "#/$defs/d0", "$defs": definitions})
        };
        let too_many =
            "its references and alternatives (allOf, anyOf, oneOf, $ref) are too many for one value";
        assert_eq!(refusal(&chain(24, &|next| json!({"anyOf": [next, next]}))), too_many);
        assert_eq!(refusal(&chain(20_000, &|next| json!({"allOf": [next]}))), too_many);
        assert_eq!(refusal(&json!({"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"})), too_many);
        assert!(refusal(&json!({"pattern": r"\pL{1,200}yN"})).ends_with("more than 102400 bytes"));
        let patterns: Vec<Value> = (0..51).map(|number| json!({"pattern": format!("a{number}")})).collect();
        assert_eq!(refusal(&json!({"anyOf": patterns})), "it has 51 patterns; at most 50 are allowed");
        assert!(refusal(&json!({"$ref": "https://example.org/schema"})).contains("is not a JSON Pointer"));
        assert!(refusal(&json!({"$dynamicRef": "#a"})).contains("use $ref"));
    }

    #[test]
    fn a_large_document_may_be_valid() {
        let numbers = json!({"type": "array", "items": {"type": "integer", "minimum": 0}});
        assert_eq!(texts(&numbers, &json!(vec![1; 300_000])), [""; 0]);
        assert_eq!(
            texts(&numbers, &json!(vec![-1; 300_000])),
            ["the document does not match its schema, and is too large to list the violations"]
        );
        let listed = json!({"items": {"enum": vec![json!({"a": 1}); 10_000]}});
        assert_eq!(
            texts(&listed, &json!(vec![1; 1000])),
            ["checking it against its schema would take too many steps"]
        );
    }

    #[test]
    fn an_invalid_schema_is_refused_with_the_cause() {
        let refused = JsonSchema::compile(&json!({"type": "unicorn"})).unwrap_err().to_string();
        assert!(refused.contains("unicorn"), "{refused}");
    }
}
