//! Streaming handlers on the Node.js bootstrap.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hearth_runtimes::Kind;
use serde_json::{Value, json};

use crate::process::{Function, Message, runtimes};

fn each(test: impl Fn(&str)) {
    runtimes(|kind| matches!(kind, Kind::Node { .. })).iter().for_each(|runtime| test(runtime));
}

/// The answer of a streaming handler with this body, which has `event`, `stream` and `context`.
fn streamed(runtime: &str, body: &str) -> (Message, Function) {
    let code =
        format!("exports.handler = awslambda.streamifyResponse(async (event, stream, context) => {{ {body} }});");
    let mut function = Function::start(runtime, "index.handler", &[("index.js", &code)]);
    (function.invoke("{\"a\":1}"), function)
}

/// The error that a message's trailers hold.
fn broken_off(message: &Message) -> (&str, Value) {
    let body = STANDARD.decode(&message.headers["lambda-runtime-function-error-body"]).unwrap();
    (&message.headers["lambda-runtime-function-error-type"], serde_json::from_slice(&body).unwrap())
}

#[test]
fn what_is_written_is_the_answer() {
    each(|runtime| {
        let body = "stream.write('one '); stream.write(''); stream.write(new Uint8Array([116, 119, 111]));
            stream.write({ three: event.a }); stream.end(context.awsRequestId.slice(-1));";
        let (message, mut function) = streamed(runtime, body);
        assert_eq!(message.text(), "one two{\"three\":1}1");
        assert_eq!(message.headers["lambda-runtime-function-response-mode"], "streaming");
        assert_eq!(message.headers["content-type"], "application/octet-stream");
        assert_eq!(function.invoke("{}").text().chars().last(), Some('2'), "it goes on");
    });
}

#[test]
fn metadata_goes_ahead_of_the_body() {
    each(|runtime| {
        let from = "stream = awslambda.HttpResponseStream.from(stream, { statusCode: 201 });";
        for (rest, expected) in
            [("stream.write('x'); stream.end();", "x"), ("stream.end('x');", "x"), ("stream.end();", "")]
        {
            let (message, _) = streamed(runtime, &format!("{from} {rest}"));
            assert_eq!(message.text(), format!("{{\"statusCode\":201}}\0\0\0\0\0\0\0\0{expected}"));
            assert_eq!(message.headers["content-type"], "application/vnd.awslambda.http-integration-response");
        }
    });
}

#[test]
fn streams_are_piped_and_typed() {
    each(|runtime| {
        let body = "const { Readable } = require('stream'); const { pipeline } = require('stream/promises');
            stream.setContentType('text/plain');
            await pipeline(Readable.from(['a'.repeat(300000), 'b']), stream);";
        let (message, _) = streamed(runtime, body);
        assert_eq!((message.body.len(), &message.headers["content-type"][..]), (300_001, "text/plain"));
        let late = "stream.write('x'); stream.setContentType('text/plain');";
        let (message, _) = streamed(runtime, late);
        let (kind, error) = broken_off(&message);
        assert_eq!((kind, message.text()), ("Runtime.InvalidStreamingOperation", "x"));
        assert_eq!(error["errorMessage"], "Cannot set content-type, too late.");
    });
}

#[test]
fn an_error_ahead_of_the_first_part_is_an_error() {
    each(|runtime| {
        let (message, mut function) = streamed(runtime, "if (event.a) throw new TypeError('no'); stream.end('fine');");
        assert_eq!((message.kind(), &message.json()["errorType"]), ("error", &json!("TypeError")));
        assert_eq!(function.invoke("{}").text(), "fine");
        let code = "exports.handler = awslambda.streamifyResponse((event, stream) => { stream.write('x'); });";
        let message = Function::start(runtime, "index.handler", &[("index.js", code)]).invoke("{}");
        let (kind, error) = broken_off(&message);
        assert_eq!((kind, message.text()), ("Runtime.MalformedStreamingHandler", "x"));
        assert_eq!(error["errorMessage"], "Streaming does not support non-async handlers.");
        let (message, _) = streamed(runtime, "await new Promise(() => {});");
        assert_eq!(message.json()["errorType"], "Runtime.NodeJsExit");
    });
}

#[test]
fn an_error_after_it_breaks_the_answer_off() {
    each(|runtime| {
        let (message, mut function) = streamed(
            runtime,
            "stream.write('a'); stream.write('b'); if (event.a) throw new RangeError('no'); stream.end();",
        );
        let (kind, error) = broken_off(&message);
        assert_eq!((message.kind(), message.text(), kind), ("response", "ab", "Function.Unknown"));
        assert_eq!((&error["errorType"], &error["errorMessage"]), (&json!("RangeError"), &json!("no")));
        assert!(error["trace"][1].as_str().unwrap().contains("index.js"), "{error}");
        assert_eq!(function.invoke("{}").text(), "ab");

        let (message, _) = streamed(runtime, "stream.write('a'); throw new Error('long '.repeat(3000));");
        let (_, error) = broken_off(&message);
        assert_eq!(error["errorMessage"].as_str().unwrap().len(), 1000, "it fits into a trailer");
        let (message, _) = streamed(
            runtime,
            "stream.write('a'); stream.destroy(new Error('destroyed')); await new Promise(() => {});",
        );
        assert_eq!((message.text(), &broken_off(&message).1["errorMessage"]), ("a", &json!("destroyed")));
    });
}

#[test]
fn a_crash_breaks_the_answer_off() {
    each(|runtime| {
        let (message, function) = streamed(
            runtime,
            "stream.write('a'); stream.write('b'); setTimeout(() => { throw new Error('late'); }, 1);",
        );
        assert_eq!((message.text(), &broken_off(&message).1["errorMessage"]), ("ab", &json!("late")));
        assert_eq!(function.ended().0, Some(129));
    });
}

#[test]
fn work_after_the_end_goes_on_and_its_errors_are_only_logged() {
    each(|runtime| {
        let body = "stream.end('done'); await new Promise((r) => setTimeout(r, 5)); console.log('after');
            if (event.a) throw new Error('logged');";
        let (message, mut function) = streamed(runtime, body);
        assert_eq!((message.text(), message.headers.get("lambda-runtime-function-error-type")), ("done", None));
        assert_eq!(function.invoke("{}").text(), "done");
        assert_eq!(function.message().kind(), "next");
        let (out, _) = function.output();
        assert_eq!((out.matches("after").count(), out.matches("Invoke Error").count()), (2, 1), "{out}");
    });
}

#[test]
fn the_global_can_be_left_out() {
    each(|runtime| {
        let code = "exports.handler = async () => typeof awslambda;";
        let told = |variables: &[(&str, &str)]| {
            Function::start_with(runtime, "index.handler", &[("index.js", code)], variables)
                .invoke("{}")
                .text()
                .to_owned()
        };
        assert_eq!(told(&[]), "\"object\"");
        assert_eq!(told(&[("AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA", "1")]), "\"undefined\"");
    });
}
