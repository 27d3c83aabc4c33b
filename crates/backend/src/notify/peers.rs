//! The session with the other Backends on the same database: publishes what is committed here, applies what they publish.
//!
//! It uses PostgreSQL's LISTEN and NOTIFY. A notification may be lost; then the periodic checks find the change. On
//! SQLite there is one Backend only, and nothing to do.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use database::DatabaseError;
use store::{PeerChannel, PeerId, PeerUpdate, Store};
use telemetry::OutageLog;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::notify::notifier::Notifier;

/// How often each Backend publishes a heartbeat, to the others and to itself.
const PEER_HEARTBEAT_INTERVAL: Duration = Duration::from_secs(2);

/// A Backend whose last notification is older than this is considered gone.
const PEER_TIMEOUT: Duration = Duration::from_secs(7);

/// The pauses between two connections; jitter up to doubles each.
const RECONNECT_PAUSES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(25))
    .with_max_delay(Duration::from_millis(2500))
    .without_max_times()
    .with_jitter();

/// A connection that has lasted this long resets the pauses.
const STABLE_AFTER: Duration = Duration::from_secs(5);

/// Runs sessions, one after the other, until `stop`.
pub(crate) async fn run(store: Store, notifier: Arc<Notifier>, stop: CancellationToken) {
    let mut outage = OutageLog::new("listening to the other Backends");
    let mut pauses = RECONNECT_PAUSES.build();
    loop {
        let began = Instant::now();
        let session = Box::pin(run_session(&store, &notifier, &mut outage));
        let Some(Err(error)) = stop.run_until_cancelled(session).await else { return };
        outage.record_failure(&error);
        if began.elapsed() > STABLE_AFTER {
            pauses = RECONNECT_PAUSES.build();
        }
        let pause = pauses.next().unwrap_or(STABLE_AFTER);
        if stop.run_until_cancelled(sleep(pause)).await.is_none() {
            return;
        }
    }
}

async fn run_session(
    store: &Store,
    notifier: &Notifier,
    outage: &mut OutageLog,
) -> Result<Infallible, DatabaseError> {
    let Some(channel) = store.peer_channel().await? else { return std::future::pending().await };
    outage.record_success();
    PeerSession { channel, store, notifier, peers: HashMap::new() }.run().await
}

/// One connection to the other Backends.
struct PeerSession<'a> {
    channel: PeerChannel,
    store: &'a Store,
    notifier: &'a Notifier,
    peers: HashMap<PeerId, Peer>,
}

/// Another Backend.
struct Peer {
    /// When something of it was received last.
    received_at: Instant,
    /// Whether it wants to be notified of changes of tasks.
    wants_changes: bool,
    /// Whether it publishes its changes of tasks since this Backend wants them.
    publishes_changes: bool,
}

impl PeerSession<'_> {
    async fn run(&mut self) -> Result<Infallible, DatabaseError> {
        // What either side published before this connection was not received.
        self.notifier.apply_peer_update(&PeerUpdate::anything());
        self.notifier.peer_outbox.set_has_peers(false);
        self.channel.publish(&PeerUpdate::anything()).await?;
        let mut heartbeat = interval(PEER_HEARTBEAT_INTERVAL);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                received = self.channel.recv() => {
                    let (from, update) = received?;
                    self.receive(from, &update).await?;
                }
                () = self.notifier.peer_outbox.changed() => {
                    let update = self.notifier.peer_outbox.take();
                    if update != PeerUpdate::default() {
                        self.channel.publish(&update).await?;
                    }
                }
                _ = heartbeat.tick() => {
                    self.drop_silent_peers();
                    let wants_changes = self.notifier.events.pending.has_interest();
                    if !wants_changes {
                        self.peers.values_mut().for_each(|peer| peer.publishes_changes = false);
                    }
                    self.channel.send_keepalive(wants_changes).await?;
                }
            }
        }
    }

    fn drop_silent_peers(&mut self) {
        let before = self.peers.len();
        self.peers.retain(|_, peer| peer.received_at.elapsed() < PEER_TIMEOUT);
        if self.peers.len() < before {
            // It may have been killed between a commit and its notification.
            self.notifier.events.pending.add_missed();
            self.update_reading_peers();
        }
        if self.peers.is_empty() {
            self.notifier.peer_outbox.set_has_peers(false);
        }
    }

    fn update_reading_peers(&self) {
        let has_reading_peers = self.peers.values().any(|peer| peer.wants_changes);
        self.notifier.peer_outbox.set_has_reading_peers(has_reading_peers);
    }

    async fn receive(&mut self, from: PeerId, update: &PeerUpdate) -> Result<(), DatabaseError> {
        for (type_name, priority) in &update.priorities {
            self.store.add_priority(type_name, *priority);
        }
        self.notifier.apply_peer_update(update);
        let is_new = !self.peers.contains_key(&from);
        let now = Instant::now();
        let unknown = Peer { received_at: now, wants_changes: false, publishes_changes: false };
        let peer = self.peers.entry(from).or_insert(unknown);
        peer.received_at = now;
        if update.begins_changes && !std::mem::replace(&mut peer.publishes_changes, true) {
            self.notifier.events.pending.add_missed();
        }
        let begins = update.wants_changes == Some(true) && !peer.wants_changes;
        if let Some(wants_changes) = update.wants_changes {
            peer.wants_changes = wants_changes;
            self.update_reading_peers();
        }
        if begins {
            let begins_changes = PeerUpdate { begins_changes: true, ..PeerUpdate::default() };
            self.channel.publish(&begins_changes).await?;
        }
        if is_new {
            // A peer seen for the first time: what was committed since it began to listen was not published to it.
            self.notifier.peer_outbox.set_has_peers(true);
            self.channel.publish(&PeerUpdate::anything()).await?;
        }
        Ok(())
    }
}
