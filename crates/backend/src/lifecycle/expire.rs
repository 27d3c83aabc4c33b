//! Ends overdue tasks.

use database::DatabaseError;
use store::Store;

use crate::lifecycle::announce_ended::announce_attempts;
use crate::notify::notifier::Notifier;

/// Ends every attempt whose deadline has passed, and cancels every task whose time to start has passed.
pub(crate) async fn expire(store: &Store, notifier: &Notifier) -> Result<(), DatabaseError> {
    loop {
        let attempts = store.expire().await?;
        announce_attempts(notifier, &attempts, store.now());
        if attempts.len() < store::EXPIRE_BATCH_SIZE {
            return Ok(());
        }
    }
}
