//! How messages become batches, how many of them at a time, and when one is tried again. Pure; times are milliseconds.

use hearth_types::limits::{
    SOURCE_POLLERS_GROWTH_MS, SOURCE_POLLERS_MAX, SOURCE_POLLERS_START, SOURCE_RETRY_FIRST_MS, SOURCE_RETRY_MOST_MS,
    SQS_VISIBILITY_MAX_S, SYNC_PAYLOAD_BYTES,
};

use crate::sqs::record::Item;

/// Messages that go to the function together.
pub(crate) type Batch = Vec<Item>;

const HEAD: &[u8] = br#"{"Records":["#;
const TAIL: &[u8] = b"]}";

/// Bytes that a batch of these messages would have as an event.
pub(crate) fn size(items: &[Item]) -> usize {
    HEAD.len() + TAIL.len() + items.iter().map(|item| item.json.len() + 1).sum::<usize>()
}

/// Cuts messages, in order, into batches that a function takes. One that is too large by itself is a batch: that it is
/// is then the invoke's to say.
pub(crate) fn batches(items: Vec<Item>, most: usize) -> Vec<Batch> {
    let (mut batches, mut batch, mut bytes) = (Vec::new(), Batch::new(), size(&[]));
    for item in items {
        let more = item.json.len() + 1;
        if !batch.is_empty() && (batch.len() >= most || bytes + more > SYNC_PAYLOAD_BYTES) {
            batches.push(std::mem::take(&mut batch));
            bytes = size(&[]);
        }
        bytes += more;
        batch.push(item);
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

/// The event of a batch.
pub(crate) fn event(batch: &[Item]) -> Vec<u8> {
    let mut event = Vec::with_capacity(size(batch));
    event.extend_from_slice(HEAD);
    for (n, item) in batch.iter().enumerate() {
        if n > 0 {
            event.push(b',');
        }
        event.extend_from_slice(&item.json);
    }
    event.extend_from_slice(TAIL);
    event
}

/// The trace that a batch goes on in: that of the message whose chain of invokes is the longest, so that no loop hides
/// behind other messages.
pub(crate) fn trace(batch: &[Item]) -> Option<&str> {
    batch.iter().filter_map(|item| item.trace.as_deref()).rev().max_by_key(|trace| passes(trace))
}

/// Invokes of the function that came most often in a chain, as the lineage of its trace counts them.
fn passes(trace: &str) -> u32 {
    let lineage = trace.split_once("Lineage=").map_or("", |(_, lineage)| lineage);
    let lineage = lineage.split(';').next().unwrap_or_default();
    let counts = lineage.split('|').filter_map(|part| part.rsplit_once(':')?.1.parse().ok());
    counts.max().unwrap_or(0)
}

/// Seconds that messages are hidden when they are received; none leaves it to the queue. What is gathered over a window
/// must not appear again before the function has had its time (Lambda: 30 seconds above both).
pub(crate) fn visibility_s(window_s: i64, timeout_s: i64, of_queue_s: i64) -> Option<i64> {
    (window_s + timeout_s > of_queue_s).then(|| (window_s + timeout_s + 30).min(SQS_VISIBILITY_MAX_S))
}

/// How long to wait before a batch for which there was no room is tried again, after so many failures in a row. None where
/// the messages would appear again before the function could have ended: then they are left to the queue.
pub(crate) fn again_ms(now_ms: i64, visible_ms: i64, timeout_ms: i64, failures: u32) -> Option<i64> {
    let doubled = SOURCE_RETRY_FIRST_MS.saturating_mul(2_i64.saturating_pow(failures));
    let pause_ms = doubled.min(SOURCE_RETRY_MOST_MS);
    (now_ms + pause_ms + timeout_ms <= visible_ms).then_some(pause_ms)
}

/// How many batches may be with the function at a time. It begins with five, and grows for as long as all are in use, by
/// 300 a minute (Lambda); it falls when there is no room for them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Scale {
    limit: usize,
    most: usize,
    /// When it may grow again.
    grows_ms: i64,
}

impl Scale {
    /// `concurrency`: MaximumConcurrency.
    pub(crate) fn new(concurrency: Option<i32>) -> Self {
        let most = concurrency.and_then(|most| usize::try_from(most).ok()).unwrap_or(SOURCE_POLLERS_MAX);
        let most = most.clamp(1, SOURCE_POLLERS_MAX);
        Self { limit: SOURCE_POLLERS_START.min(most), most, grows_ms: i64::MIN }
    }

    /// How many now, where so many are in use: all of them being in use is what makes it grow.
    pub(crate) fn limit(&mut self, now_ms: i64, used: usize) -> usize {
        if used >= self.limit && now_ms >= self.grows_ms {
            self.limit = (self.limit + 5).min(self.most);
            self.grows_ms = now_ms + SOURCE_POLLERS_GROWTH_MS;
        }
        self.limit
    }

    /// When it grows next, if all are in use by then.
    pub(crate) fn grows_ms(&self) -> Option<i64> {
        (self.limit < self.most).then_some(self.grows_ms)
    }

    /// There was no room for one.
    pub(crate) fn throttled(&mut self, now_ms: i64, used: usize) {
        self.limit = (used.min(self.limit) / 2).max(1);
        self.grows_ms = now_ms + SOURCE_POLLERS_GROWTH_MS;
    }

    /// There is nothing to do.
    pub(crate) fn idle(&mut self, now_ms: i64) {
        self.limit = SOURCE_POLLERS_START.min(self.most);
        self.grows_ms = now_ms;
    }
}

#[cfg(test)]
mod tests;
