//! A line that names an operation, then its body: read as SQS's JSON, and as the form of an operation of SNS.
#![no_main]

use bytes::Bytes;
use hearth_api::{Call, Form, sns, sqs};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|request: &[u8]| {
    let (line, body) = match request.iter().position(|&byte| byte == b'\n') {
        Some(at) => (&request[..at], &request[at + 1..]),
        None => (request, &[][..]),
    };
    let Ok(name) = std::str::from_utf8(line) else { return };
    let body = Bytes::copy_from_slice(body);
    if let Ok(call) = Call::<sqs::Operation>::from_json(name, body.clone()) {
        assert_eq!(call.operation.name(), name, "read as another operation");
        // What passes the check has the shape of its input.
        if call.operation == sqs::Operation::SendMessage {
            let input = call.input::<sqs::ops::SendMessage>().expect("a checked call has its input");
            assert!(!input.queue_url.is_empty() || body.windows(8).any(|part| part == b"QueueUrl"));
        }
    }
    if let Ok(form) = Form::parse(&body) {
        let read = Call::<sns::Operation>::from_form(&form).map(|call| call.operation.name());
        assert!(read.is_err() || Some(read.unwrap_or_default()) == form.parameter("Action"));
    }
});
