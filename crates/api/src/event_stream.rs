//! Answers that are streams of events (`application/vnd.amazon.eventstream`): each event is a frame of its own, with
//! headers, a payload and two checksums.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut as _, Bytes, BytesMut};
use serde::Serialize;

/// The content type of such an answer.
pub const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

/// Both lengths and their checksum.
const PRELUDE_BYTES: usize = 12;
const CHECKSUM_BYTES: usize = 4;
/// A header's value is text.
const TEXT: u8 = 7;

/// One event. Names and types of events are a few bytes; a payload that is too large for a frame is the caller's to cut.
#[must_use]
pub fn event(event_type: &'static str, content_type: &'static str, payload: &[u8]) -> Bytes {
    frame(&[(":message-type", "event"), (":event-type", event_type), (":content-type", content_type)], payload)
}

/// An error that ends a stream, its members as JSON.
#[must_use]
pub fn exception(exception_type: &'static str, payload: &[u8]) -> Bytes {
    let headers =
        [(":message-type", "exception"), (":exception-type", exception_type), (":content-type", "application/json")];
    frame(&headers, payload)
}

fn frame(headers: &[(&'static str, &'static str)], payload: &[u8]) -> Bytes {
    // Of each header: the length of its name, its type, and two bytes for the length of its value.
    let headers_bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    let whole = PRELUDE_BYTES + headers_bytes + payload.len() + CHECKSUM_BYTES;
    let mut frame = BytesMut::with_capacity(whole);
    frame.put_u32(whole as u32);
    frame.put_u32(headers_bytes as u32);
    frame.put_u32(crc32fast::hash(&frame));
    for (name, value) in headers {
        frame.put_u8(name.len() as u8);
        frame.put_slice(name.as_bytes());
        frame.put_u8(TEXT);
        frame.put_u16(value.len() as u16);
        frame.put_slice(value.as_bytes());
    }
    frame.put_slice(payload);
    frame.put_u32(crc32fast::hash(&frame));
    frame.freeze()
}

/// A piece of what a function answers.
#[must_use]
pub fn payload_chunk(payload: &[u8]) -> Bytes {
    event("PayloadChunk", "application/octet-stream", payload)
}

/// The last event of an invoke's answer.
#[derive(Clone, Default, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct InvokeComplete<'a> {
    /// The type of the error that the function came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<&'a str>,
    /// The error itself, as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_details: Option<&'a str>,
    /// The end of the log, in base64, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_result: Option<String>,
}

impl InvokeComplete<'_> {
    /// Sets the end of the log.
    #[must_use]
    pub fn with_log(self, tail: Option<&[u8]>) -> Self {
        Self { log_result: tail.map(|tail| STANDARD.encode(tail)), ..self }
    }

    /// The event.
    #[must_use]
    pub fn frame(&self) -> Bytes {
        // Three optional texts can always be written.
        event("InvokeComplete", "application/json", &serde_json::to_vec(self).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn u32_at(frame: &[u8], at: usize) -> u32 {
        u32::from_be_bytes(frame[at..at + 4].try_into().unwrap())
    }

    /// Both checksums hold, and what is between the lengths is what was put in.
    #[test]
    fn a_frame_adds_up() {
        let frame = payload_chunk(b"{\"a\":1}");
        let (whole, headers) = (u32_at(&frame, 0) as usize, u32_at(&frame, 4) as usize);
        assert_eq!(whole, frame.len());
        assert_eq!(u32_at(&frame, 8), crc32fast::hash(&frame[..8]));
        assert_eq!(u32_at(&frame, whole - 4), crc32fast::hash(&frame[..whole - 4]));
        assert_eq!(&frame[12 + headers..whole - 4], b"{\"a\":1}");
        let first = b"\x0d:message-type\x07\x00\x05event\x0b:event-type\x07\x00\x0cPayloadChunk";
        assert_eq!(&frame[12..12 + first.len()], first);
    }

    #[test]
    fn the_last_event_says_what_there_is_to_say() {
        let json = |event: &InvokeComplete<'_>| serde_json::to_string(event).unwrap();
        assert_eq!(json(&InvokeComplete::default()), "{}");
        let failed = InvokeComplete { error_code: Some("E"), error_details: Some("{}"), log_result: None };
        let whole = json(&failed.with_log(Some(b"line\n")));
        assert_eq!(whole, r#"{"ErrorCode":"E","ErrorDetails":"{}","LogResult":"bGluZQo="}"#);
    }
}
