//! Backends on one PostgreSQL hear each other: what has ended and what has become ready, on a connection of its own.
//!
//! Word may be lost, late or told twice: nothing but speed depends on it. It is never sent inside a write transaction, where
//! all commits would wait for the one lock that keeps the messages in order.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use domain::{TaskId, TypeName};
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::time::timeout;
use uuid::Uuid;

use crate::store::Store;
use database::DatabaseError;
use database::Db;

/// Where Backends talk. A database has channels of its own.
const CHANNEL: &str = "tasker";

/// The name by which an operator knows the connection.
const NAME: &str = "tasker ear";

/// What one message holds at most; PostgreSQL takes less than 8,000 bytes.
const LONGEST: usize = 7_900;

/// How long an id is in a message.
const ID: usize = 32;

/// A connection that does not answer within this is as good as broken.
const LIMIT: Duration = Duration::from_secs(2);

const TELL: &str = "select pg_notify($1, word) from unnest($2::text[]) as word";

/// What has been committed, as one Backend tells it to the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerUpdate {
    /// These tasks have ended.
    pub ended: Vec<TaskId>,
    /// Any other task may have ended, too.
    pub any_ended: bool,
    /// Tasks of these types have become ready.
    pub ready: BTreeSet<TypeName>,
    /// Tasks of any other type may have become ready, too.
    pub any_ready: bool,
}

/// Another Backend, by a random id of its [`PeerChannel`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerId(Uuid);

/// A connection of its own, on which a Backend speaks and listens.
#[derive(Debug)]
pub struct PeerChannel {
    listener: PgListener,
    me: PeerId,
    /// Whether it has heard itself since its last hello.
    hears_itself: bool,
}

impl Store {
    /// Begins to listen; `None` on SQLite, which has one Backend.
    pub async fn peer_channel(&self) -> Result<Option<PeerChannel>, DatabaseError> {
        let Db::Postgres(pools) = &self.db else { return Ok(None) };
        let options = pools.write.connect_options().as_ref().clone().application_name(NAME);
        // A pool of one that belongs to nobody else, since sqlx listens on pools alone. It is given up with its connection.
        let one = PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .acquire_timeout(LIMIT)
            .connect_lazy_with(options);
        let listen = async {
            let mut listener = PgListener::connect_with(&one).await?;
            listener.eager_reconnect(false);
            listener.listen(CHANNEL).await?;
            Ok(listener)
        };
        let (listener, me) = (in_time(listen).await?, PeerId(Uuid::new_v4()));
        Ok(Some(PeerChannel { listener, me, hears_itself: true }))
    }
}

impl PeerChannel {
    /// Says `news` to everyone who listens.
    pub async fn publish(&mut self, news: &PeerUpdate) -> Result<(), DatabaseError> {
        let words = news.words(self.me);
        let tell = sqlx::query(TELL).bind(CHANNEL).bind(words).execute(&mut self.listener);
        in_time(tell).await.map(drop)
    }

    /// Says that it is there. If it has not heard itself say so the last time, it is deaf: a connection may look whole while
    /// nothing comes through.
    pub async fn heartbeat(&mut self) -> Result<(), DatabaseError> {
        if !std::mem::take(&mut self.hears_itself) {
            return Err(
                sqlx::Error::from(io::Error::new(io::ErrorKind::TimedOut, "no word came back")).into()
            );
        }
        self.publish(&PeerUpdate::default()).await
    }

    /// The next word of another, and what it says; news of nothing are a hello. After an error, what was said meanwhile is
    /// lost, and only another ear hears what comes. Who stops waiting misses nothing.
    pub async fn recv(&mut self) -> Result<(PeerId, PeerUpdate), DatabaseError> {
        loop {
            let word = self.listener.try_recv().await?;
            let word =
                word.ok_or_else(|| sqlx::Error::from(io::Error::from(io::ErrorKind::ConnectionReset)))?;
            let (from, news) = read(word.payload());
            if from != self.me {
                return Ok((from, news));
            }
            self.hears_itself = true;
        }
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, DatabaseError> {
    let done = timeout(LIMIT, work).await;
    Ok(done.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))?)
}

impl PeerUpdate {
    /// Anything may have happened.
    pub const fn anything() -> Self {
        Self { ended: Vec::new(), any_ended: true, ready: BTreeSet::new(), any_ready: true }
    }

    /// The messages that say it: the speaker, one letter for what is said, the names it is said of.
    fn words(&self, from: PeerId) -> Vec<String> {
        let head = |kind: char| format!("{}{kind}", from.0.simple());
        let most = (LONGEST - ID - 1) / ID;
        let mut words: Vec<String> = Vec::new();
        for part in self.ended.chunks(most) {
            let ids = part.iter().map(|task| task.0.simple().to_string());
            words.push(ids.fold(head('e'), |word, id| word + &id));
        }
        let mut types: Vec<String> = Vec::new();
        for name in &self.ready {
            match types.last_mut() {
                Some(word) if word.len() + 1 + name.as_str().len() <= LONGEST => {
                    word.push(' ');
                    word.push_str(name.as_str());
                }
                _ => types.push(head('r') + name.as_str()),
            }
        }
        words.extend(types);
        words.extend(self.any_ended.then(|| head('E')));
        words.extend(self.any_ready.then(|| head('R')));
        if words.is_empty() {
            words.push(head('h'));
        }
        words
    }
}

/// Who says what. What is not understood was said by a newer Backend: anything may have happened.
fn read(word: &str) -> (PeerId, PeerUpdate) {
    let from = word.get(..ID).and_then(|id| Uuid::try_parse(id).ok()).unwrap_or_default();
    let news = word.get(ID..).and_then(said);
    (PeerId(from), news.unwrap_or_else(PeerUpdate::anything))
}

fn said(text: &str) -> Option<PeerUpdate> {
    let mut news = PeerUpdate::default();
    match (text.get(..1)?, text.get(1..)?) {
        ("h", _) => {}
        ("E", _) => news.any_ended = true,
        ("R", _) => news.any_ready = true,
        ("r", types) => {
            news.ready = types.split(' ').map(|name| name.parse().ok()).collect::<Option<_>>()?;
        }
        ("e", tasks) => {
            let ids = tasks.as_bytes().chunks(ID).map(|id| Uuid::try_parse_ascii(id).ok().map(TaskId));
            news.ended = ids.collect::<Option<_>>()?;
        }
        _ => return None,
    }
    Some(news)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a listener puts together again.
    fn heard(news: &PeerUpdate) -> PeerUpdate {
        let me = PeerId(Uuid::new_v4());
        let mut all = PeerUpdate::default();
        for text in news.words(me) {
            assert!(text.len() < 8000, "PostgreSQL takes {} bytes", text.len());
            let (from, news) = read(&text);
            assert_eq!(from, me);
            all.ended.extend(news.ended);
            all.ready.extend(news.ready);
            all.any_ended |= news.any_ended;
            all.any_ready |= news.any_ready;
        }
        all
    }

    #[test]
    fn news_arrive_as_they_were_told_however_many() {
        for (tasks, types) in [(0, 0), (1, 1), (245, 70), (246, 78), (247, 79), (1000, 1000)] {
            let ended = (0..tasks).map(|n| TaskId(Uuid::from_u128(n << 64))).collect();
            let long = "x".repeat(96);
            let ready = (0..types).map(|n| format!("{long}{n:04}").parse().unwrap()).collect();
            let news = PeerUpdate { ended, any_ended: tasks == 1, ready, any_ready: types == 1 };
            assert_eq!(heard(&news), news);
        }
        assert_eq!(heard(&PeerUpdate::anything()), PeerUpdate::anything());
    }

    #[test]
    fn what_is_not_understood_may_be_anything() {
        let me = "00000000000000000000000000000001";
        for text in [
            "",
            "x",
            me,
            &format!("{me}?"),
            &format!("{me}e123"),
            &format!("{me}rno/type"),
            &format!("{me}é"),
        ] {
            assert_eq!(read(text).1, PeerUpdate::anything(), "{text}");
        }
    }
}
