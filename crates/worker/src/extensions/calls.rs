//! What extensions ask of their environment, under its lock.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hearth_types::RequestId;
use uuid::Uuid;

use super::programs::Found;
use super::{Due, Ending, ExtensionId, Reason, Refusal, Registry, Report, Reported, Roster, Waiting};
use crate::clock::Moment;
use crate::environment::{Aftermath, Environment, Inner};
use crate::lifecycle::Next;
use crate::records::Record;

/// An event as an extension gets it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    Invoke {
        request_id: RequestId,
        invoked_arn: Arc<str>,
        trace_id: Arc<str>,
        /// Milliseconds since 1970.
        deadline_ms: i64,
    },
    Shutdown {
        reason: Reason,
        /// Milliseconds since 1970.
        deadline_ms: i64,
    },
}

impl Environment {
    /// New processes are begun, with these extensions.
    pub(crate) fn expect_extensions(&self, found: &Found) {
        let roster = Roster { disabled: found.disabled, ..Roster::new(Registry::new(&found.names)) };
        self.lock().extensions = roster;
    }

    /// Whether there are to be none.
    pub(crate) fn has_extensions_disabled(&self) -> bool {
        self.lock().extensions.disabled
    }

    /// The runtime starts, all who come before it having registered. It is only now that its time is counted.
    pub(crate) fn runtime_starts(&self) {
        let now = Instant::now();
        let mut inner = self.lock();
        inner.extensions.registry.runtime_starts();
        let since = inner.process_since.replace(now);
        inner.phases.extensions = since.map_or(Duration::ZERO, |since| now - since);
        inner.connected = None;
    }

    /// An extension registers. What it calls itself by from now on.
    pub(crate) fn register(&self, name: &str, events: &[String]) -> Result<ExtensionId, Refusal> {
        let id = Uuid::new_v4();
        let mut inner = self.lock();
        inner.extensions.registry.register(name, events, id)?;
        drop(inner);
        self.wake.notify_one();
        Ok(id)
    }

    /// Who has registered under this id: its name.
    pub(crate) fn extension(&self, id: ExtensionId) -> Result<Arc<str>, Refusal> {
        Ok(Arc::clone(&self.lock().extensions.registry.find(id)?.name))
    }

    /// An extension asks for its next event: a ticket to wait with.
    pub(crate) fn extension_next(&self, id: ExtensionId) -> Result<u64, Refusal> {
        let now = Moment::now();
        let mut inner = self.lock();
        inner.extensions.registry.next(id)?;
        let ticket = inner.extensions.wait(id);
        let aftermath = self.extension_is_ready(&mut inner, now);
        let wake = inner.must_wake(now.at, self.shared.freeze_after);
        drop(inner);
        if wake {
            self.wake.notify_one();
        }
        self.say(aftermath);
        Ok(ticket)
    }

    /// The last of them that init, or the invoke, waited for?
    fn extension_is_ready(&self, inner: &mut Inner, now: Moment) -> Aftermath {
        if !inner.extensions.registry.are_ready() {
            return Aftermath::default();
        }
        match inner.life.extensions_ready(now.at) {
            Some(Next::InitDone { init, took }) => self.init_done(inner, now, init, took),
            Some(Next::InvokeDone { took }) => self.finish(inner, now, took, None, None),
            _ => Aftermath::default(),
        }
    }

    /// Waits for an event. None when a later call for one has come.
    pub(crate) fn poll_event(&self, id: ExtensionId, ticket: u64, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut inner = self.lock();
        if !inner.extensions.is_waiting(id, ticket) {
            return Poll::Ready(None);
        }
        match inner.extensions.registry.deliver(id).and_then(|due| inner.event(due)) {
            Some(event) => {
                inner.extensions.waiting.retain(|waiting| waiting.id != id);
                Poll::Ready(Some(event))
            }
            None => {
                inner.extensions.keep_waker(id, context);
                Poll::Pending
            }
        }
    }

    /// An extension cannot work, or cannot go on; `error` is the type that it gives, `message` its own words.
    pub(crate) fn extension_report(
        &self,
        id: ExtensionId,
        report: Report,
        error: &str,
        message: String,
    ) -> Result<(), Refusal> {
        let mut inner = self.lock();
        inner.extensions.registry.report(id, report, error)?;
        inner.extensions.reported.get_or_insert(Reported { report, error: error.to_owned(), message });
        drop(inner);
        self.wake.notify_one();
        Ok(())
    }

    /// Says of all extensions where they stand: at the end of init, good or bad.
    pub(crate) fn log_extensions(&self, inner: &Inner, now: Moment) {
        let all = inner.extensions.registry.all().iter();
        self.journal.records(now.wall_ms, &self.spec, all.map(Record::Extension));
    }
}

impl Inner {
    fn event(&self, due: Due) -> Option<Event> {
        match due {
            Due::Invoke => {
                let current = self.current.as_ref()?;
                let (request_id, invoked_arn) = (current.request_id, Arc::clone(&current.invoked_arn));
                let deadline_ms = self.life.deadline().map_or(0, |deadline| Moment::now().wall_ms_at(deadline));
                Some(Event::Invoke { request_id, invoked_arn, trace_id: Arc::clone(&current.trace_id), deadline_ms })
            }
            Due::Shutdown => {
                let Ending { reason, deadline } = self.extensions.ending?;
                Some(Event::Shutdown { reason, deadline_ms: Moment::now().wall_ms_at(deadline) })
            }
        }
    }
}

impl Roster {
    fn wait(&mut self, id: ExtensionId) -> u64 {
        self.tickets += 1;
        // Who waited with an earlier ticket hears that it is not the latest any more.
        if let Some(waker) = self.forget(id) {
            waker.wake();
        }
        self.waiting.push(Waiting { id, ticket: self.tickets, waker: None });
        self.tickets
    }

    fn forget(&mut self, id: ExtensionId) -> Option<std::task::Waker> {
        let at = self.waiting.iter().position(|waiting| waiting.id == id)?;
        self.waiting.swap_remove(at).waker
    }

    fn is_waiting(&self, id: ExtensionId, ticket: u64) -> bool {
        self.waiting.iter().any(|waiting| waiting.id == id && waiting.ticket == ticket)
    }

    fn keep_waker(&mut self, id: ExtensionId, context: &Context<'_>) {
        if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.id == id) {
            waiting.waker = Some(context.waker().clone());
        }
    }
}
