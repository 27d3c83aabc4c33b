//! The only code that binds a port: it binds first, serves, and on a stop lets the requests in hand finish.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::HeaderValue;
use axum::http::header::STRICT_TRANSPORT_SECURITY;
use axum::middleware::{AddExtension, map_response};
use axum::response::Response;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;
use tracing::debug;

use crate::server::tls::{Files, Tls};

/// What a request may take, waiting that it asked for not counted.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may take to say what it wants, and be idle between two requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a service may go on after a stop: whoever was served when it came may use all of his time.
const GRACE: Duration = Duration::from_secs(11);

/// A bound port. Connections wait in its queue until it is served.
pub struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
    tls: Option<Tls>,
}

impl Listener {
    /// Binds `address`, which came from `setting`. Port 0 takes a free one. With a certificate it speaks TLS and
    /// nothing else.
    pub async fn bind(setting: &str, address: SocketAddr, tls: Option<Files>) -> Result<Self> {
        let tls = tls.map(Tls::load).transpose()?;
        let bound = TcpListener::bind(address).await.map_err(|error| match error.kind() {
            ErrorKind::AddrInUse => anyhow!(
                "{setting} = {address}: another program listens there already; stop it, or choose another port"
            ),
            ErrorKind::AddrNotAvailable => anyhow!("{setting} = {address}: this machine has no such address"),
            ErrorKind::PermissionDenied => anyhow!("{setting} = {address}: this user may not listen there"),
            _ => anyhow!(error).context(format!("{setting} = {address}")),
        })?;
        let address = bound.local_addr().context("a bound port has an address")?;
        Ok(Self { tcp: bound, address, tls })
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
        match &self.tls {
            None => format!("http://{address}"),
            Some(tls) => match tls.host(address.ip()) {
                None => format!("https://{address}"),
                Some(host) => format!("https://{host}:{}", address.port()),
            },
        }
    }

    /// Answers until `stop` rings, then until the last request in hand is answered.
    pub async fn serve(mut self, router: Router, stop: CancellationToken) -> Result<()> {
        let connections = TaskTracker::new();
        let acceptor = self.tls.as_ref().map(Tls::acceptor);
        let router = if acceptor.is_some() { router.layer(map_response(only_tls)) } else { router };
        if let Some(tls) = self.tls.take() {
            connections.spawn(tls.follow(stop.clone()));
        }
        let mut services = router.into_make_service_with_connect_info::<SocketAddr>();
        // axum's `accept` goes on after errors: a process that has no more files waits a second for one.
        while let Some((connection, peer)) =
            stop.run_until_cancelled(axum::serve::Listener::accept(&mut self.tcp)).await
        {
            let service = services.call(peer).await.unwrap_or_else(|never| match never {});
            // Answers are small and complete: none gains from waiting for more.
            let _ = connection.set_nodelay(true);
            let (service, stop) = (TowerToHyperService::new(service), stop.clone());
            match &acceptor {
                None => connections.spawn(answer(connection, service, stop)),
                Some(acceptor) => connections.spawn(secure(acceptor.now(), connection, service, stop)),
            };
        }
        drop(self.tcp);
        connections.close();
        connections.wait().await;
        Ok(())
    }
}

/// The router, for one connection.
type Connected = TowerToHyperService<AddExtension<Router, ConnectInfo<SocketAddr>>>;

/// Shakes hands, then answers. How a handshake fails is its client's affair.
async fn secure(acceptor: TlsAcceptor, connection: TcpStream, service: Connected, stop: CancellationToken) {
    let handshake = tokio::time::timeout(HEAD_TIMEOUT, acceptor.accept(connection));
    match stop.run_until_cancelled(handshake).await {
        Some(Ok(Ok(secured))) => answer(secured, service, stop).await,
        Some(Ok(Err(error))) => debug!(%error, "a TLS handshake failed: {error}"),
        Some(Err(_)) => debug!("a TLS handshake took too long"),
        None => {}
    }
}

/// Tells browsers that this host speaks TLS. They take it for every port of the host, so whatever lies below it in the
/// DNS is left out, unless a service says more.
async fn only_tls(mut response: Response) -> Response {
    let hsts = HeaderValue::from_static("max-age=31536000");
    response.headers_mut().entry(STRICT_TRANSPORT_SECURITY).or_insert(hsts);
    response
}

/// Answers the requests of one connection, after `stop` only the one that is in hand.
async fn answer<C>(connection: C, service: Connected, stop: CancellationToken)
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
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
