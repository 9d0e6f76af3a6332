//! What an invoke costs without the front end: latency, and processor time of this process, warm (back to back and with
//! a pause in which the environment is frozen) and cold. Needs root. `cargo bench -p hearth-worker -- [RUNTIME [FREEZE_AFTER_MS]]`

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hearth_identity::{Credentials, Secret};
use hearth_runtimes::discover;
use hearth_sandbox::{Spawner, SpawnerConfig, start_spawner};
use hearth_types::invoke::VersionSpec;
use hearth_types::test_support::version;
use hearth_types::{CodeDigest, EnvironmentId, RequestId};
use hearth_worker::{
    Door, EnvironmentEvent, Identities, Identity, Invocation, LogSink, Outcome, Reply, Soon, Worker, WorkerConfig,
};
use tokio::sync::{mpsc, oneshot};

/// Invokes between two looks at the processor's time.
const BATCH: u32 = 100;

struct Nowhere;

impl Identities for Nowhere {
    fn identity<'a>(&'a self, _: &'a VersionSpec) -> Soon<'a, Result<Identity, String>> {
        let secret = Secret::new("secret");
        let credentials = Credentials { access_key_id: "ASIA".to_owned(), secret, session_token: None };
        let door: Door = Box::new(|_| Box::pin(std::future::pending()));
        Box::pin(std::future::ready(Ok(Identity { credentials, token: String::new(), door })))
    }
}

impl LogSink for Nowhere {
    fn line(&self, _: &Arc<str>, _: &Arc<str>, _: i64, _: Bytes) {}
}

struct Bench {
    worker: Worker,
    events: mpsc::UnboundedReceiver<EnvironmentEvent>,
    next: u64,
    /// The interpreter of the runtime in turn.
    program: String,
}

fn main() {
    hearth_sandbox::run_if_spawner(None);
    let directory = tempfile::tempdir().unwrap();
    let begin = Instant::now();
    let catalogue = Arc::new(discover(directory.path(), &[]));
    let first = begin.elapsed();
    let again = (0..20).map(|_| {
        let begin = Instant::now();
        let _ = discover(directory.path(), &[]);
        begin.elapsed()
    });
    println!("discover: {first:?} at first, {:?} at best then", again.min().unwrap());
    std::fs::create_dir(directory.path().join("code")).unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let config = SpawnerConfig::new(directory.path().to_owned(), catalogue.roots().to_vec());
    let begin = Instant::now();
    let spawner = start_spawner(&config).unwrap();
    println!("spawner: ready after {:?}", begin.elapsed());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let data = directory.path().to_owned();
    let all = runtime.spawn(async move {
        let spawner = Spawner::new(spawner).unwrap();
        let (sender, events) = mpsc::unbounded_channel();
        let config = WorkerConfig {
            spawner: spawner.clone(),
            catalogue: Arc::clone(&catalogue),
            logs: Arc::new(Nowhere),
            spans: Arc::new(()),
            identities: Arc::new(Nowhere),
            freeze_after: Duration::from_millis(std::env::args().nth(2).and_then(|ms| ms.parse().ok()).unwrap_or(5)),
            stream_bandwidth: None,
            packages: data.join("code"),
            ahead: 0,
            stock: Vec::new(),
            leaving: 0,
            interpreter_snapshots: false,
        };
        let worker = Worker::new(
            config,
            Arc::new(move |event| {
                let _ = sender.send(event);
            }),
        );
        let mut bench = Bench { worker, events, next: 1, program: String::new() };
        let wanted = std::env::args().nth(1).filter(|arg| !arg.starts_with('-')).unwrap_or_default();
        let runtimes: Vec<String> = catalogue.runtimes().iter().map(|r| r.name.clone()).collect();
        for name in runtimes.iter().filter(|name| name.contains(wanted.as_str()) && !name.starts_with("provided")) {
            bench.program = catalogue.find(name, None).unwrap().location.as_ref().unwrap().display().to_string();
            bench.runtime(&data, name).await;
        }
        bench.worker.drain().await;
        drop(bench);
        spawner.stop().await;
    });
    runtime.block_on(all).unwrap();
}

impl Bench {
    async fn runtime(&mut self, directory: &Path, runtime: &str) {
        let spec = Arc::new(function(directory, runtime));
        let (mut colds, mut bares) = (Vec::new(), Vec::new());
        let program = bare_start(runtime, &self.program);
        for _ in 0..40 {
            let begin = Instant::now();
            assert!(std::process::Command::new(&program[0]).args(&program[1..]).status().unwrap().success());
            bares.push(begin.elapsed());
            let begin = Instant::now();
            let outcome = self.invoke(None, &spec).await;
            colds.push((begin.elapsed(), outcome.phases.unwrap()));
            self.worker.stop(EnvironmentId(self.next - 1));
            while !matches!(self.events.recv().await.unwrap(), EnvironmentEvent::Gone(..)) {}
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bares.sort();
        println!("{runtime} bare: {:?} p50, {:?} best", bares[bares.len() / 2], bares[0]);
        colds.sort_by_key(|(whole, _)| *whole);
        let (whole, phases) = colds[colds.len() / 2];
        println!(
            "{runtime} cold: {whole:?} p50 (sandbox {:?}, runtime {:?}, function {:?}), {:?} best",
            phases.sandbox, phases.runtime, phases.function, colds[0].0
        );
        self.invoke(None, &spec).await;
        let id = EnvironmentId(self.next - 1);
        self.warm(id, &spec, "back to back", 20_000, Duration::ZERO).await;
        self.warm(id, &spec, "with a pause between", 300, Duration::from_millis(10)).await;
    }

    async fn warm(&mut self, id: EnvironmentId, spec: &Arc<VersionSpec>, what: &str, count: u32, pause: Duration) {
        let (mut latencies, mut least) = (Vec::new(), Duration::MAX);
        let begin = Instant::now();
        // The machine may be busy: the cheapest batch comes closest to what an invoke costs by itself.
        for _ in 0..count / BATCH {
            let before = cpu();
            for _ in 0..BATCH {
                if pause > Duration::ZERO {
                    tokio::time::sleep(pause).await;
                }
                let one = Instant::now();
                self.invoke(Some(id), spec).await;
                latencies.push(one.elapsed());
            }
            least = least.min((cpu() - before) / BATCH);
        }
        let elapsed = begin.elapsed();
        latencies.sort();
        let at = |part: f64| latencies[((latencies.len() - 1) as f64 * part) as usize];
        println!(
            "{} {what}: p1 {:?} p50 {:?} p99 {:?}; platform {least:?} of processor per invoke; {:.0}/s",
            spec.runtime,
            at(0.01),
            at(0.5),
            at(0.99),
            f64::from(count) / elapsed.as_secs_f64()
        );
    }

    async fn invoke(&mut self, id: Option<EnvironmentId>, spec: &Arc<VersionSpec>) -> Outcome {
        let (reply, outcome) = oneshot::channel();
        let invocation = Invocation {
            request_id: RequestId(uuid::Uuid::new_v4()),
            payload: Bytes::from_static(b"{\"key\":\"value\"}"),
            content_type: None,
            invoked_arn: Arc::clone(&spec.function_arn),
            client_context: None,
            cognito_identity: None,
            trace_id: "Root=1-2-3;Parent=4;Sampled=0".into(),
            traced: None,
            arrived: std::time::Instant::now(),
            tail: false,
            metrics: None,
            reply: Reply::Whole(reply),
        };
        match id {
            Some(id) => self.worker.invoke(id, invocation),
            None => {
                self.worker.create(EnvironmentId(self.next), Arc::clone(spec), invocation);
                self.next += 1;
            }
        }
        let outcome = outcome.await.unwrap().unwrap();
        assert!(!outcome.function_error, "{:?}", outcome.payload);
        while !matches!(self.events.recv().await.unwrap(), EnvironmentEvent::Idle(_)) {}
        outcome
    }
}

/// The interpreter, started and ended without anything to do.
fn bare_start(runtime: &str, program: &str) -> Vec<String> {
    let arguments: &[&str] = if runtime.starts_with("python") { &["-I", "-S", "-c", "0"] } else { &["-e", "0"] };
    [program].iter().chain(arguments).map(|text| (*text).to_owned()).collect()
}

fn function(directory: &Path, runtime: &str) -> VersionSpec {
    let code = CodeDigest::of(runtime.as_bytes());
    let root = directory.join("code").join(code.to_string());
    std::fs::create_dir_all(&root).unwrap();
    std::fs::write(root.join("app.py"), "def handler(event, context):\n    return event\n").unwrap();
    std::fs::write(root.join("app.js"), "exports.handler = async (event) => event;\n").unwrap();
    VersionSpec { memory_mb: 1769, code, ..version("f", runtime) }
}

/// Processor time of this process so far.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    let own: u64 = text.split(' ').next().unwrap().parse().unwrap();
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let all: u64 = tasks
        .filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
        .sum();
    Duration::from_nanos(all.max(own))
}
