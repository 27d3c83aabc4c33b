//! The SDK and the runtime of workers: write an operation, register it, and run it for whoever submits a task.
//!
//! ```no_run
//! use client::{Client, Credentials};
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//! use tokio_util::sync::CancellationToken;
//! use worker::{Context, Failure, Operation, Operations, Settings, Worker};
//!
//! /// The catalogue shows this as a JSON Schema, and parameters that break it are refused at submission.
//! #[derive(Deserialize, JsonSchema)]
//! struct Greeting {
//!     /// Who is greeted.
//!     name: String,
//! }
//!
//! struct Greet;
//!
//! impl Operation for Greet {
//!     const TYPE: &'static str = "GREET";
//!     type Params = Greeting;
//!     type Output = String;
//!
//!     async fn run(&self, params: Greeting, _context: Context) -> Result<String, Failure> {
//!         if params.name.is_empty() {
//!             return Err(Failure::new("nobody is there"));
//!         }
//!         Ok(format!("Hello, {}!", params.name))
//!     }
//! }
//!
//! /// Takes tasks until `stop` is cancelled.
//! async fn serve(secret: String, stop: CancellationToken) -> Result<(), Box<dyn std::error::Error>> {
//!     let client = Client::new(client::Settings {
//!         backend: "http://127.0.0.1:8080".to_owned(),
//!         // An entry of Identity's `identity.clients` with the role Worker.
//!         credentials: Credentials::Client {
//!             identity: "http://127.0.0.1:8081".to_owned(),
//!             id: "greeter".to_owned(),
//!             secret: secret.into(),
//!         },
//!         // With https the platform's authorities are trusted; or this one alone, as PEM.
//!         ca: None,
//!     })?;
//!     let settings = Settings::named("greeter-7".parse()?);
//!     Worker::new(client, Operations::new().with(Greet), settings).run(stop).await?;
//!     Ok(())
//! }
//! ```

pub mod builtin;
mod claiming;
mod deadline;
mod execution;
mod heartbeat;
mod metrics;
mod outage_log;
mod registration;
mod reporting;
mod sdk;
mod worker;

pub use crate::metrics::METRICS;
pub use crate::registration::WorkerError;
pub use crate::sdk::context::Context;
pub use crate::sdk::operation::{Failure, Operation};
pub use crate::sdk::registry::Operations;
pub use crate::worker::{Settings, Worker};
