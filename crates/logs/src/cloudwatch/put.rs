//! Events that clients put into streams.

use bytes::Bytes;
use hearth_api::ApiError;
use hearth_api::logs::Operation;
use hearth_api::logs::types::{InputLogEvent, PutLogEventsRequest, PutLogEventsResponse, RejectedLogEventsInfo};
use hearth_identity::Caller;
use hearth_types::limits::{LOG_PUT_BYTES, LOG_PUT_NEWEST, LOG_PUT_OLDEST, LOG_PUT_OVERHEAD, LOG_PUT_SPAN};

use super::token::SEQUENCE_TOKEN;
use super::{CloudWatchLogs, invalid};
use crate::store::now_ms;

impl CloudWatchLogs {
    /// Puts events into a stream. Sequence tokens mean nothing any more, as on the service.
    ///
    /// # Errors
    /// Where there is no such stream; events that are not in order, too far apart, or too large together.
    pub async fn put_log_events(
        &self,
        caller: &Caller,
        input: PutLogEventsRequest,
    ) -> Result<PutLogEventsResponse, ApiError> {
        let (group, stream) = (input.log_group_name, input.log_stream_name);
        self.allow_stream(caller, Operation::PutLogEvents, &group, &stream)?;
        if input.entity.is_some() {
            return Err(ApiError::unsupported_member(Operation::PutLogEvents, "entity"));
        }
        check(&input.log_events)?;
        let name = group.clone();
        let info = self.flushed(move |store| store.group(&name)).await?;
        let (kept, rejected) = sort_out(input.log_events, info.retention_days, now_ms());
        self.off(move |store| store.put(&group, &stream, &kept)).await?;
        Ok(PutLogEventsResponse {
            next_sequence_token: Some(SEQUENCE_TOKEN.to_owned()),
            rejected_log_events_info: rejected,
            rejected_entity_info: None,
        })
    }
}

fn check(events: &[InputLogEvent]) -> Result<(), ApiError> {
    let bytes: usize = events.iter().map(|event| event.message.len() + LOG_PUT_OVERHEAD).sum();
    if bytes > LOG_PUT_BYTES {
        return Err(invalid(format!("Upload too large: {bytes} bytes exceeds limit of {LOG_PUT_BYTES}")));
    }
    if !events.is_sorted_by_key(|event| event.timestamp) {
        return Err(invalid("Log events in a single PutLogEvents request must be in chronological order."));
    }
    let times = events.first().zip(events.last());
    let span_ms = times.map_or(0, |(first, last)| last.timestamp.saturating_sub(first.timestamp));
    if i128::from(span_ms) > LOG_PUT_SPAN.as_millis() as i128 {
        return Err(invalid(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
        ));
    }
    Ok(())
}

/// The events that are kept, and which ones at both ends are not: too old, over the group's retention, too new.
fn sort_out(
    events: Vec<InputLogEvent>,
    retention_days: Option<u32>,
    now_ms: i64,
) -> (Vec<(i64, Bytes)>, Option<RejectedLogEventsInfo>) {
    let before = |limit_ms: i128| events.partition_point(|event| i128::from(event.timestamp) < limit_ms);
    let now_ms = i128::from(now_ms);
    let too_old = before(now_ms - LOG_PUT_OLDEST.as_millis() as i128);
    let expired = retention_days.map_or(0, |days| before(now_ms - i128::from(days) * 86_400_000));
    let new_from = before(now_ms + LOG_PUT_NEWEST.as_millis() as i128 + 1);
    let index = |count: usize| i32::try_from(count).ok();
    let rejected = RejectedLogEventsInfo {
        too_new_log_event_start_index: index(new_from).filter(|_| new_from < events.len()),
        too_old_log_event_end_index: index(too_old).filter(|_| too_old > 0),
        expired_log_event_end_index: index(expired).filter(|_| expired > 0),
    };
    let is_any = rejected != RejectedLogEventsInfo::default();
    let from = too_old.max(expired);
    let kept = events.into_iter().take(new_from).skip(from);
    (kept.map(|event| (event.timestamp, Bytes::from(event.message))).collect(), is_any.then_some(rejected))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 86_400_000;
    const NOW_MS: i64 = 100 * DAY_MS;

    fn events(times_ms: &[i64]) -> Vec<InputLogEvent> {
        times_ms.iter().map(|timestamp| InputLogEvent { timestamp: *timestamp, message: "m".to_owned() }).collect()
    }

    #[test]
    fn only_what_is_in_order_and_near_together_is_taken() {
        assert!(check(&events(&[1, 1, DAY_MS + 1])).is_ok());
        let text = |times_ms: &[i64]| check(&events(times_ms)).unwrap_err().message.unwrap();
        assert!(text(&[2, 1]).contains("chronological"));
        assert!(text(&[1, DAY_MS + 2]).contains("24 hours"));
        assert!(check(&events(&[i64::MIN, i64::MAX])).is_err());
        let large = |bytes: usize| check(&[InputLogEvent { timestamp: 0, message: "x".repeat(bytes) }]);
        assert!(large(LOG_PUT_BYTES - LOG_PUT_OVERHEAD).is_ok());
        let text = large(LOG_PUT_BYTES - LOG_PUT_OVERHEAD + 1).unwrap_err().message.unwrap();
        assert_eq!(text, "Upload too large: 1048577 bytes exceeds limit of 1048576");
    }

    #[test]
    fn what_is_too_old_or_too_new_is_left_out_and_said() {
        let times = [NOW_MS - 20 * DAY_MS, NOW_MS - 2 * DAY_MS, NOW_MS, NOW_MS + DAY_MS];
        let of = |retention| {
            let (kept, rejected) = sort_out(events(&times), retention, NOW_MS);
            let kept: Vec<i64> = kept.into_iter().map(|(time, _)| time).collect();
            let rejected = rejected.unwrap();
            let indices = (rejected.too_old_log_event_end_index, rejected.expired_log_event_end_index);
            (kept, indices, rejected.too_new_log_event_start_index)
        };
        assert_eq!(of(None), (times[1..3].to_vec(), (Some(1), None), Some(3)));
        assert_eq!(of(Some(1)), (times[2..3].to_vec(), (Some(1), Some(2)), Some(3)));
        assert_eq!(sort_out(events(&times[2..3]), Some(1), NOW_MS).1, None);
    }
}
