//! The record of what became of an event, as destinations get it.

use bytes::Bytes;
use hearth_types::Place;
use hearth_types::limits::EVENT_RECORD_BYTES;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::decide::Condition;
use crate::event::Event;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    version: &'static str,
    timestamp: String,
    request_context: RequestContext<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_payload: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_context: Option<ResponseContext<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_payload: Option<&'a RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    request_id: String,
    function_arn: String,
    condition: &'a str,
    approximate_invoke_count: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResponseContext<'a> {
    status_code: u16,
    executed_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_error: Option<&'static str>,
}

/// The record as JSON. Where the payloads make it longer than a queue's or a function's event may be, it has none of
/// them, unless `whole`: a bucket takes all.
pub(crate) fn record(
    place: &Place,
    now_ms: i64,
    function: &str,
    event: &Event,
    condition: Condition,
    payload: &[u8],
    whole: bool,
) -> Bytes {
    let answer = event.last.as_ref();
    let payload = std::str::from_utf8(payload).ok().and_then(|text| serde_json::from_str(text).ok());
    let mut record = Record {
        version: "1.0",
        timestamp: timestamp(now_ms),
        request_context: RequestContext {
            request_id: event.id.to_string(),
            function_arn: format!("{}:{}", place.arn(function), event.qualifier()),
            condition: condition.name(),
            approximate_invoke_count: event.attempts,
        },
        request_payload: payload,
        response_context: answer.map(|answer| ResponseContext {
            status_code: 200,
            executed_version: &answer.version,
            function_error: answer.function_error.then_some("Unhandled"),
        }),
        response_payload: answer.and_then(|answer| answer.payload.as_deref()),
    };
    let written = written(&record);
    if whole || written.len() <= EVENT_RECORD_BYTES {
        return written;
    }
    (record.request_payload, record.response_payload) = (None, None);
    self::written(&record)
}

fn written(record: &Record<'_>) -> Bytes {
    // A record without maps of other keys than text can always be written.
    Bytes::from(serde_json::to_vec(record).unwrap_or_default())
}

/// `2024-03-05T12:00:00.123Z`.
fn timestamp(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    format!("{time:.3}")
}

/// The key of a record in a bucket.
pub(crate) fn object_key(now_ms: i64, function: &str, event: &Event) -> String {
    let time = jiff::Timestamp::from_millisecond(now_ms).unwrap_or_default();
    let (day, second) = (time.strftime("%Y/%m/%d"), time.strftime("%Y-%m-%dT%H.%M.%S"));
    format!("aws/lambda/async/{function}/{day}/{second}-{}", event.id)
}

#[cfg(test)]
mod tests {
    use hearth_types::RequestId;
    use uuid::Uuid;

    use super::*;
    use crate::event::Answer;

    const NOW: i64 = 1_709_640_000_123;

    fn event(last: Option<Answer>, attempts: u32) -> Event {
        Event {
            id: RequestId(Uuid::nil()),
            qualifier: None,
            accepted_ms: 0,
            trace_id: String::new(),
            tenant: None,
            attempts,
            failures: 0,
            last,
        }
    }

    fn of(event: &Event, condition: Condition, payload: &str, whole: bool) -> String {
        let place = Place { region: "us-east-1".into(), account: "000000000000".into() };
        let record = record(&place, NOW, "f", event, condition, payload.as_bytes(), whole);
        String::from_utf8(record.to_vec()).unwrap()
    }

    #[test]
    fn it_tells_all_in_the_order_of_lambda() {
        let error = Bytes::from_static(br#"{"errorMessage":"no"}"#);
        let failed = event(Some(Answer::new(&error, true, "$LATEST")), 3);
        assert_eq!(
            of(&failed, Condition::RetriesExhausted, r#"{"a": 1}"#, false),
            r#"{"version":"1.0","timestamp":"2024-03-05T12:00:00.123Z","requestContext":{"requestId":"00000000-0000-0000-0000-000000000000","functionArn":"arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST","condition":"RetriesExhausted","approximateInvokeCount":3},"requestPayload":{"a": 1},"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},"responsePayload":{"errorMessage":"no"}}"#
        );
        let never = of(&event(None, 0), Condition::ZeroReservedConcurrency, "1", false);
        assert!(!never.contains("response") && never.contains(r#""approximateInvokeCount":0"#), "{never}");
        let well = event(Some(Answer::new(&Bytes::from_static(b"null"), false, "7")), 1);
        let well = of(&well, Condition::Success, "1", false);
        assert!(
            well.ends_with(r#""responseContext":{"statusCode":200,"executedVersion":"7"},"responsePayload":null}"#)
        );
    }

    #[test]
    fn a_record_that_is_too_long_has_no_payloads_but_in_a_bucket() {
        let long = format!("\"{}\"", "x".repeat(EVENT_RECORD_BYTES));
        let shown = of(&event(None, 0), Condition::EventAgeExceeded, &long, false);
        assert!(shown.len() < 1000 && !shown.contains("requestPayload"), "{shown}");
        assert!(of(&event(None, 0), Condition::EventAgeExceeded, &long, true).contains(&long));
    }

    #[test]
    fn its_key_in_a_bucket_tells_when_and_which() {
        let key = object_key(NOW, "f", &event(None, 0));
        assert_eq!(key, "aws/lambda/async/f/2024/03/05/2024-03-05T12.00.00-00000000-0000-0000-0000-000000000000");
    }
}
