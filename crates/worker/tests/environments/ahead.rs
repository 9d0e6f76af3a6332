//! Runtimes that are started ahead of their function: who gets one cannot tell.

use std::sync::Arc;
use std::time::Duration;

use hearth_runtimes::{Kind, Stock};
use hearth_types::invoke::VersionSpec;
use serde_json::Value;

use crate::harness::{Function, Machine};
use crate::tests;

tests![
    python_finds_what_a_fresh_one_finds,
    node_finds_what_a_fresh_one_finds,
    ruby_finds_what_a_fresh_one_finds,
    libraries_of_functions_and_layers_are_found,
    what_works_at_the_start_only_takes_a_start_of_its_own,
    functions_share_nothing_but_the_kind_of_start,
    what_ends_while_it_waits_is_replaced,
    a_crash_takes_a_fresh_start_with_the_same_tmp,
    a_stock_is_there_before_anything_was_wanted,
];

const PYTHON: &str = r"
import json, os, signal, subprocess, sys, time
modules = sorted(sys.modules)
importers = sorted(sys.path_importer_cache)
import locale, resource, threading
status = dict(line.split(':', 1) for line in open('/proc/self/status').read().splitlines())
def env(): return subprocess.run(['env'], capture_output=True, text=True).stdout.splitlines()
def fds(): return {f: os.readlink('/proc/self/fd/' + f).split('[')[0] for f in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + f)}
seen = dict(
  environ=list(os.environ.items()), env=env(), proc=open('/proc/self/environ').read().rstrip('\0').split('\0'),
  argv=[sys.argv, getattr(sys, 'orig_argv', None), open('/proc/self/cmdline').read()], flags=[str(sys.flags), sys.warnoptions, sys._xoptions],
  path=sys.path, modules=modules, importers=importers, meta=[str(type(m)) for m in sys.meta_path], hooks=len(sys.path_hooks),
  names=[sys.executable, sys.prefix, sys.exec_prefix, getattr(sys, 'platlibdir', None)], builtins=sorted(dir(__builtins__) if not isinstance(__builtins__, dict) else __builtins__),
  main=sorted(n for n in vars(sys.modules['__main__'])), cwd=[os.getcwd(), sorted(os.listdir('.')), sorted(os.listdir('/opt'))],
  umask=os.umask(0o22), fds=fds(), limits=open('/proc/self/limits').read(),
  mask=[str(signal.pthread_sigmask(signal.SIG_BLOCK, [])), [str(signal.getsignal(s)) for s in signal.valid_signals()]],
  status={n: status[n].split() for n in ('Uid', 'Gid', 'Groups', 'Threads', 'SigBlk', 'SigIgn', 'SigCgt', 'CapEff', 'CapPrm', 'CapBnd', 'NoNewPrivs', 'Seccomp')},
  mounts=sorted(line.split()[4] + ' ' + line.split()[5] for line in open('/proc/self/mountinfo')),
  time=[time.tzname, time.timezone, locale.setlocale(locale.LC_ALL), time.localtime(0).tm_hour], ids=[os.getppid(), os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid()],
  streams=[(s.encoding, s.errors, s.line_buffering, s.name) for s in (sys.stdin, sys.stdout, sys.stderr)],
  encodings=[sys.getfilesystemencoding(), sys.getdefaultencoding(), sys.getfilesystemencodeerrors()], threads=threading.active_count(),
  oom=open('/proc/self/oom_score_adj').read(), nice=os.nice(0), cpus=len(os.sched_getaffinity(0)), cgroup=open('/proc/self/cgroup').read(),
  context=None, seed=None)
def handler(event, context):
  seen['context'] = [context.function_name, context.function_version, context.memory_limit_in_mb, context.log_group_name]
  seen['trace'] = os.environ['_X_AMZN_TRACE_ID']
  text = json.dumps(seen)
  # What is another each time.
  for own in [context.log_stream_name] + [os.environ[name] for name in os.environ if name.startswith(('AWS_ACC', 'AWS_SEC', 'AWS_SES'))]:
    if own: text = text.replace(own, '-')
  return json.loads(text)
";

const NODE: &str = r"
const fs = require('fs'), module_ = require('module'), v8 = require('v8'), { execFileSync } = require('child_process');
const read = (file) => fs.readFileSync(file, 'utf8');
const status = Object.fromEntries(read('/proc/self/status').split('\n').map((line) => line.split(/:\t/)));
const pick = (names) => names.map((name) => [name, status[name]]);
const fds = () => fs.readdirSync('/proc/self/fd').flatMap((fd) => {
  try { return [fd + ' ' + fs.readlinkSync('/proc/self/fd/' + fd).split(':[')[0]]; } catch { return []; }
});
const seen = {
  env: Object.entries(process.env), own: execFileSync('env', { encoding: 'utf8' }), inherited: execFileSync('/bin/sh', ['-c', 'env'], { encoding: 'utf8' }),
  proc: read('/proc/self/environ').replace(/\0+$/, '').split('\0'),
  argv: [process.argv, process.execArgv, process.argv0, process.execPath, process.title, read('/proc/self/cmdline')],
  paths: [module.paths, module_.globalPaths, require.main?.filename ?? null], cache: Object.keys(require.cache),
  cwd: [process.cwd(), fs.readdirSync('.'), fs.readdirSync('/opt')], umask: process.umask(), fds: fds(),
  status: pick(['Uid', 'Gid', 'Groups', 'SigBlk', 'SigIgn', 'SigCgt', 'CapEff', 'CapBnd', 'NoNewPrivs', 'Seccomp']),
  limits: read('/proc/self/limits'), mounts: read('/proc/self/mountinfo').split('\n').map((line) => line.split(' ').slice(4, 6)).sort(),
  heap: v8.getHeapStatistics().heap_size_limit, time: [Intl.DateTimeFormat().resolvedOptions(), new Date(0).toString()],
  events: process.eventNames().map(String), counts: process.eventNames().map((name) => process.listenerCount(name)),
  ids: [process.ppid, process.getuid()], globals: Object.getOwnPropertyNames(globalThis), features: process.features,
  resources: process.getActiveResourcesInfo(), oom: read('/proc/self/oom_score_adj'), cgroup: read('/proc/self/cgroup'),
  stdio: [process.stdout.constructor.name, process.stdout.isTTY ?? null, process.stdout.writableHighWaterMark],
};
exports.handler = async (event, context) => {
  const { env } = process;
  let text = JSON.stringify({ ...seen, context: [context.functionName, context.memoryLimitInMB], trace: env._X_AMZN_TRACE_ID });
  // What is another each time.
  for (const own of [context.logStreamName, env.AWS_ACCESS_KEY_ID, env.AWS_SECRET_ACCESS_KEY, env.AWS_SESSION_TOKEN]) {
    if (own) text = text.replaceAll(own, '-');
  }
  return JSON.parse(text);
};
";

/// Waits until a runtime of the kind that `function` needs has been started ahead: its own start asks for one.
async fn one_waits(machine: &Arc<Machine>, function: &mut Function) {
    function.invoke("{}").await;
    so_many_wait(machine, 1).await;
}

async fn so_many_wait(machine: &Arc<Machine>, count: usize) {
    let there = async {
        while machine.worker.started_ahead().waiting < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), there).await.expect("none was started ahead");
}

/// What one function says when it is started for itself and when it gets a runtime that waited.
async fn both(machine: &Arc<Machine>, make: impl Fn(&Arc<Machine>) -> Function) -> [Value; 2] {
    let without = machine.with_ahead(0);
    let fresh = make(&without).answer("{}").await;
    assert_eq!(without.worker.started_ahead().taken, 0);
    let with = machine.with_ahead(1);
    one_waits(&with, &mut make(&with)).await;
    let ahead = make(&with).answer("{}").await;
    assert_eq!(with.worker.started_ahead().taken, 1, "it was not started ahead");
    without.worker.drain().await;
    with.worker.drain().await;
    [fresh, ahead]
}

fn must_be_equal([fresh, ahead]: [Value; 2], runtime: &str) {
    for (name, value) in fresh.as_object().unwrap() {
        assert_eq!(ahead[name], *value, "{runtime}: {name}");
    }
    assert_eq!(ahead.as_object().unwrap().len(), fresh.as_object().unwrap().len());
}

/// With a name that is the same for both, and variables of its own.
fn named(spec: &mut VersionSpec) {
    spec.function = "same".into();
    spec.function_arn = "arn:aws:lambda:us-east-1:000000000000:function:same".into();
    spec.memory_mb = 256;
    spec.variables = [("NODE_ENV", "production"), ("MINE", "a=b\nü"), ("EMPTY", ""), ("PATH", "/usr/bin:/bin")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    spec.log_group = "/aws/lambda/same".into();
}

async fn python_finds_what_a_fresh_one_finds(machine: Arc<Machine>) {
    for runtime in runtimes(&machine, |kind| matches!(kind, Kind::Python { .. })) {
        let make =
            |machine: &Arc<Machine>| machine.function(&runtime, "app.handler", &[("app.py", PYTHON)]).with(named);
        must_be_equal(both(&machine, make).await, &runtime);
    }
}

async fn ruby_finds_what_a_fresh_one_finds(machine: Arc<Machine>) {
    let code = "require 'json'; require 'set'
def handler(event:, context:)
  {env: ENV.to_a.reject { |name, _| name.end_with?('STREAM_NAME', 'ACCESS_KEY_ID') }, dir: Dir.pwd, load: $LOAD_PATH, gems: Gem.path, loaded: $LOADED_FEATURES.sort, argv: [$0, ARGV],
   cmdline: File.read('/proc/self/cmdline'), open: Dir.children('/proc/self/fd').size, encodings: [Encoding.default_external,
   Encoding.default_internal].map(&:to_s), trapped: Signal.trap('TERM', 'DEFAULT').to_s, threads: Thread.list.size,
   globals: global_variables.size, constants: Object.constants.map(&:to_s).sort}
end";
    for runtime in runtimes(&machine, |kind| matches!(kind, Kind::Ruby { .. })) {
        let make = |machine: &Arc<Machine>| machine.function(&runtime, "app.handler", &[("app.rb", code)]).with(named);
        must_be_equal(both(&machine, make).await, &runtime);
    }
}

async fn node_finds_what_a_fresh_one_finds(machine: Arc<Machine>) {
    for runtime in runtimes(&machine, |kind| matches!(kind, Kind::Node { .. })) {
        let make = |machine: &Arc<Machine>| machine.function(&runtime, "app.handler", &[("app.js", NODE)]).with(named);
        must_be_equal(both(&machine, make).await, &runtime);
    }
}

fn runtimes(machine: &Machine, family: fn(Kind) -> bool) -> Vec<String> {
    machine.catalogue.runtimes().iter().filter(|r| family(r.kind)).map(|r| r.name.clone()).collect()
}

async fn libraries_of_functions_and_layers_are_found(machine: Arc<Machine>) {
    let code = "import ctypes
def error(name):
  try: ctypes.CDLL(name)
  except OSError as error: return str(error)
def handler(e, c): return [error('libown.so'), error('libnear.so'), error('liblayer.so'), error('libfast.so'), error('libnone.so')]";
    // No libraries: the loader says where it found them.
    let own = [
        ("app.py", code),
        ("lib/libown.so", "none"),
        ("libnear.so", "none"),
        ("lib/glibc-hwcaps/x86-64-v2/libfast.so", "none"),
    ];
    let layer = machine.package(&[("lib/liblayer.so", "none")]);
    let make = |machine: &Arc<Machine>| {
        let runtime = machine.newest(|kind| matches!(kind, Kind::Python { .. }));
        machine.function(&runtime, "app.handler", &own).with(|spec| spec.layers = vec![layer])
    };
    let [fresh, ahead] = both(&machine, make).await;
    assert_eq!(ahead, fresh);
    for (index, path) in
        ["/var/task/lib/libown.so: ", "/var/task/libnear.so: ", "/opt/lib/liblayer.so: "].iter().enumerate()
    {
        assert!(ahead[index].as_str().unwrap().starts_with(path), "{ahead}");
    }
}

async fn what_works_at_the_start_only_takes_a_start_of_its_own(machine: Arc<Machine>) {
    let machine = machine.with_ahead(2);
    let code = "import sys, time\ndef handler(e, c): return [time.tzname[0], sys.flags.isolated, sys.flags.optimize]";
    one_waits(&machine, &mut machine.python(code)).await;
    let variables = [("TZ", "Asia/Tokyo"), ("PYTHONOPTIMIZE", "2")].map(|(n, v)| (n.to_owned(), v.to_owned()));
    let mut own = machine.python(code).with(|spec| spec.variables = variables.into());
    assert_eq!(own.answer("{}").await, serde_json::json!(["JST", 0, 2]));
    let mut large = machine
        .python("import os\ndef handler(e, c): return os.statvfs('/tmp').f_blocks")
        .with(|spec| spec.ephemeral_mb = 1024);
    large.answer("{}").await;
    assert_eq!(machine.worker.started_ahead().taken, 0);
    assert_eq!(machine.python(code).answer("{}").await, serde_json::json!(["UTC", 1, 0]));
    assert_eq!(machine.worker.started_ahead().taken, 1);
    // For such a one a process waits, without a program.
    let there = async {
        while machine.worker.started_ahead().waiting < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), there).await.expect("no process waits");
    let variables = [("TZ", "Asia/Tokyo"), ("PYTHONOPTIMIZE", "2")].map(|(n, v)| (n.to_owned(), v.to_owned()));
    let mut own = machine.python(code).with(|spec| spec.variables = variables.into());
    assert_eq!(own.answer("{}").await, serde_json::json!(["JST", 0, 2]));
    assert_eq!(machine.worker.started_ahead().taken, 2);
    machine.worker.drain().await;
}

async fn functions_share_nothing_but_the_kind_of_start(machine: Arc<Machine>) {
    let machine = machine.with_ahead(2);
    let code = "import os, random
salt = hash('salt'), random.random(), os.listdir('/tmp')
open('/tmp/mark', 'w').write('x')
def handler(e, c): return [salt, c.function_name, os.environ.get('SECRET')]";
    one_waits(&machine, &mut machine.python(code)).await;
    let mut seen = Vec::new();
    for secret in ["one", "two", "three"] {
        let mut function = machine.python(code).with(|spec| spec.variables = vec![("SECRET".into(), secret.into())]);
        let answer = function.answer("{}").await;
        assert_eq!((answer[0][2].clone(), &answer[2]), (serde_json::json!([]), &Value::from(secret)));
        assert_eq!(answer[1], *function.spec.function);
        assert!(!seen.contains(&answer[0]), "the same random numbers twice: {answer}");
        seen.push(answer[0].clone());
    }
    assert!(machine.worker.started_ahead().taken > 0);
    machine.worker.drain().await;
}

async fn what_ends_while_it_waits_is_replaced(machine: Arc<Machine>) {
    let machine = machine.with_ahead(1);
    // A size of the heap that no other test has tells its processes apart.
    let make = || machine.node("export const handler = async () => 1;").with(|spec| spec.memory_mb = 777);
    one_waits(&machine, &mut make()).await;
    let waiting = waiting_with("--max-old-space-size=699");
    assert_eq!(waiting.len(), 1);
    let killed = std::process::Command::new("kill").args(["-KILL", &waiting[0]]).status().unwrap();
    assert!(killed.success());
    while waiting_with("--max-old-space-size=699") == waiting {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(make().answer("{}").await, 1, "whatever is known of it by now");
    let replaced = async {
        while machine.worker.started_ahead().waiting == 0 || waiting_with("--max-old-space-size=699") == waiting {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), replaced).await.expect("none has replaced it");
    assert_eq!(make().answer("{}").await, 1);
    assert_eq!(machine.worker.started_ahead().taken, 1);
    machine.worker.drain().await;
}

/// The processes with this argument that wait for a function: their variables are not yet one's.
fn waiting_with(argument: &str) -> Vec<String> {
    let read = |pid: &str, file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let all =
        std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let waits =
        |pid: &String| read(pid, "cmdline").contains(argument) && read(pid, "environ").contains("_HEARTH_AHEAD");
    all.filter(waits).collect()
}

async fn a_crash_takes_a_fresh_start_with_the_same_tmp(machine: Arc<Machine>) {
    let machine = machine.with_ahead(1);
    let code = "import os
def handler(e, c):
  if e == 'crash':
    open('/tmp/mark', 'w').write('kept')
    os._exit(1)
  return os.path.exists('/tmp/mark') and open('/tmp/mark').read()";
    one_waits(&machine, &mut machine.python(code)).await;
    let mut function = machine.python(code);
    assert_eq!(function.answer("1").await, Value::Bool(false));
    assert_eq!(machine.worker.started_ahead().taken, 1);
    assert!(function.invoke("\"crash\"").await.function_error);
    assert_eq!(function.answer("1").await, "kept");
    assert_eq!(machine.worker.started_ahead().taken, 1);
    machine.worker.drain().await;
}

async fn a_stock_is_there_before_anything_was_wanted(machine: Arc<Machine>) {
    let python = machine.newest(|kind| matches!(kind, Kind::Python { .. }));
    let stock = |runtime: &str, count| Stock { runtime: runtime.to_owned(), memory_mb: 128, count };
    let machine = machine.with_stock(&[stock(&python, 2), stock("provided.al2023", 1)]);
    so_many_wait(&machine, 3).await;
    assert_eq!(machine.worker.started_ahead().wanted, 3);
    let code = "def handler(e, c): return 'here'";
    for taken in 1..=3 {
        assert_eq!(machine.python(code).answer("{}").await, "here");
        assert_eq!(machine.worker.started_ahead().taken, taken);
        so_many_wait(&machine, 3).await;
    }
    machine.worker.drain().await;
    assert_eq!(machine.worker.started_ahead().waiting, 0);
}
