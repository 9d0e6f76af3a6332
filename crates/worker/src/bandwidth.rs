//! The pace of a streamed answer, as Lambda has it: so many bytes at once, then so many a second.

use std::time::{Duration, Instant};

use hearth_types::limits::{STREAM_BURST_BYTES, STREAM_REFILL};

/// A bucket of bytes that is full at first and filled up again in small steps.
#[derive(Debug)]
pub(crate) struct Bandwidth {
    /// Bytes that a step adds.
    step: u64,
    /// Bytes that may be sent at once.
    left: u64,
    /// Up to when steps have been counted.
    filled: Instant,
}

impl Bandwidth {
    /// Of an answer that begins now.
    pub(crate) fn new(now: Instant, bytes_per_second: u64) -> Self {
        let step = bytes_per_second * STREAM_REFILL.as_millis() as u64 / 1000;
        Self { step: step.max(1), left: STREAM_BURST_BYTES, filled: now }
    }

    /// Takes so many bytes; they may be sent after this time.
    pub(crate) fn take(&mut self, now: Instant, bytes: u64) -> Duration {
        let steps = now.saturating_duration_since(self.filled).as_millis() / STREAM_REFILL.as_millis();
        self.fill(u64::try_from(steps).unwrap_or(u64::MAX));
        self.left = self.left.min(STREAM_BURST_BYTES);
        self.fill(bytes.saturating_sub(self.left).div_ceil(self.step));
        self.left -= bytes;
        self.filled.saturating_duration_since(now)
    }

    fn fill(&mut self, steps: u64) {
        self.left = self.left.saturating_add(steps.saturating_mul(self.step));
        self.filled += STREAM_REFILL * u32::try_from(steps).unwrap_or(u32::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u64 = 2 * 1024 * 1024;
    const STEP: u64 = RATE / 8;

    #[test]
    fn a_burst_goes_at_once_and_what_follows_at_the_rate() {
        let t = Instant::now();
        let mut bandwidth = Bandwidth::new(t, RATE);
        assert_eq!(bandwidth.take(t, STREAM_BURST_BYTES), Duration::ZERO);
        let mut now = t;
        for _ in 0..16 {
            now += bandwidth.take(now, STEP);
        }
        assert_eq!(now - t, Duration::from_secs(2));
        assert_eq!(bandwidth.take(now, 1), STREAM_REFILL);
        assert_eq!(bandwidth.take(now + STREAM_REFILL, STEP - 1), Duration::ZERO, "the rest of that step");
    }

    #[test]
    fn what_was_not_used_is_there_later_up_to_a_burst() {
        let t = Instant::now();
        let mut bandwidth = Bandwidth::new(t, RATE);
        bandwidth.take(t, STREAM_BURST_BYTES);
        let later = t + Duration::from_secs(1);
        assert_eq!(bandwidth.take(later, RATE), Duration::ZERO);
        assert_eq!(bandwidth.take(later, RATE), Duration::from_secs(1));
        let much_later = later + Duration::from_secs(3600);
        assert_eq!(bandwidth.take(much_later, STREAM_BURST_BYTES), Duration::ZERO);
        assert!(bandwidth.take(much_later, 1) > Duration::ZERO);
    }
}
