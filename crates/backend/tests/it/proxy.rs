//! A wire to the database that a test may cut.

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

/// A wire from a free port to an address.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    whole: watch::Sender<bool>,
}

impl Proxy {
    pub(crate) async fn to(address: String) -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = tcp.local_addr().unwrap().port();
        let (whole, state) = watch::channel(true);
        let tracker = TaskTracker::new();
        tracker.clone().spawn(async move {
            while let Ok((mut near, _)) = tcp.accept().await {
                let (address, mut state) = (address.clone(), state.clone());
                tracker.spawn(async move {
                    let carry = async {
                        let mut far = TcpStream::connect(address).await?;
                        copy_bidirectional(&mut near, &mut far).await
                    };
                    tokio::select! {
                        _ = carry => {}
                        _ = state.wait_for(|whole| !whole) => {}
                    }
                });
            }
        });
        Self { port, whole }
    }

    /// Every connection breaks, and every new one too.
    pub(crate) fn cut(&self) {
        self.whole.send_replace(false);
    }

    pub(crate) fn mend(&self) {
        self.whole.send_replace(true);
    }
}
