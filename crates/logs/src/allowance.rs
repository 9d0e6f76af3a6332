//! How much a group may take: a rate for long, and more at once after a quiet time.

use hearth_types::limits::{LOG_GROUP_BURST, LOG_GROUP_RATE, LOG_LINE_OVERHEAD};

/// What a group may still take. New groups may take a whole burst.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Allowance {
    bytes: u64,
    at_ms: i64,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { bytes: LOG_GROUP_BURST, at_ms: 0 }
    }
}

impl Allowance {
    /// Takes a line of so many bytes; false where there is no room for it now.
    pub(crate) fn take(&mut self, message_bytes: usize, now_ms: i64) -> bool {
        let passed_ms = u64::try_from(now_ms.saturating_sub(self.at_ms)).unwrap_or(0);
        let gained = passed_ms.saturating_mul(LOG_GROUP_RATE) / 1000;
        if gained > 0 {
            self.bytes = self.bytes.saturating_add(gained).min(LOG_GROUP_BURST);
            self.at_ms = now_ms;
        } else if now_ms < self.at_ms {
            // The clock was set back.
            self.at_ms = now_ms;
        }
        let cost = message_bytes as u64 + LOG_LINE_OVERHEAD;
        let fits = cost <= self.bytes;
        if fits {
            self.bytes -= cost;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that a flood of lines gets in, at each of these times.
    fn taken(allowance: &mut Allowance, message_bytes: usize, times_ms: &[i64]) -> Vec<u64> {
        let cost = message_bytes as u64 + LOG_LINE_OVERHEAD;
        let at =
            |now_ms: &i64| cost * (0..).take_while(|_: &u64| allowance.take(message_bytes, *now_ms)).count() as u64;
        times_ms.iter().map(at).collect()
    }

    #[test]
    fn a_flood_gets_a_burst_and_then_the_rate() {
        for message_bytes in [1, 1000, 256 * 1024] {
            let mut allowance = Allowance::default();
            let near =
                |bytes: u64, wanted: u64| wanted.abs_diff(bytes) <= 2 * (message_bytes as u64 + LOG_LINE_OVERHEAD);
            let got = taken(&mut allowance, message_bytes, &[0, 1000, 1500, 1_000_000]);
            let wanted = [LOG_GROUP_BURST, LOG_GROUP_RATE, LOG_GROUP_RATE / 2, LOG_GROUP_BURST];
            assert!(got.iter().zip(wanted).all(|(got, wanted)| near(*got, wanted)), "{got:?}");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_stops_nothing() {
        let mut allowance = Allowance::default();
        taken(&mut allowance, 1000, &[1_000_000]);
        assert!(!allowance.take(1000, 10));
        assert!(allowance.take(1000, 1010));
    }
}
