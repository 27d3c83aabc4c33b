//! The worker's protocol at the Backend: claim, report, register, heartbeat.

use std::time::Duration;

use domain::{
    ClaimRequest, ClaimResponse, Heartbeat, HeartbeatResponse, Operation, ProgressReports, Reports,
    SettleResult,
};
use reqwest::Method;

use crate::client::Client;
use crate::error::ClientError;
use crate::transport::REQUEST_TIMEOUT;

impl Client {
    /// Claims tasks. A repeated request with the same claim id returns the grants under it that still run.
    pub async fn claim(&self, request: &ClaimRequest) -> Result<ClaimResponse, ClientError> {
        let timeout = REQUEST_TIMEOUT.saturating_add(Duration::from_millis(request.wait_ms));
        self.send(self.request(Method::POST, &["api", "Task", "request"]).json(request).timeout(timeout))
            .await?
            .read()
    }

    /// Reports the outcomes of grants; returns how each report was settled, in the same order.
    pub async fn report(&self, reports: &Reports) -> Result<Vec<SettleResult>, ClientError> {
        self.send(self.request(Method::POST, &["api", "Task", "results"]).json(reports)).await?.read()
    }

    /// Reports how far tasks are.
    pub async fn report_progress(&self, reports: &ProgressReports) -> Result<(), ClientError> {
        self.send(self.request(Method::POST, &["api", "Task", "progress"]).json(reports)).await.map(drop)
    }

    /// Registers an operation in the catalogue. Fails with a conflict if the same version is registered with another
    /// definition.
    pub async fn register_operation(&self, operation: &Operation) -> Result<(), ClientError> {
        let path = ["api", "Operation", operation.name.as_str()];
        self.send(self.request(Method::PUT, &path).json(operation)).await.map(drop)
    }

    /// Sends a heartbeat; the response names the tasks that must stop. Fails after `timeout`, so that a
    /// slow response does not delay the next heartbeat. The first response decides to which installation all Backends must belong.
    pub async fn heartbeat(
        &self,
        heartbeat: &Heartbeat,
        timeout: Duration,
    ) -> Result<HeartbeatResponse, ClientError> {
        let path = ["api", "Worker", "heartbeat"];
        let request = self.request(Method::POST, &path).json(heartbeat).timeout(timeout);
        let response: HeartbeatResponse = self.send(request).await?.read()?;
        self.set_installation(response.installation);
        Ok(response)
    }
}
