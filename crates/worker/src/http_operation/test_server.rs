//! A server of this machine that a test answers for by hand.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How long a test waits for what must happen. Only a broken program takes that long.
const MAX_WAIT: Duration = Duration::from_mins(1);

/// What `future` returns. Panics with `what`, which should happen, after [`MAX_WAIT`].
pub(crate) async fn bounded<F: Future>(what: &str, future: F) -> F::Output {
    let ended = tokio::time::timeout(MAX_WAIT, future).await;
    ended.unwrap_or_else(|_| panic!("not within {} s: {what}", MAX_WAIT.as_secs()))
}

/// A server that answers what a test says.
pub(crate) struct Server(TcpListener);

/// A request that a server has received, on a connection that is still open.
pub(crate) struct Received {
    pub(crate) stream: TcpStream,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST).await
    }

    pub(crate) async fn start_at(address: Ipv4Addr) -> Self {
        Self(TcpListener::bind((address, 0)).await.unwrap())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/run", self.address())
    }

    pub(crate) async fn accept(&self) -> TcpStream {
        bounded("a client connects", self.0.accept()).await.unwrap().0
    }

    /// Receives one request.
    pub(crate) async fn receive(&self) -> Received {
        let mut stream = self.accept().await;
        let mut bytes = Vec::new();
        loop {
            let text = String::from_utf8(bytes.clone()).unwrap();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let head = head.to_lowercase();
                let length = head
                    .split_once("content-length: ")
                    .map_or(0, |(_, rest)| rest.lines().next().unwrap().parse().unwrap());
                if body.len() >= length {
                    return Received { stream, head, body: body.to_owned() };
                }
            }
            assert_ne!(
                bounded("the client sends", stream.read_buf(&mut bytes)).await.unwrap(),
                0,
                "the request is incomplete: {text}"
            );
        }
    }

    /// Receives one request and answers it with a complete response. Returns the request's head and body.
    pub(crate) async fn answer(&self, status: &str, headers: &str, body: &str) -> (String, String) {
        let mut received = self.receive().await;
        let length = body.len();
        let response = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n{body}");
        received.stream.write_all(response.as_bytes()).await.unwrap();
        wait_until_closed(&mut received.stream).await;
        (received.head, received.body)
    }
}

/// Waits until the client has closed the connection. A connection that is reset is closed, too.
pub(crate) async fn wait_until_closed(stream: &mut TcpStream) {
    let read = async { while matches!(stream.read(&mut [0; 1024]).await, Ok(1..)) {} };
    bounded("the client closes the connection", read).await;
}
