//! What a worker asks for: work, an ear for its reports, a place for its operations, a sign that it lives.

use std::time::Duration;

use domain::{ClaimRequest, ClaimResponse, Heartbeat, HeartbeatResponse, Operation, Reports, SettleResult};
use reqwest::Method;

use crate::client::Client;
use crate::error::ClientError;
use crate::transport::LIMIT;

impl Client {
    /// Asks for work. Asked again with the same claim, the answer is what still runs under it.
    pub async fn claim(&self, ask: &ClaimRequest) -> Result<ClaimResponse, ClientError> {
        let limit = LIMIT.saturating_add(Duration::from_millis(ask.wait_ms));
        self.send(self.request(Method::POST, &["api", "Task", "request"]).json(ask).timeout(limit))
            .await?
            .read()
    }

    /// Says what became of grants, and answers what became of each report, in their order.
    pub async fn report(&self, reports: &Reports) -> Result<Vec<SettleResult>, ClientError> {
        self.send(self.request(Method::POST, &["api", "Task", "results"]).json(reports)).await?.read()
    }

    /// Enters an operation into the catalogue. A conflict means that this version is registered with another definition.
    pub async fn register(&self, operation: &Operation) -> Result<(), ClientError> {
        let path = ["api", "Operation", operation.name.as_str()];
        self.send(self.request(Method::PUT, &path).json(operation)).await.map(drop)
    }

    /// A sign of life; the answer says what must stop. Given up after `limit`: the next one is worth more than a late one.
    pub async fn heartbeat(
        &self,
        heartbeat: &Heartbeat,
        limit: Duration,
    ) -> Result<HeartbeatResponse, ClientError> {
        let path = ["api", "Worker", "heartbeat"];
        self.send(self.request(Method::POST, &path).json(heartbeat).timeout(limit)).await?.read()
    }
}
