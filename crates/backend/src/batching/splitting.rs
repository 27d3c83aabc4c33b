//! Splits what was received together into batches that one statement can take.

use std::collections::HashMap;

use domain::TaskId;

/// A batch is closed by the item that brings it to this many bytes.
const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;

/// Splits items so that no part contains two items about one task. Items about the same task keep their order.
pub(super) fn split_by_task<T>(items: Vec<T>, task_id: impl Fn(&T) -> TaskId) -> Vec<Vec<T>> {
    let mut parts: Vec<Vec<T>> = Vec::new();
    let mut occurrences: HashMap<TaskId, usize> = HashMap::new();
    for item in items {
        let part = occurrences.entry(task_id(&item)).or_default();
        if *part == parts.len() {
            parts.push(Vec::new());
        }
        parts[*part].push(item);
        *part += 1;
    }
    parts
}

/// Splits items so that each part ends with the item that brings it to [`MAX_BATCH_BYTES`].
pub(super) fn split_by_bytes<T>(items: Vec<T>, memory_bytes: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut batches = Vec::new();
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for item in items {
        bytes += memory_bytes(&item);
        batch.push(item);
        if bytes >= MAX_BATCH_BYTES {
            batches.push(std::mem::take(&mut batch));
            bytes = 0;
        }
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_task_occurs_once_in_each_part() {
        let split = |items| split_by_task(items, |&n| TaskId(Uuid::from_u128(n)));
        assert_eq!(split(vec![1, 2, 1, 3, 1, 2]), [vec![1, 2, 3], vec![1, 2], vec![1]]);
        assert!(split(Vec::new()).is_empty());
    }

    #[test]
    fn a_batch_ends_with_the_item_that_reaches_the_limit() {
        let mib = 1024 * 1024;
        let items = vec![1, mib, 7 * mib, 9 * mib, 5, 6];
        assert_eq!(split_by_bytes(items, |&n| n), [vec![1, mib, 7 * mib], vec![9 * mib], vec![5, 6]]);
        assert!(split_by_bytes(Vec::<usize>::new(), |&n| n).is_empty());
    }
}
