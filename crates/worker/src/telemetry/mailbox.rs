//! A subscriber's buffer, between who tells and the task that delivers.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;
use tokio::time::sleep_until;

use super::buffer::{Batch, Buffer, Due, Lost};
use super::event::{self, Written};
use super::subscription::{Destination, Kind, Subscription};
use crate::clock::Moment;

/// The buffer and who waits at it.
pub(super) struct Mailbox {
    subscription: Subscription,
    buffer: Mutex<Buffer>,
    /// When something is due has changed.
    changed: Notify,
    /// Something was delivered or given up.
    settled: Notify,
}

impl Mailbox {
    pub(super) fn new(subscription: Subscription) -> Self {
        let buffer = Mutex::new(Buffer::new(subscription.buffering));
        Self { subscription, buffer, changed: Notify::new(), settled: Notify::new() }
    }

    pub(super) fn destination(&self) -> &Destination {
        &self.subscription.destination
    }

    /// Takes an event, where it is one that was asked for.
    pub(super) fn push(&self, now: Instant, event: &Written<'_>) {
        if let Some(event) = event.of(&self.subscription)
            && self.lock().push(now, event)
        {
            self.changed.notify_one();
        }
    }

    pub(super) fn lose(&self, lost: Lost) {
        self.lock().lose(lost);
    }

    pub(super) fn flush(&self) {
        self.lock().flush();
        self.changed.notify_one();
    }

    pub(super) fn is_settled(&self) -> bool {
        self.lock().is_settled()
    }

    /// Returns once nothing that was asked for is still to be delivered.
    pub(super) async fn settled(&self) {
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable(); // From here on nothing is missed.
            if self.is_settled() {
                return;
            }
            settled.await;
        }
    }

    /// Waits until a batch is due, and takes it. Whoever does owes [`Self::close`].
    pub(super) async fn next(&self) -> Batch {
        loop {
            let due = {
                let mut buffer = self.lock();
                let due = buffer.due(Instant::now());
                if due == Due::Now
                    && let Some(batch) = buffer.take()
                {
                    return self.with_losses(batch);
                }
                due
            };
            match due {
                Due::At(when) => tokio::select! {
                    () = self.changed.notified() => {}
                    () = sleep_until(when.into()) => {}
                },
                Due::Now | Due::Later => self.changed.notified().await,
            }
        }
    }

    /// What became of the batch that was taken.
    pub(super) fn close(&self, delivered: bool) {
        let mut buffer = self.lock();
        if delivered {
            buffer.delivered();
        } else {
            buffer.failed();
        }
        drop(buffer);
        self.settled.notify_waiters();
    }

    /// Subscribers to the platform's events are told what was lost.
    fn with_losses(&self, mut batch: Batch) -> Batch {
        if let Some(lost) = batch.lost
            && self.subscription.kinds.contains(&Kind::Platform)
        {
            batch.items.push(event::logs_dropped(Moment::now().wall_ms, lost));
        }
        batch
    }

    fn lock(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
