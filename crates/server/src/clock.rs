//! `/_hearth/clock`: what time it is for this server; and moving it, where it was started so.

use std::time::Duration;

use bytes::Bytes;
use hearth_clock::{Clock, NotAdvanced};
use hearth_http::ResponseBody;
use hearth_types::limits::{CLOCK_ADVANCE_MAX, CLOCK_PATIENCE};
use http::{Response, StatusCode};
use jiff::{Span, SpanRelativeTo, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::json_body;

/// What the body of a POST says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// By how much: `6h`, `1m 30s`, `PT6H`; a day has 24 hours.
    advance: String,
    /// Real time that what is begun may take.
    #[serde(default)]
    patience: Option<String>,
}

/// GET.
pub(crate) fn show(clock: &Clock) -> Response<ResponseBody> {
    json_body(StatusCode::OK, &shown(clock))
}

/// POST: answers when all is done that became due.
pub(crate) async fn advance(clock: &Clock, body: &Bytes) -> Response<ResponseBody> {
    let read = serde_json::from_slice::<Asked>(body).map_err(|cause| cause.to_string());
    let asked = read.and_then(|asked| {
        let patience = asked.patience.as_deref().map_or(Ok(CLOCK_PATIENCE), span)?;
        Ok((span(&asked.advance)?, patience))
    });
    let (by, patience) = match asked {
        Ok(asked) => asked,
        Err(why) => return refused(StatusCode::BAD_REQUEST, clock, &why),
    };
    match clock.advance(by, patience).await {
        Ok(_) => show(clock),
        Err(why @ NotAdvanced::Real) => refused(
            StatusCode::CONFLICT,
            clock,
            &format!("{why}: a server that is started with --clock manual has another"),
        ),
        Err(why @ (NotAdvanced::Busy { .. } | NotAdvanced::Endless { .. })) => {
            refused(StatusCode::GATEWAY_TIMEOUT, clock, &format!("{why}: the clock stands where that is"))
        }
    }
}

fn shown(clock: &Clock) -> Value {
    let now_ms = clock.now_ms();
    let now = Timestamp::from_millisecond(now_ms).unwrap_or_default();
    json!({ "kind": if clock.is_manual() { "manual" } else { "real" }, "now": now.to_string(), "nowMs": now_ms })
}

fn refused(status: StatusCode, clock: &Clock, why: &str) -> Response<ResponseBody> {
    let mut body = shown(clock);
    body["message"] = why.into();
    json_body(status, &body)
}

fn span(text: &str) -> Result<Duration, String> {
    let wrong = |cause: &dyn std::fmt::Display| format!("{text:?} is no length of time: {cause}");
    let span: Span = text.parse().map_err(|cause| wrong(&cause))?;
    let time = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|cause| wrong(&cause))?;
    let time = Duration::try_from(time).map_err(|cause| wrong(&cause))?;
    if time > CLOCK_ADVANCE_MAX {
        return Err(format!("{text:?} is more than {} days", CLOCK_ADVANCE_MAX.as_secs() / 86_400));
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lengths_of_time() {
        for (text, seconds) in [("6h", 21_600), ("1m 30s", 90), ("14d", 1_209_600), ("PT6H", 21_600), ("0s", 0)] {
            assert_eq!(span(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(span("250ms"), Ok(Duration::from_millis(250)));
        for text in ["", "6", "six hours", "-6h", "1 month", "400d", "999999999999h"] {
            assert!(span(text).is_err(), "{text}");
        }
    }
}
