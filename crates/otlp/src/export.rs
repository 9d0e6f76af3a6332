//! The queue of what is to be told, and the task that tells it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hearth_client::{Client, Endpoint, whole};
use hearth_types::limits::{SPAN_ANSWER_BYTES, SPAN_BATCH, SPAN_LINGER, SPAN_PATIENCE, SPAN_QUEUE, SPAN_TRIES};
use hearth_worker::{InvokeSpan, SpanSink};
use http::{Method, Request, StatusCode, header};
use http_body_util::Full;
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use crate::message::request;

/// Takes what traced invokes went through.
#[derive(Debug)]
pub struct Exporter {
    queue: mpsc::Sender<Told>,
    counts: Arc<[AtomicU64; 3]>,
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

/// How many there were of an outcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counted {
    /// What became of them.
    pub outcome: Outcome,
    /// Traced invokes.
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

impl Exporter {
    /// Sends to `/v1/traces` of this collector, until it is dropped. Needs a tokio runtime around it.
    #[must_use]
    pub fn open(collector: Endpoint, client: Client) -> Arc<Self> {
        let (queue, told) = mpsc::channel(SPAN_QUEUE);
        let counts: Arc<[AtomicU64; 3]> = Arc::default();
        tokio::spawn(Sender { collector, client, counts: Arc::clone(&counts) }.run(told));
        Arc::new(Self { queue, counts })
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
    pub fn counted(&self) -> impl Iterator<Item = Counted> {
        let count = |outcome: Outcome| self.counts[outcome as usize].load(Ordering::Relaxed);
        Outcome::ALL.into_iter().map(move |outcome| Counted { outcome, count: count(outcome) })
    }
}

impl SpanSink for Exporter {
    fn span(&self, span: InvokeSpan) {
        if self.queue.try_send(Told::Invoke(Box::new(span))).is_err() {
            self.counts[Outcome::Dropped as usize].fetch_add(1, Ordering::Relaxed);
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
    counts: Arc<[AtomicU64; 3]>,
}

impl Sender {
    async fn run(self, mut told: mpsc::Receiver<Told>) {
        let mut some = Vec::with_capacity(SPAN_BATCH);
        while told.recv_many(&mut some, SPAN_BATCH).await > 0 {
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
            let (mut invokes, mut waiting) = (Vec::with_capacity(some.len()), Vec::new());
            for told in some.drain(..) {
                match told {
                    Told::Invoke(span) => invokes.push(*span),
                    Told::Flush(done) => waiting.push(done),
                }
            }
            self.send(&invokes).await;
            for done in waiting {
                // Who has gone need not know.
                let _ = done.send(());
            }
        }
    }

    async fn send(&self, invokes: &[InvokeSpan]) {
        if invokes.is_empty() {
            return;
        }
        let body = Bytes::from(request(invokes));
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
                    warn!("the spans of {} invokes are lost: {why}", invokes.len());
                    break;
                }
            }
        }
        self.counts[outcome as usize].fetch_add(invokes.len() as u64, Ordering::Relaxed);
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
