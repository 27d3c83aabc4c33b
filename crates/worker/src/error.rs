//! Why a worker cannot run.

use broker::BrokerError;
use client::ClientError;
use domain::TypeName;

/// An error that ends [`Worker::run`](crate::worker::Worker::run). Outages are none: those are waited out.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The Backend refuses to register an operation: the same version is registered with another definition, or the
    /// definition is invalid.
    #[error("the Backend refuses to register operation {name}, version {version}")]
    OperationRefused {
        /// The operation's type.
        name: TypeName,
        /// The operation's version.
        version: u32,
        /// The Backend's answer.
        #[source]
        source: ClientError,
    },
    /// This process was started as a supervisor by a worker of the same program, whose `main` does not call
    /// [`run_process`](crate::run_process) first.
    #[error(
        "this process was started as a supervisor, but the program does not call `worker::run_process` first in `main`"
    )]
    RoleIgnored,
    /// The consumers of the operations' queues cannot be created: librdkafka refuses a setting.
    #[error("cannot subscribe to the queues of the operations")]
    MessageReceiver(#[from] BrokerError),
    /// The heartbeat's own HTTP client cannot be created.
    #[error("cannot create the HTTP client of the heartbeat")]
    HeartbeatClient(#[source] ClientError),
    /// The threads that run operations cannot be started.
    #[error("cannot start the threads of operations")]
    OperationThreads(#[source] std::io::Error),
    /// The heartbeat's own thread cannot be started.
    #[error("cannot start the thread of the heartbeat")]
    HeartbeatThread(#[source] std::io::Error),
}
