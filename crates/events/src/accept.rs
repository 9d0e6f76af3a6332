//! Taking events in.

use std::sync::atomic::Ordering;

use hearth_crash::{self as crash, Point};
use hearth_store::Step;
use hearth_types::invoke::EventInvoke;

use crate::Events;
use crate::event::{Event, queue_of};

/// The event was not kept; the client may send it again.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the event is not kept: {0}")]
pub struct NotKept(String);

impl Events {
    /// Keeps an event of a function that exists and takes events. When it returns Ok the event is on stable storage, and will be run.
    ///
    /// # Errors
    /// When the server is stopping, or the queue cannot be written.
    pub async fn accept(&self, event: EventInvoke) -> Result<(), NotKept> {
        if self.stopping.load(Ordering::Acquire) {
            return Err(NotKept("the server is stopping".into()));
        }
        let function = event.function.clone();
        let step = self.step(event);
        self.parts.queues.commit(vec![step]).await.map_err(|cause| NotKept(cause.to_string()))?;
        crash::point(Point::EventKept);
        self.arrived(&function);
        Ok(())
    }

    /// The step that keeps an event, for a commit of the caller's, who tells of it by [`Events::arrived`].
    #[must_use]
    pub fn step(&self, event: EventInvoke) -> Step {
        put(event, self.parts.clock.now_ms())
    }

    /// An event of this function has been committed.
    pub fn arrived(&self, function: &str) {
        self.parts.metrics.function(function).events_received.count();
        self.events.arrived(&queue_of(function), self.parts.clock.now_ms());
    }
}

/// What keeps a new event.
fn put(event: EventInvoke, now_ms: i64) -> Step {
    let head = Event {
        id: event.request_id,
        qualifier: event.qualifier,
        accepted_ms: now_ms,
        trace_id: event.trace_id.to_string(),
        tenant: event.tenant.map(|tenant| tenant.to_string()),
        attempts: 0,
        failures: 0,
        last: None,
    };
    Step::Put { queue: queue_of(&event.function), due_ms: now_ms, head: head.head(), body: event.payload }
}
