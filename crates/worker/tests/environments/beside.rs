//! Extensions with processes of their own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hearth_types::CodeDigest;
use hearth_worker::EnvironmentEvent;
use serde_json::{Value, json};

use crate::extensions::CALL;
use crate::harness::{Function, Machine};
use crate::tests;

tests![
    they_start_before_the_runtime,
    they_hear_of_invokes_and_of_the_end,
    a_shell_script_can_be_one,
    the_answer_does_not_wait_for_them_but_the_next_invoke_does,
    one_that_ends_ends_the_invoke,
    one_that_cannot_start_is_told,
    one_that_gives_up_is_told,
    one_that_does_not_register_holds_init_up,
    a_time_out_is_told,
    a_crash_of_the_runtime_is_told,
    who_does_not_end_is_ended,
    a_file_does_without_them,
    an_orderly_runtime_ends_first,
    names_are_checked,
];

/// What a test's layer brings: scripts in /opt/extensions, with [`CALL`] before them.
fn layer(machine: &Arc<Machine>, scripts: &[(&str, &str)]) -> CodeDigest {
    let files: Vec<(String, String)> = scripts
        .iter()
        .map(|(name, code)| (format!("extensions/{name}"), format!("#!/usr/bin/env python3\n{CALL}{code}")))
        .collect();
    machine.package(&files.iter().map(|(name, code)| (name.as_str(), code.as_str())).collect::<Vec<_>>())
}

fn with(function: Function, machine: &Arc<Machine>, scripts: &[(&str, &str)]) -> Function {
    let layer = layer(machine, scripts);
    function.with(|spec| spec.layers = vec![layer])
}

/// Registers for both events and says what it hears.
const LISTEN: &str = "
import sys
me, _ = register(os.path.basename(sys.argv[0]), ['INVOKE', 'SHUTDOWN'])
while True:
  _, _, event = call('GET', 'event/next', headers=me)
  print(os.path.basename(sys.argv[0]), json.dumps(event), flush=True)
  if event['eventType'] == 'SHUTDOWN': break
";

/// The events that an extension printed.
fn heard(function: &Function, name: &str) -> Vec<Value> {
    let start = format!("{name} {{");
    let lines = function.log_events().into_iter().filter(|line| line.starts_with(&start));
    lines.map(|line| serde_json::from_str(line.strip_prefix(name).unwrap()).unwrap()).collect()
}

fn last_reason(function: &Function, name: &str) -> String {
    heard(function, name).pop().unwrap()["shutdownReason"].as_str().unwrap_or("none").to_owned()
}

/// Has an environment work once, and ends it. Its log: a runtime has a fraction of a second between SIGTERM and SIGKILL,
/// which a busy machine may not give to one of them. Who looks for what it says then has several of them ended; the
/// harness gives up where it never comes.
async fn log_of_one_ended(mut function: Function) -> String {
    function.answer("{}").await;
    function.machine.worker.stop(function.id);
    until_gone(&mut function).await;
    function.log()
}

async fn until_gone(function: &mut Function) {
    while !matches!(function.event().await, EnvironmentEvent::Gone(..)) {}
}

async fn they_start_before_the_runtime(machine: Arc<Machine>) {
    let code = "import os, time
here = {name: os.environ.get(name) for name in ('_HANDLER', 'LAMBDA_TASK_ROOT')}
others = sorted(open(f'/proc/{p}/cmdline').read().split(chr(0))[1] for p in os.listdir('/proc') if p.isdigit() and open(f'/proc/{p}/status').read().count('\\t993\\t'))
def handler(event, context): return [os.path.exists('/tmp/registered'), here, [o for o in others if o.startswith('/opt/')]]";
    let script = "
import time, sys
time.sleep(0.2)
me, _ = register('first', [])
open('/tmp/registered', 'w')
told = [name for name in os.environ if name.startswith('_') or name in ('LAMBDA_TASK_ROOT', 'LAMBDA_RUNTIME_DIR', 'AWS_EXECUTION_ENV', 'AWS_LAMBDA_LOG_GROUP_NAME')]
print('told', told, os.environ['MINE'], os.environ['AWS_LAMBDA_FUNCTION_NAME'], os.getuid(), os.getcwd(), flush=True)
call('GET', 'event/next', headers=me)
";
    let mut function = with(machine.python(code), &machine, &[("first", script)])
        .with(|spec| spec.variables = vec![("MINE".into(), "1".into())]);
    let answer = function.answer("{}").await;
    let here = json!({"_HANDLER": "app.handler", "LAMBDA_TASK_ROOT": "/var/task"});
    assert_eq!(answer, json!([true, here, ["/opt/extensions/first"]]));
    let name = function.spec.function.to_string();
    let log = function.log();
    assert!(log.contains(&format!("told [] 1 {name} 993 /var/task\n")), "{log}");
    assert!(log.contains("EXTENSION\tName: first\tState: Ready\tEvents: []\nSTART "), "{log}");
}

async fn they_hear_of_invokes_and_of_the_end(machine: Arc<Machine>) {
    let function = machine.python("def handler(event, context): return context.aws_request_id");
    let mut function = with(function, &machine, &[("a", LISTEN), ("b", LISTEN)]);
    for count in 1..=2 {
        let id = function.answer("{}").await;
        for name in ["a", "b"] {
            let events = heard(&function, name);
            assert_eq!((events.len(), &events[count - 1]["requestId"]), (count, &id));
        }
    }
    machine.worker.stop(function.id);
    until_gone(&mut function).await;
    for name in ["a", "b"] {
        let end = heard(&function, name).pop().unwrap();
        assert_eq!((&end["eventType"], &end["shutdownReason"]), (&json!("SHUTDOWN"), &json!("spindown")));
        assert!(end["deadlineMs"].as_u64().unwrap() > 1_600_000_000_000);
        assert_eq!(end.as_object().unwrap().len(), 3);
    }
}

async fn a_shell_script_can_be_one(machine: Arc<Machine>) {
    let script = "#!/bin/bash
api=${AWS_LAMBDA_RUNTIME_API%:*}; port=${AWS_LAMBDA_RUNTIME_API#*:}
call() {
  exec 3<>/dev/tcp/$api/$port
  printf '%s %s HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n%b\\r\\n%s' \"$1\" \"/2020-01-01/extension/$2\" \"$3\" \"$4\" >&3
  tr -d '\\r' <&3
  exec 3>&-
}
body='{\"events\":[\"INVOKE\",\"SHUTDOWN\"]}'
id=$(call POST register \"Lambda-Extension-Name: ${0##*/}\\r\\nContent-Length: ${#body}\\r\\n\" \"$body\" | sed -n 's/^[Ll]ambda-[Ee]xtension-[Ii]dentifier: //p')
while :; do
  event=$(call GET event/next \"Lambda-Extension-Identifier: $id\\r\\n\" | tail -n 1)
  echo \"shell $event\"
  case $event in *SHUTDOWN*) exit;; esac
done
";
    let layer = machine.package(&[("extensions/shell", script)]);
    let function = machine.function("provided.al2023", "any", &[("bootstrap", crate::layers::SHELL_BOOTSTRAP)]);
    let mut function = function.with(|spec| spec.layers = vec![layer]);
    assert_eq!(function.answer("1").await, "1 by /var/task/bootstrap");
    assert_eq!(function.answer("2").await, "2 by /var/task/bootstrap");
    machine.worker.stop(function.id);
    until_gone(&mut function).await;
    let types: Vec<_> = heard(&function, "shell").iter().map(|event| event["eventType"].clone()).collect();
    assert_eq!(types, ["INVOKE", "INVOKE", "SHUTDOWN"]);
}

async fn the_answer_does_not_wait_for_them_but_the_next_invoke_does(machine: Arc<Machine>) {
    let script = "
import time
me, _ = register('slow', ['INVOKE'])
while True:
  call('GET', 'event/next', headers=me)
  begin = time.monotonic()
  while time.monotonic() - begin < 0.3: time.sleep(0.01)
  print('the tail is over', flush=True)
";
    let mut function = with(machine.python("def handler(event, context): return 1"), &machine, &[("slow", script)]);
    let reply = function.begin("{}", false);
    assert_eq!(function.event().await, EnvironmentEvent::Answered(function.id));
    reply.await.unwrap().unwrap();
    assert!(!function.log().contains("the tail is over"));
    function.until_idle().await;
    let log = function.log();
    let (_, report) = log.split_once("the tail is over\nEND RequestId: ID\nREPORT").unwrap();
    let duration: f64 = report.split("Duration: ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(duration >= 300.0, "{report}");
}

async fn one_that_ends_ends_the_invoke(machine: Arc<Machine>) {
    // At once; after it has registered; in the middle of an invoke.
    let at_once = "raise SystemExit(3)";
    let function = machine.python("def handler(event, context): return 1");
    let mut function = with(function, &machine, &[("bad", at_once), ("good", LISTEN)]);
    let error = ("Extension.Crash".to_owned(), "RequestId: ID Error: exit status 3".to_owned());
    assert_eq!(function.error("{}").await, error);
    let log = function.log();
    assert!(log.contains("EXTENSION\tName: bad\tState: Exited\tEvents: []\tError Type: Extension.Crash\n"), "{log}");
    assert!(log.contains("\tPhase: init\tStatus: error\tError Type: Extension.Crash\n"), "{log}");
    assert!(log.contains("\tPhase: invoke\tStatus: error\tError Type: Extension.Crash\n"), "{log}");

    let later = "
me, _ = register('bad', ['INVOKE'])
call('GET', 'event/next', headers=me)
os.abort()
";
    let function = machine.python("import time\ndef handler(event, context): time.sleep(600)");
    let mut function = with(function, &machine, &[("bad", later), ("good", LISTEN)]);
    let error = ("Extension.Crash".to_owned(), "RequestId: ID Error: signal: aborted".to_owned());
    for _ in 0..2 {
        assert_eq!(function.error("{}").await, error, "{}", function.log());
        assert_eq!(last_reason(&function, "good"), "failure");
    }
}

async fn one_that_cannot_start_is_told(machine: Arc<Machine>) {
    let layer = machine.package(&[("extensions/plain", "no program")]);
    let mut function = machine.python("def handler(event, context): return 1").with(|spec| spec.layers = vec![layer]);
    let text = "RequestId: ID Error: fork/exec /opt/extensions/plain: permission denied".to_owned();
    assert_eq!(function.error("{}").await, ("Extension.LaunchError".to_owned(), text));
    let log = function.log();
    assert!(
        log.contains("EXTENSION\tName: plain\tState: LaunchError\tEvents: []\tError Type: PermissionDenied\n"),
        "{log}"
    );
}

async fn one_that_gives_up_is_told(machine: Arc<Machine>) {
    let script = "
me, _ = register('bad', ['INVOKE'])
call('POST', 'init/error', json.dumps({'errorMessage': 'no licence'}), {**me, 'Lambda-Extension-Function-Error-Type': 'Extension.Licence'})
raise SystemExit(1)
";
    let mut function = with(machine.python("def handler(event, context): return 1"), &machine, &[("bad", script)]);
    let error = ("Extension.InitError".to_owned(), "RequestId: ID Error: no licence".to_owned());
    assert_eq!(function.error("{}").await, error, "{}", function.log());
    let line = "EXTENSION\tName: bad\tState: InitError\tEvents: [INVOKE]\tError Type: Extension.Licence\n";
    assert!(function.log().contains(line), "{}", function.log());
}

async fn one_that_does_not_register_holds_init_up(machine: Arc<Machine>) {
    let script = "import time; time.sleep(600)";
    let function = with(machine.python("def handler(event, context): return 1"), &machine, &[("mute", script)]);
    let mut function = function.with(|spec| spec.timeout_s = 1);
    let (kind, _) = function.error("{}").await;
    assert_eq!(kind, "Sandbox.Timedout");
    let log = function.log();
    let report = log.split_once("INIT_REPORT Init Duration: ").expect(&log).1;
    let (duration, report) = report.split_once(" ms").unwrap();
    assert!(
        duration.parse::<f64>().unwrap() >= 10_000.0 && report.starts_with("\tPhase: init\tStatus: timeout\n"),
        "{log}"
    );
}

async fn a_time_out_is_told(machine: Arc<Machine>) {
    let function = machine.python("import time\ndef handler(event, context): time.sleep(event)");
    let mut function = with(function, &machine, &[("a", LISTEN)]).with(|spec| spec.timeout_s = 5);
    assert_eq!(function.error("600").await.0, "Sandbox.Timedout");
    assert_eq!(last_reason(&function, "a"), "timeout");
    assert_eq!(function.answer("0").await, Value::Null, "the next invoke has its whole time");
    // The limit is of the extension's work, too.
    let slow = "
import time
me, _ = register('slow', ['INVOKE', 'SHUTDOWN'])
call('GET', 'event/next', headers=me)
time.sleep(600)
";
    let function = machine.python("def handler(event, context): return 1");
    let mut function = with(function, &machine, &[("slow", slow), ("a", LISTEN)]).with(|spec| spec.timeout_s = 3);
    assert_eq!(function.answer("1").await, 1);
    let log = function.log();
    assert!(log.contains("\tStatus: timeout\t\n"), "{log}");
    assert_eq!(last_reason(&function, "a"), "timeout");
}

async fn a_crash_of_the_runtime_is_told(machine: Arc<Machine>) {
    let function = machine.python("import os\ndef handler(event, context):\n  if event: os._exit(1)");
    let mut function = with(function, &machine, &[("a", LISTEN)]);
    assert_eq!(function.answer("0").await, Value::Null);
    // Nobody waits for the connections of extensions, which stay as long as their processes.
    assert_eq!(function.error("1").await.0, "Runtime.ExitError");
    assert_eq!(last_reason(&function, "a"), "failure");
    assert_eq!(function.answer("0").await, Value::Null);
}

async fn who_does_not_end_is_ended(machine: Arc<Machine>) {
    let stubborn = "
import signal, threading
me, _ = register('stubborn', ['SHUTDOWN'])
print('stubborn', json.dumps(call('GET', 'event/next', headers=me)[2]), flush=True)
threading.Event().wait()
";
    let deaf = "
me, _ = register('deaf', ['INVOKE'])
while True: call('GET', 'event/next', headers=me)
";
    let code = "import signal\nsignal.signal(signal.SIGTERM, lambda *_: print('asked', flush=True))\ndef handler(event, context): return 1";
    let make = || with(machine.python(code), &machine, &[("stubborn", stubborn), ("deaf", deaf)]);
    let mut function = make();
    function.answer("{}").await;
    let begin = Instant::now();
    machine.worker.stop(function.id);
    until_gone(&mut function).await;
    assert!(begin.elapsed() >= Duration::from_millis(2000), "it has all of its time");
    assert_eq!(last_reason(&function, "stubborn"), "spindown");
    let mut log = function.log();
    while !log.contains("asked\n") {
        log = log_of_one_ended(make()).await;
    }
    assert!(log.contains("asked\nstubborn {"), "the runtime first: {log}");
}

async fn a_file_does_without_them(machine: Arc<Machine>) {
    let layer = machine.package(&[("extensions/a", "#!/bin/sh\nexit 1"), ("disable-extensions-jwigqn8j", "")]);
    let code = format!(
        "{CALL}\nstatus = call('POST', 'register', '{{}}', {{'Lambda-Extension-Name': 'in'}})[0]\ndef handler(event, context): return status"
    );
    let mut function = machine.python(&code).with(|spec| spec.layers = vec![layer]);
    assert_eq!(function.answer("{}").await, 404);
    assert!(!function.log().contains("EXTENSION"), "{}", function.log());
}

async fn an_orderly_runtime_ends_first(machine: Arc<Machine>) {
    // With an extension in the runtime's process alone.
    let code = format!(
        "{CALL}import signal, sys
me, _ = register('inner', [])
threading.Thread(target=lambda: call('GET', 'event/next', headers=me), daemon=True).start()
def end(*_):
  print('an orderly end', flush=True)
  sys.exit(0)
signal.signal(signal.SIGTERM, end)
def handler(event, context): return 1"
    );
    while !log_of_one_ended(machine.python(&code)).await.ends_with("an orderly end\n") {}
    // Without any extension there is no time for that.
    let mut function = machine.python("import signal\nsignal.signal(signal.SIGTERM, lambda *_: print('asked', flush=True))\ndef handler(event, context): return 1");
    function.answer("{}").await;
    machine.worker.stop(function.id);
    until_gone(&mut function).await;
    assert!(!function.log().contains("asked"));
}

async fn names_are_checked(machine: Arc<Machine>) {
    let script = "
print('refused', call('POST', 'register', '{}', {'Lambda-Extension-Name': 'other'})[::2], flush=True)
me, _ = register('a', [])
call('GET', 'event/next', headers=me)
";
    let mut function = with(machine.python("def handler(event, context): return 1"), &machine, &[("a", script)]);
    function.answer("{}").await;
    let refused = "refused (403, {'errorMessage': 'No file in /opt/extensions has the name other', 'errorType': 'Extension.InvalidExtensionName'})";
    assert!(function.log().contains(refused), "{}", function.log());
}
