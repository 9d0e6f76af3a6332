//! Bodies in and out.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::mpsc;

/// A request's body as it comes. Its connection learns whether it was read to its end: what stays unread ends the
/// connection, and a client must be told so, or it sends its next request into nothing.
#[derive(Debug)]
pub struct RequestBody {
    incoming: Incoming,
    ended: Arc<AtomicBool>,
}

impl RequestBody {
    /// The body, and what tells whether it was read to its end.
    pub(crate) fn new(incoming: Incoming) -> (Self, Arc<AtomicBool>) {
        let ended = Arc::new(AtomicBool::new(incoming.is_end_stream()));
        (Self { incoming, ended: Arc::clone(&ended) }, ended)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.incoming).poll_frame(context);
        if matches!(polled, Poll::Ready(None)) || this.incoming.is_end_stream() {
            this.ended.store(true, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// Why a request's body was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// More bytes than the operation takes. Known from the head, or after reading that many.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The operation's bound in bytes.
        limit: usize,
    },
    /// The client was too slow.
    #[error("the body did not arrive within {} s", .0.as_secs())]
    TooSlow(Duration),
    /// The connection broke, or its framing did.
    #[error("the body ended early: {0}")]
    Broken(#[from] hyper::Error),
}

/// Reads a whole body of at most `limit` bytes within `time`.
///
/// # Errors
/// Too large (nothing is read where the head already says so), too slow, or broken.
pub async fn read_body(body: RequestBody, limit: usize, time: Duration) -> Result<Bytes, BodyError> {
    let announced = body.size_hint();
    if announced.lower() > limit as u64 {
        return Err(BodyError::TooLarge { limit });
    }
    // Nothing to wait for: the common case of a GET must not register a timer.
    if announced.exact() == Some(0) {
        return Ok(Bytes::new());
    }
    tokio::time::timeout(time, collect(body, limit)).await.map_err(|_| BodyError::TooSlow(time))?
}

async fn collect(mut body: RequestBody, limit: usize) -> Result<Bytes, BodyError> {
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(limit).min(limit);
    let mut first = Bytes::new();
    let mut rest: Option<BytesMut> = None;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        let so_far = first.len() + rest.as_ref().map_or(0, BytesMut::len);
        if so_far + data.len() > limit {
            return Err(BodyError::TooLarge { limit });
        }
        match &mut rest {
            // One frame is the whole of a small body: kept as it came, not copied.
            None if first.is_empty() => first = data,
            None => {
                let mut all = BytesMut::with_capacity(expected.max(first.len() + data.len()));
                all.extend_from_slice(&first);
                all.extend_from_slice(&data);
                first = Bytes::new();
                rest = Some(all);
            }
            Some(all) => all.extend_from_slice(&data),
        }
    }
    Ok(rest.map_or(first, BytesMut::freeze))
}

/// A response's body: whole, or pieces as they come.
#[derive(Debug)]
pub enum ResponseBody {
    /// All of it.
    Whole(Option<Bytes>),
    /// Until the sender is dropped. The channel's bound is the back-pressure.
    Pieces(mpsc::Receiver<Bytes>),
    /// Asked for as the client takes them.
    Drawn(Drawn),
}

/// Gives the pieces of a body when it is asked for the next.
pub struct Drawn(Box<Next>);

type Next = dyn FnMut(&mut Context<'_>) -> Poll<Option<Piece>> + Send;

/// Some bytes of a body, or its early end.
pub type Piece = Result<Bytes, BrokenOff>;

impl fmt::Debug for Drawn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Drawn").finish_non_exhaustive()
    }
}

/// Ends an answer short of its end: the connection breaks, so that the client does not take the answer for whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the answer broke off")]
pub struct BrokenOff;

impl ResponseBody {
    /// No bytes.
    #[must_use]
    pub fn empty() -> Self {
        Self::Whole(None)
    }

    /// Pieces that `next` gives, as [`Body::poll_frame`] does, whenever the client has taken those before: its pace is the
    /// back-pressure. Dropped when the client goes away.
    pub fn drawn(next: impl FnMut(&mut Context<'_>) -> Poll<Option<Piece>> + Send + 'static) -> Self {
        Self::Drawn(Drawn(Box::new(next)))
    }
}

impl Default for ResponseBody {
    fn default() -> Self {
        Self::empty()
    }
}

impl<T: Into<Bytes>> From<T> for ResponseBody {
    fn from(bytes: T) -> Self {
        let bytes = bytes.into();
        Self::Whole((!bytes.is_empty()).then_some(bytes))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Pieces(pieces) => pieces.poll_recv(context).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes)))),
            Self::Drawn(Drawn(next)) => next(context).map(|piece| piece.map(|piece| piece.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Pieces(_) | Self::Drawn(_) => SizeHint::default(),
        }
    }
}
