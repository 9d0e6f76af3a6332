//! An answer that a runtime streams, on its way to a client that takes it in parts.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hearth_types::RequestId;
use hearth_types::limits::STREAMED_RESPONSE_BYTES;
use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::mpsc;

use crate::bandwidth::Bandwidth;
use crate::environment::{Environment, Refused};
use crate::given::{ANSWERING, Given};
use crate::lifecycle::State;

/// How a streamed answer came to its end.
pub(crate) enum Relayed {
    /// Whole; with the trailers that it ended with.
    Whole(Option<HeaderMap>),
    /// Over the limit; what was beyond is thrown away.
    TooLarge,
    /// The runtime broke off.
    Broken,
}

impl Environment {
    /// The runtime begins to stream its answer. None where who waits wants it whole.
    pub(crate) fn begin_answer(
        &self,
        request_id: &str,
        content_type: Option<HeaderValue>,
    ) -> Result<Option<mpsc::Sender<Bytes>>, Refused> {
        let mut inner = self.lock();
        inner.may_answer(request_id, ANSWERING)?;
        let phases = inner.cold_phases();
        let Some(current) = &mut inner.current else { return Ok(None) };
        let Some(debt) = current.reply.take() else { return Ok(None) };
        let (debt, beginning) = debt.begin(self.id);
        current.reply = Some(debt);
        if beginning.is_some() {
            inner.life.begin_answer();
        }
        drop(inner);
        Ok(beginning.map(|beginning| beginning.announce(content_type, phases)))
    }

    /// The runtime has streamed its answer to this end. Where the invoke is over by now, for it ran out of time, there is
    /// nothing more to say.
    pub(crate) fn end_answer(&self, request_id: RequestId, given: Given) {
        let inner = self.lock();
        let is_this = inner.current.as_ref().is_some_and(|current| current.request_id == request_id);
        if is_this && matches!(inner.life.state(), State::Answering { .. }) {
            self.answered(inner, given);
        }
    }

    /// Passes the parts on as they come, at the pace that answers have. Who takes them slowly slows the runtime; once
    /// nobody takes them any more, they are thrown away as fast as they come, for the function goes on to its end (as on
    /// Lambda). Second, how many bytes there were.
    pub(crate) async fn relay(&self, mut body: Incoming, sink: mpsc::Sender<Bytes>) -> (Relayed, u64) {
        let mut bandwidth = self.shared.stream_bandwidth.map(|rate| Bandwidth::new(Instant::now(), rate));
        let mut sink = Some(sink);
        let (mut produced, mut trailers) = (0, None);
        loop {
            let frame = match body.frame().await {
                None if produced > LIMIT => return (Relayed::TooLarge, produced),
                None => return (Relayed::Whole(trailers), produced),
                Some(Err(_)) => return (Relayed::Broken, produced),
                Some(Ok(frame)) => frame,
            };
            match frame.into_data() {
                Ok(data) => {
                    produced += data.len() as u64;
                    if produced > LIMIT {
                        sink = None;
                    }
                    if let Some(taker) = &sink
                        && !send(taker, bandwidth.as_mut(), data).await
                    {
                        sink = None;
                    }
                }
                Err(other) => trailers = other.into_trailers().ok(),
            }
        }
    }
}

const LIMIT: u64 = STREAMED_RESPONSE_BYTES as u64;

/// Whether somebody takes it.
async fn send(taker: &mpsc::Sender<Bytes>, bandwidth: Option<&mut Bandwidth>, data: Bytes) -> bool {
    if data.is_empty() {
        return true;
    }
    let wait = bandwidth.map_or(Duration::ZERO, |bandwidth| bandwidth.take(Instant::now(), data.len() as u64));
    if !wait.is_zero() {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = taker.closed() => return false,
        }
    }
    taker.send(data).await.is_ok()
}
