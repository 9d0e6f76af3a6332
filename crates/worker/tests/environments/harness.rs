//! A worker on this machine and functions for it; runs the tests in turn of the usual harness's words.

use std::collections::HashMap;
use std::future::Future;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::exit;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use hearth_identity::{Credentials, Secret};
use hearth_runtimes::{Catalogue, Kind, Stock, discover};
use hearth_sandbox::{Spawner, SpawnerConfig, start_spawner};
use hearth_types::invoke::VersionSpec;
use hearth_types::limits::LEAVING;
use hearth_types::test_support::version;
use hearth_types::{CodeDigest, EnvironmentId, RequestId};
use hearth_worker::{
    Answer, Door, EnvironmentEvent, Identities, Identity, Invocation, LogSink, Outcome, Reply, Soon, Worker,
    WorkerConfig, WorkerError,
};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{Semaphore, mpsc, oneshot};

pub(crate) type Test = (&'static str, fn(Arc<Machine>) -> Pin<Box<dyn Future<Output = ()> + Send>>);

/// A list of tests from async functions.
#[macro_export]
macro_rules! tests {
    ($($name:ident),+ $(,)?) => {
        pub(crate) const TESTS: &[$crate::harness::Test] =
            &[$((concat!(module_path!(), "::", stringify!($name)), |machine| Box::pin($name(machine)))),+];
    };
}

/// Tests at a time: the machine's processors are few, and some tests look at time.
const AT_A_TIME: usize = 4;
/// Ends tests that wait for what never comes, however busy the machine is.
const HANGS: Duration = Duration::from_secs(300);
/// How long an environment of a test is idle before it is frozen.
const FREEZE_AFTER: Duration = Duration::from_millis(5);
/// Few, so that tests' functions are started both ways.
const AHEAD: usize = 2;

/// What all tests share.
pub(crate) struct Machine {
    pub(crate) worker: Worker,
    pub(crate) catalogue: Arc<Catalogue>,
    data_dir: PathBuf,
    spawner: Spawner,
    log: Arc<Log>,
    events: Arc<Events>,
    next: Arc<AtomicU64>,
}

#[derive(Default)]
struct Events(Mutex<HashMap<EnvironmentId, mpsc::UnboundedSender<EnvironmentEvent>>>);

#[derive(Default)]
struct Log(Mutex<HashMap<String, Vec<String>>>);

impl LogSink for Log {
    fn line(&self, group: &Arc<str>, _: &Arc<str>, timestamp_ms: i64, line: Bytes) {
        assert!(timestamp_ms > 1_600_000_000_000);
        let text = String::from_utf8_lossy(&line).into_owned();
        self.0.lock().unwrap().entry(group.to_string()).or_default().push(text);
    }
}

pub(crate) fn run(tests: &[&[Test]]) {
    let filter: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |name: &str| filter.is_empty() || filter.iter().any(|f| name.contains(f.as_str()));
    let tests: Vec<Test> =
        tests.iter().flat_map(|part| part.iter().copied()).filter(|(name, _)| wanted(name)).collect();
    if !rustix::process::geteuid().is_root() {
        println!("environments need root\ntest result: ok. 0 passed; 0 failed; {} ignored", tests.len());
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    // Whichever Ruby the machine has.
    let ruby = "ruby3.3=/usr/bin/ruby".parse().ok();
    let catalogue = Arc::new(discover(directory.path(), ruby.as_slice()));
    std::fs::create_dir(directory.path().join("code")).unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let config = SpawnerConfig::new(directory.path().to_owned(), catalogue.roots().to_vec());
    let spawner = start_spawner(&config).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let count = tests.len();
    let failed = runtime.block_on(async {
        let spawner = Spawner::new(spawner).unwrap();
        let machine = Arc::new(Machine::new(directory.path(), catalogue, spawner.clone(), AHEAD, &[]));
        let mut failed = run_all(&machine, tests).await;
        let last = tokio::spawn(crate::failures::drain_ends_what_runs(Arc::clone(&machine))).await;
        println!(
            "test environments::failures::drain_ends_what_runs ... {}",
            if last.is_ok() { "ok" } else { "FAILED" }
        );
        failed += usize::from(last.is_err());
        let word = if failed == 0 { "ok" } else { "FAILED" };
        println!("\ntest result: {word}. {} passed; {failed} failed; 0 ignored", count + 1 - failed);
        machine.worker.drain().await;
        drop(machine);
        spawner.stop().await;
        failed
    });
    drop(directory);
    exit(i32::from(failed > 0));
}

async fn run_all(machine: &Arc<Machine>, tests: Vec<Test>) -> usize {
    println!("running {} tests", tests.len() + 1);
    let (turns, mut running) = (Arc::new(Semaphore::new(AT_A_TIME)), Vec::new());
    for (name, test) in tests {
        let (machine, turns) = (Arc::clone(machine), Arc::clone(&turns));
        let test = async move {
            let _turn = turns.acquire().await.unwrap();
            tokio::time::timeout(HANGS, test(machine)).await.expect("takes too long");
        };
        running.push((name, tokio::spawn(test)));
    }
    let mut failed = 0;
    for (name, test) in running {
        let ok = test.await.is_ok();
        println!("test {name} ... {}", if ok { "ok" } else { "FAILED" });
        failed += usize::from(!ok);
    }
    failed
}

/// Numbers its access keys; who calls the server hears with which it was made.
#[derive(Default)]
struct Keys(AtomicU64);

impl Identities for Keys {
    fn identity<'a>(&'a self, _: &'a VersionSpec) -> Soon<'a, Result<Identity, String>> {
        let access_key_id = format!("ASIA{}", self.0.fetch_add(1, Ordering::Relaxed));
        let (secret, key) = (Secret::new("secret"), access_key_id.clone());
        let door: Door = Box::new(move |listener| {
            Box::pin(async move {
                loop {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    stream.write_all(key.as_bytes()).await.unwrap();
                }
            })
        });
        let session_token = Some("token".to_owned());
        let credentials = Credentials { access_key_id, secret, session_token };
        Box::pin(std::future::ready(Ok(Identity { credentials, token: String::new(), door })))
    }
}

impl Machine {
    fn new(data_dir: &Path, catalogue: Arc<Catalogue>, spawner: Spawner, ahead: usize, stock: &[Stock]) -> Self {
        let (log, events) = (Arc::new(Log::default()), Arc::new(Events::default()));
        let config = WorkerConfig {
            spawner: spawner.clone(),
            catalogue: Arc::clone(&catalogue),
            logs: Arc::clone(&log) as Arc<dyn LogSink>,
            spans: Arc::new(()),
            identities: Arc::new(Keys::default()),
            freeze_after: FREEZE_AFTER,
            stream_bandwidth: None,
            packages: data_dir.join("code"),
            ahead,
            stock: catalogue.stock(stock).unwrap(),
            leaving: LEAVING as usize,
            interpreter_snapshots: false,
        };
        let heard = Arc::clone(&events);
        let sink = move |event| {
            let (EnvironmentEvent::Idle(id)
            | EnvironmentEvent::Answered(id)
            | EnvironmentEvent::Prepared(id, _)
            | EnvironmentEvent::Down(id)
            | EnvironmentEvent::Gone(id, _)) = event;
            if let Some(sender) = heard.0.lock().unwrap().get(&id) {
                let _ = sender.send(event);
            }
        };
        let worker = Worker::new(config, Arc::new(sink));
        let next = Arc::new(AtomicU64::new(1));
        Self { worker, catalogue, data_dir: data_dir.to_owned(), spawner, log, events, next }
    }

    /// The same machine with a worker of its own, for which so many runtimes are started ahead.
    pub(crate) fn with_ahead(&self, ahead: usize) -> Arc<Self> {
        self.with(ahead, &[])
    }

    /// The same machine with a worker of its own, for which these always wait.
    pub(crate) fn with_stock(&self, stock: &[Stock]) -> Arc<Self> {
        self.with(0, stock)
    }

    fn with(&self, ahead: usize, stock: &[Stock]) -> Arc<Self> {
        let machine = Self::new(&self.data_dir, Arc::clone(&self.catalogue), self.spawner.clone(), ahead, stock);
        Arc::new(Self { next: Arc::clone(&self.next), ..machine })
    }

    /// A runtime of this family that the machine has: the newest.
    pub(crate) fn newest(&self, family: fn(Kind) -> bool) -> String {
        self.catalogue.runtimes().iter().rev().find(|r| family(r.kind)).expect("an interpreter").name.clone()
    }

    /// A Python function in `app.py`.
    pub(crate) fn python(self: &Arc<Self>, code: &str) -> Function {
        let runtime = self.newest(|kind| matches!(kind, Kind::Python { .. }));
        self.function(&runtime, "app.handler", &[("app.py", code)])
    }

    /// A Node.js function in `index.mjs`.
    pub(crate) fn node(self: &Arc<Self>, code: &str) -> Function {
        let runtime = self.newest(|kind| matches!(kind, Kind::Node { .. }));
        self.function(&runtime, "index.handler", &[("index.mjs", code)])
    }

    /// An unpacked package. What begins like a script can be executed.
    pub(crate) fn package(&self, files: &[(&str, &str)]) -> CodeDigest {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let code = CodeDigest::of(&number.to_le_bytes());
        let root = self.data_dir.join("code").join(code.to_string());
        std::fs::create_dir(&root).unwrap();
        for (name, content) in files {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, content).unwrap();
            let mode = if content.starts_with("#!") { 0o755 } else { 0o644 };
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        code
    }

    /// A function that has no environment yet.
    pub(crate) fn function(self: &Arc<Self>, runtime: &str, handler: &str, package: &[(&str, &str)]) -> Function {
        let code = self.package(package);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let name = format!("f{number}");
        let spec = VersionSpec {
            generation: number,
            handler: handler.into(),
            memory_mb: 512,
            timeout_s: 10,
            code,
            ..version(&name, runtime)
        };
        let id = EnvironmentId(number);
        let (sender, events) = mpsc::unbounded_channel();
        self.events.0.lock().unwrap().insert(id, sender);
        Function {
            machine: Arc::clone(self),
            spec,
            id,
            alive: false,
            events,
            last_request: RequestId(uuid::Uuid::nil()),
        }
    }
}

/// A function and the one environment it has.
pub(crate) struct Function {
    pub(crate) machine: Arc<Machine>,
    pub(crate) spec: VersionSpec,
    pub(crate) id: EnvironmentId,
    alive: bool,
    events: mpsc::UnboundedReceiver<EnvironmentEvent>,
    pub(crate) last_request: RequestId,
}

impl Function {
    pub(crate) fn with(mut self, change: impl FnOnce(&mut VersionSpec)) -> Self {
        change(&mut self.spec);
        self
    }

    /// Gives the environment, or a new one, this event. What the reply says.
    pub(crate) async fn try_invoke(&mut self, event: &str, tail: bool) -> Result<Outcome, WorkerError> {
        let outcome = self.begin(event, tail).await.unwrap();
        if outcome.is_ok() {
            self.until_idle().await;
        }
        outcome
    }

    /// Gives the environment an event; the reply comes later.
    pub(crate) fn begin(&mut self, event: &str, tail: bool) -> oneshot::Receiver<Result<Outcome, WorkerError>> {
        let (reply, outcome) = oneshot::channel();
        self.give(event, tail, Reply::Whole(reply));
        outcome
    }

    /// The same, and takes the answer in parts.
    pub(crate) fn begin_streamed(&mut self, event: &str, tail: bool) -> oneshot::Receiver<Result<Answer, WorkerError>> {
        let (reply, answer) = oneshot::channel();
        self.give(event, tail, Reply::Streamed(reply));
        answer
    }

    fn give(&mut self, event: &str, tail: bool, reply: Reply) {
        self.last_request = RequestId(uuid::Uuid::new_v4());
        let invocation = Invocation {
            request_id: self.last_request,
            payload: Bytes::copy_from_slice(event.as_bytes()),
            content_type: None,
            invoked_arn: Arc::clone(&self.spec.function_arn),
            client_context: None,
            cognito_identity: None,
            trace_id: "Root=1-2-3;Parent=4;Sampled=0".into(),
            traced: None,
            arrived: std::time::Instant::now(),
            tail,
            metrics: None,
            reply,
        };
        if std::mem::replace(&mut self.alive, true) {
            self.machine.worker.invoke(self.id, invocation);
        } else {
            self.machine.worker.create(self.id, Arc::new(self.spec.clone()), invocation);
        }
    }

    /// Has the environment made without an invoke.
    pub(crate) fn begin_preparing(&mut self) {
        self.alive = true;
        self.machine.worker.prepare(self.id, Arc::new(self.spec.clone()));
    }

    /// The same; what came of it.
    pub(crate) async fn prepare(&mut self) -> EnvironmentEvent {
        self.begin_preparing();
        self.event().await
    }

    /// Waits for the event that the environment is free again.
    pub(crate) async fn until_idle(&mut self) {
        while self.events.recv().await.unwrap() != EnvironmentEvent::Idle(self.id) {}
    }

    /// The next event.
    pub(crate) async fn event(&mut self) -> EnvironmentEvent {
        self.events.recv().await.unwrap()
    }

    pub(crate) async fn invoke(&mut self, event: &str) -> Outcome {
        self.try_invoke(event, false).await.unwrap()
    }

    /// Invokes, and expects an answer of the function.
    pub(crate) async fn answer(&mut self, event: &str) -> Value {
        let outcome = self.invoke(event).await;
        assert!(!outcome.function_error, "{:?}\n{}", outcome.payload, self.log());
        serde_json::from_slice(&outcome.payload).unwrap()
    }

    /// Invokes, and expects an error: type and message, the request's id put as ID.
    pub(crate) async fn error(&mut self, event: &str) -> (String, String) {
        let outcome = self.invoke(event).await;
        assert!(outcome.function_error, "{:?}", outcome.payload);
        let error: Value = serde_json::from_slice(&outcome.payload).unwrap();
        let member = |name: &str| error[name].as_str().unwrap().replace(&self.last_request.to_string(), "ID");
        (member("errorType"), member("errorMessage"))
    }

    /// The whole log, the last request's id put as ID.
    pub(crate) fn log(&self) -> String {
        let group = self.spec.log_group.to_string();
        let lines = self.machine.log.0.lock().unwrap().get(&group).cloned().unwrap_or_default();
        lines.concat().replace(&self.last_request.to_string(), "ID")
    }

    /// Waits until the log has this.
    pub(crate) async fn until_logged(&self, text: &str) {
        let there = async {
            while !self.log().contains(text) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), there).await.expect("never logged");
    }

    /// The events of the log.
    pub(crate) fn log_events(&self) -> Vec<String> {
        self.machine.log.0.lock().unwrap().get(&*self.spec.log_group).cloned().unwrap_or_default()
    }
}
