//! A clock that stands still until it is advanced.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hearth_types::limits::{CLOCK_SETTLE_TURNS, CLOCK_STEPS};
use tokio::sync::{Notify, Semaphore, oneshot};

use crate::ms;

#[derive(Debug)]
pub(crate) struct Manual {
    start_ms: i64,
    state: Mutex<State>,
    /// Nobody is busy.
    quiet: Notify,
    /// One moves it at a time.
    hand: Semaphore,
}

#[derive(Debug)]
struct State {
    now_ms: i64,
    /// By their times; those of one time in the order in which they came.
    sleepers: BTreeMap<(i64, u64), oneshot::Sender<Busy>>,
    last: u64,
    /// How many [`Busy`] there are.
    busy: usize,
    /// How many there ever were.
    begun: u64,
}

/// As long as it is held, manual time stands still. Of a real clock it is nothing.
#[derive(Debug)]
#[must_use = "dropped at once it holds nothing up; `drop` it where that is meant"]
pub struct Busy(Option<Arc<Manual>>);

/// Why a clock was not moved as far as it was to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotAdvanced {
    /// It moves by itself.
    #[error("the clock is a real one")]
    Real,
    /// Something that was begun is not done; time stands still there.
    #[error("something that was begun is not done")]
    Busy {
        /// Milliseconds since 1970.
        now_ms: i64,
    },
    /// There was no end of what became due.
    #[error("more became due than is looked at in one advance")]
    Endless {
        /// Milliseconds since 1970.
        now_ms: i64,
    },
}

impl Busy {
    /// Holds nothing up.
    pub(crate) fn none() -> Self {
        Self(None)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let Some(manual) = self.0.take() else { return };
        let mut state = manual.state();
        state.busy -= 1;
        if state.busy == 0 {
            manual.quiet.notify_waiters();
        }
    }
}

/// Takes a sleeper out that does not wait any more.
struct Asleep<'a>(&'a Manual, (i64, u64));

impl Drop for Asleep<'_> {
    fn drop(&mut self) {
        let gone = self.0.state().sleepers.remove(&self.1);
        drop(gone);
    }
}

impl Manual {
    pub(crate) fn new(now_ms: i64) -> Self {
        let state = State { now_ms, sleepers: BTreeMap::new(), last: 0, busy: 0, begun: 0 };
        Self { start_ms: now_ms, state: Mutex::new(state), quiet: Notify::new(), hand: Semaphore::new(1) }
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.state().now_ms
    }

    /// How far it was moved.
    pub(crate) fn advanced(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.now_ms().saturating_sub(self.start_ms)).unwrap_or(0))
    }

    pub(crate) fn busy(self: &Arc<Self>) -> Busy {
        self.begin(&mut self.state())
    }

    fn begin(self: &Arc<Self>, state: &mut State) -> Busy {
        state.busy += 1;
        state.begun += 1;
        Busy(Some(Arc::clone(self)))
    }

    /// Lets go of `before` when it is asleep.
    pub(crate) async fn sleep_until_ms(self: &Arc<Self>, before: Busy, until_ms: i64) -> Busy {
        let (woken, key) = {
            let mut state = self.state();
            if state.now_ms >= until_ms {
                return self.begin(&mut state);
            }
            let (wake, woken) = oneshot::channel();
            state.last += 1;
            let key = (until_ms, state.last);
            state.sleepers.insert(key, wake);
            (woken, key)
        };
        let _asleep = Asleep(self, key);
        drop(before);
        match woken.await {
            Ok(busy) => busy,
            // Only who wakes it takes it from the sleepers.
            Err(_) => self.busy(),
        }
    }

    pub(crate) async fn advance(self: &Arc<Self>, by: Duration, patience: Duration) -> Result<i64, NotAdvanced> {
        // It is never closed.
        let _hand = self.hand.acquire().await;
        let target_ms = self.now_ms().saturating_add(ms(by));
        for _ in 0..CLOCK_STEPS {
            self.settle(patience).await?;
            if !self.step(target_ms) {
                return Ok(target_ms);
            }
        }
        Err(NotAdvanced::Endless { now_ms: self.now_ms() })
    }

    /// To the time of the next sleepers, who are woken; false where there are none, and the target has been reached.
    fn step(self: &Arc<Self>, target_ms: i64) -> bool {
        let mut state = self.state();
        let next_ms = state.sleepers.keys().next().map(|(at_ms, _)| *at_ms).filter(|at_ms| *at_ms <= target_ms);
        let Some(next_ms) = next_ms else {
            state.now_ms = target_ms;
            return false;
        };
        state.now_ms = state.now_ms.max(next_ms);
        let later = state.sleepers.split_off(&(next_ms.saturating_add(1), 0));
        let due = std::mem::replace(&mut state.sleepers, later);
        let woken: Vec<_> = due.into_values().map(|wake| (wake, self.begin(&mut state))).collect();
        drop(state);
        for (wake, busy) in woken {
            // Who does not wait any more is not busy either.
            drop(wake.send(busy));
        }
        true
    }

    /// Returns when nobody is busy.
    async fn settle(&self, patience: Duration) -> Result<(), NotAdvanced> {
        let settled = async {
            loop {
                let mut quiet = std::pin::pin!(self.quiet.notified());
                quiet.as_mut().enable();
                let (busy, begun) = self.count();
                if busy > 0 {
                    quiet.await;
                    continue;
                }
                // One hands to another who is not busy yet; they get some turns.
                for _ in 0..CLOCK_SETTLE_TURNS {
                    tokio::task::yield_now().await;
                }
                if self.count() == (0, begun) {
                    return;
                }
            }
        };
        let settled = tokio::time::timeout(patience, settled).await;
        settled.map_err(|_| NotAdvanced::Busy { now_ms: self.now_ms() })
    }

    fn count(&self) -> (usize, u64) {
        let state = self.state();
        (state.busy, state.begun)
    }

    /// Nothing is half done while it is held.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
