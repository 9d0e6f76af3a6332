//! Extensions: programs beside the runtime, or code in it, that hear of invokes and of the environment's end (runtime
//! contract, section 3).

pub(crate) mod api;
mod calls;
pub(crate) mod programs;
mod registry;
pub(crate) mod shutdown;
mod shutting_down;

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
use std::time::Instant;

pub(crate) use registry::{Due, Extension, ExtensionId, Refusal, Registry, Report, State};

use crate::environment::Environment;
use crate::lifecycle;

/// The extensions of an environment's processes of now, and who of them waits.
pub(crate) struct Roster {
    pub(crate) registry: Registry,
    /// There are to be none.
    disabled: bool,
    /// The environment's end, once it has come.
    ending: Option<Ending>,
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

/// Why the environment ends, and when it will have ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Ending {
    reason: Reason,
    deadline: Instant,
}

/// As extensions are told it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reason {
    /// The environment is not needed any more.
    Spindown,
    /// Time ran out.
    Timeout,
    /// Something failed.
    Failure,
}

impl Reason {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Spindown => "spindown",
            Self::Timeout => "timeout",
            Self::Failure => "failure",
        }
    }
}

/// Who is on a connection: it is an extension once it has called as one.
pub(crate) struct Caller<'a> {
    environment: &'a Environment,
    is_extension: AtomicBool,
}

impl<'a> Caller<'a> {
    pub(crate) fn new(environment: &'a Environment) -> Self {
        Self { environment, is_extension: AtomicBool::new(false) }
    }

    pub(crate) fn is_extension(&self) {
        if !self.is_extension.swap(true, Ordering::Relaxed) {
            self.environment.extension_connections.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        if *self.is_extension.get_mut() {
            self.environment.extension_connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Environment {
    /// How many connections are open on which an extension has called.
    pub(crate) fn connections_of_extensions(&self) -> usize {
        self.extension_connections.load(Ordering::Relaxed)
    }
}

impl Roster {
    pub(crate) fn new(registry: Registry) -> Self {
        Self { registry, disabled: false, ending: None, waiting: Vec::new(), tickets: 0, reported: None }
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
