//! The queue of what is to be told, and the task that tells it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hearth_client::{Client, Endpoint, whole};
use hearth_types::limits::{
    SEGMENT_BYTES_OF_REQUEST, SEGMENT_LETTERS, SPAN_ANSWER_BYTES, SPAN_BATCH, SPAN_LINGER, SPAN_PATIENCE, SPAN_QUEUE,
    SPAN_TRIES,
};
use hearth_worker::{ErrorCause, InvokeSpan, Segments, SpanSink};
use http::{Method, Request, StatusCode, header};
use http_body_util::Full;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinError;
use tracing::warn;

use crate::message::{Written, write};

/// Takes what traced invokes went through.
#[derive(Debug)]
pub struct Exporter {
    queue: mpsc::Sender<Told>,
    /// Of its own: who sends very many takes the place of no invoke.
    segments: mpsc::Sender<Segments>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    invokes: [AtomicU64; 3],
    segments: [AtomicU64; 4],
}

#[derive(Debug)]
enum Told {
    Invoke(Box<InvokeSpan>),
    /// All before it is to be sent now; who waits for that.
    Flush(oneshot::Sender<()>),
}

/// What became of a traced invoke's spans.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The collector has taken them.
    Sent,
    /// There was no room to keep them.
    Dropped,
    /// The collector did not take them.
    Failed,
}

/// What became of a segment that a function sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// The collector has taken it.
    Sent,
    /// There was no room to keep it.
    Dropped,
    /// The collector did not take it.
    Failed,
    /// It is no segment, or none of a trace that was the function's to add to.
    Refused,
}

/// How many there were of an outcome, or a fate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counted<Of> {
    /// What became of them.
    pub outcome: Of,
    /// Traced invokes, or segments.
    pub count: u64,
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Sent, Self::Dropped, Self::Failed];

    /// In metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Dropped => "dropped",
            Self::Failed => "failed",
        }
    }
}

impl Fate {
    const ALL: [Self; 4] = [Self::Sent, Self::Dropped, Self::Failed, Self::Refused];

    /// In metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Dropped => "dropped",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

impl Counts {
    fn invokes(&self, outcome: Outcome, more: usize) {
        self.invokes[outcome as usize].fetch_add(more as u64, Ordering::Relaxed);
    }

    fn segments(&self, fate: Fate, more: u64) {
        self.segments[fate as usize].fetch_add(more, Ordering::Relaxed);
    }
}

impl Exporter {
    /// Sends to `/v1/traces` of this collector, until it is dropped. Needs a tokio runtime around it.
    #[must_use]
    pub fn open(collector: Endpoint, client: Client) -> Arc<Self> {
        let (queue, told) = mpsc::channel(SPAN_QUEUE);
        let (segments, letters) = mpsc::channel(SEGMENT_LETTERS);
        let counts: Arc<Counts> = Arc::default();
        tokio::spawn(Sender { collector, client, counts: Arc::clone(&counts) }.run(told, letters));
        Arc::new(Self { queue, segments, counts })
    }

    /// Waits until all that was told is sent, or given up; at most for `patience`.
    pub async fn flush(&self, patience: Duration) {
        let (done, all) = oneshot::channel();
        let flushed = async {
            if self.queue.send(Told::Flush(done)).await.is_ok() {
                let _ = all.await;
            }
        };
        if tokio::time::timeout(patience, flushed).await.is_err() {
            warn!("not all spans reached the collector before the end");
        }
    }

    /// What became of the spans.
    pub fn counted(&self) -> impl Iterator<Item = Counted<Outcome>> {
        let count = |outcome: Outcome| self.counts.invokes[outcome as usize].load(Ordering::Relaxed);
        Outcome::ALL.into_iter().map(move |outcome| Counted { outcome, count: count(outcome) })
    }

    /// What became of the segments that functions sent.
    pub fn counted_segments(&self) -> impl Iterator<Item = Counted<Fate>> {
        let count = |fate: Fate| self.counts.segments[fate as usize].load(Ordering::Relaxed);
        Fate::ALL.into_iter().map(move |outcome| Counted { outcome, count: count(outcome) })
    }
}

impl SpanSink for Exporter {
    fn span(&self, span: InvokeSpan) {
        if self.queue.try_send(Told::Invoke(Box::new(span))).is_err() {
            self.counts.invokes(Outcome::Dropped, 1);
        }
    }

    fn segments(&self, segments: Segments) {
        self.counts.segments(Fate::Dropped, segments.lost);
        let count = segments.documents.len() as u64;
        if count > 0 && self.segments.try_send(segments).is_err() {
            self.counts.segments(Fate::Dropped, count);
        }
    }
}

/// What a try came to.
enum Try {
    Taken,
    /// Another one may do better.
    Again(String),
    /// None ever will.
    Refused(String),
}

struct Sender {
    collector: Endpoint,
    client: Client,
    counts: Arc<Counts>,
}

/// What goes in one request.
#[derive(Default)]
struct Batch {
    invokes: Vec<InvokeSpan>,
    segments: Vec<Segments>,
    /// Of the segments, and of what errors came from.
    bytes: usize,
}

impl Sender {
    async fn run(self, mut told: mpsc::Receiver<Told>, mut segments: mpsc::Receiver<Segments>) {
        let (mut some, mut letters) = (Vec::with_capacity(SPAN_BATCH), Vec::new());
        loop {
            let goes_on = tokio::select! {
                count = told.recv_many(&mut some, SPAN_BATCH) => count > 0,
                Some(first) = segments.recv() => {
                    letters.push(first);
                    true
                }
            };
            if !goes_on {
                return;
            }
            let is_urgent = some.iter().any(|told| matches!(told, Told::Flush(_)));
            if !is_urgent && some.len() < SPAN_BATCH {
                // More will come: they go together.
                tokio::time::sleep(SPAN_LINGER).await;
            }
            while some.len() < SPAN_BATCH
                && let Ok(more) = told.try_recv()
            {
                some.push(more);
            }
            while letters.len() < SEGMENT_LETTERS
                && let Ok(more) = segments.try_recv()
            {
                letters.push(more);
            }
            let mut waiting = Vec::new();
            let invokes = some.drain(..).filter_map(|told| match told {
                Told::Invoke(span) => Some(*span),
                Told::Flush(done) => {
                    waiting.push(done);
                    None
                }
            });
            let mut batch = Batch::default();
            for span in invokes {
                let bytes = span.cause.as_ref().map_or(0, ErrorCause::bytes);
                if batch.bytes + bytes > SEGMENT_BYTES_OF_REQUEST {
                    self.send(std::mem::take(&mut batch)).await;
                }
                batch.bytes += bytes;
                batch.invokes.push(span);
            }
            for segments in letters.drain(..) {
                let bytes = segments.bytes();
                if batch.bytes + bytes > SEGMENT_BYTES_OF_REQUEST {
                    self.send(std::mem::take(&mut batch)).await;
                }
                batch.bytes += bytes;
                batch.segments.push(segments);
            }
            self.send(batch).await;
            for done in waiting {
                // Who has gone need not know.
                let _ = done.send(());
            }
        }
    }

    async fn send(&self, batch: Batch) {
        if batch.invokes.is_empty() && batch.segments.is_empty() {
            return;
        }
        let invokes = batch.invokes.len();
        let Ok(Written { body, taken, refused }) = batch.written().await else {
            return self.counts.invokes(Outcome::Failed, invokes);
        };
        let body = Bytes::from(body);
        self.counts.segments(Fate::Refused, refused);
        if invokes == 0 && taken == 0 {
            return;
        }
        let mut outcome = Outcome::Failed;
        for attempt in 0..SPAN_TRIES {
            match self.attempt(&body).await {
                Try::Taken => {
                    outcome = Outcome::Sent;
                    break;
                }
                Try::Again(why) if attempt + 1 < SPAN_TRIES => {
                    tracing::debug!("the collector is tried again: {why}");
                    tokio::time::sleep(SPAN_LINGER * (1 << attempt)).await;
                }
                Try::Again(why) | Try::Refused(why) => {
                    warn!("the spans of {invokes} invokes are lost, and {taken} segments: {why}");
                    break;
                }
            }
        }
        self.counts.invokes(outcome, invokes);
        let sent = outcome == Outcome::Sent;
        self.counts.segments(if sent { Fate::Sent } else { Fate::Failed }, taken);
    }

    async fn attempt(&self, body: &Bytes) -> Try {
        let Some(uri) = self.collector.uri("/v1/traces") else {
            return Try::Refused("the collector's address cannot be asked".to_owned());
        };
        let request = Request::builder()
            .method(Method::POST)
            .uri(uri)
            .header(header::CONTENT_TYPE, "application/x-protobuf")
            .body(Full::new(body.clone()));
        let request = match request {
            Ok(request) => request,
            Err(cause) => return Try::Refused(cause.to_string()),
        };
        let answer = match self.client.send(request, SPAN_PATIENCE).await {
            Ok(answer) => answer,
            Err(cause) => return Try::Again(cause.to_string()),
        };
        let status = answer.status();
        // Read to its end, the connection serves the next batch.
        let _ = tokio::time::timeout(SPAN_PATIENCE, whole(answer, SPAN_ANSWER_BYTES)).await;
        match status {
            _ if status.is_success() => Try::Taken,
            // Those that the protocol names.
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Try::Again(format!("it answers {status}")),
            _ => Try::Refused(format!("it answers {status}")),
        }
    }
}

impl Batch {
    /// What functions sent is read where it keeps no invoke waiting: how long that takes is theirs to say, within bounds.
    async fn written(self) -> Result<Written, JoinError> {
        if self.segments.is_empty() {
            return Ok(write(&self.invokes, &[]));
        }
        tokio::task::spawn_blocking(move || write(&self.invokes, &self.segments))
            .await
            .inspect_err(|error| warn!("spans are lost: {error}"))
    }
}
