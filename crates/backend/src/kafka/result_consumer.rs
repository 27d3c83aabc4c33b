//! Results that come over Kafka: settled in batches, and only then done with.

use std::error::Error;
use std::time::Duration;

use broker::{Delivery, ResultMessage, Subscription};
use database::DatabaseError;
use futures_util::future::join_all;
use telemetry::error_chain;
use tokio_util::sync::CancellationToken;

use crate::api::middleware::trace_context::SettleSpan;
use crate::api::results;
use crate::app::App;
use crate::background::pruner::OutageLog;
use crate::error::ApiError;

/// The most results that are settled together.
const MOST: usize = 500;

/// What cannot be settled now is tried again after this; each try doubles it.
const SHORTEST: Duration = Duration::from_millis(100);

/// The longest pause between two tries.
const LONGEST: Duration = Duration::from_secs(5);

/// Settles what comes until `stop`. What is not settled by then is seen again, by another Backend or after the restart.
pub(crate) async fn settle(app: App, mut feed: Subscription<ResultMessage>, stop: CancellationToken) {
    let mut trouble = OutageLog::with("settling results");
    while let Some(Some(first)) = stop.run_until_cancelled(feed.next()).await {
        let mut batch = vec![first];
        batch.extend(feed.drain_ready(MOST - 1));
        let mut pause = SHORTEST;
        loop {
            batch = settle_once(&app, &feed, batch, &mut trouble).await;
            if batch.is_empty() {
                break;
            }
            tracing::debug!(results = batch.len(), "results wait for the database");
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
            pause = (pause * 2).min(LONGEST);
        }
    }
}

/// Settles what can be settled now; the rest comes back, whatever the database has against it: a right that was taken away
/// is given again. Only what no try will ever write is put aside with its cause.
async fn settle_once(
    app: &App,
    feed: &Subscription<ResultMessage>,
    batch: Vec<Delivery<ResultMessage>>,
    trouble: &mut OutageLog,
) -> Vec<Delivery<ResultMessage>> {
    let limit = app.settings.max_result;
    let report = |posted: &ResultMessage| results::bounded(posted.report.clone(), limit);
    let begin = |incoming: &Delivery<ResultMessage>| {
        SettleSpan::begin(&incoming.message.report, &incoming.message.worker, incoming.trace)
    };
    let steps: Vec<SettleSpan> = batch.iter().map(begin).collect();
    let settled = join_all(batch.iter().map(|incoming| app.settle.put(report(&incoming.message)))).await;
    let mut again = Vec::new();
    for ((incoming, step), settled) in batch.into_iter().zip(steps).zip(settled) {
        let report = &incoming.message.report;
        match settled {
            Ok(settled) => {
                step.end(settled);
                feed.ack(incoming.mark);
            }
            Err(ApiError::Internal(cause)) if is_about_a_row(cause.as_ref()) => {
                tracing::error!(task.id = %report.id, error = %error_chain(cause.as_ref()), "a result cannot be settled");
                feed.reject(incoming.mark, error_chain(cause.as_ref()));
            }
            Err(error) => {
                if let ApiError::Internal(cause) = error {
                    trouble.failed(cause.as_ref());
                }
                again.push(incoming);
            }
        }
    }
    if again.is_empty() {
        trouble.passed();
    }
    again
}

fn is_about_a_row(cause: &(dyn Error + 'static)) -> bool {
    cause.downcast_ref().is_some_and(DatabaseError::is_about_a_row)
}
