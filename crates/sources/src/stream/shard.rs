//! One shard: its records, split into lanes by their keys, and where it goes on after a restart. No I/O.

use std::sync::Arc;

use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};

use super::lane::{Lane, Open, Record, Rules};
use super::sequence::Sequence;

/// Where reading a shard begins that nothing has been read from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Start {
    /// At its oldest record.
    TrimHorizon,
    /// At what came after this time, in milliseconds since 1970.
    After(i64),
}

/// What is kept of a shard. All before `after` is done with.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    pub(crate) start: Start,
    /// The last record before the first one that is not done with.
    pub(crate) after: Option<Sequence>,
    /// What is done with beyond that.
    #[serde(default)]
    pub(crate) ahead: Vec<Ahead>,
    /// The tumbling window that is open.
    #[serde(default)]
    pub(crate) window: Option<Open>,
    /// All of it is done with, and nothing comes any more.
    #[serde(default)]
    pub(crate) is_finished: bool,
}

/// How far the lanes of a shard were: of a lane everything up to that record is done with.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Ahead {
    done: Vec<Option<Sequence>>,
}

impl Checkpoint {
    pub(crate) fn new(start: Start) -> Self {
        Self { start, after: None, ahead: Vec::new(), window: None, is_finished: false }
    }
}

/// A record as it was read.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Fetched {
    pub(crate) sequence: Sequence,
    /// Records with the same key stay in order.
    pub(crate) key: Arc<str>,
    /// In milliseconds since 1970.
    pub(crate) arrival_ms: i64,
    /// As the function gets it; none where the mapping's filters hold it back.
    pub(crate) event: Option<bytes::Bytes>,
}

/// A shard that is polled.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) lanes: Vec<Lane>,
    rules: Rules,
    kept: Checkpoint,
    /// The last record that was read.
    read: Option<Sequence>,
}

impl Shard {
    /// Goes on where a checkpoint says. Windows are the whole shard's: it has one lane then.
    pub(crate) fn new(rules: Rules, lanes: usize, kept: Checkpoint) -> Self {
        let lanes = if rules.tumbling_ms.is_some() { 1 } else { lanes.max(1) };
        let window = kept.window.clone().filter(|_| rules.tumbling_ms.is_some());
        let lanes = (0..lanes).map(|_| Lane::new(rules, window.clone())).collect();
        let read = kept.after.clone();
        Self { lanes, rules, kept, read }
    }

    /// Where the next record to be read is behind.
    pub(crate) fn read(&self) -> Option<&Sequence> {
        self.read.as_ref()
    }

    /// Where reading began.
    pub(crate) fn start(&self) -> Start {
        self.kept.start
    }

    /// Takes records in that were read in this order. What is done with already is left out.
    pub(crate) fn take(&mut self, now_ms: i64, records: Vec<Fetched>) {
        for one in records {
            if self.read.as_ref().is_some_and(|read| one.sequence <= *read) {
                continue;
            }
            let before = self.read.replace(one.sequence.clone());
            let Some(event) = one.event.filter(|_| !self.kept.has_done(&one.key, &one.sequence)) else { continue };
            let lane = lane_of(&one.key, self.lanes.len());
            let record = Record { sequence: one.sequence, before, arrival_ms: one.arrival_ms, seen_ms: now_ms, event };
            self.lanes[lane].push(record);
        }
    }

    /// Bytes and number of the records that wait.
    pub(crate) fn pending(&self) -> (usize, usize) {
        let records = self.lanes.iter().flat_map(Lane::records);
        records.fold((0, 0), |(bytes, count), record| (bytes + record.event.len(), count + 1))
    }

    /// Whether there is room for more records, and use: each lane has its next batch when it is done with this one.
    pub(crate) fn has_room(&self, most_bytes: usize) -> bool {
        let (bytes, records) = self.pending();
        bytes < most_bytes && records < self.rules.batch.saturating_mul(self.lanes.len() + 1)
    }

    /// Whether all that was read is done with.
    pub(crate) fn is_empty(&self) -> bool {
        self.lanes.iter().all(Lane::is_empty)
    }

    /// What is to be kept now. `is_closed`: nothing comes any more.
    pub(crate) fn checkpoint(&self, is_closed: bool) -> Checkpoint {
        let waiting = self.lanes.iter().filter_map(|lane| lane.records().front());
        let first = waiting.min_by(|a, b| a.sequence.cmp(&b.sequence));
        let after = first.map_or_else(|| self.read.clone(), |record| record.before.clone());
        let now = Ahead { done: self.lanes.iter().map(|lane| lane.done().cloned()).collect() };
        // What was ahead under another number of lanes counts until all before it is done with, too.
        let ahead = self.kept.ahead.iter().chain([&now]).filter(|ahead| ahead.is_beyond(after.as_ref()));
        Checkpoint {
            start: self.kept.start,
            ahead: ahead.cloned().collect(),
            after,
            window: self.lanes.first().and_then(|lane| lane.window().cloned()),
            is_finished: is_closed && self.is_empty(),
        }
    }
}

impl Checkpoint {
    fn has_done(&self, key: &str, sequence: &Sequence) -> bool {
        self.ahead.iter().any(|ahead| {
            let lane = lane_of(key, ahead.done.len());
            ahead.done.get(lane).and_then(Option::as_ref).is_some_and(|done| sequence <= done)
        })
    }
}

impl Ahead {
    fn is_beyond(&self, after: Option<&Sequence>) -> bool {
        self.done.len() > 1 && self.done.iter().flatten().any(|done| after.is_none_or(|after| done > after))
    }
}

/// By the hash that Kinesis itself spreads keys by: the same in each version, for it is kept which lane was how far.
fn lane_of(key: &str, lanes: usize) -> usize {
    let hash = Md5::digest(key);
    let number = hash.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    usize::try_from(number % (lanes.max(1) as u64)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
