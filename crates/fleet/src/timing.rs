//! How long what failed waits. Pure.

use std::time::Duration;

use hearth_types::limits::EVENT_PAUSE_DOUBLINGS;

/// How long things wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    /// Before the second attempt; before the third it is twice that (Lambda: a minute). All other waits are in proportion.
    pub retry_base: Duration,
}

impl Timing {
    /// After so many failures in a row: 1 s, doubled each time, up to 5 minutes (Lambda), where the base is a minute. In
    /// milliseconds.
    #[must_use]
    pub fn pause_ms(self, failures: u32) -> i64 {
        let second = self.retry_base / 60;
        let pause = second * 2_u32.saturating_pow(failures.min(EVENT_PAUSE_DOUBLINGS));
        ms(pause.min(second * 300)).max(1)
    }

    /// A wait that is so long where the base is a minute. In milliseconds.
    #[must_use]
    pub fn in_proportion_ms(self, wait: Duration) -> i64 {
        ms((self.retry_base / 60).saturating_mul(u32::try_from(wait.as_secs()).unwrap_or(u32::MAX)))
    }

    /// After so many attempts that the function failed at. In milliseconds.
    #[must_use]
    pub fn retry_ms(self, attempts: u32) -> i64 {
        ms(self.retry_base * 2_u32.saturating_pow(attempts.saturating_sub(1)))
    }
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
