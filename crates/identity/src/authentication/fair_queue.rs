//! Fair queuing: every key has a queue of its own, so that a client with many requests waits behind itself.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A first-in, first-out queue of a bounded length before a number of turns.
pub(crate) struct Queue {
    turns: Arc<Semaphore>,
    waiting: Semaphore,
}

/// A queue for each key. Those of keys without requests are dropped.
pub(crate) struct FairQueue {
    turns: usize,
    length: usize,
    queues: Mutex<HashMap<String, Arc<Queue>>>,
}

/// A turn; it ends when it is dropped.
pub(crate) struct Turn {
    _turn: OwnedSemaphorePermit,
    /// While it is here, the queue is not dropped, and another one with turns of its own is not made.
    _queue: Option<Arc<Queue>>,
}

/// As many requests wait as the queue is long.
#[derive(Debug)]
pub(crate) struct QueueFull;

impl Queue {
    /// A queue in which at most `length` requests wait for one of this many turns.
    pub(crate) fn new(turns: usize, length: usize) -> Self {
        Self { turns: Arc::new(Semaphore::new(turns)), waiting: Semaphore::new(length) }
    }

    /// Waits for a turn.
    pub(crate) async fn turn(&self) -> Result<Turn, QueueFull> {
        let turns = Arc::clone(&self.turns);
        let turn = if let Ok(turn) = Arc::clone(&turns).try_acquire_owned() {
            turn
        } else {
            let _waiting = self.waiting.try_acquire().map_err(|_| QueueFull)?;
            turns.acquire_owned().await.expect("the semaphore is never closed")
        };
        Ok(Turn { _turn: turn, _queue: None })
    }
}

impl FairQueue {
    /// Queues in each of which at most `length` requests wait for one of this many turns.
    pub(crate) fn new(turns: usize, length: usize) -> Self {
        Self { turns, length, queues: Mutex::default() }
    }

    /// Waits for a turn of this key.
    pub(crate) async fn turn(&self, key: &str) -> Result<Turn, QueueFull> {
        let queue = self.queue(key);
        let turn = queue.turn().await?;
        Ok(Turn { _queue: Some(queue), ..turn })
    }

    fn queue(&self, key: &str) -> Arc<Queue> {
        let mut queues = self.queues.lock();
        queues.retain(|_, queue| Arc::strong_count(queue) > 1);
        let new = || Arc::new(Queue::new(self.turns, self.length));
        Arc::clone(queues.entry(key.to_owned()).or_insert_with(new))
    }
}
