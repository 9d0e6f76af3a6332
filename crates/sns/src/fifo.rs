//! What FIFO topics add: numbers that grow, and publications that count once.

use std::sync::atomic::{AtomicU64, Ordering};

use hearth_api::ApiError;
use hearth_records::put;
use hearth_store::{Precondition, Write};
use hearth_types::digest::CodeDigest;
use hearth_types::limits::SNS_DEDUPLICATION_MS;
use serde::{Deserialize, Serialize};

use crate::Sns;

/// Where the numbers begin: the service's have 20 digits.
const FIRST: u64 = 10_000_000_000_000_000_000;

/// Numbers that grow over all topics, and across restarts with the time.
#[derive(Default)]
pub(crate) struct Sequence(AtomicU64);

impl Sequence {
    pub(crate) fn next(&self, now_ms: i64) -> String {
        let now = u64::try_from(now_ms).unwrap_or(0) * 1000;
        let after = |last: u64| Some(now.max(last.saturating_add(1)));
        let last = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, after).unwrap_or_else(|last| last);
        (FIRST + now.max(last.saturating_add(1))).to_string()
    }
}

/// A publication that counts once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Once {
    pub(crate) message_id: String,
    pub(crate) sequence: String,
    /// Milliseconds since 1970.
    pub(crate) until_ms: i64,
}

fn key(topic: &str, deduplication: &str) -> String {
    format!("topic-once/{topic}/{}", CodeDigest::of(deduplication.as_bytes()))
}

impl Sns {
    /// What was published under this id in the last minutes.
    pub(crate) async fn published(&self, topic: &str, deduplication: &str) -> Result<Option<Once>, ApiError> {
        let found = self.records.read::<Once>(&key(topic, deduplication)).await;
        let found = found?;
        Ok(found.map(|found| found.record).filter(|once| once.until_ms > self.now_ms()))
    }

    /// Keeps that this was published. A crash before leaves the id free: a FIFO queue knows it by itself.
    pub(crate) async fn keep_published(
        &self,
        topic: &str,
        deduplication: &str,
        message_id: &str,
        sequence: &str,
    ) -> Result<(), ApiError> {
        let until_ms = self.now_ms().saturating_add(SNS_DEDUPLICATION_MS);
        let once = Once { message_id: message_id.to_owned(), sequence: sequence.to_owned(), until_ms };
        let mut writes = self.forgotten(topic).await?;
        let key = key(topic, deduplication);
        writes.retain(|write| write.key != key);
        writes.push(put(key, &once, Precondition::Any)?);
        self.records.commit(writes).await.map(|_| ())
    }

    /// What takes some ids away whose time is over.
    async fn forgotten(&self, topic: &str) -> Result<Vec<Write>, ApiError> {
        let prefix = format!("topic-once/{topic}/");
        let some = self.records.read_page::<Once>(&prefix, None, 16).await;
        let over = some?.into_iter();
        let over = over.filter(|(_, once)| once.record.until_ms <= self.now_ms());
        Ok(over.map(|(rest, _)| Write::delete(format!("{prefix}{rest}"), Precondition::Any)).collect())
    }
}
