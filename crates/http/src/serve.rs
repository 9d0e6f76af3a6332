//! The accept loop and its bounds.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use http::{HeaderMap, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use crate::body::{RequestBody, ResponseBody};
use crate::stream::ClientStream;
use crate::unread::Unread;

/// Connections that wait to be accepted; the kernel may cut this down to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Answers requests. Cloned into each connection by `Arc`.
pub trait Handler: Send + Sync + 'static {
    /// The answer to one request of `peer`.
    fn handle(
        &self,
        peer: SocketAddr,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Response<ResponseBody>> + Send;
}

/// What a client may ask of the server.
#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// Connections at a time; more wait in the kernel's backlog.
    pub connections: usize,
    /// Bytes of a request's head.
    pub head_bytes: usize,
    /// Count of headers.
    pub headers: usize,
    /// Time for a head to arrive whole, counted from the answer before it: a connection that stays idle so long ends.
    pub head_timeout: Duration,
}

/// Listening sockets and the bounds of all that comes in there together.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<TcpListener>,
    limits: ServerLimits,
    unread: Arc<Unread>,
}

impl Server {
    /// Serves on `listeners`, which must be bound and non-blocking. `unread` bounds what answers hold that nobody takes.
    ///
    /// # Errors
    /// When the runtime cannot take a descriptor, or its queue cannot be set.
    pub fn new(listeners: Vec<std::net::TcpListener>, limits: ServerLimits, unread: Arc<Unread>) -> io::Result<Self> {
        let taken = listeners.into_iter().map(|listener| {
            // The standard library asks for 128: a burst of more would wait a second for the kernel to try again.
            rustix::net::listen(&listener, BACKLOG)?;
            TcpListener::from_std(listener)
        });
        Ok(Self { listeners: taken.collect::<io::Result<_>>()?, limits, unread })
    }

    /// Serves on a listener that the runtime has already, whose queue stays as it is.
    #[must_use]
    pub fn with_backlog(listener: TcpListener, limits: ServerLimits, unread: Arc<Unread>) -> Self {
        Self { listeners: vec![listener], limits, unread }
    }

    /// Serves until `stop` turns true; then takes no more connections, lets the requests in work finish, and returns
    /// when the last one has, or after `drain`.
    pub async fn run(self, handler: Arc<impl Handler>, mut stop: watch::Receiver<bool>, drain: Duration) {
        let places = Arc::new(Semaphore::new(self.limits.connections));
        let mut connections = JoinSet::new();
        let mut last = 0;
        loop {
            let accept = async {
                // A place first: who has none waits in the kernel's queue.
                let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
                Ok((place, accept(&self.listeners, &mut last).await?))
            };
            let accepted = tokio::select! {
                accepted = accept => accepted,
                () = stopped(&mut stop) => break,
            };
            match accepted {
                Ok((place, (stream, peer))) => {
                    // Without it an answer of two writes waits 40 ms for the peer's acknowledgement.
                    if let Err(error) = stream.set_nodelay(true) {
                        debug!("{peer}: TCP_NODELAY: {error}");
                    }
                    let stream = ClientStream::new(stream, stop.clone(), Arc::clone(&self.unread));
                    let connection = connection(stream, peer, self.limits, Arc::clone(&handler), stop.clone());
                    connections.spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
                Err(error) => pause_after(&error).await,
            }
            while connections.try_join_next().is_some() {}
        }
        drop(self.listeners);
        let finished = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(drain, finished).await.is_err() {
            warn!("connections still open after {} s are closed", drain.as_secs());
        }
    }
}

/// A connection of any of these; the one after the last that had one comes first, so that none is left waiting by others.
async fn accept(listeners: &[TcpListener], last: &mut usize) -> io::Result<(TcpStream, SocketAddr)> {
    let (before, after) = listeners.split_at((*last + 1).min(listeners.len()));
    poll_fn(|context| {
        for (at, listener) in after.iter().chain(before).enumerate() {
            if let Poll::Ready(accepted) = listener.poll_accept(context) {
                *last = (before.len() + at) % listeners.len();
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    })
    .await
}

/// Returns once the server is to stop, or nobody is left who could say so.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stopped| *stopped).await;
}

/// Descriptors may be short: the loop must not spin until some are free again.
async fn pause_after(error: &io::Error) {
    warn!("accept failed: {error}");
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// Serves one connection that somebody else has accepted, until its end.
pub async fn serve_one<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    peer: SocketAddr,
    limits: ServerLimits,
    unread: Arc<Unread>,
    handler: Arc<impl Handler>,
) {
    let (_never, stop) = watch::channel(false);
    connection(ClientStream::new(stream, stop.clone(), unread), peer, limits, handler, stop).await;
}

async fn connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: ClientStream<S>,
    peer: SocketAddr,
    limits: ServerLimits,
    handler: Arc<impl Handler>,
    mut stop: watch::Receiver<bool>,
) {
    let service = service_fn(|request: Request<Incoming>| {
        let handler = Arc::clone(&handler);
        async move {
            if lacks_host(request.version(), request.headers()) {
                return Ok::<_, Infallible>(no_host());
            }
            let (head, incoming) = request.into_parts();
            let (body, ended) = RequestBody::new(incoming);
            let mut response = handler.handle(peer, Request::from_parts(head, body)).await;
            if !ended.load(Ordering::Relaxed) {
                closes(&mut response);
            }
            Ok(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_headers(limits.headers)
        .max_buf_size(limits.head_bytes)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        debug!("{peer}: connection ended: {error}");
    }
}

/// HTTP/1.1 asks for a Host, and for a 400 where there is none (RFC 9112, 3.2).
fn lacks_host(version: Version, headers: &HeaderMap) -> bool {
    version == Version::HTTP_11 && !headers.contains_key(header::HOST)
}

fn no_host() -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::from("the request has no Host\n"));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    closes(&mut response);
    response
}

/// Tells the client that this answer is the connection's last.
fn closes(response: &mut Response<ResponseBody>) {
    response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
}
