//! Reads a shard at the pace that its service allows.

use std::sync::Arc;
use std::time::Duration;

use hearth_client::CallError;
use tokio::time::Instant;

use super::lane::Behind;
use super::sequence::Sequence;
use super::service::{Kind, Stream};
use super::shard::{Fetched, Start};
use crate::filter::Filters;

/// After an error; doubled up to the longest.
const AGAIN: Duration = Duration::from_millis(500);
const AGAIN_MAX: Duration = Duration::from_secs(30);

/// Where a shard is read, and when it may be again.
pub(super) struct Reader {
    pub(super) stream: Arc<Stream>,
    pub(super) filters: Arc<Filters>,
    pub(super) id: String,
    start: Start,
    after: Option<Sequence>,
    iterator: Option<String>,
    not_before: Instant,
    errors: u32,
}

/// What came of a look.
pub(super) enum Came {
    Records {
        records: Vec<Fetched>,
        behind: Behind,
    },
    /// It is tried again. With a text for people.
    Problem(String),
}

impl Reader {
    pub(super) fn new(
        stream: Arc<Stream>,
        filters: Arc<Filters>,
        id: String,
        start: Start,
        after: Option<Sequence>,
    ) -> Self {
        Self { stream, filters, id, start, after, iterator: None, not_before: Instant::now(), errors: 0 }
    }

    /// The records up to this one have been taken in: should the place be lost, it is found behind it.
    pub(super) fn go_on_after(&mut self, read: Option<&Sequence>) {
        self.after = read.cloned();
    }

    /// Looks when the time has come. What is dropped before it ends has had no effect.
    pub(super) async fn next(mut self) -> (Self, Came) {
        tokio::time::sleep_until(self.not_before).await;
        let came = self.came().await;
        (self, came)
    }

    async fn came(&mut self) -> Came {
        match self.look().await {
            Ok(came) => {
                self.errors = 0;
                came
            }
            Err(cause) => {
                // An iterator lives for minutes; the next one is behind what was taken in.
                self.iterator = None;
                self.errors = (self.errors + 1).min(16);
                let pause = AGAIN.saturating_mul(1 << (self.errors - 1)).min(AGAIN_MAX);
                match cause.code() {
                    Some("ExpiredIteratorException") => self.not_before = Instant::now(),
                    Some("TrimmedDataAccessException") => {
                        self.after = None;
                        self.not_before = Instant::now() + pause;
                    }
                    _ => self.not_before = Instant::now() + pause,
                }
                Came::Problem(problem(&cause))
            }
        }
    }

    async fn look(&mut self) -> Result<Came, CallError> {
        if self.iterator.is_none() {
            self.iterator = self.stream.iterator(&self.id, self.after.as_ref(), self.start).await?;
        }
        let Some(iterator) = &self.iterator else {
            return Ok(Came::Records { records: Vec::new(), behind: Behind::Closed });
        };
        let read = self.stream.read(&self.id, iterator, self.start, &self.filters).await?;
        let behind = match (&read.next, read.is_behind) {
            (None, _) => Behind::Closed,
            (Some(_), true) => Behind::More,
            (Some(_), false) => Behind::Quiet,
        };
        let pause = if read.is_behind { Kind::READS_APART } else { self.stream.kind.poll_every() };
        self.not_before = Instant::now() + pause;
        self.iterator = read.next;
        Ok(Came::Records { records: read.records, behind })
    }
}

/// As LastProcessingResult shows it.
pub(super) fn problem(cause: &CallError) -> String {
    match cause {
        CallError::Refused { code, message, .. } if message.is_empty() => code.clone(),
        other => other.to_string(),
    }
}
