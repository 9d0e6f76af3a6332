//! The two calls that a runtime makes for each invoke, read and answered without a library's general machinery: the wish
//! for the next event, and a small answer that is there whole.
//!
//! Only requests of which nothing is unusual are taken here. At the first one that is anything else, or larger than what is
//! read at a time, or cut short, the connection goes on with the library, which gets to see every byte from the beginning of
//! that request on: all that a runtime may do wrong is judged in one place.

use std::io;
use std::time::Instant;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::coalesce::NEXT;
use crate::delivery::Delivery;
use crate::environment::Environment;
use crate::runtime_api::{self, Answer};

/// Bytes that are kept of a connection; what is larger is not for here.
const RECEIVED_BYTES: usize = 8 * 1024;
/// Headers of a request that is taken here.
const HEADERS: usize = 32;
/// An event of at most so many bytes is copied behind its head: a second piece costs more than that.
const COPIED_BYTES: usize = 8 * 1024;
/// What is said of an answer that was accepted.
const TAKEN: &[u8] =
    b"HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\ncontent-length: 16\r\n\r\n{\"status\":\"OK\"}\n";

/// What a connection's first bytes are.
#[derive(PartialEq, Eq, Debug)]
enum Call<'a> {
    /// The wish for the next event, of so many bytes.
    Next { length: usize },
    /// The answer to the invoke with this id, of so many bytes with its head.
    Response { id: &'a str, body: &'a [u8], length: usize },
    /// Not yet one of these.
    Cut,
    /// Anything else.
    Other,
}

/// Serves a connection for as long as nothing unusual comes. What has come and was not taken; none once it is over.
///
/// # Errors
/// When the connection breaks.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    environment: &Environment,
    stream: &mut S,
    joins: bool,
) -> io::Result<Option<Vec<u8>>> {
    let mut received = Vec::with_capacity(RECEIVED_BYTES);
    let mut said = Vec::new();
    let mut since = Instant::now();
    loop {
        let length = match call(&received) {
            Call::Cut if received.len() < RECEIVED_BYTES => {
                let (before, room) = (received.len(), RECEIVED_BYTES - received.len());
                if (&mut *stream).take(room as u64).read_buf(&mut received).await? == 0 {
                    return Ok((!received.is_empty()).then_some(received));
                }
                if before == 0 {
                    since = Instant::now();
                }
                continue;
            }
            Call::Cut | Call::Other => return Ok(Some(received)),
            Call::Next { length } => {
                match runtime_api::delivery(environment).await {
                    Ok(delivery) => {
                        let sent = send_event(stream, &mut said, delivery).await;
                        // Behind the event: to wake another thread can take longer than to send it.
                        environment.journal.wake();
                        sent?;
                    }
                    Err(refused) => send_answer(stream, &mut said, runtime_api::not_allowed(refused)).await?,
                }
                length
            }
            Call::Response { id, body, length } => {
                match runtime_api::whole_response(environment, id, Bytes::copy_from_slice(body), since) {
                    // Our bootstraps' answers go together with the event after them: they wake once instead of twice.
                    Ok(()) if joins && received[length..] == *NEXT => said.extend_from_slice(TAKEN),
                    Ok(()) => stream.write_all(TAKEN).await?,
                    Err(refused) => send_answer(stream, &mut said, runtime_api::refuse(refused)).await?,
                }
                length
            }
        };
        received.drain(..length);
    }
}

fn call(received: &[u8]) -> Call<'_> {
    if received.starts_with(NEXT) {
        return Call::Next { length: NEXT.len() };
    }
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let head = match request.parse(received) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Call::Cut,
        Err(_) => return Call::Other,
    };
    let (Some(method), Some(path), Some(1)) = (request.method, request.path, request.version) else {
        return Call::Other;
    };
    let Some(length) = body_length(request.headers) else { return Call::Other };
    let call = path.strip_prefix(runtime_api::PREFIX).unwrap_or_default();
    match (method, call) {
        ("GET", "runtime/invocation/next") if length == 0 => Call::Next { length: head },
        ("POST", call) => match runtime_api::invocation_call(call) {
            Some((id, true)) => match received.get(head..head + length) {
                Some(body) => Call::Response { id, body, length: head + length },
                None if head + length <= RECEIVED_BYTES => Call::Cut,
                None => Call::Other,
            },
            _ => Call::Other,
        },
        _ => Call::Other,
    }
}

/// How long the body is of a request that ends where its one length says, leaves the connection open, and asks for nothing
/// else; none of any other.
fn body_length(headers: &[httparse::Header<'_>]) -> Option<usize> {
    const DECIDING: [&str; 6] =
        ["expect", "te", "trailer", "transfer-encoding", "upgrade", "lambda-runtime-function-response-mode"];
    let mut length = None;
    for header in headers {
        if header.name.eq_ignore_ascii_case("content-length") {
            let digits = !header.value.is_empty() && header.value.iter().all(u8::is_ascii_digit);
            let value = std::str::from_utf8(header.value).ok().filter(|_| digits && length.is_none())?;
            length = Some(value.parse().ok().filter(|length| *length <= RECEIVED_BYTES)?);
        } else if header.name.eq_ignore_ascii_case("connection") {
            header.value.eq_ignore_ascii_case(b"keep-alive").then_some(())?;
        } else if DECIDING.iter().any(|name| header.name.eq_ignore_ascii_case(name)) {
            return None;
        }
    }
    Some(length.unwrap_or(0))
}

/// Sends the event behind what is to be said before it.
async fn send_event<S: AsyncWrite + Unpin>(stream: &mut S, said: &mut Vec<u8>, delivery: Delivery) -> io::Result<()> {
    let payload = head_of_event(said, delivery);
    if payload.len() <= COPIED_BYTES {
        said.extend_from_slice(&payload);
        stream.write_all(said).await?;
    } else {
        stream.write_all_buf(&mut Buf::chain(said.as_slice(), payload)).await?;
    }
    said.clear();
    Ok(())
}

/// Sends an answer that is not of the usual ones, behind what is to be said before it.
async fn send_answer<S: AsyncWrite + Unpin>(stream: &mut S, said: &mut Vec<u8>, answer: Answer) -> io::Result<()> {
    use http_body_util::BodyExt as _;

    let (head, body) = answer.into_parts();
    said.extend_from_slice(b"HTTP/1.1 ");
    said.extend_from_slice(head.status.as_str().as_bytes());
    said.extend_from_slice(b" ");
    said.extend_from_slice(head.status.canonical_reason().unwrap_or_default().as_bytes());
    said.extend_from_slice(b"\r\n");
    for (name, value) in &head.headers {
        header(said, name.as_str(), value.as_bytes());
    }
    let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes);
    number(said, "content-length", body.len());
    said.extend_from_slice(b"\r\n");
    said.extend_from_slice(&body);
    stream.write_all(said).await?;
    said.clear();
    Ok(())
}

/// The event's head as the runtime gets it; what is absent is left out. Its body is returned.
fn head_of_event(said: &mut Vec<u8>, delivery: Delivery) -> Bytes {
    let mut id = [0; uuid::fmt::Hyphenated::LENGTH];
    let id = delivery.request_id.0.hyphenated().encode_lower(&mut id);
    said.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    header(said, runtime_api::REQUEST_ID.as_str(), id.as_bytes());
    header(said, runtime_api::INVOKED_ARN.as_str(), delivery.invoked_arn.as_bytes());
    header(said, runtime_api::TRACE_ID.as_str(), delivery.trace_id.as_bytes());
    let content_type = delivery.content_type.as_deref().filter(|kind| is_value(kind.as_bytes()));
    header(said, "content-type", content_type.unwrap_or("application/json").as_bytes());
    for (name, value) in [
        (runtime_api::CLIENT_CONTEXT, &delivery.client_context),
        (runtime_api::COGNITO_IDENTITY, &delivery.cognito_identity),
        (runtime_api::TENANT_ID, &delivery.tenant),
    ] {
        if let Some(value) = value {
            header(said, name.as_str(), value.as_bytes());
        }
    }
    number(said, runtime_api::DEADLINE.as_str(), delivery.deadline_ms);
    number(said, "content-length", delivery.payload.len());
    said.extend_from_slice(b"\r\n");
    delivery.payload
}

/// A header, unless its value could be none.
fn header(said: &mut Vec<u8>, name: &str, value: &[u8]) {
    if is_value(value) {
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            said.extend_from_slice(part);
        }
    }
}

fn number(said: &mut Vec<u8>, name: &str, value: impl std::fmt::Display) {
    use std::io::Write as _;

    // Nothing fails that writes to memory.
    let _ = write!(said, "{name}: {value}\r\n");
}

/// As [`http::HeaderValue`] takes them.
fn is_value(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| (*byte >= b' ' && *byte != 0x7f) || *byte == b'\t')
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hearth_types::RequestId;

    use super::*;

    const POST: &str = "POST /2018-06-01/runtime/invocation/abc/response HTTP/1.1\r\nHost: h\r\n";

    fn post(headers: &str, body: &str) -> Vec<u8> {
        format!("{POST}{headers}\r\n{body}").into_bytes()
    }

    #[test]
    fn usual_calls_are_taken_to_the_byte() {
        assert_eq!(call(NEXT), Call::Next { length: NEXT.len() });
        let other = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n";
        assert_eq!(call(other), Call::Next { length: other.len() });
        let answer = post("Content-Type: x/y\r\nConnection: Keep-Alive\r\nCONTENT-LENGTH: 2\r\n", "{}");
        let taken = Call::Response { id: "abc", body: b"{}", length: answer.len() };
        assert_eq!(call(&answer), taken);
        assert_eq!(call(&[&answer[..], NEXT].concat()), taken, "what follows is not its");
        let empty = post("", "");
        assert_eq!(call(&empty), Call::Response { id: "abc", body: b"", length: empty.len() });
    }

    #[test]
    fn every_beginning_of_a_call_is_a_beginning() {
        for whole in [NEXT.to_vec(), post("Content-Length: 5\r\n", "12345")] {
            for cut in 0..whole.len() {
                assert_eq!(call(&whole[..cut]), Call::Cut, "{cut}");
            }
        }
    }

    #[test]
    fn what_is_unusual_is_not_for_here() {
        for headers in [
            "Content-Length: 1\r\nContent-Length: 1\r\n",
            "Content-Length: +1\r\n",
            "Content-Length: 1, 1\r\n",
            "Content-Length: \r\n",
            "Content-Length: 99999999999999999999999\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
            "Connection: close\r\nContent-Length: 1\r\n",
            "Expect: 100-continue\r\nContent-Length: 1\r\n",
            "Lambda-Runtime-Function-Response-Mode: streaming\r\nContent-Length: 1\r\n",
            "Upgrade: h2c\r\nContent-Length: 1\r\n",
            "Content-Length : 1\r\n",
            "x y: 1\r\n",
        ] {
            assert_eq!(call(&post(headers, "1")), Call::Other, "{headers}");
        }
        let large = format!("Content-Length: {RECEIVED_BYTES}\r\n");
        assert_eq!(call(&post(&large, "1")), Call::Other);
        let many = "a: b\r\n".repeat(HEADERS);
        assert_eq!(call(&post(&many, "")), Call::Other);
        for line in [
            "POST /2018-06-01/runtime/invocation/abc/error HTTP/1.1",
            "POST /2018-06-01/runtime/invocation/next HTTP/1.1",
            "PUT /2018-06-01/runtime/invocation/abc/response HTTP/1.1",
            "GET /2018-06-01/runtime/invocation/next HTTP/1.0",
            "GET /2018-06-01/runtime/invocation/next?x HTTP/1.1",
            "GET /2018-06-01/ping HTTP/1.1",
            "GET /2020-01-01/extension/event/next HTTP/1.1",
            "\u{1}",
        ] {
            assert_eq!(call(format!("{line}\r\nHost: h\r\n\r\n").as_bytes()), Call::Other, "{line}");
        }
        assert_eq!(
            call(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nContent-Length: 1\r\n\r\n1"),
            Call::Other
        );
    }

    #[test]
    fn an_events_head_is_that_of_the_library() {
        let delivery = |context: Option<&str>| Delivery {
            request_id: RequestId(uuid::uuid!("8f507cfc-0000-4000-8000-000000000001")),
            payload: Bytes::from_static(b"[1]"),
            content_type: None,
            invoked_arn: "arn".into(),
            client_context: context.map(Arc::from),
            cognito_identity: None,
            trace_id: "Root=1;Sampled=0".into(),
            deadline_ms: 1_700_000_000_000,
            tenant: context.map(Arc::from),
        };
        for context in [None, Some("{\"a\":1}"), Some("a\nb")] {
            let mut said = Vec::new();
            assert_eq!(head_of_event(&mut said, delivery(context)), "[1]");
            let mut headers = [httparse::EMPTY_HEADER; HEADERS];
            let mut read = httparse::Response::new(&mut headers);
            assert!(read.parse(&said).unwrap().is_complete());
            let mut ours: Vec<_> = read.headers.iter().map(|h| (h.name.to_owned(), h.value.to_vec())).collect();
            let library = runtime_api::event(delivery(context));
            let mut theirs: Vec<_> =
                library.headers().iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
            theirs.push(("content-length".to_owned(), b"3".to_vec()));
            ours.sort();
            theirs.sort();
            assert_eq!(ours, theirs);
        }
    }
}
