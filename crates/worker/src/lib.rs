//! The SDK and the runtime of workers: write an operation, register it, and run it for whoever submits a task.
//!
//! ```no_run
//! use std::num::NonZeroU32;
//! use std::time::Duration;
//!
//! use client::{Client, ClientError};
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//! use tokio_util::sync::CancellationToken;
//! use worker::{Context, Failure, Operation, Operations, Settings, Worker};
//!
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
//!         Ok(format!("Hello, {}!", params.name))
//!     }
//! }
//!
//! async fn serve(client: Client, stop: CancellationToken) -> Result<(), worker::WorkerError> {
//!     let settings = Settings::named("rig-7".parse().expect("a name"));
//!     Worker::new(client, Operations::new().with(Greet), settings).run(stop).await
//! }
//! ```

mod ask;
mod attend;
mod backoff;
mod catalogue;
mod causes;
mod context;
mod deadline;
mod heartbeat;
mod link;
mod operation;
pub mod operations;
mod register;
mod report;
mod run;
mod running;
mod schema;

pub use catalogue::Operations;
pub use context::Context;
pub use operation::{Failure, Operation};
pub use register::WorkerError;
pub use run::{Settings, Worker};
