//! Extensions: code in the runtime's process, and programs beside it.

use std::sync::Arc;

use hearth_worker::EnvironmentEvent;
use serde_json::json;

use crate::harness::{Function, Machine};
use crate::tests;

tests![
    an_internal_extension_hears_of_invokes,
    an_invoke_lasts_until_extensions_are_through,
    calls_are_checked,
    an_internal_extension_may_give_up,
];

/// `call(method, path, body, headers)` of the Extensions API: status, headers in small letters, body as JSON.
pub(crate) const CALL: &str = "import http.client, json, os, threading
def call(method, path, body=None, headers={}):
  connection = http.client.HTTPConnection(os.environ['AWS_LAMBDA_RUNTIME_API'])
  connection.request(method, '/2020-01-01/extension/' + path, body, headers)
  answer = connection.getresponse()
  given = {name.lower(): value for name, value in answer.getheaders()}
  text = answer.read().decode()
  return answer.status, given, json.loads(text) if text else None
def register(name, events, **headers):
  status, given, body = call('POST', 'register', json.dumps({'events': events}), {'Lambda-Extension-Name': name, **headers})
  assert status == 200, (status, body)
  return {'Lambda-Extension-Identifier': given['lambda-extension-identifier']}, body
";

fn internal(machine: &Arc<Machine>, code: &str) -> Function {
    machine.python(&format!("{CALL}{code}"))
}

async fn an_internal_extension_hears_of_invokes(machine: Arc<Machine>) {
    let mut function = internal(
        &machine,
        "told, heard = [], threading.Semaphore(0)
me, body = register('inner', ['INVOKE'], **{'Lambda-Extension-Accept-Feature': 'accountId'})
def listen():
  while True:
    status, headers, event = call('GET', 'event/next', headers=me)
    told.append([event, len(headers['lambda-extension-event-identifier'])])
    heard.release()
threading.Thread(target=listen, daemon=True).start()
def handler(event, context):
  heard.acquire()
  return [body, told, context.aws_request_id, context.invoked_function_arn]",
    );
    let name = function.spec.function.to_string();
    for count in 1..=2 {
        let answer = function.answer("{}").await;
        let registered = json!({"functionName": name, "functionVersion": "$LATEST", "handler": "app.handler", "accountId": "000000000000"});
        assert_eq!(answer[0], registered);
        let told = answer[1].as_array().unwrap();
        assert_eq!(told.len(), count);
        let (event, length) = (&told[count - 1][0], &told[count - 1][1]);
        let deadline = event["deadlineMs"].as_u64().unwrap();
        assert!(deadline > 1_600_000_000_000, "{deadline}");
        let trace = json!({"type": "X-Amzn-Trace-Id", "value": "Root=1-2-3;Parent=4;Sampled=0"});
        let wanted = json!({"eventType": "INVOKE", "deadlineMs": deadline, "requestId": answer[2],
            "invokedFunctionArn": answer[3], "tracing": trace});
        assert_eq!((event, length), (&wanted, &json!(36)));
    }
    let log = function.log();
    let ready = "EXTENSION\tName: inner\tState: Ready\tEvents: [INVOKE]\nSTART ";
    assert_eq!(log.matches(ready).count(), 1, "{log}");
}

async fn an_invoke_lasts_until_extensions_are_through(machine: Arc<Machine>) {
    // The extension goes on after the answer until the file is there, which only the next event would bring: made by a
    // timer of its own, it is not frozen meanwhile.
    let mut function = internal(
        &machine,
        "import time
me, _ = register('slow', ['INVOKE'])
def listen():
  while True:
    call('GET', 'event/next', headers=me)
    begin = time.monotonic()
    while time.monotonic() - begin < 0.3: time.sleep(0.01)
    print('the tail is over', flush=True)
threading.Thread(target=listen, daemon=True).start()
def handler(event, context): return 1",
    );
    for _ in 0..2 {
        let reply = function.begin("{}", false);
        assert_eq!(function.event().await, EnvironmentEvent::Answered(function.id));
        assert_eq!(reply.await.unwrap().unwrap().payload, "1");
        assert_eq!(function.event().await, EnvironmentEvent::Idle(function.id));
        let log = function.log();
        let end = log.rsplit("START RequestId: ID").next().unwrap();
        let (tail, report) = end.split_once("END RequestId: ID\n").unwrap();
        assert!(tail.contains("the tail is over"), "{log}");
        let duration: f64 = report.split("Duration: ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        assert!(duration >= 300.0, "{report}");
    }
    let outcome = function.try_invoke("{}", true).await.unwrap();
    let tail = String::from_utf8(outcome.log_tail.unwrap().to_vec()).unwrap();
    assert!(tail.contains("the tail is over") && tail.contains("REPORT"), "who wants the log waits for it: {tail}");
}

async fn calls_are_checked(machine: Arc<Machine>) {
    let mut function = internal(
        &machine,
        "refused = []
def check(method, path, body, headers):
  status, _, answer = call(method, path, body, headers)
  refused.append([status, answer['errorType']])
def listen(me):
  threading.Thread(target=lambda: call('GET', 'event/next', headers=me), daemon=True).start()
named = {'Lambda-Extension-Name': 'inner'}
check('POST', 'register', '{}', {})
check('POST', 'register', 'x', named)
check('POST', 'register', '{\"events\": [\"PHONE\"]}', named)
check('POST', 'register', '{\"events\": [\"SHUTDOWN\"]}', named)
check('POST', 'register', '{\"configurationKeys\": [\"a\"]}', named)
check('GET', 'event/next', None, {})
check('GET', 'event/next', None, {'Lambda-Extension-Identifier': 'me'})
check('GET', 'event/next', None, {'Lambda-Extension-Identifier': '8f507cfc-0000-4000-8000-000000000001'})
check('GET', 'register', None, named)
check('POST', 'register', 'x' * 300000, named)
me, body = register('inner', [])
assert 'accountId' not in body
check('POST', 'register', '{}', named)
check('POST', 'init/error', '{}', me)
listen(me)
for number in range(9): listen(register(f'more{number}', [])[0])
check('POST', 'register', '{}', {'Lambda-Extension-Name': 'eleventh'})
def handler(event, context):
  check('POST', 'register', '{}', {'Lambda-Extension-Name': 'late'})
  check('POST', 'init/error', '{}', {**me, 'Lambda-Extension-Function-Error-Type': 'Extension.X'})
  return refused",
    );
    let of = |kind: &str| json!([403, format!("Extension.{kind}")]);
    let wanted = json!([
        of("InvalidExtensionName"),
        [403, "InvalidRequestFormat"],
        of("InvalidEventType"),
        of("InvalidEventType"),
        [403, "InvalidRequestFormat"],
        of("MissingExtensionIdentifier"),
        of("InvalidExtensionIdentifier"),
        of("UnknownExtensionIdentifier"),
        [405, "MethodNotAllowed"],
        [413, "RequestEntityTooLarge"],
        of("InvalidExtensionState"),
        of("MissingHeader"),
        of("TooManyExtensions"),
        of("TooManyExtensions"),
        of("InvalidExtensionState"),
    ]);
    assert_eq!(function.answer("{}").await, wanted);
}

async fn an_internal_extension_may_give_up(machine: Arc<Machine>) {
    for (call, kind, state) in
        [("init/error", "Extension.InitError", "InitError"), ("exit/error", "Extension.ExitError", "ExitError")]
    {
        let mut function = internal(
            &machine,
            &format!(
                "me, _ = register('inner', ['INVOKE'])
call('POST', '{call}', json.dumps({{'errorMessage': 'no licence'}}), {{**me, 'Lambda-Extension-Function-Error-Type': 'Extension.Licence'}})
threading.Event().wait()
def handler(event, context): return 1"
            ),
        );
        let error = function.error("{}").await;
        assert_eq!(error, (kind.to_owned(), "RequestId: ID Error: no licence".to_owned()));
        let log = function.log();
        let line = format!("EXTENSION\tName: inner\tState: {state}\tEvents: [INVOKE]\tError Type: Extension.Licence\n");
        assert_eq!(log.matches(&line).count(), 2, "init is repeated once: {log}");
        assert!(log.contains(&format!("\tPhase: init\tStatus: error\tError Type: {kind}\n")), "{log}");
        assert!(log.contains(&format!("\tPhase: invoke\tStatus: error\tError Type: {kind}\n")), "{log}");
    }
}
