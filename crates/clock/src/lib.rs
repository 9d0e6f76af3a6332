//! What time it is for the platform, and waiting for a time: what everything uses that is due later. A function's own
//! time (its timeout, its deadline) is never asked of it.
//!
//! A clock is either real, and follows the machine's wall clock, or manual: it stands still until somebody advances it,
//! so that a story of hours is told in a moment. Manual time moves from one sleeper's time to the next, and goes on only
//! when what the woken one has begun is done: whoever works on what time has led to holds a [`Busy`] meanwhile.

mod manual;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hearth_types::limits::CLOCK_LOOK;
use tokio::time::Instant;

use manual::Manual;
pub use manual::{Busy, NotAdvanced};

/// Tells the time and wakes sleepers. Cheap to clone; all clones are one clock.
#[derive(Clone, Debug)]
pub struct Clock {
    /// When it was made, on the clock that nobody sets.
    start: Instant,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Real(Arc<dyn Fn() -> i64 + Send + Sync>),
    Manual(Arc<Manual>),
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Real(_) => "Real",
            Self::Manual(_) => "Manual",
        })
    }
}

/// It was not over in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("it took too long")]
pub struct Elapsed;

impl Clock {
    /// Follows the machine's wall clock, also when that is set.
    #[must_use]
    pub fn real() -> Self {
        Self::following(wall_ms)
    }

    /// Follows another wall clock, in milliseconds since 1970.
    pub fn following(wall_ms: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self { start: Instant::now(), kind: Kind::Real(Arc::new(wall_ms)) }
    }

    /// Stands still at that time, in milliseconds since 1970, until it is advanced.
    #[must_use]
    pub fn manual(now_ms: i64) -> Self {
        Self { start: Instant::now(), kind: Kind::Manual(Arc::new(Manual::new(now_ms))) }
    }

    /// Stands still at the present time until it is advanced.
    #[must_use]
    pub fn manual_from_now() -> Self {
        Self::manual(wall_ms())
    }

    /// Whether it is moved by [`Clock::advance`] alone.
    #[must_use]
    pub fn is_manual(&self) -> bool {
        matches!(self.kind, Kind::Manual(_))
    }

    /// Milliseconds since 1970. A real clock may be set, and so go back.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        match &self.kind {
            Kind::Real(wall_ms) => wall_ms(),
            Kind::Manual(manual) => manual.now_ms(),
        }
    }

    /// The same, as a time since 1970; nothing before that.
    #[must_use]
    pub fn now(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.now_ms()).unwrap_or(0))
    }

    /// Returns when it is that time, or later; at once where it is already. What comes back is to be held, or given
    /// away, until that is done which was waited for.
    pub async fn sleep_until_ms(&self, until_ms: i64) -> Busy {
        self.rest_until_ms(Busy::none(), until_ms).await
    }

    /// The same for one who was busy until now, and is so until it sleeps: manual time cannot move between the two. What
    /// sleeps again and again does it in this way.
    pub async fn rest_until_ms(&self, busy: Busy, until_ms: i64) -> Busy {
        match &self.kind {
            Kind::Manual(manual) => manual.sleep_until_ms(busy, until_ms).await,
            Kind::Real(wall_ms) => {
                // The wall clock may be set meanwhile, so no sleep is long.
                while let Some(left) = left(wall_ms(), until_ms) {
                    tokio::time::sleep(left.min(CLOCK_LOOK)).await;
                }
                Busy::none()
            }
        }
    }

    /// Returns so much later, whatever the wall clock is set to meanwhile. As for [`Clock::sleep_until_ms`].
    pub async fn sleep(&self, time: Duration) -> Busy {
        match &self.kind {
            Kind::Manual(manual) => {
                manual.sleep_until_ms(Busy::none(), manual.now_ms().saturating_add(ms_up(time))).await
            }
            Kind::Real(_) => {
                tokio::time::sleep(time).await;
                Busy::none()
            }
        }
    }

    /// What comes of it, or [`Elapsed`] so much later.
    ///
    /// # Errors
    /// When it takes longer.
    pub async fn timeout<T>(&self, time: Duration, of: impl Future<Output = T>) -> Result<T, Elapsed> {
        tokio::select! {
            biased;
            out = of => Ok(out),
            _ = self.sleep(time) => Err(Elapsed),
        }
    }

    /// For how long the clock is there. Never goes back. Also real time counts on a manual clock: what waits by it is
    /// late for nobody who waits at the other end, for room, or for an answer.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        match &self.kind {
            Kind::Real(_) => self.start.elapsed(),
            Kind::Manual(manual) => self.start.elapsed().saturating_add(manual.advanced()),
        }
    }

    /// Returns when [`Clock::uptime`] is that, or more. As for [`Clock::sleep_until_ms`].
    pub async fn sleep_until_uptime(&self, until: Duration) -> Busy {
        self.rest_until_uptime(Busy::none(), until).await
    }

    /// The same for one who was busy until now. As for [`Clock::rest_until_ms`].
    pub async fn rest_until_uptime(&self, mut busy: Busy, until: Duration) -> Busy {
        loop {
            let left = until.saturating_sub(self.uptime());
            if left.is_zero() {
                return self.busy();
            }
            match &self.kind {
                Kind::Real(_) => tokio::time::sleep(left).await,
                Kind::Manual(manual) => {
                    let due_ms = manual.now_ms().saturating_add(ms_up(left));
                    let before = std::mem::replace(&mut busy, Busy::none());
                    tokio::select! {
                        busy = manual.sleep_until_ms(before, due_ms) => return busy,
                        () = tokio::time::sleep(left) => {}
                    }
                }
            }
        }
    }

    /// To be held by whoever works on what may be due, or may become due: manual time stands still until it is dropped.
    pub fn busy(&self) -> Busy {
        match &self.kind {
            Kind::Real(_) => Busy::none(),
            Kind::Manual(manual) => manual.busy(),
        }
    }

    /// Moves a manual clock on, from sleeper to sleeper, and gives the time that it is then. What each has begun is done
    /// before the next one is woken, and at the end. One at a time.
    ///
    /// # Errors
    /// On a real clock; or when something is not done for `patience` of real time: then the clock stands where that is.
    pub async fn advance(&self, by: Duration, patience: Duration) -> Result<i64, NotAdvanced> {
        match &self.kind {
            Kind::Real(_) => Err(NotAdvanced::Real),
            Kind::Manual(manual) => manual.advance(by, patience).await,
        }
    }
}

/// Of the machine.
fn wall_ms() -> i64 {
    ms(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn left(now_ms: i64, until_ms: i64) -> Option<Duration> {
    let left_ms = until_ms.saturating_sub(now_ms);
    u64::try_from(left_ms).ok().filter(|left_ms| *left_ms > 0).map(Duration::from_millis)
}

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Whole milliseconds, so that nothing is too early.
fn ms_up(time: Duration) -> i64 {
    ms(time.saturating_add(Duration::from_nanos(999_999)))
}

#[cfg(test)]
mod tests;
