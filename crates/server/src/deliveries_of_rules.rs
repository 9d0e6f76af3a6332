//! Event buses and log groups, as what the outbox takes things to.

use std::sync::Arc;

use bytes::Bytes;
use hearth_api::ApiError;
use hearth_delivery::Failure;
use hearth_identity::Caller;
use hearth_logs::{LogStore, Refused};
use hearth_rules::{Event, Rules};
use hearth_types::Place;

/// Puts an event on a bus.
pub(crate) async fn to_bus(rules: &Rules, caller: Option<&Caller>, arn: &str, event: Event) -> Result<(), Failure> {
    rules.publish(caller, arn, &event).await.map_err(|error: ApiError| match error.kind.status {
        403 => Failure::lasting("NO_PERMISSIONS", error.to_string()),
        400..500 => Failure::lasting("NO_RESOURCE", error.to_string()),
        _ => Failure::passing("INTERNAL_ERROR", error.to_string()),
    })
}

/// Writes a line to a log group, in a stream of the day.
pub(crate) async fn to_log_group(
    logs: &Arc<LogStore>,
    place: &Place,
    arn: &str,
    now_ms: i64,
    line: Bytes,
) -> Result<(), Failure> {
    let own = format!("arn:aws:logs:{}:{}:log-group:", place.region, place.account);
    let gone = || Failure::lasting("NO_RESOURCE", format!("there is no log group {arn}"));
    let group = arn.strip_prefix(&own).map(|name| name.trim_end_matches(":*")).ok_or_else(gone)?.to_owned();
    let stream = format!("events-{}", now_ms.div_euclid(86_400_000));
    let put = logs.off(move |logs| {
        match logs.create_stream(&group, &stream) {
            Ok(()) | Err(Refused::StreamExists) => {}
            Err(refused) => return Err(refused),
        }
        logs.put(&group, &stream, &[(now_ms, line)])
    });
    put.await.map_err(|refused| match refused {
        Refused::NoGroup => gone(),
        other => Failure::passing("INTERNAL_ERROR", other.to_string()),
    })
}
