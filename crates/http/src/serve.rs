//! The accept loop and its bounds.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use crate::body::ResponseBody;

/// Answers requests. Cloned into each connection by `Arc`.
pub trait Handler: Send + Sync + 'static {
    /// The answer to one request of `peer`.
    fn handle(
        &self,
        peer: SocketAddr,
        request: Request<Incoming>,
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
    /// Time for a head to arrive whole.
    pub head_timeout: Duration,
}

/// A listening socket and its bounds.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    limits: ServerLimits,
}

impl Server {
    /// Serves on `listener`, which must be bound and non-blocking.
    ///
    /// # Errors
    /// When the runtime cannot take the descriptor.
    pub fn new(listener: std::net::TcpListener, limits: ServerLimits) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::from_std(listener)?, limits })
    }

    /// Serves until `stop` turns true; then takes no more connections, lets the requests in work finish, and returns
    /// when the last one has, or after `drain`.
    pub async fn run(self, handler: Arc<impl Handler>, mut stop: watch::Receiver<bool>, drain: Duration) {
        let places = Arc::new(Semaphore::new(self.limits.connections));
        let mut connections = JoinSet::new();
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = stopped(&mut stop) => break,
            };
            match accepted {
                Ok((stream, peer)) => {
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
        drop(self.listener);
        let finished = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(drain, finished).await.is_err() {
            warn!("connections still open after {} s are closed", drain.as_secs());
        }
    }
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

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    limits: ServerLimits,
    handler: Arc<impl Handler>,
    mut stop: watch::Receiver<bool>,
) {
    // Without it an answer of two writes waits 40 ms for the peer's acknowledgement.
    if let Err(error) = stream.set_nodelay(true) {
        debug!("{peer}: TCP_NODELAY: {error}");
    }
    let service = service_fn(|request| {
        let handler = Arc::clone(&handler);
        async move { Ok::<_, Infallible>(handler.handle(peer, request).await) }
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
