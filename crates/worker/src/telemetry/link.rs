//! The connection to a subscriber. All connections of one are made with the one socket that lies in its network.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustix::fd::OwnedFd;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use hearth_types::limits::{TELEMETRY_ANSWER_BYTES, TELEMETRY_ANSWER_HEAD_BYTES};

use super::subscription::Destination;

/// How telemetry gets to a subscriber.
pub(super) struct Link {
    socket: OwnedFd,
    destination: Destination,
    open: Option<Open>,
}

enum Open {
    Http {
        sender: SendRequest<Full<Bytes>>,
        /// Moves the bytes.
        connection: JoinSet<()>,
    },
    Tcp(TcpStream),
}

impl Open {
    /// Whether the subscriber has closed it, as far as that is known yet.
    fn is_closed(&self) -> bool {
        match self {
            Self::Http { sender, .. } => sender.is_closed(),
            // Nothing is expected from it, and what it says is thrown away; one that goes on saying much is cut off.
            Self::Tcp(stream) => match stream.try_read(&mut [0; TELEMETRY_ANSWER_BYTES]) {
                Ok(said) => said == 0 || said == TELEMETRY_ANSWER_BYTES,
                Err(error) => error.kind() != io::ErrorKind::WouldBlock,
            },
        }
    }
}

impl Link {
    pub(super) fn new(socket: OwnedFd, destination: Destination) -> Self {
        Self { socket, destination, open: None }
    }

    /// Sends a batch, and over HTTP waits for its answer.
    ///
    /// # Errors
    /// Why it did not arrive. The link must then be disconnected.
    pub(super) async fn send(&mut self, items: &[Bytes]) -> io::Result<()> {
        // One that the subscriber has closed meanwhile is opened anew, which is no failure yet.
        if self.open.as_ref().is_some_and(Open::is_closed) {
            self.disconnect().await;
        }
        let open = match &mut self.open {
            Some(open) => open,
            closed => closed.insert(connect(&self.socket, &self.destination).await?),
        };
        match (open, &self.destination) {
            (Open::Tcp(stream), _) => stream.write_all(&lines(items)).await,
            (Open::Http { sender, .. }, Destination::Http { method, host, port, path }) => {
                let request = request(method, path, &format!("{host}:{port}"), array(items))?;
                exchange(sender, request).await
            }
            (Open::Http { .. }, Destination::Tcp { .. }) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Ends the connection: nothing of it is left when this returns.
    pub(super) async fn disconnect(&mut self) {
        if let Some(Open::Http { sender, mut connection }) = self.open.take() {
            drop(sender);
            connection.shutdown().await;
        }
        if let Err(error) = rustix::net::connect_unspec(&self.socket) {
            tracing::debug!(%error, "a subscriber's connection is not taken back");
        }
    }
}

async fn connect(socket: &OwnedFd, destination: &Destination) -> io::Result<Open> {
    let (Destination::Http { port, .. } | Destination::Tcp { port }) = destination;
    let socket = TcpSocket::from_std_stream(socket.try_clone()?.into());
    let stream = socket.connect(SocketAddrV4::new(Ipv4Addr::LOCALHOST, *port).into()).await?;
    if matches!(destination, Destination::Tcp { .. }) {
        return Ok(Open::Tcp(stream));
    }
    let mut builder = http1::Builder::new();
    builder.max_buf_size(TELEMETRY_ANSWER_HEAD_BYTES);
    let (sender, driver) = builder.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let mut connection = JoinSet::new();
    connection.spawn(async move {
        // What goes wrong shows in the requests.
        let _ = driver.await;
    });
    Ok(Open::Http { sender, connection })
}

fn request(method: &Method, path: &PathAndQuery, host: &str, body: Bytes) -> io::Result<Request<Full<Bytes>>> {
    Request::builder()
        .method(method)
        .uri(path.as_str())
        .header(HOST, host)
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .body(Full::new(body))
        .map_err(io::Error::other)
}

/// What the answer says is not of interest, but it has to end for the next request to follow.
async fn exchange(sender: &mut SendRequest<Full<Bytes>>, request: Request<Full<Bytes>>) -> io::Result<()> {
    sender.ready().await.map_err(io::Error::other)?;
    let response = sender.send_request(request).await.map_err(io::Error::other)?;
    let status = response.status();
    if !status.is_success() {
        return Err(io::Error::other(format!("answered with {status}")));
    }
    Limited::new(response.into_body(), TELEMETRY_ANSWER_BYTES).collect().await.map(drop).map_err(io::Error::other)
}

/// A JSON array.
fn array(items: &[Bytes]) -> Bytes {
    let mut body = BytesMut::with_capacity(items.iter().map(|item| item.len() + 1).sum::<usize>() + 1);
    for (index, item) in items.iter().enumerate() {
        body.put_u8(if index == 0 { b'[' } else { b',' });
        body.put_slice(item);
    }
    body.put_u8(b']');
    body.freeze()
}

/// A line per event.
fn lines(items: &[Bytes]) -> Bytes {
    let mut body = BytesMut::with_capacity(items.iter().map(|item| item.len() + 1).sum());
    for item in items {
        body.put_slice(item);
        body.put_u8(b'\n');
    }
    body.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_arrays_or_lines() {
        let items = [Bytes::from_static(b"{}"), Bytes::from_static(b"{\"a\":1}")];
        assert_eq!(array(&items), "[{},{\"a\":1}]");
        assert_eq!(lines(&items), "{}\n{\"a\":1}\n");
    }
}
