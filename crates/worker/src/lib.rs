//! The SDK and the runtime of workers: implement an operation, register it, and run it for whoever submits a task.
//!
//! ```no_run
//! use client::{Client, Credentials};
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//! use tokio_util::sync::CancellationToken;
//! use worker::{Context, Failure, Operation, Operations, Settings, Worker};
//!
//! /// The parameters. Their JSON Schema is part of the registered operation, and the Backend checks submissions against it.
//! #[derive(Deserialize, JsonSchema)]
//! struct Greeting {
//!     /// The name of the person to greet.
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
//!             return Err(Failure::new("the name is empty"));
//!         }
//!         Ok(format!("Hello, {}!", params.name))
//!     }
//! }
//!
//! /// Runs tasks until `stop` is cancelled.
//! async fn serve(secret: String, stop: CancellationToken) -> Result<(), Box<dyn std::error::Error>> {
//!     let client = Client::new(client::Settings {
//!         backends: vec!["http://127.0.0.1:8080".to_owned()],
//!         // A client that Identity's setting `identity.clients` lists with the role Worker.
//!         credentials: Credentials::Client {
//!             identity: "http://127.0.0.1:8081".to_owned(),
//!             id: "greeter".to_owned(),
//!             secret: secret.into(),
//!         },
//!         // For https: the only authority to trust, as PEM. `None`: those that the platform trusts.
//!         ca: None,
//!     })?;
//!     let settings = Settings::named("greeter-7".parse()?);
//!     Worker::new(client, Operations::new().with(Greet), settings).run(stop).await?;
//!     Ok(())
//! }
//! ```

mod backend_outage_log;
pub mod builtin;
mod claiming;
mod deadline;
mod declared;
mod error;
mod execution;
mod heartbeat;
mod http_operation;
mod metrics;
mod operation_registration;
mod operation_updates;
mod output_format;
mod program;
mod registry;
mod reporting;
mod sdk;
mod settings;
mod worker;

pub use crate::declared::declaration::OperationDeclaration;
pub use crate::declared::declaration_error::DeclarationError;
pub use crate::declared::declaration_list::CheckedDeclaration;
pub use crate::declared::declaration_source::DeclarationSource;
pub use crate::declared::declared_operation::DeclaredOperation;
pub use crate::declared::directory::{DeclarationFileError, DeclarationPlace, PlacedDeclaration};
pub use crate::declared::exec_settings::is_relative_path;
pub use crate::declared::summary::DeclarationSummary;
pub use crate::error::WorkerError;
pub use crate::execution::trial::{Trial, TrialEnd};
pub use crate::metrics::METRICS;
pub use crate::program::supervision::Supervision;
pub use crate::registry::operation_process::run_process;
pub use crate::registry::operations::{Operations, TypeTaken};
pub use crate::sdk::context::Context;
pub use crate::sdk::operation::{Failure, Operation, OperationIsolation, ProcessBounds};
pub use crate::settings::Settings;
pub use crate::worker::Worker;
pub use supervisor::{Limits, MeansPreference, StopMeans, SupervisorProgram, run_role};
