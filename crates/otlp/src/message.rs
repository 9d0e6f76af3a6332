//! Spans as the collector takes them: `ExportTraceServiceRequest` of opentelemetry-proto 1.

use hearth_worker::InvokeSpan;

use crate::spans::{Span, Value, spans};
use crate::wire::Message;

const INTERNAL: u64 = 1;
const SERVER: u64 = 2;
const ERROR: u64 = 2;

/// The body of a request with the spans of these invokes.
pub(crate) fn request(invokes: &[InvokeSpan]) -> Vec<u8> {
    Message::default().messages(1, invokes.iter().map(of_resource)).finish()
}

fn of_resource(invoke: &InvokeSpan) -> Message {
    let scope = Message::default().text(1, "hearth").text(2, env!("CARGO_PKG_VERSION"));
    let all = spans(invoke);
    let spans = all.iter().map(|span| self::span(invoke.traced.trace, span));
    let of_scope = Message::default().message(1, scope).messages(2, spans);
    Message::default().message(1, resource(invoke)).message(2, of_scope)
}

/// The version that ran, as OpenTelemetry's conventions name what is known of it.
fn resource(invoke: &InvokeSpan) -> Message {
    let spec = &invoke.spec;
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
        .number(6, if span.is_server { SERVER } else { INTERNAL })
        .fixed(7, span.began_ns)
        .fixed(8, span.ended_ns)
        .messages(9, span.attributes.iter().map(|(key, value)| attribute(key, value)));
    match &span.error {
        Some(error) => {
            let kind = attribute("error.type", &Value::Text(error.clone()));
            message.message(9, kind).message(15, Message::default().text(2, error).number(3, ERROR))
        }
        None => message,
    }
}

fn attribute(key: &str, value: &Value) -> Message {
    let value = match value {
        Value::Text(text) => Message::default().text(1, text),
        Value::Bool(is) => Message::default().number(2, u64::from(*is)),
        Value::Number(number) => Message::default().number(3, *number),
    };
    Message::default().text(1, key).message(2, value)
}
