//! Versions that wait for their snapshot before they can be invoked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use hearth_types::invoke::VersionSpec;
use tokio::sync::Notify;

use crate::dispatcher::{Dispatcher, lock};

/// Those that nobody takes a snapshot of yet: no more than there are versions.
#[derive(Debug, Default)]
pub(crate) struct Optimizations {
    queue: Mutex<VecDeque<Arc<VersionSpec>>>,
    more: Notify,
}

impl Optimizations {
    pub(crate) fn add(&self, specs: impl IntoIterator<Item = Arc<VersionSpec>>) {
        let mut queue = lock(&self.queue);
        let before = queue.len();
        queue.extend(specs);
        if queue.len() > before {
            self.more.notify_one();
        }
    }

    async fn next(&self) -> Arc<VersionSpec> {
        loop {
            let more = self.more.notified();
            if let Some(spec) = lock(&self.queue).pop_front() {
                return spec;
            }
            more.await;
        }
    }
}

impl<W> Dispatcher<W> {
    /// The next version that waits for its snapshot. It is invoked by this very generation once it is said to be active.
    pub async fn next_to_optimize(&self) -> Arc<VersionSpec> {
        self.optimizations.next().await
    }

    /// Who runs environments.
    pub fn environments(&self) -> &W {
        &self.worker
    }
}
