//! Compiled JSON Schemas (draft 2020-12): the Backend and the workers check parameters and results against them.
//!
//! The validator is a large generic library; this crate is compiled once, with little optimisation, instead of once in each
//! crate that validates.

use std::fmt;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;

/// The most violations that are listed for one document.
const MAX_VIOLATIONS: usize = 20;

/// The description of a violation that is longer than this, in bytes, does not quote the value.
const MAX_DETAIL_BYTES: usize = 300;

/// The keywords that describe a schema and check nothing.
const ANNOTATIONS: [&str; 7] = ["$schema", "$id", "$comment", "title", "description", "default", "examples"];

/// A compiled JSON Schema.
#[derive(Debug)]
pub struct JsonSchema {
    source: Value,
    /// `None`: the schema accepts every document.
    validator: Option<Validator>,
}

/// The schema is not a valid JSON Schema.
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
    /// Compiles a schema. Its patterns run in linear time, since schemas come from outside.
    pub fn compile(source: &Value) -> Result<Self, InvalidSchema> {
        let validator = jsonschema::options()
            .with_pattern_options(PatternOptions::regex())
            .build(source)
            .map_err(|error| InvalidSchema(error.to_string()))?;
        let validator = Some(validator).filter(|_| !accepts_everything(source));
        Ok(Self { source: source.clone(), validator })
    }

    /// Whether the schema accepts every document, so that a document need not be parsed to be checked.
    pub const fn accepts_everything(&self) -> bool {
        self.validator.is_none()
    }

    /// The rules that `document` breaks, at most 20 of them; none if it is valid.
    pub fn violations(&self, document: &Value) -> Vec<Violation> {
        let errors = self.validator.iter().flat_map(|validator| validator.iter_errors(document));
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
                let detail = Some(error.to_string()).filter(|detail| detail.len() <= MAX_DETAIL_BYTES);
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
        let document = json!(vec!["x".repeat(MAX_DETAIL_BYTES); MAX_VIOLATIONS + 1]);
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

    #[test]
    fn an_invalid_schema_is_refused_with_the_cause() {
        let refused = JsonSchema::compile(&json!({"type": "unicorn"})).unwrap_err().to_string();
        assert!(refused.contains("unicorn"), "{refused}");
    }
}
