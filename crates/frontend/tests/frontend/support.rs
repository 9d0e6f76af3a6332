//! A dispatcher over a simulated worker: environments are entries in a map, time is tokio's paused clock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use hearth_api::{ApiError, route};
use hearth_clock::Clock;
use hearth_frontend::{Dispatcher, DispatcherConfig, Environments, FunctionChange, InvokeRequest, InvokeResponse};
use hearth_scheduler::{Capacity, Limits, WorkerId};
use hearth_types::Place;
use hearth_types::function::{
    Code, CodeRef, Configuration, FunctionRecord, ImageConfig, Logging, RecursiveLoop, RuntimeUpdate, Serving,
    SnapStart, State, Tracing, UpdateStatus, VersionRecord,
};
use hearth_types::invoke::VersionSpec;
use hearth_types::{CodeDigest, EnvironmentId, RequestId, RevisionId};
use hearth_worker::{EnvironmentEvent, EnvironmentSink, GoneReason, InitPhases, Invocation, Outcome, Recall};
use http::HeaderMap;
use uuid::Uuid;

pub(crate) const LIMITS: Limits = Limits { account_concurrency: 10, ..Limits::PLAIN };

const CAPACITY: Capacity = Capacity { memory_mb: 4096, environments: 20 };

/// How long things take in the simulated worker.
const COLD: Duration = Duration::from_millis(100);
pub(crate) const WARM: Duration = Duration::from_millis(20);
const SETTLES: Duration = Duration::from_millis(2);

/// Answers each invoke with `{"generation":G,"environment":E,...}`.
#[derive(Clone)]
pub(crate) struct Simulated {
    sink: Arc<dyn EnvironmentSink>,
    living: Arc<Mutex<HashMap<EnvironmentId, Arc<VersionSpec>>>>,
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
    /// Which version it was told last to be ready for, and where.
    pub(crate) foreseen: Arc<Mutex<Option<Foreseen>>>,
    /// What it was told of the time before the start, and where.
    pub(crate) recalled: Arc<Mutex<Vec<(WorkerId, Recall)>>>,
}

/// A version, and where it is likely to be started.
pub(crate) struct Foreseen {
    pub(crate) worker: WorkerId,
    pub(crate) spec: VersionSpec,
}

/// What reached an environment.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) payload: Bytes,
    pub(crate) invoked_arn: String,
    pub(crate) client_context: Option<String>,
    pub(crate) trace_id: String,
}

impl Simulated {
    fn run(&self, id: EnvironmentId, takes: Duration, cold: bool, invocation: Invocation) {
        let simulated = self.clone();
        let spec = Arc::clone(&self.living.lock().unwrap()[&id]);
        tokio::spawn(async move {
            simulated.seen.lock().unwrap().push(Seen {
                payload: invocation.payload.clone(),
                invoked_arn: invocation.invoked_arn.to_string(),
                client_context: invocation.client_context.as_deref().map(str::to_owned),
                trace_id: invocation.trace_id.to_string(),
            });
            tokio::time::sleep(takes).await;
            let function_error = &invocation.payload[..] == b"\"fail\"";
            let outcome = Outcome {
                payload:
                    serde_json::json!({ "generation": spec.generation, "environment": id.0, "tenant": spec.tenant })
                        .to_string()
                        .into(),
                function_error,
                queued: Duration::ZERO,
                log_tail: invocation.tail.then(|| Bytes::from_static(b"START\nEND\n")),
                phases: cold.then(|| InitPhases { sandbox: Duration::from_millis(2), ..InitPhases::default() }),
                duration: takes,
            };
            simulated.sink.event(EnvironmentEvent::Answered(id));
            invocation.reply.send(Ok(outcome));
            tokio::time::sleep(SETTLES).await;
            simulated.sink.event(EnvironmentEvent::Idle(id));
        });
    }

    pub(crate) fn living(&self) -> usize {
        self.living.lock().unwrap().len()
    }
}

impl Environments for Simulated {
    fn create(&self, _: WorkerId, id: EnvironmentId, spec: Arc<VersionSpec>, first: Invocation) {
        assert!(self.living.lock().unwrap().insert(id, spec).is_none(), "a new id");
        self.run(id, COLD, true, first);
    }

    fn prepare(&self, _: WorkerId, id: EnvironmentId, spec: Arc<VersionSpec>) {
        assert!(self.living.lock().unwrap().insert(id, spec).is_none(), "a new id");
        let sink = Arc::clone(&self.sink);
        tokio::spawn(async move {
            tokio::time::sleep(COLD).await;
            sink.event(EnvironmentEvent::Prepared(id, InitPhases::default()));
        });
    }

    fn invoke(&self, id: EnvironmentId, invocation: Invocation) {
        self.run(id, WARM, false, invocation);
    }

    fn foresee(&self, worker: WorkerId, spec: &VersionSpec) {
        *self.foreseen.lock().unwrap() = Some(Foreseen { worker, spec: spec.clone() });
    }

    fn recall(&self, worker: WorkerId, all: Vec<Recall>) {
        self.recalled.lock().unwrap().extend(all.into_iter().map(|recall| (worker, recall)));
    }

    fn stop(&self, id: EnvironmentId) {
        let (living, sink) = (Arc::clone(&self.living), Arc::clone(&self.sink));
        tokio::spawn(async move {
            living.lock().unwrap().remove(&id).expect("stopped once");
            sink.event(EnvironmentEvent::Gone(id, GoneReason::Stopped));
        });
    }

    async fn drain(&self) {
        let all: Vec<_> = self.living.lock().unwrap().drain().map(|(id, _)| id).collect();
        for id in all {
            self.sink.event(EnvironmentEvent::Gone(id, GoneReason::Stopped));
        }
    }
}

pub(crate) struct House {
    pub(crate) dispatcher: Arc<Dispatcher<Simulated>>,
    pub(crate) worker: Simulated,
}

impl House {
    /// With the timer running and a function named `f`.
    pub(crate) fn new(limits: Limits) -> Self {
        Self::on(CAPACITY, limits)
    }

    /// With a worker that has room for so much.
    pub(crate) fn on(capacity: Capacity, limits: Limits) -> Self {
        let place = Place { region: "us-east-1".into(), account: "123456789012".into() };
        let mut worker = None;
        let dispatcher = Dispatcher::new(
            DispatcherConfig { place, architecture: "x86_64", limits, clock: Clock::real(), metrics: Arc::default() },
            |sink| {
                let simulated = Simulated {
                    sink,
                    living: Arc::default(),
                    seen: Arc::default(),
                    foreseen: Arc::default(),
                    recalled: Arc::default(),
                };
                worker = Some(simulated.clone());
                simulated
            },
        );
        dispatcher.join(WorkerId(1), capacity);
        tokio::spawn(Arc::clone(&dispatcher).run_timer());
        dispatcher.apply(vec![put(record("f"))]);
        Self { dispatcher, worker: worker.unwrap() }
    }

    pub(crate) async fn invoke(&self, payload: &'static str) -> Result<InvokeResponse, ApiError> {
        self.request("f", None, &[], payload.as_bytes()).await
    }

    pub(crate) async fn request(
        &self,
        name: &str,
        query: Option<&str>,
        headers: &[(&'static str, &str)],
        payload: &[u8],
    ) -> Result<InvokeResponse, ApiError> {
        request(&self.dispatcher, name, query, headers, payload).await
    }

    pub(crate) fn last_seen(&self) -> Seen {
        self.worker.seen.lock().unwrap().last().cloned().unwrap()
    }
}

/// An invoke as a client sends it.
pub(crate) async fn request<W: Environments>(
    dispatcher: &Dispatcher<W>,
    name: &str,
    query: Option<&str>,
    headers: &[(&'static str, &str)],
    payload: &[u8],
) -> Result<InvokeResponse, ApiError> {
    let path = format!("/2015-03-31/functions/{name}/invocations");
    let matched = route("POST", &path, query)?;
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, value.parse().unwrap());
    }
    let request = InvokeRequest {
        matched: &matched,
        headers: &map,
        payload: Bytes::copy_from_slice(payload),
        request_id: RequestId(Uuid::from_u128(7)),
    };
    dispatcher.invoke(request).await
}

/// The record is now this.
pub(crate) fn put(record: FunctionRecord) -> FunctionChange {
    FunctionChange::Function(record.name.as_str().to_owned(), Some(Box::new(record)))
}

/// An active function of 128 MB.
pub(crate) fn record(name: &str) -> FunctionRecord {
    FunctionRecord {
        name: name.to_owned().try_into().unwrap(),
        latest: VersionRecord {
            config: Configuration {
                runtime: Some("python3.12".into()),
                handler: Some("app.handler".into()),
                role: "arn:aws:iam::123456789012:role/r".into(),
                description: String::new(),
                timeout_s: 3,
                memory_mb: 128,
                ephemeral_mb: 512,
                variables: None,
                architecture: "x86_64".into(),
                logging: Logging::default(),
                layers: Vec::new(),
                image: ImageConfig::default(),
                dead_letter: None,
                tracing: Tracing::default(),
                snap_start: SnapStart::default(),
                kms_key: None,
                vpc_given: false,
                per_tenant: false,
            },
            code: code("1"),
            serving: None,
            state: State::Active,
            last_update: Some(UpdateStatus::Successful),
            optimized: false,
            runtime_update: RuntimeUpdate::Auto,
            revision: RevisionId(Uuid::nil()),
            last_modified_ms: 0,
        },
        tags: Default::default(),
        last_published: 0,
        published_description: String::new(),
        reserved_concurrency: None,
        recursive_loop: RecursiveLoop::default(),
        code_signing: None,
    }
}

pub(crate) fn code(content: &str) -> Code {
    Code::Zip(CodeRef {
        digest: CodeDigest::of(content.as_bytes()),
        size: content.len() as u64,
        unpacked: content.len() as u64,
    })
}

/// `record` while new code is being made effective.
pub(crate) fn updating(record: &FunctionRecord, content: &str) -> FunctionRecord {
    let mut updating = record.clone();
    let latest = &mut updating.latest;
    latest.serving = Some(Box::new(Serving {
        config: latest.config.clone(),
        code: latest.code.clone(),
        runtime_update: latest.runtime_update.clone(),
    }));
    latest.code = code(content);
    latest.last_update = Some(UpdateStatus::InProgress);
    updating
}

/// The update of `updating` is effective.
pub(crate) fn updated(mut updating: FunctionRecord) -> FunctionRecord {
    updating.latest.serving = None;
    updating.latest.last_update = Some(UpdateStatus::Successful);
    updating
}

/// Generation and environment of an answer of the simulated worker.
pub(crate) fn ran(response: Result<InvokeResponse, ApiError>) -> (u64, u64) {
    let InvokeResponse::Executed { payload, .. } = response.unwrap() else { panic!("a dry run") };
    let answer: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    (answer["generation"].as_u64().unwrap(), answer["environment"].as_u64().unwrap())
}
