//! Threads that keep every core busy, to measure on a machine without idle time.

use std::hint::spin_loop;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// One thread for each core, which computes until this is dropped.
#[derive(Debug, Default)]
pub struct BusyCores {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl BusyCores {
    /// Keeps all cores busy from now on.
    pub fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let compute = || {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    spin_loop();
                }
            })
        };
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let threads = (0..cores).map(|_| compute()).collect();
        Self { stop, threads }
    }

    /// How many cores are kept busy.
    pub fn count(&self) -> usize {
        self.threads.len()
    }
}

impl Drop for BusyCores {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A thread that only computes does not panic.
            thread.join().ok();
        }
    }
}
