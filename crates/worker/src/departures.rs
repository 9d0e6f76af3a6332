//! Environments whose end nobody waits for, until they end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use hearth_types::limits::{LEAVING_BYTES, LEAVING_MEMORY_PART};
use tokio::sync::Notify;

use crate::environment::Environment;
use crate::leaving::{Leaving, Most, Step};
use crate::means::{Look, MB};

/// Those that are to end.
pub(crate) struct Departures {
    inner: Mutex<Inner>,
    /// One must go at once.
    pressed: Notify,
}

struct Inner {
    leaving: Leaving<Arc<Environment>>,
    /// Somebody sees to it that they end.
    tended: bool,
}

impl Departures {
    /// So many may wait at a time.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        let most = Most { environments: most, bytes: LEAVING_BYTES };
        let inner = Inner { leaving: Leaving::new(most), tended: false };
        Arc::new(Self { inner: Mutex::new(inner), pressed: Notify::new() })
    }

    /// An environment starts, and is to have the processors first.
    pub(crate) fn one_starts(&self) {
        self.lock().leaving.starts(Instant::now());
    }

    /// Ends an environment soon.
    pub(crate) fn add(self: &Arc<Self>, environment: Arc<Environment>) {
        let bytes = charged_bytes(&environment);
        let mut inner = self.lock();
        let pressed = inner.leaving.add(environment, bytes, Instant::now());
        let tended = std::mem::replace(&mut inner.tended, true);
        drop(inner);
        match tended {
            true if pressed => self.pressed.notify_one(),
            true => {}
            false => drop(tokio::spawn(Arc::clone(self).tend())),
        }
    }

    /// Ends one after the other, until none waits.
    async fn tend(self: Arc<Self>) {
        let mut look: Option<Look> = None;
        loop {
            match self.step() {
                Step::End(environment) => environment.stop(),
                Step::Wait(time) => {
                    let _ = tokio::time::timeout(time, self.pressed.notified()).await;
                    // Not before: another one starts just now, and to look at the machine takes its time.
                    let now = look.map_or_else(|| Look::now(0), |look| look.again(0));
                    self.lock().leaving.allow(LEAVING_BYTES.max(now.part(LEAVING_MEMORY_PART)));
                    look = Some(now);
                }
                Step::Done => return,
            }
        }
    }

    fn step(&self) -> Step<Arc<Environment>> {
        let mut inner = self.lock();
        let step = inner.leaving.step(Instant::now());
        inner.tended = !matches!(step, Step::Done);
        step
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Memory that it has taken at most, in bytes; where that cannot be read, what it may take.
fn charged_bytes(environment: &Environment) -> u64 {
    match environment.lock().memory_peak() {
        0 => u64::from(environment.spec.memory_mb) * MB,
        peak => peak,
    }
}
