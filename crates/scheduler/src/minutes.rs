//! The hybrid histogram policy: how many minutes a function is idle between two calls, and what follows for its
//! environments.
//!
//! Source: Shahrad et al., "Serverless in the Wild: Characterizing and Optimizing the Serverless Workload at a Large Cloud
//! Provider", USENIX ATC 2020, section 4. Its third part, a forecast by time series for what is idle for longer than the
//! histogram reaches, is left out: such functions are kept as those of which too little is known.

use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
/// Bins of a minute each: four hours (published).
const BINS: usize = 240;
/// Shares of the idle times, in hundredths: before the first no environment is needed, after the second none any more
/// (published).
const HEAD: u64 = 5;
const TAIL: u64 = 99;
/// So many hundredths earlier one is made, and later it goes (published).
const MARGIN: u32 = 10;
/// The square of the least coefficient of variation of the bins' counts with which a histogram says anything (published:
/// a coefficient of 2).
const VARIATION: u64 = 4;
/// Idle times before it says anything (ours).
const LEAST: u64 = 5;

/// How often a function was idle for so many minutes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Minutes {
    counts: [u16; BINS],
    /// Those that were longer.
    beyond: u64,
    /// Since when nothing of it runs.
    idle_since: Option<Duration>,
}

/// From when to when an environment is kept, both from the end of the last call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Window {
    /// None lives before it, where this is more than nothing.
    pub(crate) from: Duration,
    pub(crate) until: Duration,
}

impl Default for Minutes {
    fn default() -> Self {
        Self { counts: [0; BINS], beyond: 0, idle_since: None }
    }
}

impl Minutes {
    /// A call while nothing of the function runs.
    pub(crate) fn called(&mut self, now: Duration) {
        let Some(since) = self.idle_since.take() else { return };
        let minutes = usize::try_from(now.saturating_sub(since).as_secs() / 60).unwrap_or(usize::MAX);
        let Some(count) = self.counts.get_mut(minutes) else {
            self.beyond += 1;
            return;
        };
        *count += 1;
        if *count == u16::MAX {
            // Old ones count less.
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.beyond /= 2;
        }
    }

    /// Nothing of it runs from now on.
    pub(crate) fn rests(&mut self, now: Duration) {
        self.idle_since = Some(now);
    }

    pub(crate) fn idle_since(&self) -> Option<Duration> {
        self.idle_since
    }

    pub(crate) fn window(&self) -> Window {
        let within: u64 = self.counts.iter().map(|count| u64::from(*count)).sum();
        if !self.says_anything(within) {
            return Window { from: Duration::ZERO, until: MINUTE * BINS as u32 };
        }
        let head = self.bin_of(within * HEAD / 100 + 1);
        let tail = self.bin_of((within * TAIL).div_ceil(100));
        Window { from: MINUTE * head * (100 - MARGIN) / 100, until: MINUTE * (tail + 1) * (100 + MARGIN) / 100 }
    }

    /// Whether the idle times are enough, few of them too long, and not spread over all bins alike.
    fn says_anything(&self, within: u64) -> bool {
        let squares: u64 = self.counts.iter().map(|count| u64::from(*count) * u64::from(*count)).sum();
        within >= LEAST && self.beyond <= within && BINS as u64 * squares >= (VARIATION + 1) * within * within
    }

    /// Where the shortest `rank` of them end.
    fn bin_of(&self, rank: u64) -> u32 {
        let mut seen = 0;
        let at = self.counts.iter().position(|count| {
            seen += u64::from(*count);
            seen >= rank
        });
        at.unwrap_or(BINS - 1) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(idle_s: impl IntoIterator<Item = u64>) -> (u64, u64) {
        let mut minutes = Minutes::default();
        for idle in idle_s {
            minutes.rests(Duration::ZERO);
            minutes.called(Duration::from_secs(idle));
        }
        let Window { from, until } = minutes.window();
        (from.as_secs(), until.as_secs())
    }

    const RANGE_S: u64 = 240 * 60;

    #[test]
    fn of_what_little_is_known_the_whole_range_is_kept() {
        assert_eq!(after([]), (0, RANGE_S));
        assert_eq!(after([600; 4]), (0, RANGE_S));
        assert_eq!(after((0..240).map(|minute| minute * 60)), (0, RANGE_S), "all lengths alike");
        assert_eq!(after([600; 5].into_iter().chain([RANGE_S; 6])), (0, RANGE_S), "most are longer than that");
    }

    #[test]
    fn the_window_lies_between_the_shares_with_a_margin() {
        assert_eq!(after([630; 5]), (540, 726), "minute 10: nine tenths of 10, eleven tenths of 11");
        assert_eq!(after([20; 5]), (0, 66));
        let spread = (0..5).map(|_| 120).chain((0..94).map(|_| 600)).chain([1200]);
        assert_eq!(after(spread), (540, 726), "5 of 100 come before, one after it");
    }

    #[test]
    fn calls_beside_others_are_no_end_of_idleness() {
        let mut minutes = Minutes::default();
        minutes.called(Duration::from_secs(5));
        assert_eq!(minutes, Minutes::default());
    }
}
