//! Ends overdue tasks.

use database::DatabaseError;
use store::Store;

use crate::lifecycle::announce_ended::announce_ended;
use crate::notify::notifier::Notifier;

/// Cancels every task whose deadline, or time to start, has passed.
pub(crate) async fn expire(store: &Store, notifier: &Notifier) -> Result<(), DatabaseError> {
    loop {
        let ended = store.expire().await?;
        announce_ended(notifier, &ended);
        if ended.len() < store::EXPIRE_BATCH_SIZE {
            return Ok(());
        }
    }
}
