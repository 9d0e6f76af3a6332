//! Invokes that go well.

use std::sync::Arc;
use std::time::Duration;

use hearth_runtimes::Kind;
use hearth_worker::{EnvironmentEvent, GoneReason, WorkerError};
use serde_json::json;

use crate::harness::Machine;
use crate::tests;

tests![
    every_runtime_cold_and_warm,
    a_shell_bootstrap,
    an_environment_variables_and_context,
    certificates_and_credentials_are_found,
    the_hosts_packages_are_not_there,
    frozen_between_invokes,
    one_invoke_after_another_at_full_speed,
    large_events_and_answers,
    stops_and_is_gone,
    leaves_and_is_gone,
    an_idle_environment_forgets_nothing,
];

async fn every_runtime_cold_and_warm(machine: Arc<Machine>) {
    for runtime in machine.catalogue.runtimes().to_vec() {
        let package: &[(&str, &str)] = match runtime.kind {
            Kind::Python { .. } => &[("app.py", "n = 0\ndef handler(e, c):\n  global n\n  n += 1\n  return [e, n]")],
            Kind::Node { .. } => &[("app.mjs", "let n = 0; export const handler = async (e) => [e, ++n];")],
            Kind::Ruby { .. } => &[("app.rb", "$n = 0\ndef handler(event:, context:) = [event, $n += 1]")],
            // The one has no interpreter, the other wants its functions compiled: they have tests of their own.
            Kind::Provided | Kind::Java { .. } => continue,
        };
        let mut function = machine.function(&runtime.name, "app.handler", package);
        let cold = function.invoke("\"a\"").await;
        assert!(!cold.function_error, "{:?}\n{}", cold.payload, function.log());
        let phases = cold.phases.expect("a cold start says what it was made of");
        assert!(phases.sandbox > Duration::ZERO && phases.runtime > Duration::ZERO, "{phases:?}");
        println!(
            "{}: sandbox {:?} runtime {:?} function {:?}",
            runtime.name, phases.sandbox, phases.runtime, phases.function
        );
        let warm = function.invoke("\"b\"").await;
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&warm.payload).unwrap(), json!(["b", 2]));
        assert_eq!(warm.phases, None);
    }
}

async fn a_shell_bootstrap(machine: Arc<Machine>) {
    let bootstrap = "#!/bin/sh
set -eu
api=\"http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation\"
while true; do
  event=$(curl -sS -D /tmp/headers \"$api/next\")
  id=$(grep -i '^lambda-runtime-aws-request-id' /tmp/headers | tr -d '\\r' | cut -d' ' -f2)
  echo \"got $event\"
  curl -sS \"$api/$id/response\" -d \"{\\\"event\\\":$event,\\\"handler\\\":\\\"$_HANDLER\\\"}\" > /dev/null
done
";
    for runtime in ["provided.al2023", "provided.al2"] {
        let mut function = machine.function(runtime, "any", &[("bootstrap", bootstrap)]);
        assert_eq!(function.answer("{\"a\":1}").await, json!({"event": {"a": 1}, "handler": "any"}));
        assert_eq!(function.answer("2").await, json!({"event": 2, "handler": "any"}));
        assert!(function.log().contains("got {\"a\":1}\n"), "{}", function.log());
    }
}

async fn an_environment_variables_and_context(machine: Arc<Machine>) {
    let code = "import os, sys, pwd, locale
def handler(event, c):
  return dict(os.environ), [os.getcwd(), pwd.getpwuid(os.getuid()).pw_name, sys.executable, sys.prefix,
    c.invoked_function_arn, c.aws_request_id, c.get_remaining_time_in_millis(), os.path.isdir('/usr/share/zoneinfo/Europe'),
    'h\u{e9}'.encode(locale.getpreferredencoding()).decode('utf-8')]";
    let mut function = machine.python(code).with(|spec| spec.variables = vec![("KEY".into(), "VALUE".into())]);
    let seen = function.answer("{}").await;
    let env = &seen[0];
    assert_eq!((&env["KEY"], &env["_X_AMZN_TRACE_ID"]), (&json!("VALUE"), &json!("Root=1-2-3;Parent=4;Sampled=0")));
    let stream = env["AWS_LAMBDA_LOG_STREAM_NAME"].as_str().unwrap();
    assert!(stream.contains("/[$LATEST]") && stream.len() == "2024/01/01/[$LATEST]".len() + 32, "{stream}");
    let about = seen[1].as_array().unwrap();
    let version = function.spec.runtime.trim_start_matches("python");
    assert_eq!(
        about[..3],
        [json!("/var/task"), json!("sbx_user1051"), json!(format!("/var/lang/bin/python{version}"))]
    );
    assert_eq!(about[3], "/var/lang");
    assert_eq!(about[5], function.last_request.to_string());
    let left = about[6].as_i64().unwrap();
    assert!((9_000..=10_000).contains(&left), "{left}");
    assert_eq!(about[7..], [json!(true), json!("hé")]);
}

async fn certificates_and_credentials_are_found(machine: Arc<Machine>) {
    let code = "import os, ssl
def handler(e, c):
  keys = [os.environ[n] for n in ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN')]
  return [len(ssl.create_default_context().get_ca_certs()), keys[0][:4], keys[1:]]";
    let seen = machine.python(code).answer("{}").await;
    assert!(seen[0].as_u64().unwrap() > 0, "no certificate authorities");
    assert_eq!((&seen[1], &seen[2]), (&json!("ASIA"), &json!(["secret", "token"])));
    let code = "import tls from 'node:tls'; import fs from 'node:fs';
export const handler = async () => [tls.rootCertificates.length, fs.existsSync('/etc/ssl/certs/ca-certificates.crt')];";
    let seen = machine.node(code).answer("{}").await;
    assert!(seen[0].as_u64().unwrap() > 0 && seen[1] == true, "{seen}");
}

async fn the_hosts_packages_are_not_there(machine: Arc<Machine>) {
    let code = "import os, sys, subprocess
def handler(event, c):
  try:
    import botocore
    return 'the packages of the host are seen'
  except ImportError: pass
  # Not in a Python that the function starts for itself either.
  own = subprocess.run([sys.executable, '-c', 'import pip'], stderr=subprocess.PIPE, text=True)
  return [own.returncode, own.stderr.strip().split(chr(10))[-1], sorted(set(os.listdir('/')) - {'dev', 'proc'})]";
    let mut function = machine.python(code);
    let seen = function.answer("{}").await;
    assert_eq!((&seen[0], &seen[1]), (&json!(1), &json!("ModuleNotFoundError: No module named 'pip'")));
    let top: Vec<&str> = seen[2].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
    assert!(!top.contains(&"home") && !top.contains(&"work") && top.contains(&"var"), "{top:?}");
}

async fn frozen_between_invokes(machine: Arc<Machine>) {
    // A thread looks at the time a hundred times a second: it stands still while nothing is invoked.
    let code = "import threading, time
longest = 0
def tick():
  global longest
  last = time.monotonic()
  while True:
    time.sleep(0.01)
    now = time.monotonic()
    longest, last = max(longest, now - last), now
threading.Thread(target=tick, daemon=True).start()
def handler(event, context):
  # What the thread has not seen of the time up to now, it sees soon.
  time.sleep(0.1)
  return longest";
    let mut function = machine.python(code);
    function.answer("{}").await;
    // When it is frozen is the machine's affair; the harness ends what never is.
    while function.answer("{}").await.as_f64().unwrap() < 2.0 {
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
}

async fn one_invoke_after_another_at_full_speed(machine: Arc<Machine>) {
    let mut function = machine.python("def handler(e, c): return e + 1");
    for n in 0..2000 {
        assert_eq!(function.answer(&n.to_string()).await, json!(n + 1));
    }
    let mut function = machine.node("export const handler = async (e) => e + 1;");
    for n in 0..1000 {
        assert_eq!(function.answer(&n.to_string()).await, json!(n + 1));
    }
}

async fn large_events_and_answers(machine: Arc<Machine>) {
    let mut function = machine.python("def handler(e, c): return e if isinstance(e, str) else 'x' * e");
    let event = format!("\"{}\"", "y".repeat(6 * 1024 * 1024 - 2));
    let outcome = function.invoke(&event).await;
    assert!(!outcome.function_error && outcome.payload == event.as_bytes());
    let most = 6 * 1024 * 1024 + 100;
    let outcome = function.invoke(&(most - 2).to_string()).await;
    assert_eq!((outcome.payload.len(), outcome.function_error), (most, false));
    let outcome = function.invoke(&(most - 1).to_string()).await;
    assert!(outcome.function_error);
    assert_eq!(
        outcome.payload,
        r#"{"errorType":"Function.ResponseSizeTooLarge","errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes)."}"#
    );
    // The environment is as good as before: even its process is the same.
    assert_eq!(function.answer("1").await, json!("x"));
    assert_eq!(function.log().matches("INIT_START").count(), 1);
}

async fn stops_and_is_gone(machine: Arc<Machine>) {
    let mut function = machine.python("def handler(e, c): return 1");
    function.answer("{}").await;
    machine.worker.stop(function.id);
    assert_eq!(function.event().await, EnvironmentEvent::Gone(function.id, GoneReason::Stopped));
    assert_eq!(function.try_invoke("{}", false).await, Err(WorkerError::Ended(function.id)));
}

async fn leaves_and_is_gone(machine: Arc<Machine>) {
    let mut first = machine.python("def handler(e, c): return 1");
    first.answer("{}").await;
    machine.worker.leave(first.id);
    // Others that start have the processors first; then it goes all the same.
    let mut second = machine.python("def handler(e, c): return 2");
    assert_eq!(second.answer("{}").await, json!(2));
    assert_eq!(first.event().await, EnvironmentEvent::Gone(first.id, GoneReason::Stopped));
    assert_eq!(first.try_invoke("{}", false).await, Err(WorkerError::Ended(first.id)));
}

async fn an_idle_environment_forgets_nothing(machine: Arc<Machine>) {
    let code = "import os
def handler(e, c):
  if e == 'write':
    open('/tmp/kept', 'w').write('here'); return os.getpid()
  return [open('/tmp/kept').read(), os.getpid()]";
    let mut function = machine.python(code);
    let pid = function.answer("\"write\"").await;
    assert_eq!(function.answer("\"read\"").await, json!(["here", pid]));
}
