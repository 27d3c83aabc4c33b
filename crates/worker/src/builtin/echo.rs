//! `ECHO`: returns its parameters, byte for byte.

use domain::RawJson;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::sdk::context::Context;
use crate::sdk::operation::{Failure, Operation};

/// The operation `ECHO`: returns its parameters.
pub struct Echo;

/// Any JSON document. It is returned byte for byte.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Document(#[schemars(with = "Value")] RawJson);

impl Operation for Echo {
    const TYPE: &'static str = "ECHO";
    const DESCRIPTION: &'static str = "Returns its parameters, byte for byte";
    type Params = Document;
    type Output = Document;

    async fn run(&self, document: Document, _context: Context) -> Result<Document, Failure> {
        Ok(document)
    }
}
