//! The JSON Schemas of a declaration, written in it or in files of their own.

use std::path::{Path, PathBuf};

use domain::limits::MAX_SCHEMA_BYTES;
use json_schema::JsonSchema;
use serde_json::{Value, json};

use crate::declared::declaration::OperationDeclaration;
use crate::declared::declaration_error::BrokenRules;
use crate::declared::declaration_source::{DeclarationSource, path_in};

/// A schema of a declaration, as it is registered and as documents are checked against it.
#[derive(Debug)]
pub(crate) struct DeclaredSchema {
    pub(crate) source: Value,
    pub(crate) compiled: JsonSchema,
}

/// The schemas of the parameters and of the result; by default any object, and anything. A schema that breaks a rule is replaced by the
/// default.
pub(crate) fn compile(
    declaration: &OperationDeclaration,
    directory: &Path,
    source: &DeclarationSource<'_>,
    broken: &mut BrokenRules,
) -> (DeclaredSchema, DeclaredSchema) {
    let mut compile = |key: &str, inline: &Option<Value>, file: &Option<PathBuf>, default: Value| {
        let source = match (inline, file) {
            (Some(_), Some(_)) => {
                broken.add(format!("`{key}` and `{key}_file` are both set: keep one of them"));
                return DeclaredSchema::supported(default);
            }
            (None, None) => return DeclaredSchema::supported(default),
            (Some(schema), None) => schema.clone(),
            (None, Some(file)) => match read(&path_in(directory, file), source) {
                Ok(schema) => schema,
                Err(cause) => {
                    broken.add(format!("`{key}_file` {cause}"));
                    return DeclaredSchema::supported(default);
                }
            },
        };
        match JsonSchema::compile(&source) {
            Ok(compiled) => DeclaredSchema { source, compiled },
            Err(cause) => {
                let key = if inline.is_some() { key.to_owned() } else { format!("{key}_file") };
                broken.add(format!("`{key}` must be a JSON Schema that is supported: {cause}"));
                DeclaredSchema::supported(default)
            }
        }
    };
    let any_object = json!({"type": "object"});
    let parameters = compile("parameters", &declaration.parameters, &declaration.parameters_file, any_object);
    let result = compile("result", &declaration.result, &declaration.result_file, json!({}));
    let bytes = parameters.source.to_string().len() + result.source.to_string().len();
    broken.check(bytes <= MAX_SCHEMA_BYTES, || {
        format!(
            "`parameters` and `result` must have at most {MAX_SCHEMA_BYTES} bytes together, and have {bytes}"
        )
    });
    (parameters, result)
}

impl DeclaredSchema {
    fn supported(source: Value) -> Self {
        Self { compiled: JsonSchema::compile(&source).expect("the defaults are supported"), source }
    }
}

/// The schema in the file at `path`, or why there is none.
fn read(path: &Path, source: &DeclarationSource<'_>) -> Result<Value, String> {
    let text = (source.read)(path).map_err(|error| format!("cannot be read: {}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("must be JSON: {}: {error}", path.display()))
}
