//! Notifications between Backends on one PostgreSQL: which tasks have ended, which grants must be stopped, which types have ready tasks
//! and, for Backends that want them, what has happened to each task, by LISTEN/NOTIFY on a connection of its own.
//!
//! Notifications may be lost, late or repeated: only speed depends on them. They are never sent inside a transaction that
//! writes, since PostgreSQL serializes the commits of all transactions that notify, to keep notifications in order.

use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, Instant};

use database::{DatabaseError, Db, may_lead_to_standby};
use domain::{Attempt, GrantRef, Priority, SubjectId, TaskEventKind, TaskId, TypeName, WorkerName};
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::time::timeout;
use uuid::Uuid;

use crate::store::Store;
use crate::tasks::events::TaskChange;
use crate::tasks::rows::{GrantWorker, StoppedGrant};

/// The channel of LISTEN and NOTIFY. Each database has channels of its own.
const CHANNEL: &str = "tasker";

/// The `application_name` of the connection in `pg_stat_activity`.
const APPLICATION_NAME: &str = "tasker notifications";

/// The longest payload, in bytes. PostgreSQL's limit is below 8,000.
const MAX_PAYLOAD: usize = 7_900;

/// The length of an id in a payload, in bytes: 32 hexadecimal digits.
const ID_LENGTH: usize = 32;

/// The length of a change in a payload, in bytes: an id, a letter, and an attempt in 8 hexadecimal digits.
const CHANGE_LENGTH: usize = ID_LENGTH + 9;

/// How long a statement on this connection may take before the connection counts as broken.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(2);

const NOTIFY: &str = "select pg_notify($1, payload) from unnest($2::text[]) as payload";

/// What one Backend publishes to the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a message of its own")]
pub struct PeerUpdate {
    /// Tasks that have ended.
    pub ended: Vec<TaskId>,
    /// Whether any other task may have ended too.
    pub any_ended: bool,
    /// Grants that have ended without a report.
    pub stopped: Vec<StoppedGrant>,
    /// Types of which tasks have become ready.
    pub ready: BTreeSet<TypeName>,
    /// Whether tasks of any other type may have become ready too.
    pub any_ready: bool,
    /// Types of tasks whose tickets were declined.
    pub declined: BTreeSet<TypeName>,
    /// Priorities, other than the default, of tasks that were accepted.
    pub priorities: BTreeSet<(TypeName, Priority)>,
    /// What has happened to tasks, for peers that want to know.
    pub changes: Vec<TaskChange>,
    /// Whether anything else may have happened to tasks.
    pub any_change: bool,
    /// Whether the sender has begun to publish changes, because a peer wants them. What was committed before was not published.
    pub begins_changes: bool,
    /// Whether the sender wants to be notified of changes; `None`: as it said before.
    pub wants_changes: Option<bool>,
}

/// The random id of a [`PeerChannel`], which distinguishes one Backend's notifications from another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerId(Uuid);

/// A connection of its own, on which a Backend publishes updates and receives those of its peers.
#[derive(Debug)]
pub struct PeerChannel {
    listener: PgListener,
    id: PeerId,
    /// Whether a notification of its own has arrived since its last heartbeat.
    received_own: bool,
    opened_at: Instant,
}

impl Store {
    /// Opens a channel to the other Backends; `None` on SQLite, where there are none. Fails if the connection does not come
    /// about within two seconds.
    pub async fn peer_channel(&self) -> Result<Option<PeerChannel>, DatabaseError> {
        let Db::Postgres(pools) = &self.db else { return Ok(None) };
        let options = pools.write.connect_options().as_ref().clone().application_name(APPLICATION_NAME);
        // sqlx listens only on connections of a pool, so this one has a pool of its own, which ends with it.
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .acquire_timeout(STATEMENT_TIMEOUT)
            .connect_lazy_with(options);
        let listen = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.eager_reconnect(false);
            listener.listen(CHANNEL).await?;
            Ok(listener)
        };
        let (listener, id) = (in_time(listen).await?, PeerId(Uuid::new_v4()));
        Ok(Some(PeerChannel { listener, id, received_own: true, opened_at: Instant::now() }))
    }
}

impl PeerChannel {
    /// Publishes `update` to every Backend that listens.
    pub async fn publish(&mut self, update: &PeerUpdate) -> Result<(), DatabaseError> {
        let payloads = update.encode(self.id);
        let notify = sqlx::query(NOTIFY).bind(CHANNEL).bind(payloads).execute(&mut self.listener);
        in_time(notify).await.map(drop)
    }

    /// Publishes an empty update, which says whether this Backend wants to be notified of changes. Fails with [`DatabaseError::NotificationsLost`] if the last heartbeat has not arrived: a
    /// connection may look healthy while no notification passes through it, or lead to a server that has become a standby.
    pub async fn send_keepalive(&mut self, wants_changes: bool) -> Result<(), DatabaseError> {
        if !std::mem::take(&mut self.received_own) || may_lead_to_standby(self.opened_at.elapsed()) {
            return Err(DatabaseError::NotificationsLost);
        }
        self.publish(&PeerUpdate { wants_changes: Some(wants_changes), ..PeerUpdate::default() }).await
    }

    /// Waits for the next notification of a peer; an update with nothing but `wants_changes` is its heartbeat. The future may be dropped without losing
    /// one. After an error the channel receives nothing more, and what was published meanwhile is lost: open another one.
    pub async fn recv(&mut self) -> Result<(PeerId, PeerUpdate), DatabaseError> {
        loop {
            let notification = self.listener.try_recv().await?;
            let notification = notification
                .ok_or_else(|| sqlx::Error::from(io::Error::from(io::ErrorKind::ConnectionReset)))?;
            let (from, update) = decode(notification.payload());
            if from != self.id {
                return Ok((from, update));
            }
            self.received_own = true;
        }
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, DatabaseError> {
    let done = timeout(STATEMENT_TIMEOUT, work).await;
    Ok(done.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))?)
}

impl PeerUpdate {
    /// An update that says: any task may have ended, and any type may have ready tasks: any task may have ended, any type may have ready
    /// tasks.
    pub const fn anything() -> Self {
        Self {
            ended: Vec::new(),
            any_ended: true,
            stopped: Vec::new(),
            ready: BTreeSet::new(),
            any_ready: true,
            declined: BTreeSet::new(),
            priorities: BTreeSet::new(),
            changes: Vec::new(),
            any_change: true,
            begins_changes: false,
            wants_changes: None,
        }
    }

    /// Encodes the update as payloads: each has the sender's id, one letter for the kind, and the ids or names.
    fn encode(&self, from: PeerId) -> Vec<String> {
        let head = |kind: char| format!("{}{kind}", from.0.simple());
        let ids_per_payload = (MAX_PAYLOAD - ID_LENGTH - 1) / ID_LENGTH;
        let mut payloads: Vec<String> = Vec::new();
        for part in self.ended.chunks(ids_per_payload) {
            let ids = part.iter().map(|task| task.0.simple().to_string());
            payloads.push(ids.fold(head('e'), |payload, id| payload + &id));
        }
        for part in self.changes.chunks((MAX_PAYLOAD - ID_LENGTH - 1) / CHANGE_LENGTH) {
            payloads.push(part.iter().fold(head('c'), |payload, change| payload + &encode_change(*change)));
        }
        payloads.extend(encode_stopped(&self.stopped, &head('s')));
        // Before the types that are ready: whoever scans for their tasks then knows where.
        let priorities = self.priorities.iter();
        let priorities = priorities.map(|(name, priority)| format!("{name}={}", priority.get()));
        payloads.extend(encode_words(priorities, &head('p')));
        payloads.extend(encode_words(self.ready.iter().map(TypeName::to_string), &head('r')));
        payloads.extend(encode_words(self.declined.iter().map(TypeName::to_string), &head('d')));
        payloads.extend(self.any_ended.then(|| head('E')));
        payloads.extend(self.any_ready.then(|| head('R')));
        payloads.extend(self.any_change.then(|| head('C')));
        payloads.extend(self.begins_changes.then(|| head('b')));
        payloads.extend(self.wants_changes.map(|wants_changes| head(if wants_changes { 'w' } else { 'h' })));
        payloads
    }
}

fn encode_change(TaskChange { id, kind, attempt }: TaskChange) -> String {
    let letter = match kind {
        TaskEventKind::Created => 'c',
        TaskEventKind::Started => 's',
        TaskEventKind::Progress => 'p',
        TaskEventKind::AttemptEnded => 'a',
        TaskEventKind::Ended => 'e',
    };
    format!("{}{letter}{attempt:08x}", id.0.simple())
}

fn decode_change(text: &str) -> Option<TaskChange> {
    let (id, rest) = text.split_at_checked(ID_LENGTH)?;
    let (letter, attempt) = rest.split_at_checked(1)?;
    let kind = match letter {
        "c" => TaskEventKind::Created,
        "s" => TaskEventKind::Started,
        "p" => TaskEventKind::Progress,
        "a" => TaskEventKind::AttemptEnded,
        "e" => TaskEventKind::Ended,
        _ => return None,
    };
    let attempt =
        u32::from_str_radix(attempt, 16).ok().filter(|_| attempt.len() == CHANGE_LENGTH - ID_LENGTH - 1)?;
    Some(TaskChange { id: TaskId(Uuid::try_parse(id).ok()?), kind, attempt })
}

/// Encodes words without blanks as payloads that begin with `head`.
fn encode_words(words: impl Iterator<Item = String>, head: &str) -> Vec<String> {
    let mut payloads: Vec<String> = Vec::new();
    for word in words {
        match payloads.last_mut() {
            Some(payload) if payload.len() + 1 + word.len() <= MAX_PAYLOAD => {
                payload.push(' ');
                payload.push_str(&word);
            }
            _ => payloads.push(head.to_owned() + &word),
        }
    }
    payloads
}

fn decode_priorities(words: &str) -> Option<BTreeSet<(TypeName, Priority)>> {
    let decode = |word: &str| {
        let (name, priority) = word.rsplit_once('=')?;
        Some((name.parse().ok()?, priority.parse::<u8>().ok()?.try_into().ok()?))
    };
    words.split(' ').map(decode).collect()
}

/// Encodes grants as payloads that begin with `head`: each is a line of JSON, an array of worker, subject, task and attempt.
fn encode_stopped(stopped: &[StoppedGrant], head: &str) -> Vec<String> {
    let mut payloads: Vec<String> = Vec::new();
    for StoppedGrant { grant_worker: GrantWorker { worker, subject }, grant: GrantRef { id, attempt } } in
        stopped
    {
        let line = serde_json::json!([worker, subject, id, attempt]).to_string();
        match payloads.last_mut() {
            Some(payload) if payload.len() + 1 + line.len() <= MAX_PAYLOAD => {
                payload.push('\n');
                payload.push_str(&line);
            }
            _ => payloads.push(head.to_owned() + &line),
        }
    }
    payloads
}

fn decode_stopped(lines: &str) -> Option<Vec<StoppedGrant>> {
    let decode = |line: &str| {
        let (worker, subject, id, attempt): (WorkerName, SubjectId, TaskId, Attempt) =
            serde_json::from_str(line).ok()?;
        Some(StoppedGrant { grant_worker: GrantWorker { worker, subject }, grant: GrantRef { id, attempt } })
    };
    lines.lines().map(decode).collect()
}

fn decode_types(types: &str) -> Option<BTreeSet<TypeName>> {
    types.split(' ').map(|name| name.parse().ok()).collect()
}

/// Decodes a payload. A newer Backend may send one that cannot be decoded, which then counts as [`PeerUpdate::anything`].
fn decode(payload: &str) -> (PeerId, PeerUpdate) {
    let from = payload.get(..ID_LENGTH).and_then(|id| Uuid::try_parse(id).ok()).unwrap_or_default();
    let update = payload.get(ID_LENGTH..).and_then(decode_update);
    (PeerId(from), update.unwrap_or_else(PeerUpdate::anything))
}

fn decode_update(text: &str) -> Option<PeerUpdate> {
    let mut update = PeerUpdate::default();
    match (text.get(..1)?, text.get(1..)?) {
        ("h", _) => update.wants_changes = Some(false),
        ("w", _) => update.wants_changes = Some(true),
        ("C", _) => update.any_change = true,
        ("b", _) => update.begins_changes = true,
        ("c", changes) => {
            let changes = changes.as_bytes().chunks(CHANGE_LENGTH);
            let changes = changes.map(|change| decode_change(str::from_utf8(change).ok()?));
            update.changes = changes.collect::<Option<_>>()?;
        }
        ("E", _) => update.any_ended = true,
        ("R", _) => update.any_ready = true,
        ("r", types) => update.ready = decode_types(types)?,
        ("d", types) => update.declined = decode_types(types)?,
        ("p", words) => update.priorities = decode_priorities(words)?,
        ("s", lines) => update.stopped = decode_stopped(lines)?,
        ("e", tasks) => {
            let ids = tasks.as_bytes().chunks(ID_LENGTH).map(|id| Uuid::try_parse_ascii(id).ok().map(TaskId));
            update.ended = ids.collect::<Option<_>>()?;
        }
        _ => return None,
    }
    Some(update)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a receiver assembles from the payloads of `update`.
    fn received(update: &PeerUpdate) -> PeerUpdate {
        let sender = PeerId(Uuid::new_v4());
        let mut all = PeerUpdate::default();
        for payload in update.encode(sender) {
            assert!(payload.len() < 8000, "{} bytes are more than PostgreSQL takes", payload.len());
            let (from, part) = decode(&payload);
            assert_eq!(from, sender);
            all.ended.extend(part.ended);
            all.stopped.extend(part.stopped);
            all.ready.extend(part.ready);
            all.declined.extend(part.declined);
            all.priorities.extend(part.priorities);
            all.any_ended |= part.any_ended;
            all.any_ready |= part.any_ready;
            all.changes.extend(part.changes);
            all.any_change |= part.any_change;
            all.begins_changes |= part.begins_changes;
            all.wants_changes = part.wants_changes.or(all.wants_changes);
        }
        all
    }

    #[test]
    fn an_update_of_any_size_is_received_as_it_was_sent() {
        for (tasks, types) in [(0, 0), (1, 1), (245, 70), (246, 78), (247, 79), (1000, 1000)] {
            let ended: Vec<TaskId> = (0..tasks).map(|n| TaskId(Uuid::from_u128(n << 64))).collect();
            let kinds = [TaskEventKind::Created, TaskEventKind::Started, TaskEventKind::AttemptEnded];
            let kinds = kinds.into_iter().chain([TaskEventKind::Progress, TaskEventKind::Ended]).cycle();
            let change = |(id, kind)| TaskChange { id, kind, attempt: i32::MAX.cast_unsigned() };
            let changes = ended.iter().copied().zip(kinds).map(change).collect();
            let long = "x".repeat(96);
            let ready: BTreeSet<TypeName> =
                (0..types).map(|n| format!("{long}{n:04}").parse().unwrap()).collect();
            let (any_ended, any_ready, declined) = (tasks == 1, types == 1, ready.clone());
            let grant_worker =
                GrantWorker { worker: "é\"\\".parse().unwrap(), subject: SubjectId(Uuid::max()) };
            let grant = |n| GrantRef { id: TaskId(Uuid::from_u128(n)), attempt: Attempt::MAX };
            let stopped = (0..tasks)
                .map(|n| StoppedGrant { grant_worker: grant_worker.clone(), grant: grant(n) })
                .collect();
            let priorities =
                ready.iter().map(|name| (name.clone(), Priority::try_from(9).unwrap())).collect();
            let (any_change, begins_changes) = (tasks == 245, tasks == 246);
            let wants_changes = (types > 0).then_some(types == 1);
            let update = PeerUpdate {
                ended,
                any_ended,
                stopped,
                ready,
                any_ready,
                declined,
                priorities,
                changes,
                any_change,
                begins_changes,
                wants_changes,
            };
            assert_eq!(received(&update), update);
        }
        assert_eq!(received(&PeerUpdate::anything()), PeerUpdate::anything());
    }

    #[test]
    fn a_payload_that_cannot_be_decoded_may_mean_anything() {
        let id = "00000000000000000000000000000001";
        for payload in [
            "",
            "x",
            id,
            &format!("{id}?"),
            &format!("{id}e123"),
            &format!("{id}c{id}c0000000"),
            &format!("{id}c{id}x00000001"),
            &format!("{id}s[]"),
            &format!("{id}rno/type"),
            &format!("{id}é"),
        ] {
            assert_eq!(decode(payload).1, PeerUpdate::anything(), "{payload}");
        }
    }
}
