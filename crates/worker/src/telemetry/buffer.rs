//! What waits to be delivered to one subscriber, as a pure state machine: time is passed in.
//!
//! Events leave in batches: once there are enough of them, once they are large enough, once the oldest has waited long
//! enough, or once all that waits is asked for. What has no room is dropped and counted, and so is what could not be
//! delivered; the next batch tells.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

/// When a batch is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Buffering {
    /// Events.
    pub(crate) max_items: usize,
    /// Bytes of events as they are delivered.
    pub(crate) max_bytes: usize,
    /// How long the first event of a batch waits for others.
    pub(crate) timeout: Duration,
}

/// Events that the subscriber never got.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Lost {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

/// What is delivered at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Batch {
    /// In the order in which they came; never empty.
    pub(crate) items: Vec<Bytes>,
    /// What was lost before them and has not been told.
    pub(crate) lost: Option<Lost>,
}

/// When there is something to deliver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Due {
    Now,
    At(Instant),
    /// Once more has come.
    Later,
}

/// The machine.
#[derive(Debug)]
pub(crate) struct Buffer {
    limits: Buffering,
    waiting: VecDeque<(Instant, Bytes)>,
    bytes: usize,
    /// So many of the oldest do not wait any longer.
    asked_for: usize,
    /// What the batch has that is being delivered.
    on_its_way: Option<Lost>,
    lost: Lost,
}

impl Lost {
    fn add(&mut self, other: Self) {
        self.records += other.records;
        self.bytes += other.bytes;
    }
}

impl Buffer {
    pub(crate) fn new(limits: Buffering) -> Self {
        Self { limits, waiting: VecDeque::new(), bytes: 0, asked_for: 0, on_its_way: None, lost: Lost::default() }
    }

    /// Takes an event: true where what is due has changed by it. Twice a batch may wait; of what has no room beside that,
    /// only a first event is taken, however large.
    pub(crate) fn push(&mut self, now: Instant, event: Bytes) -> bool {
        let room = self.waiting.len() < 2 * self.limits.max_items
            && (self.bytes + event.len() <= 2 * self.limits.max_bytes || self.waiting.is_empty());
        if !room {
            self.lose(Lost { records: 1, bytes: event.len() as u64 });
            return false;
        }
        let before = self.is_full();
        self.bytes += event.len();
        self.waiting.push_back((now, event));
        self.waiting.len() == 1 || self.is_full() != before
    }

    /// Counts what was lost elsewhere.
    pub(crate) fn lose(&mut self, lost: Lost) {
        self.lost.add(lost);
    }

    /// What waits is due now.
    pub(crate) fn flush(&mut self) {
        self.asked_for = self.waiting.len();
    }

    pub(crate) fn due(&self, now: Instant) -> Due {
        let Some((since, _)) = self.waiting.front() else { return Due::Later };
        let by_time = *since + self.limits.timeout;
        if self.asked_for > 0 || self.is_full() || by_time <= now { Due::Now } else { Due::At(by_time) }
    }

    /// The oldest, as many as a batch holds. To be told of by [`Self::delivered`] or [`Self::failed`].
    pub(crate) fn take(&mut self) -> Option<Batch> {
        let (mut items, mut bytes) = (Vec::new(), 0);
        while let Some((_, next)) = self.waiting.front() {
            let fits = items.len() < self.limits.max_items && bytes + next.len() <= self.limits.max_bytes;
            if !fits && !items.is_empty() {
                break;
            }
            bytes += next.len();
            items.extend(self.waiting.pop_front().map(|(_, event)| event));
        }
        if items.is_empty() {
            return None;
        }
        self.bytes -= bytes;
        self.asked_for = self.asked_for.saturating_sub(items.len());
        let lost = std::mem::take(&mut self.lost);
        let mut fate = Lost { records: items.len() as u64, bytes: bytes as u64 };
        fate.add(lost);
        self.on_its_way = Some(fate);
        Some(Batch { items, lost: (lost != Lost::default()).then_some(lost) })
    }

    /// The batch has arrived.
    pub(crate) fn delivered(&mut self) {
        self.on_its_way = None;
    }

    /// The batch is given up.
    pub(crate) fn failed(&mut self) {
        if let Some(fate) = self.on_its_way.take() {
            self.lose(fate);
        }
    }

    /// Whether nothing of what has been asked for is still to be delivered.
    pub(crate) fn is_settled(&self) -> bool {
        self.asked_for == 0 && self.on_its_way.is_none()
    }

    fn is_full(&self) -> bool {
        self.waiting.len() >= self.limits.max_items || self.bytes >= self.limits.max_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Buffering = Buffering { max_items: 3, max_bytes: 100, timeout: Duration::from_millis(50) };
    const MS: Duration = Duration::from_millis(1);

    fn event(bytes: usize) -> Bytes {
        vec![b'x'; bytes].into()
    }

    fn sizes(batch: Option<Batch>) -> Vec<usize> {
        batch.map_or_else(Vec::new, |batch| batch.items.iter().map(Bytes::len).collect())
    }

    #[test]
    fn the_oldest_waits_no_longer_than_the_timeout() {
        let t = Instant::now();
        let mut buffer = Buffer::new(LIMITS);
        assert_eq!(buffer.due(t), Due::Later);
        assert!(buffer.push(t, event(1)), "when to look has changed");
        assert!(!buffer.push(t + 10 * MS, event(2)));
        assert_eq!(buffer.due(t + 49 * MS), Due::At(t + 50 * MS));
        assert_eq!(buffer.due(t + 50 * MS), Due::Now);
        assert_eq!(sizes(buffer.take()), [1, 2]);
        assert_eq!((buffer.due(t + 99 * MS), buffer.take()), (Due::Later, None));
    }

    #[test]
    fn a_full_batch_is_due_at_once() {
        let t = Instant::now();
        let mut buffer = Buffer::new(LIMITS);
        assert_eq!([1, 1, 1, 1].map(|bytes| buffer.push(t, event(bytes))), [true, false, true, false]);
        assert_eq!(buffer.due(t), Due::Now);
        assert_eq!(sizes(buffer.take()), [1, 1, 1]);
        assert_eq!(buffer.due(t), Due::At(t + 50 * MS), "the rest waits for its time");
        let mut buffer = Buffer::new(LIMITS);
        assert_eq!([60, 39, 1].map(|bytes| buffer.push(t, event(bytes))), [true, false, true]);
        assert_eq!(buffer.due(t), Due::Now);
    }

    #[test]
    fn a_batch_is_no_larger_than_asked_for_unless_one_event_is() {
        let t = Instant::now();
        let mut buffer = Buffer::new(LIMITS);
        for bytes in [60, 60, 40] {
            buffer.push(t, event(bytes));
        }
        assert_eq!([sizes(buffer.take()), sizes(buffer.take())], [vec![60], vec![60, 40]]);
        buffer.push(t, event(1000));
        buffer.push(t, event(1));
        let batch = buffer.take().unwrap();
        assert_eq!((batch.items[0].len(), batch.items.len()), (1000, 1));
        assert_eq!(batch.lost, Some(Lost { records: 1, bytes: 1 }), "beside it there was no room");
    }

    #[test]
    fn what_has_no_room_is_counted_and_told_once() {
        let t = Instant::now();
        let mut buffer = Buffer::new(LIMITS);
        for _ in 0..9 {
            buffer.push(t, event(2));
        }
        let first = buffer.take().unwrap();
        assert_eq!((first.items.len(), first.lost), (3, Some(Lost { records: 3, bytes: 6 })));
        buffer.delivered();
        let second = buffer.take().unwrap();
        assert_eq!((second.items.len(), second.lost), (3, None));
        buffer.failed();
        buffer.push(t, event(5));
        assert_eq!(buffer.take().unwrap().lost, Some(Lost { records: 3, bytes: 6 }), "what failed is lost as well");
        buffer.failed();
        buffer.push(t, event(1));
        assert_eq!(buffer.take().unwrap().lost, Some(Lost { records: 4, bytes: 11 }), "and what was lost before it");
    }

    #[test]
    fn what_is_asked_for_is_due_and_settles() {
        let t = Instant::now();
        let mut buffer = Buffer::new(LIMITS);
        buffer.flush();
        assert!(buffer.is_settled() && buffer.due(t) == Due::Later);
        for _ in 0..4 {
            buffer.push(t, event(1));
        }
        buffer.flush();
        buffer.push(t, event(1));
        assert_eq!(sizes(buffer.take()), [1, 1, 1]);
        buffer.delivered();
        assert!(!buffer.is_settled() && buffer.due(t) == Due::Now);
        assert_eq!(sizes(buffer.take()), [1, 1], "what came later goes along");
        assert!(!buffer.is_settled(), "it is on its way");
        buffer.failed();
        assert!(buffer.is_settled());
    }
}
