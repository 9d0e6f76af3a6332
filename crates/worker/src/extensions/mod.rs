//! Extensions: programs beside the runtime, or code in it, that hear of invokes and of the environment's end (runtime
//! contract, section 3).

pub(crate) mod api;
mod calls;
mod registry;

use std::task::Waker;

pub(crate) use registry::{Due, Extension, ExtensionId, Refusal, Registry, Report, State};

use crate::lifecycle;

/// The extensions of an environment's processes of now, and who of them waits.
pub(crate) struct Roster {
    pub(crate) registry: Registry,
    /// Calls for the next event; of each extension the latest.
    waiting: Vec<Waiting>,
    tickets: u64,
    /// One has reported that it cannot work or go on.
    pub(crate) reported: Option<Reported>,
}

struct Waiting {
    id: ExtensionId,
    ticket: u64,
    waker: Option<Waker>,
}

/// An extension's report of an error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reported {
    pub(crate) report: Report,
    /// The type that it gives.
    pub(crate) error: String,
    /// Its own words.
    pub(crate) message: String,
}

impl Roster {
    pub(crate) fn new(registry: Registry) -> Self {
        Self { registry, waiting: Vec::new(), tickets: 0, reported: None }
    }

    /// Whether the runtime's wish for an invoke ends init, or the invoke before.
    pub(crate) fn standing(&self) -> lifecycle::Extensions {
        if self.registry.are_ready() { lifecycle::Extensions::Ready } else { lifecycle::Extensions::Busy }
    }

    /// An invoke begins. To be woken.
    pub(crate) fn invoke_begins(&mut self) -> Vec<Waker> {
        self.registry.invoke_begins();
        self.wakers()
    }

    /// All that wait may have something to hear.
    fn wakers(&mut self) -> Vec<Waker> {
        self.waiting.iter_mut().filter_map(|waiting| waiting.waker.take()).collect()
    }
}
