//! What answers hold of the memory because nobody takes them, over all connections together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the bytes of answers that wait for clients which do not read. Shared by servers that share a memory.
#[derive(Debug)]
pub struct Unread {
    bytes: AtomicUsize,
    most: usize,
}

impl Unread {
    /// Of more than `most` bytes those go first that have waited for a while; of more than twice as many none may wait.
    #[must_use]
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { bytes: AtomicUsize::new(0), most })
    }

    /// Counts these until the guard is dropped; none where nothing more may wait.
    pub(crate) fn hold(self: &Arc<Self>, bytes: usize) -> Option<Held> {
        let held = Held { bytes, unread: Arc::clone(self) };
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        (before.saturating_add(bytes) <= self.most.saturating_mul(2)).then_some(held)
    }

    /// Whether whoever has waited for a while must go.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > self.most
    }
}

/// Bytes that wait.
#[derive(Debug)]
pub(crate) struct Held {
    bytes: usize,
    unread: Arc<Unread>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.unread.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_twice_the_bound_waits() {
        let unread = Unread::new(100);
        let first = unread.hold(100).unwrap();
        assert!(!unread.is_full());
        let second = unread.hold(90).unwrap();
        assert!(unread.is_full());
        assert!(unread.hold(11).is_none());
        let third = unread.hold(10).unwrap();
        drop((first, third));
        assert!(!unread.is_full(), "what was refused is not counted");
        drop(second);
        assert_eq!(unread.bytes.load(Ordering::Relaxed), 0);
    }
}
