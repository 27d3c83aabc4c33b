//! The only code that binds a port: it binds first, serves, and on a stop lets the requests in hand finish.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use axum::Router;
use axum::extract::ConnectInfo;
use axum::middleware::AddExtension;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

/// What a request may take, waiting that it asked for not counted.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may take to say what it wants, and be idle between two requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a service may go on after a stop: whoever was served when it came may use all of his time.
const GRACE: Duration = Duration::from_secs(11);

/// A bound port. Connections wait in its queue until it is served.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds `address`, which came from `setting`. Port 0 takes a free one.
    pub async fn bind(setting: &str, address: SocketAddr) -> Result<Self> {
        let bound = TcpListener::bind(address).await.map_err(|error| match error.kind() {
            ErrorKind::AddrInUse => anyhow!(
                "{setting} = {address}: another program listens there already; stop it, or choose another port"
            ),
            ErrorKind::AddrNotAvailable => anyhow!("{setting} = {address}: this machine has no such address"),
            ErrorKind::PermissionDenied => anyhow!("{setting} = {address}: this user may not listen there"),
            _ => anyhow!(error).context(format!("{setting} = {address}")),
        })?;
        let address = bound.local_addr().context("a bound port has an address")?;
        Ok(Self { tcp: bound, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where a program on this machine reaches it.
    pub fn url(&self) -> String {
        let mut address = self.address;
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        format!("http://{address}")
    }

    /// Answers until `stop` rings, then until the last request in hand is answered.
    pub async fn serve(mut self, router: Router, stop: CancellationToken) -> Result<()> {
        let mut services = router.into_make_service_with_connect_info::<SocketAddr>();
        let connections = TaskTracker::new();
        // axum's `accept` goes on after errors: a process that has no more files waits a second for one.
        while let Some((connection, peer)) =
            stop.run_until_cancelled(axum::serve::Listener::accept(&mut self.tcp)).await
        {
            let service = services.call(peer).await.unwrap_or_else(|never| match never {});
            connections.spawn(answer(connection, TowerToHyperService::new(service), stop.clone()));
        }
        drop(self.tcp);
        connections.close();
        connections.wait().await;
        Ok(())
    }
}

/// The router, for one connection.
type Connected = TowerToHyperService<AddExtension<Router, ConnectInfo<SocketAddr>>>;

/// Answers the requests of one connection, after `stop` only the one that is in hand.
async fn answer(connection: TcpStream, service: Connected, stop: CancellationToken) {
    // Answers are small and complete: none gains from waiting for more.
    let _ = connection.set_nodelay(true);
    let mut http = Builder::new(TokioExecutor::new()).http1_only();
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let mut connection = pin!(http.serve_connection(TokioIo::new(connection), service));
    // How a connection ends is its client's affair.
    if stop.run_until_cancelled(connection.as_mut()).await.is_none() {
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}

/// Waits for `service`, once `stop` has rung no longer than the grace. A client that does not read its answer cannot
/// keep a process alive.
pub async fn within_grace(service: impl Future<Output = Result<()>>, stop: &CancellationToken) -> Result<()> {
    let too_late = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        ended = service => ended,
        () = too_late => {
            tracing::warn!("cut off the connections that were still busy {} s after the stop", GRACE.as_secs());
            Ok(())
        }
    }
}
