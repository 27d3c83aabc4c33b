//! A wire to the database that a test may cut.

use std::future::pending;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio_util::task::TaskTracker;

/// What names a connection on which Backends hear each other.
const EAR: &[u8] = b"tasker notifications";

/// A wire from a free port to an address.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    whole: watch::Sender<bool>,
    mute: Arc<Notify>,
}

impl Proxy {
    pub(crate) async fn to(address: String) -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = tcp.local_addr().unwrap().port();
        let (whole, state) = watch::channel(true);
        let mute = Arc::new(Notify::new());
        let muted = mute.clone();
        let tracker = TaskTracker::new();
        tracker.clone().spawn(async move {
            while let Ok((mut near, _)) = tcp.accept().await {
                let (address, mut state, muted) = (address.clone(), state.clone(), muted.clone());
                tracker.spawn(async move {
                    let mut head = [0; 512];
                    let length = near.peek(&mut head).await.unwrap_or(0);
                    let is_ear = head[..length].windows(EAR.len()).any(|name| name == EAR);
                    let carry = async {
                        let mut far = TcpStream::connect(address).await?;
                        copy_bidirectional(&mut near, &mut far).await
                    };
                    tokio::pin!(carry);
                    let is_mute = tokio::select! {
                        _ = &mut carry => false,
                        _ = state.wait_for(|whole| !whole) => false,
                        () = muted.notified(), if is_ear => true,
                    };
                    if is_mute {
                        pending::<()>().await;
                    }
                });
            }
        });
        Self { port, whole, mute }
    }

    /// Every connection breaks, and every new one too.
    pub(crate) fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// The connections on which Backends now hear each other stay open, and nothing comes through any more; a new one is
    /// whole. (Its name must be readable at once: `sslmode=disable`.)
    pub(crate) fn mute(&self) {
        self.mute.notify_waiters();
    }

    pub(crate) fn mend(&self) {
        self.whole.send_replace(true);
    }
}
