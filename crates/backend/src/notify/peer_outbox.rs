//! What this Backend has committed and not yet told the others.

use std::sync::Mutex;

use domain::{TaskId, TypeName};
use store::PeerUpdate;
use tokio::sync::Notify;

/// The most ends that are told one by one; beyond it the others are told to look for themselves.
const MOST: usize = 10_000;

/// News that gather while others are being told. Nothing gathers where nobody listens.
#[derive(Debug, Default)]
pub(crate) struct PeerOutbox {
    news: Mutex<Pending>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Pending {
    news: PeerUpdate,
    somebody_listens: bool,
}

impl PeerOutbox {
    pub(crate) fn ended(&self, tasks: &[TaskId]) {
        if tasks.is_empty() {
            return;
        }
        self.gather(|news| {
            if news.any_ended || news.ended.len() + tasks.len() > MOST {
                news.ended.clear();
                news.any_ended = true;
            } else {
                news.ended.extend_from_slice(tasks);
            }
        });
    }

    pub(crate) fn ready<'a>(&self, types: impl Iterator<Item = &'a TypeName>) {
        self.gather(|news| {
            for name in types {
                if !news.ready.contains(name) {
                    news.ready.insert(name.clone());
                }
            }
        });
    }

    pub(crate) fn notify_any_ready(&self) {
        self.gather(|news| news.any_ready = true);
    }

    /// Whether it is worth while to gather.
    pub(crate) fn somebody_listens(&self, listens: bool) {
        let mut gathered = self.news.lock().expect("no panic while it is held");
        gathered.somebody_listens = listens;
        if !listens {
            gathered.news = PeerUpdate::default();
        }
    }

    /// Returns when there is something to tell.
    pub(crate) async fn something(&self) {
        self.bell.notified().await;
    }

    /// What has gathered since the last time.
    pub(crate) fn take(&self) -> PeerUpdate {
        std::mem::take(&mut self.news.lock().expect("no panic while it is held").news)
    }

    fn gather(&self, add: impl FnOnce(&mut PeerUpdate)) {
        let mut gathered = self.news.lock().expect("no panic while it is held");
        if gathered.somebody_listens {
            add(&mut gathered.news);
            drop(gathered);
            self.bell.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn tasks(count: usize) -> Vec<TaskId> {
        (0..count).map(|n| TaskId(Uuid::from_u128(n as u128))).collect()
    }

    #[test]
    fn nothing_gathers_where_nobody_listens() {
        let untold = PeerOutbox::default();
        untold.ended(&tasks(1));
        assert_eq!(untold.take(), PeerUpdate::default());
        untold.somebody_listens(true);
        untold.ended(&tasks(1));
        untold.notify_any_ready();
        assert_eq!(untold.take(), PeerUpdate { ended: tasks(1), any_ready: true, ..PeerUpdate::default() });
        untold.notify_any_ready();
        untold.somebody_listens(false);
        assert_eq!(untold.take(), PeerUpdate::default());
    }

    #[test]
    fn what_does_not_fit_is_one_short_message() {
        let untold = PeerOutbox::default();
        untold.somebody_listens(true);
        untold.ended(&tasks(MOST));
        assert_eq!(untold.take().ended.len(), MOST);
        for _ in 0..3 {
            untold.ended(&tasks(MOST - 1));
        }
        let any = PeerUpdate { any_ended: true, ..PeerUpdate::default() };
        assert_eq!(untold.take(), any);
        untold.ended(&tasks(1));
        assert_eq!(untold.take().ended, tasks(1), "the next ones are told again");
    }
}
