//! Whether a version's invokes get on while more of them wait.

use std::time::Duration;

/// How long none of a version waits after that has not helped.
const OFF: Duration = Duration::from_millis(250);

/// How a version gets on.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Pace {
    answers: u64,
    /// When it was last looked at how many answers there are, and how many there were.
    looked: (Duration, u64),
    gets_on: bool,
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

    /// Whether one that has waited for `patience` is to wait on: only where at least `least` were answered meanwhile.
    /// Otherwise something else than the processors keeps them, and none waits for a while.
    pub(crate) fn goes_on(&mut self, now: Duration, patience: Duration, least: u64) -> bool {
        let (at, before) = self.looked;
        if now >= at + patience {
            // After a pause it is not known how many of them came of late.
            self.gets_on = now >= at + 2 * patience || self.answers - before >= least;
            self.looked = (now, self.answers);
        }
        if !self.gets_on {
            self.off_until = now + OFF;
        }
        self.gets_on
    }
}
