//! Whether more is to run on this machine than its processors get through, as its kernel counts it.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

/// How long what was seen counts: a look takes a few microseconds.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Looks at what is to run.
pub(crate) struct Pressure {
    /// None where nobody asks, or the machine does not tell.
    loads: Option<File>,
    /// As many as this are too many.
    most: u32,
    looked_at: Duration,
    pressed: bool,
}

impl Pressure {
    /// None looks never.
    pub(crate) fn new(most: Option<u32>) -> Self {
        let loads = most.and_then(|_| File::open("/proc/loadavg").ok());
        Self { loads, most: most.unwrap_or(u32::MAX), looked_at: Duration::ZERO, pressed: false }
    }

    /// Looks again, where so many invokes are in flight that it matters: what is so now, where that has changed.
    pub(crate) fn change(&mut self, now: Duration, in_flight: u32) -> Option<bool> {
        let file = self.loads.as_ref()?;
        if (in_flight < self.most && !self.pressed) || now < self.looked_at + LOOK_EVERY {
            return None;
        }
        self.looked_at = now;
        let mut text = [0; 64];
        let length = file.read_at(&mut text, 0).unwrap_or(0);
        let pressed = to_run(&text[..length]).is_some_and(|count| count >= self.most);
        (std::mem::replace(&mut self.pressed, pressed) != pressed).then_some(pressed)
    }
}

/// `0.20 0.18 0.12 3/80 11206`: the 3.
fn to_run(loads: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(loads).ok()?;
    text.split(' ').nth(3)?.split('/').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_run_is_the_fourth_figure() {
        assert_eq!(to_run(b"0.20 0.18 0.12 13/80 11206\n"), Some(13));
        assert_eq!(to_run(b""), None);
    }

    #[test]
    fn a_change_is_told_once() {
        let mut always = Pressure::new(Some(0));
        let ms = Duration::from_millis;
        assert_eq!(always.change(ms(1), 0), Some(true));
        assert_eq!(always.change(ms(2), 0), None);
        let mut never = Pressure::new(Some(u32::MAX));
        assert_eq!(never.change(ms(1), u32::MAX), None);
        assert_eq!(Pressure::new(None).change(ms(1), u32::MAX), None);
    }
}
