//! Settles the reports that workers send over Kafka, in batches, and acknowledges each once it is settled.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use broker::{Delivery, MessageReceiver, ResultMessage};
use database::DatabaseError;
use futures_util::future::join_all;
use store::AttributedReport;
use telemetry::{OutageLog, error_chain};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::app::AppState;
use crate::error::ApiError;
use crate::lifecycle::settle_span::SettleSpan;

/// The most results that are settled together.
const MAX_BATCH: usize = 500;

/// The longest pause before results that could not be settled are tried again.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// The pauses before results that could not be settled are tried again.
const RETRY_PAUSES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(100))
    .with_max_delay(MAX_PAUSE)
    .without_max_times();

/// Settles results until `stop`. What is not settled by then is delivered again, to another Backend or after the restart.
pub(crate) async fn run(
    app: Arc<AppState>,
    mut results: MessageReceiver<ResultMessage>,
    stop: CancellationToken,
) {
    let mut outage = OutageLog::new("settling results from Kafka");
    while let Some(Some(first)) = stop.run_until_cancelled(results.next()).await {
        let mut batch = vec![first];
        batch.extend(results.drain_ready(MAX_BATCH - 1));
        let mut pauses = RETRY_PAUSES.build();
        loop {
            batch = settle_batch(&app, &results, batch, &mut outage).await;
            if batch.is_empty() {
                break;
            }
            tracing::debug!(results = batch.len(), "results wait for the database");
            let pause = pauses.next().unwrap_or(MAX_PAUSE);
            if stop.run_until_cancelled(sleep(pause)).await.is_none() {
                return;
            }
        }
    }
}

/// Settles what can be settled now and returns the rest, whatever the database's reason: a permission that was revoked may
/// be granted again. Only a result that the database will never take is rejected, with its cause.
async fn settle_batch(
    app: &AppState,
    results: &MessageReceiver<ResultMessage>,
    batch: Vec<Delivery<ResultMessage>>,
    outage: &mut OutageLog,
) -> Vec<Delivery<ResultMessage>> {
    let begin = |delivery: &Delivery<ResultMessage>| {
        SettleSpan::begin(&delivery.message.report, &delivery.message.worker, delivery.trace)
    };
    let spans: Vec<SettleSpan> = batch.iter().map(begin).collect();
    // A message has no token: that it has the random claim id of the grant shows that the worker wrote it.
    let attributed =
        batch.iter().map(|Delivery { message: ResultMessage { worker, report, .. }, .. }| AttributedReport {
            worker: worker.clone(),
            subject: None,
            report: report.clone(),
        });
    let settled = join_all(attributed.map(|report| app.settler.settle(report))).await;
    let mut unsettled = Vec::new();
    for ((delivery, span), settled) in batch.into_iter().zip(spans).zip(settled) {
        let report = &delivery.message.report;
        match settled {
            Ok(settled) => {
                span.end(&settled);
                results.ack(delivery.position);
            }
            Err(ApiError::Internal(cause)) if is_permanent_row_error(cause.as_ref()) => {
                tracing::error!(task.id = %report.id, error = %error_chain(cause.as_ref()), "a result cannot be settled");
                results.reject(delivery.position, error_chain(cause.as_ref()));
            }
            Err(error) => {
                if let ApiError::Internal(cause) = error {
                    outage.record_failure(cause.as_ref());
                }
                unsettled.push(delivery);
            }
        }
    }
    if unsettled.is_empty() {
        outage.record_success();
    }
    unsettled
}

fn is_permanent_row_error(cause: &(dyn Error + 'static)) -> bool {
    cause.downcast_ref().is_some_and(DatabaseError::is_permanent_row_error)
}
