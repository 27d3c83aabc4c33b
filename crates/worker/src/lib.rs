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

mod ask;
mod attend;
mod catalogue;
mod context;
mod crew;
mod deadline;
mod figures;
mod heartbeat;
mod kept;
mod link;
mod mail;
mod operation;
pub mod operations;
mod post;
mod pull;
mod register;
mod report;
mod run;
mod running;
mod schema;
mod tickets;
mod tide;

pub use catalogue::Operations;
pub use context::Context;
pub use figures::FIGURES;
pub use operation::{Failure, Operation};
pub use register::WorkerError;
pub use run::{Settings, Worker};
