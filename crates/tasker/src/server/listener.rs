//! A listening socket with or without TLS. No other code binds a port.
//!
//! Written here on hyper-util: `axum::serve` sets no time limit for a request's head, and neither it nor `axum-server`
//! keeps the old certificate, with a log line that names the setting, when a replaced one is broken.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use axum::Router;
use axum::extract::ConnectInfo;
use axum::middleware::{AddExtension, from_fn, from_fn_with_state};
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
use web::allowed_hosts::{self, AllowedHosts};
use web::catch_panic;
use web::security_headers::{self, SecurityHeaders};

use crate::config::tls::CertificateFiles;
use crate::server::body_timeout;
use crate::server::connection_limit::{ConnectionLimit, ConnectionPermit};
use crate::server::port_owner;
use crate::server::tls::Tls;

/// The time limit of a request, without the time of a wait that it asked for.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The time limit of a TLS handshake and of a request's head; also how long a connection may be idle between two requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may leave what is sent to it unread; then the kernel closes the connection (`TCP_USER_TIMEOUT`, after RFC 5482).
/// A client that reads slowly is not affected. A timer in this process cannot distinguish the two: a write also blocks
/// while a slow client empties a third of the socket's buffer, which may be megabytes.
#[cfg(target_os = "linux")]
const UNREAD_TIMEOUT: Duration = Duration::from_secs(20);

/// The largest head of a request, in bytes: a larger one is answered with 431 (RFC 6585, section 5), as one with more than 100
/// lines is.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// The most connections from one network where no setting says otherwise.
const MAX_CONNECTIONS_PER_NETWORK: NonZeroU32 = NonZeroU32::new(1000).expect("a positive number");

/// A bound port. Connections wait in its queue until [`Listener::serve`] accepts them.
pub struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
    tls: Option<Tls>,
    hosts: AllowedHosts,
    limit: ConnectionLimit,
}

/// The address by which a program on this machine reaches a listener at `listen`: loopback for a listener on all addresses.
pub fn local_address(mut listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => listen.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => listen.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    listen
}

impl Listener {
    /// Binds `address`, which `setting` names. Port 0 takes a free port. With a certificate the listener speaks TLS only. Requests
    /// that name another host than `hosts` are refused.
    ///
    /// # Errors
    ///
    /// If the certificate cannot be used or the address cannot be bound; the sentence names the setting and the remedy.
    pub async fn bind(
        setting: &str,
        address: SocketAddr,
        tls: Option<CertificateFiles>,
        hosts: AllowedHosts,
    ) -> Result<Self> {
        let tls = tls.map(Tls::load).transpose()?;
        let hosts = match &tls {
            Some(tls) => hosts.with_certificate(tls.names()),
            None => hosts,
        };
        let bound = TcpListener::bind(address).await.map_err(|error| match error.kind() {
            ErrorKind::AddrInUse => {
                let owner = port_owner::describe(address.port());
                let owner = owner.map(|owner| format!(", {owner},")).unwrap_or_default();
                anyhow!(
                    "{setting} = {address}: another program{owner} listens there already; stop it, or choose another port"
                )
            }
            ErrorKind::AddrNotAvailable => anyhow!("{setting} = {address}: this machine has no such address"),
            ErrorKind::PermissionDenied => anyhow!("{setting} = {address}: this user may not listen there"),
            _ => anyhow!(error).context(format!("{setting} = {address}")),
        })?;
        let address = bound.local_addr().context("a bound port has an address")?;
        let limit = ConnectionLimit::new(MAX_CONNECTIONS_PER_NETWORK);
        Ok(Self { tcp: bound, address, tls, hosts, limit })
    }

    /// The same listener with room for at most `most` connections from one network.
    pub fn with_connections_per_network(self, most: NonZeroU32) -> Self {
        Self { limit: ConnectionLimit::new(most), ..self }
    }

    /// The bound address and port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL by which a program on this machine reaches the listener.
    pub fn url(&self) -> String {
        let address = local_address(self.address);
        match &self.tls {
            None => format!("http://{address}"),
            Some(tls) => match tls.host(address.ip()) {
                None => format!("https://{address}"),
                Some(host) => format!("https://{host}:{}", address.port()),
            },
        }
    }

    /// The origins of pages of the listener in browsers on this machine.
    pub fn origins(&self) -> Vec<String> {
        let (url, port) = (self.url(), self.address.port());
        let scheme = url.split("://").next().unwrap_or_default();
        vec![format!("{scheme}://localhost:{port}"), url]
    }

    /// Serves requests until `stop` is cancelled; returns when the requests received by then are answered.
    pub async fn serve(mut self, router: Router, stop: CancellationToken) -> Result<()> {
        let connections = TaskTracker::new();
        let acceptor = self.tls.as_ref().map(Tls::acceptor);
        let router = router.layer((
            from_fn_with_state(SecurityHeaders::new(), security_headers::set),
            from_fn_with_state(self.hosts, allowed_hosts::enforce),
            from_fn(body_timeout::enforce),
        ));
        let router = if acceptor.is_some() { router.layer(from_fn(web::hsts::add)) } else { router };
        // The outermost: a panic in a layer outside of the service's own `catch_panic` ends no connection.
        let router = router.layer(catch_panic::layer(catch_panic::internal_error));
        if let Some(tls) = self.tls.take() {
            connections.spawn(tls.reload_when_changed(stop.clone()));
        }
        let mut services = router.into_make_service_with_connect_info::<SocketAddr>();
        // axum's `accept` retries after errors: without free file descriptors it waits a second.
        while let Some((connection, peer)) =
            stop.run_until_cancelled(axum::serve::Listener::accept(&mut self.tcp)).await
        {
            // Closed at once, before anything is read from it or kept for it.
            let Some(permit) = self.limit.permit(peer.ip()) else { continue };
            let service = services.call(peer).await.unwrap_or_else(|never| match never {});
            set_options(&connection);
            let (service, stop) = (TowerToHyperService::new(service), stop.clone());
            match &acceptor {
                None => connections.spawn(with_permit(permit, serve_http(connection, service, stop))),
                Some(acceptor) => {
                    let serve = serve_tls(acceptor.current(), connection, service, stop);
                    connections.spawn(with_permit(permit, serve))
                }
            };
        }
        drop(self.tcp);
        connections.close();
        connections.wait().await;
        Ok(())
    }
}

/// Sets the options of a connection. One that has been closed meanwhile fails at its first read.
fn set_options(connection: &TcpStream) {
    // Responses are small and complete: delaying one to fill a packet (Nagle) gains nothing.
    let _ = connection.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(connection).set_tcp_user_timeout(Some(UNREAD_TIMEOUT));
}

/// Serves one connection and gives its permit back at the end.
async fn with_permit(permit: ConnectionPermit, serve: impl Future<Output = ()>) {
    serve.await;
    drop(permit);
}

/// The router's service for one connection.
type ConnectionService = TowerToHyperService<AddExtension<Router, ConnectInfo<SocketAddr>>>;

/// Does the TLS handshake of a connection and serves its requests. A failed handshake is logged at `debug` only: its cause
/// is the client.
async fn serve_tls(
    acceptor: TlsAcceptor,
    connection: TcpStream,
    service: ConnectionService,
    stop: CancellationToken,
) {
    let handshake = tokio::time::timeout(HEAD_TIMEOUT, acceptor.accept(connection));
    match stop.run_until_cancelled(handshake).await {
        Some(Ok(Ok(secured))) => serve_http(secured, service, stop).await,
        Some(Ok(Err(error))) => debug!(%error, "a TLS handshake failed: {error}"),
        Some(Err(_)) => debug!("a TLS handshake timed out"),
        None => {}
    }
}

/// Serves the requests of one connection; after `stop` only the request that is already being answered.
async fn serve_http<C>(connection: C, service: ConnectionService, stop: CancellationToken)
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut http = Builder::new(TokioExecutor::new()).http1_only();
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD_BYTES);
    let mut connection = pin!(http.serve_connection(TokioIo::new(connection), service));
    // Errors of a connection are ignored: their cause is the client.
    if stop.run_until_cancelled(connection.as_mut()).await.is_none() {
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_panic_outside_of_the_layers_of_a_service_is_answered_with_500() {
        let (any, hosts) =
            ((Ipv4Addr::LOCALHOST, 0).into(), AllowedHosts::new("backend.allowed_hosts", Vec::new()));
        let listener = Listener::bind("backend.listen", any, None, hosts).await.unwrap();
        let mut client = TcpStream::connect(listener.address()).await.unwrap();
        let router = Router::new().fallback(async || -> &'static str { panic!("a layer is broken") });
        let stop = CancellationToken::new();
        let (answer, served) = tokio::join!(
            async {
                let request = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
                client.write_all(request).await.unwrap();
                let mut answer = String::new();
                client.read_to_string(&mut answer).await.unwrap();
                stop.cancel();
                answer
            },
            listener.serve(router, stop.clone())
        );
        assert!(served.is_ok());
        assert!(answer.starts_with("HTTP/1.1 500 ") && answer.contains("/errors/internal"), "{answer}");
        assert!(!answer.contains("a layer is broken"), "{answer}");
    }
}
