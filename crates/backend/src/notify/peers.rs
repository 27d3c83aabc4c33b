//! The other Backends on the same database: what is committed here is told to them, what they tell rings here.
//!
//! A slow check covers whatever is lost on the way. On SQLite there is nobody else.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use database::DatabaseError;
use rand::RngExt;
use store::{PeerChannel, PeerId, PeerUpdate};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::background::pruner::OutageLog;
use crate::notify::notifier::Notifier;

/// How often each Backend says hello, to the others and to itself.
const PEER_HEARTBEAT_INTERVAL: Duration = Duration::from_secs(2);

/// One that has not been heard for so long is gone.
const PEER_TIMEOUT: Duration = Duration::from_secs(7);

/// The pauses between connections double from the shortest to the longest; one that lasts ends that.
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(5);

/// Tells and listens until `stop`.
pub(crate) async fn run(app: App, stop: CancellationToken) {
    let mut trouble = OutageLog::with("listening to the other Backends");
    let mut pause = SHORTEST;
    loop {
        let began = Instant::now();
        let talk = Box::pin(talk(&app, &mut trouble));
        let Some(Err(error)) = stop.run_until_cancelled(talk).await else { return };
        trouble.heard(&Err(error));
        if began.elapsed() > LONGEST {
            pause = SHORTEST;
        }
        let jittered = rand::rng().random_range(pause / 2..=pause);
        if stop.run_until_cancelled(sleep(jittered)).await.is_none() {
            return;
        }
        pause = (pause * 2).min(LONGEST);
    }
}

async fn talk(app: &App, trouble: &mut OutageLog) -> Result<Infallible, DatabaseError> {
    let Some(ear) = app.store.peer_channel().await? else { return std::future::pending().await };
    trouble.heard(&Ok(()));
    PeerSession { ear, bells: &app.bells, others: HashMap::new() }.go_on().await
}

/// What is said on one connection.
struct PeerSession<'a> {
    ear: PeerChannel,
    bells: &'a Notifier,
    /// Who is there, and when it was last heard.
    others: HashMap<PeerId, Instant>,
}

impl PeerSession<'_> {
    async fn go_on(&mut self) -> Result<Infallible, DatabaseError> {
        // Until now neither side has heard the other.
        self.bells.hear(&PeerUpdate::anything());
        self.bells.untold.somebody_listens(false);
        self.ear.publish(&PeerUpdate::anything()).await?;
        let mut hello = interval(PEER_HEARTBEAT_INTERVAL);
        hello.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                word = self.ear.recv() => {
                    let (from, news) = word?;
                    self.hear(from, &news).await?;
                }
                () = self.bells.untold.something() => {
                    let news = self.bells.untold.take();
                    if news != PeerUpdate::default() {
                        self.ear.publish(&news).await?;
                    }
                }
                _ = hello.tick() => {
                    self.others.retain(|_, heard| heard.elapsed() < PEER_TIMEOUT);
                    if self.others.is_empty() {
                        self.bells.untold.somebody_listens(false);
                    }
                    self.ear.heartbeat().await?;
                }
            }
        }
    }

    async fn hear(&mut self, from: PeerId, news: &PeerUpdate) -> Result<(), DatabaseError> {
        self.bells.hear(news);
        if self.others.insert(from, Instant::now()).is_none() {
            // A stranger: what has happened since it listens was not told.
            self.bells.untold.somebody_listens(true);
            self.ear.publish(&PeerUpdate::anything()).await?;
        }
        Ok(())
    }
}
