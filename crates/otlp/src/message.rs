//! Spans as the collector takes them: `ExportTraceServiceRequest` of opentelemetry-proto 1.

use hearth_types::invoke::VersionSpec;
use hearth_worker::{InvokeSpan, Segments};

use crate::segments::{Read, read};
use crate::span::{Event, Kind, Span, Value};
use crate::spans::spans;
use crate::wire::Message;

const ERROR: u64 = 2;

/// What made the spans: the platform, or an X-Ray SDK in a function.
const PLATFORM: &str = "hearth";
const FUNCTION: &str = "aws.xray";

/// A request's body.
#[derive(Debug)]
pub struct Written {
    /// An `ExportTraceServiceRequest`.
    pub body: Vec<u8>,
    /// Segments of functions that it has.
    pub taken: u64,
    /// Such that are none, or nobody's.
    pub refused: u64,
}

/// The spans of these invokes, and those that functions sent, whatever that was.
#[must_use]
pub fn write(invokes: &[InvokeSpan], segments: &[Segments]) -> Written {
    let read: Vec<_> = segments.iter().map(read).collect();
    Written {
        body: request(invokes, &read),
        taken: read.iter().map(|read| read.taken).sum(),
        refused: read.iter().map(|read| read.refused).sum(),
    }
}

fn request(invokes: &[InvokeSpan], sent: &[Read<'_>]) -> Vec<u8> {
    let invokes = invokes.iter().map(|invoke| {
        let all = spans(invoke);
        of_resource(&invoke.spec, PLATFORM, all.iter().map(|one| span(invoke.traced.trace, one)))
    });
    let sent = sent.iter().filter(|read| !read.spans.is_empty());
    let sent =
        sent.map(|read| of_resource(read.spec, FUNCTION, read.spans.iter().map(|(trace, one)| span(*trace, one))));
    Message::default().messages(1, invokes.chain(sent)).finish()
}

fn of_resource(spec: &VersionSpec, scope: &str, spans: impl IntoIterator<Item = Message>) -> Message {
    let scope = Message::default().text(1, scope).text(2, env!("CARGO_PKG_VERSION"));
    let of_scope = Message::default().message(1, scope).messages(2, spans);
    Message::default().message(1, resource(spec)).message(2, of_scope)
}

/// The version that ran, as OpenTelemetry's conventions name what is known of it.
fn resource(spec: &VersionSpec) -> Message {
    let text = |value: &str| Value::Text(value.to_owned());
    let attributes = [
        ("service.name", text(&spec.function)),
        ("cloud.provider", text("aws")),
        ("cloud.platform", text("aws_lambda")),
        ("cloud.region", text(&spec.region)),
        ("cloud.resource_id", text(&spec.function_arn)),
        ("faas.name", text(&spec.function)),
        ("faas.version", text(&spec.version)),
        ("faas.max_memory", Value::Number(u64::from(spec.memory_mb) * 1024 * 1024)),
    ];
    Message::default().messages(1, attributes.iter().map(|(key, value)| attribute(key, value)))
}

fn span(trace: u128, span: &Span) -> Message {
    let mut message = Message::default().bytes(1, &trace.to_be_bytes()).bytes(2, &span.id.to_be_bytes());
    if let Some(parent) = span.parent {
        message = message.bytes(4, &parent.to_be_bytes());
    }
    message = message
        .text(5, &span.name)
        .number(6, kind(span.kind))
        .fixed(7, span.began_ns)
        .fixed(8, span.ended_ns)
        .messages(9, span.attributes.iter().map(|(key, value)| attribute(key, value)))
        .messages(11, span.events.iter().map(|event| self::event(span.ended_ns, event)));
    match &span.failed {
        Some(failed) => {
            let kind = failed.error_type.iter().map(|error| attribute("error.type", &Value::Text(error.clone())));
            message.messages(9, kind).message(15, Message::default().text(2, &failed.message).number(3, ERROR))
        }
        None => message,
    }
}

fn kind(kind: Kind) -> u64 {
    match kind {
        Kind::Internal => 1,
        Kind::Server => 2,
        Kind::Client => 3,
    }
}

fn event(at_ns: u64, event: &Event) -> Message {
    let attributes = event.attributes.iter().map(|(key, value)| attribute(key, value));
    Message::default().fixed(1, at_ns).text(2, event.name).messages(3, attributes)
}

fn attribute(key: &str, value: &Value) -> Message {
    Message::default().text(1, key).message(2, any(value))
}

fn any(value: &Value) -> Message {
    match value {
        Value::Text(text) => Message::default().text(1, text),
        Value::Bool(is) => Message::default().number(2, u64::from(*is)),
        Value::Number(number) => Message::default().number(3, *number),
        Value::Signed(number) => Message::default().number(3, number.cast_unsigned()),
        Value::Real(number) => Message::default().fixed(4, number.to_bits()),
        Value::Texts(texts) => {
            let each = texts.iter().map(|text| Message::default().text(1, text));
            Message::default().message(5, Message::default().messages(1, each))
        }
    }
}
