//! The other Backends on the same database: what is committed here is told to them, what they tell rings here.
//!
//! A slow check covers whatever is lost on the way. On SQLite there is nobody else.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use rand::RngExt;
use store::{Ear, News, Speaker, StoreError};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::bells::Bells;
use crate::upkeep::Trouble;

/// How often each Backend says hello, to the others and to itself.
const HELLO: Duration = Duration::from_secs(2);

/// One that has not been heard for so long is gone.
const GONE: Duration = Duration::from_secs(7);

/// The pauses between connections double from the shortest to the longest; one that lasts ends that.
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(5);

/// Tells and listens until `stop`.
pub(crate) async fn run(app: App, stop: CancellationToken) {
    let mut trouble = Trouble::with("listening to the other Backends");
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

async fn talk(app: &App, trouble: &mut Trouble) -> Result<Infallible, StoreError> {
    let Some(ear) = app.store.ear().await? else { return std::future::pending().await };
    trouble.heard(&Ok(()));
    Talk { ear, bells: &app.bells, others: HashMap::new() }.go_on().await
}

/// What is said on one connection.
struct Talk<'a> {
    ear: Ear,
    bells: &'a Bells,
    /// Who is there, and when it was last heard.
    others: HashMap<Speaker, Instant>,
}

impl Talk<'_> {
    async fn go_on(&mut self) -> Result<Infallible, StoreError> {
        // Until now neither side has heard the other.
        self.bells.hear(&News::anything());
        self.bells.untold.somebody_listens(false);
        self.ear.tell(&News::anything()).await?;
        let mut hello = interval(HELLO);
        hello.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                word = self.ear.hear() => {
                    let (from, news) = word?;
                    self.hear(from, &news).await?;
                }
                () = self.bells.untold.something() => {
                    let news = self.bells.untold.take();
                    if news != News::default() {
                        self.ear.tell(&news).await?;
                    }
                }
                _ = hello.tick() => {
                    self.others.retain(|_, heard| heard.elapsed() < GONE);
                    if self.others.is_empty() {
                        self.bells.untold.somebody_listens(false);
                    }
                    self.ear.hello().await?;
                }
            }
        }
    }

    async fn hear(&mut self, from: Speaker, news: &News) -> Result<(), StoreError> {
        self.bells.hear(news);
        if self.others.insert(from, Instant::now()).is_none() {
            // A stranger: what has happened since it listens was not told.
            self.bells.untold.somebody_listens(true);
            self.ear.tell(&News::anything()).await?;
        }
        Ok(())
    }
}
