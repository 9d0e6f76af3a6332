//! Whether a version's invokes get on while more of them wait.

use std::time::Duration;

/// How long none of a version waits after that has not helped; twice as long each time, until it helps again.
const OFF: Duration = Duration::from_millis(250);
const OFF_MAX: Duration = Duration::from_secs(1);

/// How a version gets on.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Pace {
    answers: u64,
    /// When it was last looked at how many answers there are, and how many there were.
    looked: (Duration, u64),
    gets_on: bool,
    off: Duration,
    off_until: Duration,
}

impl Pace {
    /// One more is answered.
    pub(crate) fn answered(&mut self) {
        self.answers += 1;
    }

    /// Whether some may wait.
    pub(crate) fn may_wait(&self, now: Duration) -> bool {
        now >= self.off_until
    }

    /// The first of some begins to wait.
    pub(crate) fn begin(&mut self, now: Duration) {
        self.looked = (now, self.answers);
    }

    /// Whether one that has waited for `patience` is to wait on: only where at least `least` in such a time were answered
    /// since the last look. Otherwise something else than the processors keeps them, and none waits for a while.
    pub(crate) fn goes_on(&mut self, now: Duration, patience: Duration, least: u32) -> bool {
        let (at, before) = self.looked;
        let since = now.saturating_sub(at);
        if since >= patience {
            let answers = u32::try_from(self.answers - before).unwrap_or(u32::MAX);
            self.gets_on = patience.saturating_mul(answers) >= since.saturating_mul(least);
            self.looked = (now, self.answers);
            self.off = if self.gets_on { Duration::ZERO } else { (2 * self.off).clamp(OFF, OFF_MAX) };
        }
        if !self.gets_on {
            self.off_until = now + self.off;
        }
        self.gets_on
    }
}
