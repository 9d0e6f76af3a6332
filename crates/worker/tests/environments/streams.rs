//! Answers in parts, as who waits for them sees them.

use std::sync::Arc;

use bytes::Bytes;
use hearth_worker::{Answer, End, EnvironmentEvent, Part, Parts, StreamFailure, WorkerError};

use crate::harness::{Function, Machine};
use crate::tests;

tests![
    the_end_waits_for_the_log,
    an_end_of_time_breaks_off,
    a_drain_breaks_off,
    who_goes_away_is_not_waited_for,
    an_error_ahead_of_the_first_part_is_whole,
    what_a_runtime_says_of_its_answer_has_bounds,
];

fn streaming(machine: &Arc<Machine>, body: &str) -> Function {
    let code = "const passed = (ms) => new Promise((r) => setTimeout(r, ms));
export const handler = awslambda.streamifyResponse(async (event, out) => { BODY });";
    machine.node(&code.replace("BODY", body))
}

async fn begun(function: &mut Function, tail: bool) -> Parts {
    match function.begin_streamed("{}", tail).await.unwrap().unwrap() {
        Answer::Streamed(streamed) => {
            assert_eq!(streamed.content_type.unwrap(), "application/octet-stream");
            streamed.parts
        }
        Answer::Whole(outcome) => panic!("{:?}", outcome.payload),
    }
}

async fn rest(mut parts: Parts) -> (Vec<u8>, End) {
    let mut all = Vec::new();
    loop {
        match parts.next().await.unwrap() {
            Part::Bytes(bytes) => all.extend_from_slice(&bytes),
            Part::End(end) => {
                assert_eq!(parts.next().await, None);
                return (all, end);
            }
        }
    }
}

async fn the_end_waits_for_the_log(machine: Arc<Machine>) {
    let mut function = streaming(&machine, "out.write('one'); console.log('between'); out.end('two');");
    for tail in [true, false] {
        let (all, end) = rest(begun(&mut function, tail).await).await;
        assert_eq!((all, end.failure), (b"onetwo".to_vec(), None));
        let log = end.log_tail.map(|log| String::from_utf8(log.to_vec()).unwrap());
        assert_eq!(log.is_some_and(|log| log.contains("between") && log.contains("REPORT RequestId")), tail);
        assert_eq!(function.event().await, EnvironmentEvent::Answered(function.id));
        assert_eq!(function.event().await, EnvironmentEvent::Idle(function.id));
    }
}

async fn an_end_of_time_breaks_off(machine: Arc<Machine>) {
    let mut function = streaming(&machine, "out.write('some'); await passed(60_000);").with(|spec| spec.timeout_s = 5);
    for _ in 0..2 {
        let (all, end) = rest(begun(&mut function, false).await).await;
        let Some(StreamFailure::Function(error)) = end.failure else { panic!("{end:?}") };
        let error: serde_json::Value = serde_json::from_slice(&error).unwrap();
        assert_eq!((&all[..], &error["errorType"]), (&b"some"[..], &"Sandbox.Timedout".into()));
        assert_eq!(function.event().await, EnvironmentEvent::Answered(function.id));
        function.until_idle().await;
    }
    assert_eq!(function.log().matches("Status: timeout").count(), 2);
}

async fn a_drain_breaks_off(machine: Arc<Machine>) {
    let machine = machine.with_ahead(0);
    let mut function = streaming(&machine, "out.write('some'); await passed(60_000);");
    let mut parts = begun(&mut function, false).await;
    assert_eq!(parts.next().await, Some(Part::Bytes(Bytes::from_static(b"some"))));
    machine.worker.drain().await;
    let failure = Some(StreamFailure::Platform(WorkerError::Ended(function.id)));
    assert_eq!(rest(parts).await, (Vec::new(), End { failure, log_tail: None }));
    assert_eq!(function.event().await, EnvironmentEvent::Answered(function.id), "not ahead of the end");
}

/// 16 MB do not fit into what is between the function and who waits.
async fn who_goes_away_is_not_waited_for(machine: Arc<Machine>) {
    let body = "for (let i = 0; i < 16; i++) if (!out.write(Buffer.alloc(1 << 20))) await new Promise((r) => out.once('drain', r));
        out.end(); console.log('through with it');";
    let mut function = streaming(&machine, body);
    drop(begun(&mut function, false).await);
    function.until_idle().await;
    assert!(function.log().contains("through with it"));
    let all = rest(begun(&mut function, false).await).await;
    assert_eq!((all.0.len(), all.1), (16 << 20, End::default()));
}

async fn an_error_ahead_of_the_first_part_is_whole(machine: Arc<Machine>) {
    let mut function = streaming(&machine, "throw new RangeError('no');");
    let Answer::Whole(outcome) = function.begin_streamed("{}", false).await.unwrap().unwrap() else { panic!("parts") };
    assert!(outcome.function_error && outcome.payload.starts_with(b"{\"errorType\":\"RangeError\""));
}

async fn what_a_runtime_says_of_its_answer_has_bounds(machine: Arc<Machine>) {
    let code = "import os, socket
def handler(event, context):
  host, port = os.environ['AWS_LAMBDA_RUNTIME_API'].split(':')
  with socket.create_connection((host, int(port))) as s:
    s.sendall((f'POST /2018-06-01/runtime/invocation/{context.aws_request_id}/response HTTP/1.1\\r\\nHost: x\\r\\n'
      'Transfer-Encoding: chunked\\r\\nLambda-Runtime-Function-Response-Mode: streaming\\r\\n'
      'Content-Type: ' + 'x' * event['type'] + '\\r\\n\\r\\n3\\r\\nabc\\r\\n0\\r\\n'
      'Lambda-Runtime-Function-Error-Type: ' + 'x' * event['trailer'] + '\\r\\n\\r\\n').encode())
    s.recv(1000)";
    let mut function = machine.python(code);
    let mut answered = async |kind: usize, trailer: usize| {
        let event = format!("{{\"type\":{kind},\"trailer\":{trailer}}}");
        let answer = function.begin_streamed(&event, false).await.unwrap().unwrap();
        let Answer::Streamed(streamed) = answer else { panic!("{answer:?}") };
        let (all, end) = rest(streamed.parts).await;
        function.until_idle().await;
        let Some(StreamFailure::Function(error)) = end.failure else { panic!("{end:?}") };
        let error: serde_json::Value = serde_json::from_slice(&error).unwrap();
        assert_eq!(all, b"abc");
        (streamed.content_type.map(|kind| kind.len()), error["errorType"].as_str().unwrap().to_owned())
    };
    assert_eq!(answered(1024, 10).await, (Some(1024), "Runtime.Unknown".to_owned()));
    assert_eq!(answered(1025, 10).await, (None, "Runtime.Unknown".to_owned()));
    assert_eq!(answered(1, 20_000).await, (Some(1), "Runtime.TruncatedResponse".to_owned()));
}
