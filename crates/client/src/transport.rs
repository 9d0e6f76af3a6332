//! Connections: kept for the next request, secured where the address asks for it.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hearth_types::limits::{UPSTREAM_CONNECT, UPSTREAM_IDLE, UPSTREAM_STALL};
use http::uri::Scheme;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::client::legacy::{Client as Pool, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::OnceCell;

use crate::error::{Unreached, Unread, root_of};

/// Sends requests. Clones share their connections.
#[derive(Clone)]
pub struct Client(Arc<Pools>);

struct Pools {
    plain: Pool<HttpConnector, Full<Bytes>>,
    /// Made when it is first needed: the machine's certificates are many files.
    secure: OnceCell<Pool<HttpsConnector<HttpConnector>, Full<Bytes>>>,
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Client {
    /// With no connection yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Pools { plain: pool(tcp()), secure: OnceCell::new() }))
    }

    /// Sends a request to the absolute address that it bears and waits for the answer's head, at most for `time`.
    ///
    /// # Errors
    /// When no answer came. The request may have had its effect all the same.
    pub async fn send(&self, request: Request<Full<Bytes>>, time: Duration) -> Result<Response<Incoming>, Unreached> {
        let answer = async {
            if request.uri().scheme() == Some(&Scheme::HTTPS) {
                self.secure().await?.request(request).await.map_err(unreached)
            } else {
                self.0.plain.request(request).await.map_err(unreached)
            }
        };
        let late = |_| Unreached(format!("no answer within {} s", time.as_secs_f32()));
        tokio::time::timeout(time, answer).await.map_err(late)?
    }

    async fn secure(&self) -> Result<&Pool<HttpsConnector<HttpConnector>, Full<Bytes>>, Unreached> {
        let made = self.0.secure.get_or_try_init(|| async {
            let connector = tokio::task::spawn_blocking(tls);
            connector.await.map_err(|cause| Unreached(cause.to_string()))?.map(pool)
        });
        made.await
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what a result's error is mapped with")]
fn unreached(cause: Error) -> Unreached {
    Unreached(root_of(&cause))
}

fn tcp() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(UPSTREAM_CONNECT));
    connector.set_nodelay(true);
    connector
}

/// Reads the machine's certificates, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
fn tls() -> Result<HttpsConnector<HttpConnector>, Unreached> {
    let mut tcp = tcp();
    tcp.enforce_http(false);
    let builder = HttpsConnectorBuilder::new().with_native_roots();
    let builder = builder.map_err(|cause| Unreached(format!("this machine has no certificates to trust: {cause}")))?;
    Ok(builder.https_only().enable_http1().wrap_connector(tcp))
}

fn pool<C>(connector: C) -> Pool<C, Full<Bytes>>
where
    C: Connect + Clone,
{
    Pool::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(UPSTREAM_IDLE)
        .build(connector)
}

/// The whole body of an answer, if it has at most `most` bytes.
///
/// # Errors
/// See [`Unread`].
pub async fn whole(answer: Response<Incoming>, most: usize) -> Result<Bytes, Unread> {
    let mut body = answer.into_body();
    if body.size_hint().lower() > most as u64 {
        return Err(Unread::TooLarge { most });
    }
    let mut bytes = BytesMut::new();
    loop {
        let frame = tokio::time::timeout(UPSTREAM_STALL, body.frame()).await;
        match frame.map_err(|late| Unread::Broken(late.to_string()))? {
            None => return Ok(bytes.freeze()),
            Some(Err(cause)) => return Err(Unread::Broken(root_of(&cause))),
            Some(Ok(frame)) => {
                let Ok(piece) = frame.into_data() else { continue };
                if bytes.len() + piece.len() > most {
                    return Err(Unread::TooLarge { most });
                }
                bytes.extend_from_slice(&piece);
            }
        }
    }
}
