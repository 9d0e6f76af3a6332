//! What may be set side by side.

use std::time::Duration;

use hearth_scheduler::{Capacity, KeepAlive, Limits, Placement, Rate, Scaling};
use hearth_types::limits;

/// What there is to run on.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// How many.
    pub workers: u32,
    /// What each has room for.
    pub each: Capacity,
}

impl Machine {
    /// MB of all workers together.
    #[must_use]
    pub fn memory_mb(self) -> u64 {
        self.each.memory_mb * u64::from(self.workers)
    }
}

/// How long idle environments are kept.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Policy {
    /// For this time.
    Fixed(Duration),
    /// While there is room; where it is short, those go first with which least is lost.
    Room,
    /// By a histogram of each function's idle minutes, with environments made ahead by it.
    Hybrid,
}

impl Policy {
    /// By its name: `room`, `hybrid`, `fixed-10m`, `fixed-90s`, `fixed-2h`.
    ///
    /// # Errors
    ///
    /// There is no such policy.
    pub fn parse(name: &str) -> Result<Self, String> {
        if name == "room" {
            return Ok(Self::Room);
        }
        if name == "hybrid" {
            return Ok(Self::Hybrid);
        }
        if let Some(time) = name.strip_prefix("fixed-").and_then(time) {
            return Ok(Self::Fixed(time));
        }
        Err(format!("there is no policy {name}; there are room, hybrid, and fixed-TIME, as in fixed-10m"))
    }

    /// As it is parsed.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Fixed(time) => format!("fixed-{}", in_words(time)),
            Self::Room => "room".to_owned(),
            Self::Hybrid => "hybrid".to_owned(),
        }
    }

    /// This policy within limits.
    #[must_use]
    pub fn within(self, limits: Limits) -> Limits {
        let (keep_alive, ahead) = match self {
            Self::Fixed(time) => (KeepAlive::Fixed(time), false),
            Self::Room => (KeepAlive::Room, true),
            Self::Hybrid => (KeepAlive::Histogram, false),
        };
        Limits { keep_alive, ahead, ..limits }
    }
}

/// Nothing is bounded but memory: what is compared is how it is used.
#[must_use]
pub fn unbounded() -> Limits {
    Limits {
        account_concurrency: u32::MAX,
        requests_per_concurrency: None,
        scaling: Scaling::Unlimited,
        placement: Placement::Pack,
        keep_alive: KeepAlive::Room,
        ahead: true,
        life: Duration::from_secs(limits::ENVIRONMENT_LIFE_S),
        life_spread: Duration::from_secs(limits::ENVIRONMENT_LIFE_S) / limits::ENVIRONMENT_LIFE_SPREAD,
        settle: limits::SETTLE,
        settle_max: limits::SETTLE_MAX,
        room_wait: limits::ROOM_WAIT,
    }
}

/// The limits of an account of Lambda with this concurrency.
#[must_use]
pub fn account(concurrency: u32, scaling: Scaling) -> Limits {
    Limits {
        account_concurrency: concurrency,
        requests_per_concurrency: Some(limits::REQUESTS_PER_CONCURRENCY),
        scaling,
        ..unbounded()
    }
}

/// The older profile: a first burst, and 500 a minute after it.
#[must_use]
pub fn burst(burst: u32) -> Scaling {
    Scaling::Account(Rate { burst, refill: limits::SCALING_AFTER_BURST_PER_MINUTE, per: Duration::from_secs(60) })
}

/// `90s`, `10m`, `2h`, `250ms`.
pub(crate) fn time(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let count: f64 = text[..unit_at].parse().ok()?;
    let unit = match &text[unit_at..] {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(count * unit).ok()
}

fn in_words(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        _ if time.subsec_millis() > 0 => format!("{}ms", time.as_millis()),
        s if s > 0 && s.is_multiple_of(3600) => format!("{}h", s / 3600),
        s if s > 0 && s.is_multiple_of(60) => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in ["room", "hybrid", "fixed-10m", "fixed-90s", "fixed-2h", "fixed-250ms", "fixed-0s"] {
            assert_eq!(Policy::parse(name).map(Policy::name), Ok(name.to_owned()));
        }
        for wrong in ["", "fixed-", "fixed-10", "fixed-x", "fixed--1s", "best"] {
            assert!(Policy::parse(wrong).is_err(), "{wrong}");
        }
    }
}
