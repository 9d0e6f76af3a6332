//! What subscribers inside an environment are told, and what they can do to others: nothing.

use std::sync::Arc;

use hearth_types::function::{LogFormat, LogLevel};
use serde_json::{Value, json};

use crate::harness::{Function, Machine};
use crate::tests;

tests![
    what_happens_is_told_over_http,
    subscriptions_are_checked_and_closed_after_init,
    a_later_subscription_replaces_the_first_and_is_told_what_was,
    lines_of_json_are_objects_and_levels_do_not_count,
    the_logs_api_has_its_own_forms,
    over_tcp_each_event_is_a_line,
    a_subscriber_that_does_not_listen_harms_nobody,
    of_a_flood_what_is_lost_is_counted,
    the_next_processes_are_subscribed_anew,
];

/// An extension in the runtime's process: `listen(port)` has a server keep what it is told in `seen`, `subscribe(...)`
/// subscribes it, and a handler can wait `until` something was told.
const EXTENSION: &str = r"
import http.server, json, os, socketserver, threading, urllib.error, urllib.request
seen, changed = [], threading.Condition()
def keep(events):
    with changed:
        seen.extend(events)
        changed.notify_all()
def until(condition):
    with changed:
        changed.wait_for(lambda: condition(seen))
        return list(seen)
def until_told(kind, times=1):
    return until(lambda events: sum(event['type'] == kind for event in events) >= times)
class Sink(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        self.send_response(200)
        self.send_header('Content-Length', '0')
        self.end_headers()
        keep(json.loads(body))
    def log_message(self, *_):
        pass
class Lines(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            keep([json.loads(line)])
def listen(port, handler=Sink):
    server = socketserver.ThreadingTCPServer(('0.0.0.0', port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
def call(method, path, body=None, headers={}):
    url = 'http://' + os.environ['AWS_LAMBDA_RUNTIME_API'] + path
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method))
    except urllib.error.HTTPError as error:
        answer = error
    return answer.status, dict(answer.headers), json.loads(answer.read())
def register(name='inside'):
    _, headers, _ = call('POST', '/2020-01-01/extension/register', {'events': ['INVOKE']}, {'Lambda-Extension-Name': name})
    return {'Lambda-Extension-Identifier': headers['lambda-extension-identifier']}
def subscribe(me, path='/2022-07-01/telemetry', version='2022-12-13', port=8080, **members):
    body = {'schemaVersion': version, 'types': ['platform', 'function', 'extension'], 'buffering': {'timeoutMs': 25},
            'destination': {'protocol': 'HTTP', 'URI': f'http://sandbox.localdomain:{port}/'}, **members}
    status, _, answer = call('PUT', path, body, me)
    return [status, answer]
def follow(me):
    def events():
        while True:
            call('GET', '/2020-01-01/extension/event/next', None, me)
    threading.Thread(target=events, daemon=True).start()
";

/// A function whose module begins with the extension.
fn function(machine: &Arc<Machine>, code: &str) -> Function {
    machine.python(&format!("{EXTENSION}\n{code}"))
}

fn kinds(events: &Value) -> Vec<&str> {
    events.as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect()
}

/// The records of this type.
fn records<'a>(events: &'a Value, kind: &str) -> Vec<&'a Value> {
    let events = events.as_array().unwrap().iter();
    events.filter(|event| event["type"] == kind).map(|event| &event["record"]).collect()
}

async fn what_happens_is_told_over_http(machine: Arc<Machine>) {
    let code = "print('loaded')
listen(8080); me = register(); subscribed = subscribe(me); follow(me)
def handler(event, context):
    print('at work')
    return subscribed, until_told(*event)";
    let mut function = function(&machine, code);
    let told = function.answer(r#"["function", 2]"#).await;
    assert_eq!(told[0], json!([200, "OK"]));
    let first = function.last_request.to_string();
    let told = function.answer(r#"["platform.report"]"#).await;
    let events = &told[1];
    let usual = [
        "platform.initStart",
        "function",
        "platform.telemetrySubscription",
        "platform.extension",
        "platform.initRuntimeDone",
        "platform.initReport",
        "platform.start",
        "function",
        "platform.runtimeDone",
        "platform.report",
    ];
    assert_eq!(kinds(events)[..usual.len()], usual, "{events}");
    let record = |kind| records(events, kind)[0];
    assert_eq!(record("platform.initStart")["phase"], "init");
    assert_eq!(record("platform.initStart")["functionName"], *function.spec.function);
    assert_eq!(records(events, "function")[..2], ["loaded\n", "at work\n"]);
    let subscription = json!({"name": "inside", "state": "Subscribed", "types": ["platform", "function", "extension"]});
    assert_eq!(*record("platform.telemetrySubscription"), subscription);
    assert_eq!(*record("platform.extension"), json!({"name": "inside", "state": "Ready", "events": ["INVOKE"]}));
    assert_eq!(record("platform.initRuntimeDone")["status"], "success");
    assert!(record("platform.initReport")["metrics"]["durationMs"].as_f64().unwrap() > 0.0);
    assert_eq!(*record("platform.start"), json!({"requestId": first, "version": "$LATEST"}));
    let done = record("platform.runtimeDone");
    assert_eq!((&done["requestId"], &done["status"]), (&json!(first), &json!("success")));
    assert!(done["metrics"]["producedBytes"].as_u64().unwrap() > 0);
    let report = record("platform.report");
    assert_eq!((&report["requestId"], &report["metrics"]["memorySizeMB"]), (&json!(first), &json!(512)));
    assert!(report["metrics"]["initDurationMs"].as_f64().unwrap() > 0.0);
    let time = events[0]["time"].as_str().unwrap();
    assert!(time.ends_with('Z') && time.len() == "2024-03-05T12:00:00.120Z".len(), "{time}");
    assert!(
        function.log().contains("TELEMETRY\tName: inside\tState: Subscribed\tTypes: [Platform, Function, Extension]\n")
    );
}

async fn subscriptions_are_checked_and_closed_after_init(machine: Arc<Machine>) {
    let code = "import uuid
me = register()
early = [
    subscribe(me, types=[]), subscribe(me, version='2030-01-01'), subscribe(me, version=None), subscribe(me, types=['x']),
    subscribe(me, buffering={'maxItems': 1}), subscribe(me, port=9001),
    subscribe(me, destination={'protocol': 'HTTP', 'URI': 'http://127.0.0.1:8080'}),
    subscribe(me, path='/2020-08-15/logs', version='2022-12-13'),
    subscribe({}), subscribe({'Lambda-Extension-Identifier': 'me'}),
    subscribe({'Lambda-Extension-Identifier': str(uuid.uuid4())}),
    subscribe(me, more='x' * 20000), [call('PUT', '/2022-07-01/telemetry', b'{', me)[i] for i in (0, 2)],
    [call('POST', '/2022-07-01/telemetry', {}, me)[i] for i in (0, 2)],
]
follow(me)
def handler(event, context):
    return early, [subscribe(me), subscribe(me, path='/2020-08-15/logs', version='2021-03-18')]";
    let mut function = function(&machine, code);
    let answers = function.answer("{}").await;
    let errors: Vec<(u64, &str)> = answers[0]
        .as_array()
        .unwrap()
        .iter()
        .map(|answer| (answer[0].as_u64().unwrap(), answer[1]["errorType"].as_str().unwrap()))
        .collect();
    let invalid = (400, "ValidationError");
    let mut expected = vec![invalid; 8];
    expected.extend([
        (403, "Extension.MissingExtensionIdentifier"),
        (403, "Extension.InvalidExtensionIdentifier"),
        (403, "Extension.UnknownExtensionIdentifier"),
        invalid,
        invalid,
        (405, "MethodNotAllowed"),
    ]);
    assert_eq!(errors, expected, "{answers}");
    let closed = |kind, api| json!([403, {"errorType": kind, "errorMessage": format!("{api} API subscription is closed already")}]);
    assert_eq!(
        answers[1],
        json!([closed("Telemetry.SubscriptionClosed", "Telemetry"), closed("Logs.SubscriptionClosed", "Logs")])
    );
}

async fn a_later_subscription_replaces_the_first_and_is_told_what_was(machine: Arc<Machine>) {
    let code = "listen(8080); me = register(); subscribe(me, types=['function'])
print('first'); until_told('function'); seen.clear()
subscribe(me, types=['platform']); follow(me)
def handler(event, context):
    print('not wanted any more')
    return until_told('platform.start')";
    let mut function = function(&machine, code);
    let events = function.answer("{}").await;
    let kinds = kinds(&events);
    assert_eq!(kinds[0], "platform.initStart", "{events}");
    assert!(!kinds.contains(&"function"), "{events}");
    assert_eq!(records(&events, "platform.telemetrySubscription").len(), 2);
}

async fn lines_of_json_are_objects_and_levels_do_not_count(machine: Arc<Machine>) {
    let code = r#"listen(8080); me = register(); other = register('other')
subscribe(me, types=['function']); listen(8081); subscribe(other, version='2022-07-01', types=['function'], port=8081)
follow(me); follow(other)
def handler(event, context):
    print('{"level": "DEBUG", "message": "of no interest"}'); print('plain')
    return until_told('function', 4)"#;
    let mut function = function(&machine, code).with(|spec| {
        spec.log_format = LogFormat::Json { application: LogLevel::Error, system: LogLevel::Warn };
    });
    let events = function.answer("{}").await;
    let mut told: Vec<String> = records(&events, "function").iter().map(ToString::to_string).collect();
    told.sort();
    let line = r#""{\"level\": \"DEBUG\", \"message\": \"of no interest\"}\n""#;
    let object = r#"{"level":"DEBUG","message":"of no interest"}"#;
    assert_eq!(told, [r#""plain\n""#, r#""plain\n""#, line, object]);
    assert!(!function.log().contains("of no interest"));
}

async fn the_logs_api_has_its_own_forms(machine: Arc<Machine>) {
    let code = "listen(8080); me = register()
subscribe(me, path='/2020-08-15/logs', version='2021-03-18', types=['platform', 'function']); follow(me)
def handler(event, context):
    print('at work')
    return until_told('platform.report', event)";
    let mut function = function(&machine, code);
    function.answer("0").await;
    let first = function.last_request.to_string();
    let events = function.answer("1").await;
    let usual = [
        "platform.logsSubscription",
        "platform.extension",
        "platform.start",
        "function",
        "platform.runtimeDone",
        "platform.end",
        "platform.report",
    ];
    assert_eq!(kinds(&events)[..usual.len()], usual, "{events}");
    let record = |kind| records(&events, kind)[0];
    assert_eq!(*record("platform.start"), json!({"requestId": first}));
    assert_eq!(*record("platform.end"), json!({"requestId": first}));
    assert_eq!(*record("platform.runtimeDone"), json!({"requestId": first, "status": "success"}));
    assert_eq!(record("platform.report")["metrics"]["memorySizeMB"], 512);
    assert!(record("platform.report").get("status").is_none());
    assert!(function.log().contains("LOGS\tName: inside\tState: Subscribed\tTypes: [Platform, Function]\n"));
}

async fn over_tcp_each_event_is_a_line(machine: Arc<Machine>) {
    let code = "listen(8080, Lines); me = register()
subscribe(me, types=['function'], destination={'protocol': 'TCP', 'port': 8080}); follow(me)
def handler(event, context):
    print('one'); print('two')
    return until_told('function', 2)";
    let mut function = function(&machine, code);
    let events = function.answer("{}").await;
    assert_eq!(records(&events, "function"), ["one\n", "two\n"]);
}

/// It accepts and never reads, and prints more than a buffer holds; another one hears all, and the function is answered.
async fn a_subscriber_that_does_not_listen_harms_nobody(machine: Arc<Machine>) {
    let code = "import socket
deaf = socket.create_server(('0.0.0.0', 8081)); held = []
def accept():
    while True: held.append(deaf.accept())
threading.Thread(target=accept, daemon=True).start()
me, other, gone = register(), register('other'), register('gone')
listen(8080); subscribe(me, types=['function']); subscribe(other, port=8081); subscribe(gone, port=8082)
for one in (me, other, gone): follow(one)
def handler(event, context):
    if event: print('x' * event); return len(seen)
    return len(until(lambda events: any('last' in e['record'] for e in events)))
";
    let mut function =
        function(&machine, &code.replace("    if event:", "    if not event: print('last')\n    if event:"));
    for _ in 0..8 {
        function.answer("200000").await;
    }
    assert_eq!(function.answer("0").await, 9);
}

/// It takes one batch only once all is printed: by then its buffer was full.
async fn of_a_flood_what_is_lost_is_counted(machine: Arc<Machine>) {
    let code = "printed = threading.Event()
class Slow(Sink):
    def do_POST(self):
        printed.wait()
        Sink.do_POST(self)
listen(8080, Slow); me = register(); subscribe(me, types=['platform', 'function']); follow(me)
def lost(events):
    return sum(e['record']['droppedRecords'] for e in events if e['type'] == 'platform.logsDropped')
def lines(events):
    return sum(e['type'] == 'function' for e in events)
def handler(event, context):
    for _ in range(event): print('x' * 100)
    printed.set()
    return None if event else until(lambda events: lines(events) + lost(events) >= 20000)";
    let mut function = function(&machine, code);
    function.answer("20000").await;
    let events = function.answer("0").await;
    let records = |kind| records(&events, kind);
    let (told, dropped) = (records("function").len(), records("platform.logsDropped"));
    let lost: u64 = dropped.iter().map(|record| record["droppedRecords"].as_u64().unwrap()).sum();
    let bytes: u64 = dropped.iter().map(|record| record["droppedBytes"].as_u64().unwrap()).sum();
    assert!(told < 20_000 && lost > 0 && bytes > 100 * lost, "{told} {dropped:?}");
    assert!(dropped[0]["reason"].as_str().unwrap().contains("fallen behind"));
    assert_eq!(function.log().matches("xxx\n").count(), 20_000, "the log has all");
}

async fn the_next_processes_are_subscribed_anew(machine: Arc<Machine>) {
    let code = "listen(8080); me = register(); subscribed = subscribe(me); follow(me)
def handler(event, context):
    if event: os._exit(1)
    return subscribed, until_told('platform.start')";
    let mut function = function(&machine, code);
    assert_eq!(function.error("1").await.0, "Runtime.ExitError");
    let told = function.answer("0").await;
    assert_eq!(told[0], json!([200, "OK"]));
    assert_eq!(records(&told[1], "platform.initStart")[0]["phase"], "invoke");
    assert_eq!(records(&told[1], "platform.start").len(), 1, "nothing of the processes before");
}
