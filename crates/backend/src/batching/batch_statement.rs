//! What a batcher runs: a statement that takes many items and answers each.

use database::DatabaseError;
use domain::TaskId;

/// The memory of a queued item beside its texts, in bytes, approximately.
pub(crate) const ITEM_OVERHEAD_BYTES: usize = 512;

/// A repeatable statement over a batch of items, with one output per item, in the order of the items.
pub(crate) trait BatchStatement: Send + Sync + 'static {
    /// The value of the label `verb` in the metrics.
    const METRIC_LABEL: &'static str;

    /// What the statement takes for one item.
    type Input: Send + Sync + 'static;

    /// What becomes of one item.
    type Output: Send + 'static;

    /// The task that an item is about. No batch contains two items about one task.
    fn task_id(input: &Self::Input) -> TaskId;

    /// The memory that an item takes, in bytes, approximately.
    fn memory_bytes(input: &Self::Input) -> usize;

    /// Runs the statement. The same batch may be run again when the outcome of a commit is unknown.
    fn run(
        &self,
        batch: &[Self::Input],
    ) -> impl Future<Output = Result<Vec<Self::Output>, DatabaseError>> + Send;
}
