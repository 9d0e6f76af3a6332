//! The Runtime API, called by a function that speaks it by hand.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::harness::Machine;
use crate::tests;

tests![states_and_ids, other_paths, trailers_and_modes, one_connection_for_all_calls, a_connection_for_each_call];

/// A function whose handler calls its own Runtime API over further connections: `call(method, path, body, headers)`.
const HANDLER: &str = "import http.client, os
def call(method, path, body=None, headers={}):
  connection = http.client.HTTPConnection(os.environ['AWS_LAMBDA_RUNTIME_API'])
  connection.request(method, '/2018-06-01/' + path, body, headers)
  answer = connection.getresponse()
  return [answer.status, answer.read().decode(), dict(answer.getheaders())]
def handler(event, context):
  scope = {'call': call, 'id': context.aws_request_id, 'os': os}
  exec(event, scope)
  return scope.get('out')
";

fn problem(kind: &str, message: &str) -> Value {
    json!({"errorMessage": message, "errorType": kind})
}

async fn states_and_ids(machine: Arc<Machine>) {
    let mut function = machine.python(HANDLER);
    let code = "out = [call('GET', 'runtime/invocation/next')[:2],
  call('POST', 'runtime/invocation/' + '0' * 8 + id[8:] + '/response', '1')[:2],
  call('POST', 'runtime/invocation/nonsense/response', '1')[:2],
  call('POST', 'runtime/init/error', '{}')[:2]]";
    let got = function.answer(&json!(code).to_string()).await;
    let parsed: Vec<(u64, Value)> = got
        .as_array()
        .unwrap()
        .iter()
        .map(|a| (a[0].as_u64().unwrap(), serde_json::from_str(a[1].as_str().unwrap()).unwrap()))
        .collect();
    let transition = |to: &str| {
        let text = format!(
            "State transition from RuntimeRunning to {to} failed for runtime. Error: State transition is not allowed"
        );
        problem("InvalidStateTransition", &text)
    };
    let unknown = || (400, problem("InvalidRequestID", "Invalid request ID"));
    let expected = [(403, transition("RuntimeReady")), unknown(), unknown(), (403, transition("RuntimeInitError"))];
    assert_eq!(parsed, expected);

    // An answer behind the bootstrap's back counts; the bootstrap's own is refused and it goes on.
    let code = "first = call('POST', f'runtime/invocation/{id}/response', '\"mine\"')
out = 'too late'
again = call('POST', f'runtime/invocation/{id}/response', '1')
print(first[:2], again[0])";
    assert_eq!(function.answer(&json!(code).to_string()).await, json!("mine"));
    assert!(function.log().contains("[202, '{\"status\":\"OK\"}\\n'] 403\n"), "{}", function.log());
    assert_eq!(function.answer(&json!("out = 1").to_string()).await, json!(1));
}

async fn other_paths(machine: Arc<Machine>) {
    let mut function = machine.python(HANDLER);
    let code = "out = [call('GET', 'ping')[:2], call('POST', 'ping')[0], call('GET', 'runtime/init/error')[0],
  call('GET', f'runtime/invocation/{id}/response')[0], call('GET', 'runtime/restore/next')[0], call('GET', 'nothing')[0],
  call('POST', '../2020-01-01/extension/register')[:2]]";
    let got = function.answer(&json!(code).to_string()).await;
    assert_eq!(got[0], json!([200, "pong"]));
    assert_eq!(
        (&got[1], &got[2], &got[3], &got[4], &got[5]),
        (&405.into(), &405.into(), &405.into(), &404.into(), &404.into())
    );
    assert_eq!(got[6][0], 404);
}

async fn trailers_and_modes(machine: Arc<Machine>) {
    let mut function = machine.python(HANDLER);
    let code = "import socket, base64
host, port = os.environ['AWS_LAMBDA_RUNTIME_API'].split(':')
s = socket.create_connection((host, int(port)))
error = base64.b64encode(b'{\"errorType\":\"Function.Late\"}').decode()
s.sendall((f'POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\\r\\nHost: x\\r\\nTransfer-Encoding: chunked\\r\\n'
  'Lambda-Runtime-Function-Response-Mode: streaming\\r\\n'
  'Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\\r\\n\\r\\n'
  f'3\\r\\nabc\\r\\n0\\r\\nLambda-Runtime-Function-Error-Type: Function.Late\\r\\n'
  f'Lambda-Runtime-Function-Error-Body: {error}\\r\\n\\r\\n').encode())
print(s.recv(1000)[:12])";
    let outcome = function.invoke(&json!(code).to_string()).await;
    assert_eq!(
        (outcome.function_error, &outcome.payload[..]),
        (true, &b"{\"errorType\":\"Function.Late\"}"[..]),
        "{}",
        function.log()
    );
    let code =
        "call('POST', f'runtime/invocation/{id}/response', 'x', {'Lambda-Runtime-Function-Response-Mode': 'other'})";
    assert_eq!(function.error(&json!(code).to_string()).await.0, "Runtime.InvalidResponseModeHeader");
    let code = "import socket
host, port = os.environ['AWS_LAMBDA_RUNTIME_API'].split(':')
s = socket.create_connection((host, int(port)))
s.sendall(f'POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 10\\r\\n\\r\\nabc'.encode())
s.shutdown(socket.SHUT_WR)
s.recv(1000)";
    assert_eq!(function.error(&json!(code).to_string()).await.0, "Runtime.TruncatedResponse");
    assert_eq!(function.answer(&json!("out = 1").to_string()).await, json!(1));
}

/// However calls come, and whichever: each has its answer, in their order.
async fn one_connection_for_all_calls(machine: Arc<Machine>) {
    let mut function = machine.python(HANDLER);
    let code = "import socket
host, port = os.environ['AWS_LAMBDA_RUNTIME_API'].split(':')
s = socket.create_connection((host, int(port)))
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
usual = b'POST /2018-06-01/runtime/invocation/nonsense/response HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 1\\r\\n\\r\\n1'
for byte in usual: s.sendall(bytes([byte]))
s.sendall(usual + b'GET /2018-06-01/ping HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' + usual)
s.shutdown(socket.SHUT_WR)
said = b''
while piece := s.recv(1000): said += piece
out = ''.join('p' if part.endswith(b'pong') else 'i' for part in said.split(b'HTTP/1.1 ')[1:])";
    assert_eq!(function.answer(&json!(code).to_string()).await, json!("iipi"));
}

async fn a_connection_for_each_call(machine: Arc<Machine>) {
    let bootstrap = "#!/bin/sh
api=\"http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation\"
while true; do
  curl -sS -D /tmp/headers \"$api/next\" > /tmp/event
  id=$(grep -i '^lambda-runtime-aws-request-id' /tmp/headers | tr -d '\\r' | cut -d' ' -f2)
  curl -sS \"$api/$id/response\" --data-binary @/tmp/event > /dev/null
done
";
    let mut function = machine.function("provided.al2023", "any", &[("bootstrap", bootstrap)]);
    for n in 0..10 {
        assert_eq!(function.answer(&n.to_string()).await, json!(n));
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
