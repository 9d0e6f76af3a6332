//! The one place where the worker looks at the clocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A moment on both clocks: decisions use the monotonic one, people and headers see the wall clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Moment {
    /// Monotonic.
    pub(crate) at: Instant,
    /// Milliseconds since 1970.
    pub(crate) wall_ms: i64,
}

impl Moment {
    /// Now.
    pub(crate) fn now() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { at: Instant::now(), wall_ms: i64::try_from(wall.as_millis()).unwrap_or(i64::MAX) }
    }

    /// Milliseconds since 1970 of another moment of the monotonic clock.
    pub(crate) fn wall_ms_at(self, other: Instant) -> i64 {
        let millis = |d: std::time::Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
        if other >= self.at {
            self.wall_ms.saturating_add(millis(other - self.at))
        } else {
            self.wall_ms.saturating_sub(millis(self.at - other))
        }
    }
}
