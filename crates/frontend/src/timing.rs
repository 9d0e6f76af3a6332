//! Where an invoke's time went, for the caller who asks for it: `X-Hearth-Timing: on` is answered with `Server-Timing`.

use std::time::{Duration, Instant};

use hearth_metrics::PHASES;
use hearth_worker::Outcome;
use http::{HeaderMap, HeaderName, HeaderValue};

const WANTED: HeaderName = HeaderName::from_static("x-hearth-timing");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Since when a caller who wants to know has waited.
pub(crate) fn wanted(headers: &HeaderMap) -> Option<Instant> {
    headers.contains_key(&WANTED).then(Instant::now)
}

/// The parts of an invoke's time, in their order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Timing(Vec<(&'static str, Duration)>);

impl Timing {
    /// Of an invoke that is answered now. What is in none of its parts is the platform's overhead.
    pub(crate) fn of(outcome: &Outcome, since: Instant) -> Self {
        let mut parts = vec![("queue", outcome.queued)];
        parts.extend(outcome.phases.iter().flat_map(|phases| PHASES.into_iter().zip(phases.in_order())));
        parts.push(("invoke", outcome.duration));
        let known: Duration = parts.iter().map(|(_, took)| *took).sum();
        parts.push(("overhead", since.elapsed().saturating_sub(known)));
        Self(parts)
    }

    /// Milliseconds, as the header has them.
    pub(crate) fn set(&self, headers: &mut HeaderMap) {
        let parts = self.0.iter().map(|(name, took)| format!("{name};dur={:.3}", took.as_secs_f64() * 1000.0));
        if let Ok(value) = HeaderValue::from_str(&parts.collect::<Vec<_>>().join(", ")) {
            headers.insert(SERVER_TIMING, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hearth_worker::InitPhases;

    use super::*;

    #[test]
    fn the_parts_of_a_cold_start_stand_in_their_order() {
        let ms = Duration::from_millis;
        let phases =
            InitPhases { sandbox: ms(2), extensions: ms(0), runtime: ms(7), function: ms(1), ..InitPhases::default() };
        let outcome = Outcome {
            payload: Bytes::new(),
            function_error: false,
            log_tail: None,
            queued: Duration::from_micros(12),
            phases: Some(phases),
            duration: ms(3),
        };
        let mut headers = HeaderMap::new();
        Timing::of(&outcome, Instant::now()).set(&mut headers);
        assert_eq!(
            headers["server-timing"],
            "queue;dur=0.012, sandbox;dur=2.000, extensions;dur=0.000, runtime;dur=7.000, function;dur=1.000, \
             invoke;dur=3.000, overhead;dur=0.000"
        );
    }
}
