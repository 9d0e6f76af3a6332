//! Whatever can go wrong inside a function.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hearth_worker::{EnvironmentEvent, WorkerError};
use serde_json::json;

use crate::harness::{Function, Machine};
use crate::tests;

tests![
    exits,
    a_segmentation_fault,
    a_timeout_keeps_tmp_and_replaces_processes,
    a_crash_keeps_tmp_and_replaces_processes,
    out_of_memory,
    init_errors_are_tried_twice,
    init_that_exits,
    init_that_is_slow_once,
    init_that_never_ends,
    a_repeated_init_counts_into_the_timeout,
    what_cannot_be_executed,
    what_is_not_installed,
    errors_of_python_and_node,
    a_runtime_that_dies_between_invokes,
    a_function_that_answers_and_exits,
    a_stop_waits_for_the_invoke,
];

fn owned(kind: &str, message: &str) -> (String, String) {
    (kind.to_owned(), message.to_owned())
}

async fn exits(machine: Arc<Machine>) {
    let code = "import os, sys, signal
def handler(e, c):
  print('still said')
  if e == 'sys1': sys.exit(1)
  if e == 'os0': os._exit(0)
  if e == 'exit3': exit(3)
  if e == 'term': os.kill(os.getpid(), signal.SIGTERM)
  if e == 'kill': os.kill(os.getpid(), signal.SIGKILL)
  return 'alive'";
    let mut function = machine.python(code);
    for (event, text) in [
        ("sys1", "Runtime exited with error: exit status 1"),
        ("os0", "Runtime exited without providing a reason"),
        ("exit3", "Runtime exited with error: exit status 3"),
        ("term", "Runtime exited with error: signal: terminated"),
        ("kill", "Runtime exited with error: signal: killed"),
    ] {
        let error = function.error(&format!("\"{event}\"")).await;
        assert_eq!(error, owned("Runtime.ExitError", &format!("RequestId: ID Error: {text}")));
        let log = function.log();
        let end = log.split("START RequestId: ID").nth(1).unwrap();
        let expected =
            format!("still said\nRequestId: ID Error: {text}\nRuntime.ExitError\nEND RequestId: ID\nREPORT ");
        assert!(end.contains(&expected), "{end}");
        assert!(end.ends_with("\tStatus: error\tError Type: Runtime.ExitError\t\n"), "{end}");
        assert_eq!(function.answer("\"ok\"").await, json!("alive"));
    }
}

/// Recorded: the answer comes at the time limit. The log knows before.
async fn a_segmentation_fault(machine: Arc<Machine>) {
    let code = "import ctypes
def handler(e, c): return ctypes.string_at(0) if e else 'alive'";
    let mut function = machine.python(code).with(|spec| spec.timeout_s = 5);
    let error = function.error("1").await;
    assert_eq!(error, owned("Sandbox.Timedout", "RequestId: ID Error: Task timed out after 5.00 seconds"));
    let log = function.log();
    let (fault, limit) = (log.find("signal: segmentation fault\n"), log.find("Task timed out after 5.00 seconds"));
    assert!(fault.is_some() && fault < limit, "{log}");
    assert!(log.ends_with("\tStatus: timeout\t\n"), "{log}");
    assert_eq!(function.answer("0").await, json!("alive"));
}

/// Lets `e == 'fail'` go wrong, and looks what is left of memory, processes and /tmp.
async fn processes_are_replaced(function: &mut Function) -> (String, String) {
    assert_eq!(function.answer("\"write\"").await, json!(1));
    assert_eq!(function.answer("\"look\"").await, json!([2, "here", true]));
    let error = function.error("\"fail\"").await;
    assert_eq!(function.answer("\"look\"").await, json!([1, "here", false]));
    let log = function.log_events();
    let inits = log.iter().filter(|line| line.starts_with("INIT_START ")).count();
    let cold = log.iter().filter(|line| line.contains("Init Duration")).count();
    assert_eq!((inits, cold), (2, 1), "an init inside an invoke has no Init Duration: {log:?}");
    error
}

const REPLACED: &str = "import os, subprocess, time
n = 0
def running():
  found = [open(f'/proc/{p}/comm').read() for p in os.listdir('/proc') if p.isdigit()]
  return any('sleep' in comm for comm in found)
def handler(e, c):
  global n
  n += 1
  if e == 'write':
    open('/tmp/kept', 'w').write('here')
    subprocess.Popen(['sleep', '1000'])
    # Popen returns once the program is there, a moment before the process has its name.
    while not running(): time.sleep(0.01)
    return n
  if e == 'look': return [n, open('/tmp/kept').read(), running()]
";

async fn a_timeout_keeps_tmp_and_replaces_processes(machine: Arc<Machine>) {
    let code = format!("{REPLACED}  print('going on'); time.sleep(100)");
    // The next invoke's init counts into its time: so long is enough for it on a busy machine, too.
    let mut function = machine.python(&code).with(|spec| spec.timeout_s = 5);
    let begin = Instant::now();
    let error = processes_are_replaced(&mut function).await;
    assert!(begin.elapsed() >= Duration::from_secs(5));
    assert_eq!(error, owned("Sandbox.Timedout", "RequestId: ID Error: Task timed out after 5.00 seconds"));
    let log = function.log_events();
    let at = log.iter().position(|line| line.contains("Task timed out after 5.00 seconds")).unwrap();
    assert_eq!(log[at - 1], "going on\n");
    assert!(log[at].as_bytes()[23] == b'Z' && log[at + 1].starts_with("END "), "{}", log[at]);
    assert!(log[at + 2].contains("\tDuration: 5000.00 ms\tBilled Duration: 5000 ms\t"), "{}", log[at + 2]);
    assert!(log[at + 2].ends_with("\tStatus: timeout\t\n"), "{}", log[at + 2]);
}

async fn a_crash_keeps_tmp_and_replaces_processes(machine: Arc<Machine>) {
    let mut function = machine.python(&format!("{REPLACED}  os._exit(1)"));
    let error = processes_are_replaced(&mut function).await;
    assert_eq!(error, owned("Runtime.ExitError", "RequestId: ID Error: Runtime exited with error: exit status 1"));
}

async fn out_of_memory(machine: Arc<Machine>) {
    let code = "def handler(e, c): return len(bytearray(e << 20))";
    let mut function = machine.python(code).with(|spec| spec.memory_mb = 128);
    assert_eq!(function.answer("10").await, json!(10 << 20));
    let error = function.error("400").await;
    assert_eq!(error, owned("Runtime.ExitError", "RequestId: ID Error: Runtime exited with error: signal: killed"));
    assert!(function.log().contains("\tMax Memory Used: 128 MB\t"), "{}", function.log());
    assert_eq!(function.answer("10").await, json!(10 << 20));
}

async fn init_errors_are_tried_twice(machine: Arc<Machine>) {
    let mut function = machine.python("print('loading')\nimport nowhere");
    let outcome = function.try_invoke("{}", true).await.unwrap();
    assert!(outcome.function_error);
    let expected = r#"{"errorMessage": "Unable to import module 'app': No module named 'nowhere'", "errorType": "Runtime.ImportModuleError", "requestId": "", "stackTrace": []}"#;
    assert_eq!(outcome.payload, expected);
    let log: Vec<String> =
        function.log().split_inclusive('\n').map(|l| l.split(' ').next().unwrap().to_owned()).collect();
    let once = ["INIT_START", "loading\n", "[ERROR]", "INIT_REPORT"];
    assert_eq!(log, [&once[..], &once[..], &["START", "END", "REPORT"][..]].concat());
    let reports: Vec<String> = function.log_events().into_iter().filter(|l| l.contains("REPORT ")).collect();
    assert!(
        reports[0].ends_with("\tPhase: init\tStatus: error\tError Type: Runtime.ImportModuleError\n"),
        "{reports:?}"
    );
    assert!(
        reports[1].ends_with("\tPhase: invoke\tStatus: error\tError Type: Runtime.ImportModuleError\n"),
        "{reports:?}"
    );
    assert!(reports[2].ends_with("\tStatus: error\tError Type: Runtime.ImportModuleError\t\n"), "{reports:?}");
    let tail = String::from_utf8(outcome.log_tail.unwrap().to_vec()).unwrap();
    assert!(tail.contains("No module named 'nowhere'") && tail.contains("REPORT RequestId"), "{tail}");
    let error = function.error("{}").await;
    assert_eq!(error, owned("Runtime.ImportModuleError", "Unable to import module 'app': No module named 'nowhere'"));
}

async fn init_that_exits(machine: Arc<Machine>) {
    let mut function = machine.python("import os\nos._exit(7)");
    let error = function.error("{}").await;
    assert_eq!(error, owned("Runtime.ExitError", "RequestId: ID Error: Runtime exited with error: exit status 7"));
    assert_eq!(function.log().matches("INIT_REPORT").count(), 2);
}

async fn init_that_is_slow_once(machine: Arc<Machine>) {
    // Init has 10 seconds of its own; over them, it is repeated in the invoke's time, here with /tmp kept.
    let code = "import os, time
if not os.path.exists('/tmp/second'):
  open('/tmp/second', 'w').close()
  time.sleep(60)
def handler(e, c): return 'came up'";
    let mut function = machine.python(code);
    let begin = Instant::now();
    assert_eq!(function.answer("{}").await, json!("came up"));
    assert!(begin.elapsed() >= Duration::from_secs(10), "{:?}", begin.elapsed());
    let log = function.log();
    assert!(log.contains("\tPhase: init\tStatus: timeout\n") && !log.contains("\tInit Duration: "), "{log}");
}

async fn init_that_never_ends(machine: Arc<Machine>) {
    let mut function = machine.python("import time\ntime.sleep(60)").with(|spec| spec.timeout_s = 1);
    let error = function.error("{}").await;
    assert_eq!(error, owned("Sandbox.Timedout", "RequestId: ID Error: Task timed out after 1.00 seconds"));
    let log = function.log();
    assert!(
        log.contains("\tPhase: init\tStatus: timeout\n") && log.contains("\tPhase: invoke\tStatus: timeout\n"),
        "{log}"
    );
}

async fn a_repeated_init_counts_into_the_timeout(machine: Arc<Machine>) {
    let code = "import os, time
time.sleep(2 if os.path.exists('/tmp/slow') else 0)
def handler(e, c):
  if e == 'exit': open('/tmp/slow', 'w').close(); os._exit(1)
  time.sleep(e); return c.get_remaining_time_in_millis()";
    let mut function = machine.python(code).with(|spec| spec.timeout_s = 6);
    function.error("\"exit\"").await;
    let left = function.answer("0").await.as_i64().unwrap();
    assert!((1..4000).contains(&left), "{left} ms left after an init of 2000 in an invoke of 6000");
    function.error("\"exit\"").await;
    assert_eq!(function.error("4").await.0, "Sandbox.Timedout");
}

async fn what_cannot_be_executed(machine: Arc<Machine>) {
    let error = machine.function("provided.al2023", "x", &[("other", "")]).error("{}").await;
    let text = "RequestId: ID Error: Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]";
    assert_eq!(error, owned("Runtime.InvalidEntrypoint", text));
    let error = machine.function("provided.al2023", "x", &[("bootstrap", "not executable")]).error("{}").await;
    let text = "RequestId: ID Error: fork/exec /var/task/bootstrap: permission denied";
    assert_eq!(error, owned("Runtime.InvalidEntrypoint", text));
    let error = machine.function("provided.al2023", "x", &[("bootstrap", "#!/no/such/program\n")]).error("{}").await;
    let text = "RequestId: ID Error: fork/exec /var/task/bootstrap: no such file or directory";
    assert_eq!(error, owned("Runtime.InvalidEntrypoint", text));
}

async fn what_is_not_installed(machine: Arc<Machine>) {
    let (kind, message) = machine.function("ruby3.4", "x.y", &[("x", "")]).error("{}").await;
    assert_eq!(kind, "Runtime.InvalidRuntime");
    assert!(message.contains("ruby3.4"), "{message}");
}

async fn errors_of_python_and_node(machine: Arc<Machine>) {
    let mut function = machine.python("def handler(e, c): raise ValueError('no good')");
    let outcome = function.invoke("{}").await;
    let error: serde_json::Value = serde_json::from_slice(&outcome.payload).unwrap();
    let stack = "  File \"/var/task/app.py\", line 1, in handler\n    def handler(e, c): raise ValueError('no good')\n";
    let id = function.last_request.to_string();
    let frame = error["stackTrace"][0].as_str().unwrap();
    assert!(frame.starts_with(stack), "{frame}");
    assert_eq!((&error["errorMessage"], &error["errorType"]), (&json!("no good"), &json!("ValueError")));
    assert_eq!(error["requestId"], id);
    assert!(function.log().contains("[ERROR] ValueError: no good\rTraceback (most recent call last):\r"));
    let coroutine = machine.python("async def handler(e, c): return 1").error("{}").await;
    let text = "Unable to marshal response: Object of type coroutine is not JSON serializable";
    assert_eq!(coroutine, owned("Runtime.MarshalError", text));

    let mut function = machine.node("export const handler = async () => { throw new TypeError('bad'); };");
    let outcome = function.invoke("{}").await;
    let error: serde_json::Value = serde_json::from_slice(&outcome.payload).unwrap();
    assert_eq!((&error["errorMessage"], &error["errorType"]), (&json!("bad"), &json!("TypeError")));
    assert!(error["trace"][1].as_str().unwrap().contains("file:///var/task/index.mjs:1:"), "{error}");
    let late = "export const handler = () => new Promise(() => setTimeout(() => { throw new Error('late'); }, 1));";
    let mut function = machine.node(late);
    assert_eq!(function.error("{}").await, owned("Error", "late"));
    assert_eq!(function.error("{}").await, owned("Error", "late"));
}

async fn a_runtime_that_dies_between_invokes(machine: Arc<Machine>) {
    // A thread ends the process once the invoke is over, before the environment is frozen or after it is thawed.
    let code = "import os, threading
def handler(e, c):
  if e == 'die': threading.Timer(0.001, lambda: os._exit(9)).start()
  return e";
    let mut function = machine.python(code);
    let died = "Runtime exited with error: exit status 9";
    let mut expect = async |event: &str| {
        // It runs on new processes, or its process ends under it: never is it left without an answer.
        let outcome = function.invoke(event).await;
        assert!(outcome.payload == event || String::from_utf8_lossy(&outcome.payload).contains(died), "{outcome:?}");
    };
    for _ in 0..20 {
        expect("\"die\"").await;
        tokio::time::sleep(Duration::from_millis(3)).await;
        expect("1").await;
    }
}

async fn a_function_that_answers_and_exits(machine: Arc<Machine>) {
    let bootstrap = "#!/bin/sh
api=\"http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation\"
curl -sS -o /dev/null -D /tmp/headers \"$api/next\"
id=$(grep -i '^lambda-runtime-aws-request-id' /tmp/headers | tr -d '\\r' | cut -d' ' -f2)
curl -sS \"$api/$id/response\" -d '\"bye\"' > /dev/null
exit 5
";
    let mut function = machine.function("provided.al2023", "any", &[("bootstrap", bootstrap)]);
    for _ in 0..3 {
        assert_eq!(function.answer("{}").await, json!("bye"));
    }
    assert_eq!(function.log().matches("REPORT RequestId").count(), 3);
}

async fn a_stop_waits_for_the_invoke(machine: Arc<Machine>) {
    let mut function = machine.python("import time\ndef handler(e, c): print('in'); time.sleep(0.5); return 'over'");
    let reply = function.begin("{}", false);
    function.until_logged("in\n").await;
    machine.worker.stop(function.id);
    assert_eq!(reply.await.unwrap().unwrap().payload, "\"over\"");
    while !matches!(function.event().await, EnvironmentEvent::Gone(..)) {}
}

/// Run last: it ends the worker's environments, all of them.
pub(crate) async fn drain_ends_what_runs(machine: Arc<Machine>) {
    let mut function = machine.python("import time\ndef handler(e, c): print('in'); time.sleep(100)");
    let reply = function.begin("{}", false);
    function.until_logged("in\n").await;
    machine.worker.drain().await;
    assert_eq!(reply.await.unwrap(), Err(WorkerError::Ended(function.id)));
    while !matches!(function.event().await, EnvironmentEvent::Gone(..)) {}
}
