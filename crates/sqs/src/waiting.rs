//! Receivers that wait for messages.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Notify;

/// A bell for each queue that somebody waits at.
#[derive(Default)]
pub(crate) struct Waiting {
    bells: Mutex<HashMap<String, Weak<Notify>>>,
}

impl Waiting {
    /// The bell of a queue, for as long as it is held.
    pub(crate) fn bell(&self, queue: &str) -> Arc<Notify> {
        let mut bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bell) = bells.get(queue).and_then(Weak::upgrade) {
            return bell;
        }
        bells.retain(|_, bell| bell.strong_count() > 0);
        let bell = Arc::new(Notify::new());
        bells.insert(queue.to_owned(), Arc::downgrade(&bell));
        bell
    }

    /// Wakes all who wait at a queue.
    pub(crate) fn ring(&self, queue: &str) {
        let bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bell) = bells.get(queue).and_then(Weak::upgrade) {
            bell.notify_waiters();
        }
    }
}
