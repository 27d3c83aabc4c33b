//! A TCP proxy before the database whose connections a test may cut or block.

use std::future::pending;
use std::sync::Arc;

use testkit::TestDatabase;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio_util::task::TaskTracker;

/// What the startup packet of a connection holds on which Backends notify each other: the name of that connection begins
/// with "tasker " (the pools' connections are named "tasker").
const PEER_CONNECTION: &[u8] = b"application_name\0tasker ";

/// A proxy from a free port to a PostgreSQL server.
pub(crate) struct TcpProxy {
    port: u16,
    is_up: watch::Sender<bool>,
    block: Arc<Notify>,
}

impl TcpProxy {
    /// A proxy to the server of `database`.
    pub(crate) async fn to(database: &TestDatabase) -> Self {
        let server = server_address(database).to_owned();
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = tcp.local_addr().unwrap().port();
        let (is_up, state) = watch::channel(true);
        let block = Arc::new(Notify::new());
        let blocked = block.clone();
        let tracker = TaskTracker::new();
        tracker.clone().spawn(async move {
            while let Ok((client, _)) = tcp.accept().await {
                tracker.spawn(forward(client, server.clone(), state.clone(), blocked.clone()));
            }
        });
        Self { port, is_up, block }
    }

    /// The address of `database` by way of this proxy.
    pub(crate) fn url(&self, database: &TestDatabase) -> String {
        database.url.replace(server_address(database), &format!("127.0.0.1:{}", self.port))
    }

    /// Breaks every connection, and every new one too.
    pub(crate) fn cut(&self) {
        self.is_up.send_replace(false);
    }

    /// Lets new connections through again after [`TcpProxy::cut`].
    pub(crate) fn restore(&self) {
        self.is_up.send_replace(true);
    }

    /// Leaves the connections open on which Backends now notify each other, and forwards nothing on them any more. New
    /// ones are forwarded. The proxy must be able to read their names: `sslmode=disable`.
    pub(crate) fn block_peer_connections(&self) {
        self.block.notify_waiters();
    }
}

/// Forwards one connection until it ends, is cut, or is blocked.
async fn forward(
    mut client: TcpStream,
    server: String,
    mut is_up: watch::Receiver<bool>,
    blocked: Arc<Notify>,
) {
    let mut startup = [0; 512];
    let length = client.peek(&mut startup).await.unwrap_or(0);
    let is_peer_connection =
        startup[..length].windows(PEER_CONNECTION.len()).any(|part| part == PEER_CONNECTION);
    let copy = async {
        let mut server = TcpStream::connect(server).await?;
        copy_bidirectional(&mut client, &mut server).await
    };
    tokio::pin!(copy);
    let is_blocked = tokio::select! {
        _ = &mut copy => false,
        _ = is_up.wait_for(|is_up| !is_up) => false,
        () = blocked.notified(), if is_peer_connection => true,
    };
    if is_blocked {
        pending::<()>().await;
    }
}

/// HOST:PORT of the test server.
fn server_address(database: &TestDatabase) -> &str {
    let (_, rest) = database.url.split_once('@').unwrap();
    rest.split_once('/').unwrap().0
}
