//! `hearth serve`: one node with all roles.

use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use hearth_access::Access;
use hearth_client::Client;
use hearth_clock::Clock;
use hearth_control::access_keys::AccessKeys;
use hearth_control::links::CodeLinks;
use hearth_control::trees::Trees;
use hearth_control::{Control, Parts};
use hearth_delivery::Outbox;
use hearth_events::{Events, Timing};
use hearth_frontend::DispatcherConfig;
use hearth_http::{Server, ServerLimits, Unread};
use hearth_identity::MasterKey;
use hearth_image::Unpacker;
use hearth_logs::{CloudWatchLogs, LogStore};
use hearth_metering::{Meter, Prices};
use hearth_metrics::Metrics;
use hearth_neighbours::Neighbours;
use hearth_remote::{Dispatcher, EMBEDDED, Workers};
use hearth_rules::Rules;
use hearth_runtimes::Catalogue;
use hearth_s3::S3;
use hearth_sandbox::{Authority, Level, Spawner, SpawnerConnection};
use hearth_scheduler::Capacity;
use hearth_sns::Sns;
use hearth_sources::Sources;
use hearth_sqs::Sqs;
use hearth_store::{BlobStore, MetadataStore, QueueStore};
use hearth_store_sqlite::{FileBlobStore, OpenError, SqliteQueueStore, SqliteStore};
use hearth_types::keys;
use hearth_types::limits::{
    CODE_STORAGE_BYTES, CONNECTIONS, ENVIRONMENTS_MAX, HEAD_BYTES, HEAD_TIMEOUT, HEADERS, TIMEOUT_MAX_S,
    UNREAD_ANSWERS_BYTES,
};
use hearth_types::runtime::ARCHITECTURE;
use hearth_worker::{SpanSink, Worker};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::admin::{self, Admin};
use crate::at_rest;
use crate::awake::Awake;
use crate::cli::ServeArgs;
use crate::deliveries::OwnTargets;
use crate::events::OfDispatcher;
use crate::follow;
use crate::gateway::Gateway;
use crate::inside::Insiders;
use crate::key_socket;
use crate::metrics::Numbers;
use crate::node_args::NetworkArg;
use crate::observing;
use crate::packages::{Buckets, OtherBuckets};
use crate::prepare::{Prepared, Refused, prepare};
use crate::provisioned::Provisioned;
use crate::reader::JailedReader;
use crate::room::Room;
use crate::snapshots;
use crate::sources::{OfAccess, Polled};
use crate::upstream::{self, Upstreams};
use crate::workers::{self, WorkerParts, lines};

/// Threads that serve: half of the cores, for the functions need some too, and on a small machine a second thread costs
/// each invoke two wake-ups of the other. Work on packages and files has threads of its own.
const THREADS_MAX: usize = 16;
/// Time for requests in work at a stop: the longest invoke, and a little.
const DRAIN: Duration = Duration::from_secs(TIMEOUT_MAX_S as u64 + 5);

/// Serves until SIGTERM or SIGINT; a second one ends what the first one lets finish.
pub(crate) fn run(args: ServeArgs) -> Result<()> {
    log_to_stderr();
    // Who may read the file is who started the server.
    let prices = observing::prices(args.prices.as_deref())?;
    let prepared = prepare(&args)?;
    runtime()?.block_on(serve(args, prepared, prices))
}

pub(crate) fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("HEARTH_LOG").unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let threads = (cores / 2).clamp(1, THREADS_MAX);
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(threads).enable_all().build().context("starting the runtime")
}

async fn serve(args: ServeArgs, prepared: Prepared, prices: Prices) -> Result<()> {
    let mut stop = Stop::new()?;
    let (data, clock, metrics) = (&prepared.data, args.clock(), Arc::<Metrics>::default());
    let metadata = open_metadata(&args, data, &prepared.key)?;
    let blobs: Arc<dyn BlobStore> = Arc::new(metadata.blobs(FileBlobStore::open(&data.join("blobs"))?));
    let store: Arc<dyn MetadataStore> = Arc::new(metadata);
    let queues: Arc<dyn QueueStore> = Arc::new(open_queues(&args, data)?);
    let logs = LogStore::open(&data.join("logs")).context("the log store")?;
    let isolation = isolation(&prepared.spawner, args.node.network);
    let spawner = Spawner::new(prepared.spawner).context("talking to the spawner")?;
    let reader = Arc::new(JailedReader::new(spawner.clone()));
    let unpacker = Arc::new(Unpacker::new(data.join("code"), reader)?);
    let trees = Arc::new(Trees::new(unpacker, Arc::clone(&blobs)));

    let access = Arc::new(Access::new(hearth_access::Parts {
        place: args.place(),
        store: Arc::clone(&store),
        key: prepared.key.clone(),
        auth: args.auth(),
        now: admin::now,
        clock: clock.clone(),
    }));
    let meter = Meter::open(Arc::clone(&metrics), Arc::clone(&store), clock.clone(), prices).await?;
    tokio::spawn(Arc::clone(&meter).run());
    let exporter = observing::exporter(args.otlp.as_ref());
    let spans = observing::sink(exporter.as_ref());
    let unread = Unread::new(UNREAD_ANSWERS_BYTES);
    let insiders = Arc::new(Insiders::new(
        Arc::clone(&access),
        Arc::clone(&trees),
        args.environment_life(),
        clock.clone(),
        Arc::clone(&unread),
        random_key()?,
    ));
    let runtimes = prepared.catalogue.installed();
    let dispatcher = dispatcher(
        &args,
        data,
        &spawner,
        prepared.catalogue,
        &logs,
        Arc::clone(&insiders),
        (&clock, &metrics, Arc::clone(&spans)),
    );
    let (applied_to, applied) = watch::channel(0);
    tokio::spawn(follow::follow(store.watch(keys::FOLLOWED), Arc::clone(&dispatcher), applied_to));
    let access_keys = Arc::new(AccessKeys::new(Arc::clone(&store), prepared.key.clone()));
    tokio::spawn(key_socket::serve(key_socket::listen(data)?, access_keys));
    let parts = hearth_s3::Parts { place: args.place(), store: Arc::clone(&store), now: admin::now };
    let client = Client::new();
    let upstreams =
        Upstreams::new(&args.upstream, client.clone(), upstream::credentials()?, args.place().region, admin::now)?;
    let s3 = S3::open(parts, &data.join("objects")).await?;
    let sqs = Sqs::new(hearth_sqs::Parts {
        place: args.place(),
        metadata: Arc::clone(&store),
        queues: Arc::clone(&queues),
        clock: clock.clone(),
    });
    sqs.recover().await.map_err(anyhow::Error::msg).context("bringing the queues back")?;
    let timing = Timing { retry_base: Duration::from_millis(args.retry_base) };
    let targets = Arc::new(OwnTargets {
        place: args.place(),
        access: Arc::clone(&access),
        metadata: Arc::clone(&store),
        sqs: Arc::clone(&sqs),
        s3: Arc::clone(&s3),
        logs: Arc::clone(&logs),
        clock: clock.clone(),
        metrics: Arc::clone(&metrics),
        events: OnceLock::new(),
        rules: OnceLock::new(),
        client: client.clone(),
        sns: OnceLock::new(),
    });
    let outbox = Outbox::new(hearth_delivery::Parts {
        queues: Arc::clone(&queues),
        targets: Arc::clone(&targets) as _,
        clock: clock.clone(),
        timing,
    });
    let events = Events::new(hearth_events::Parts {
        place: args.place(),
        queues: Arc::clone(&queues),
        metadata: Arc::clone(&store),
        functions: Arc::new(OfDispatcher(Arc::clone(&dispatcher))),
        outbox: Arc::clone(&outbox),
        clock: clock.clone(),
        metrics: Arc::clone(&metrics),
        timing,
        pollers: usize::try_from(args.event_pollers).unwrap_or(1),
    });
    let sources = Sources::new(hearth_sources::Parts {
        place: args.place(),
        metadata: Arc::clone(&store),
        functions: Arc::new(OfDispatcher(Arc::clone(&dispatcher))),
        roles: Arc::new(OfAccess(Arc::clone(&access))),
        sqs: Arc::clone(&sqs),
        queues: upstreams.api("sqs"),
        kinesis: upstreams.api("kinesis"),
        dynamodb: upstreams.api("dynamodb"),
        secrets: upstreams.api("secretsmanager"),
        brokers: args.broker.clone(),
        outbox: Arc::clone(&outbox),
        clock: clock.clone(),
        metrics: Arc::clone(&metrics),
    });
    let rules = Rules::new(hearth_rules::Parts {
        place: args.place(),
        store: Arc::clone(&store),
        outbox: Arc::clone(&outbox),
        clock: clock.clone(),
    });
    targets.events.get_or_init(|| Arc::downgrade(&events));
    targets.rules.get_or_init(|| Arc::downgrade(&rules));
    let sns = Sns::new(hearth_sns::Parts {
        place: args.place(),
        metadata: Arc::clone(&store),
        outbox: Arc::clone(&outbox),
        queues: Arc::clone(&queues),
        endpoint: format!("http://{}", prepared.address),
        clock: clock.clone(),
    });
    targets.sns.get_or_init(|| Arc::downgrade(&sns));
    let topics = Arc::clone(&sns);
    tokio::spawn(async move {
        if let Err(cause) = topics.forget_the_gone().await {
            warn!("what topics that are gone once took is not forgotten: {cause}");
        }
    });
    s3.tell_by(&outbox).await.map_err(anyhow::Error::msg).context("telling what happened in buckets")?;
    let neighbours = Neighbours::new(hearth_neighbours::Parts {
        place: args.place(),
        store: Arc::clone(&store),
        key: prepared.key.clone(),
        clock: clock.clone(),
    });
    let control = Arc::new(Control::new(Parts {
        place: args.place(),
        architecture: ARCHITECTURE,
        runtimes,
        concurrency: args.concurrency(),
        code_storage: CODE_STORAGE_BYTES,
        roles: args.roles(),
        settle_after: Duration::from_millis(args.settle_after),
        store,
        blobs,
        trees: Arc::clone(&trees),
        applied,
        objects: Some(Arc::new(buckets(&args, client, Arc::clone(&s3))?)),
        links: CodeLinks::new(random_key()?),
        event_sources: Arc::new(Polled(Arc::clone(&sources))),
        provisioner: Arc::new(Provisioned(Arc::clone(&dispatcher))),
        clock: clock.clone(),
    }));
    let unused = control.recover().await.context("bringing the last state back")?;
    tokio::spawn(Arc::clone(&control).keep_tidy(unused));
    tokio::spawn(trees.make_ahead());
    tokio::spawn(snapshots::take(Arc::clone(&dispatcher), Arc::clone(&control)));

    let awake = Awake::new(prepared.awake);
    let admin = Admin {
        control: Arc::clone(&control),
        dispatcher: Arc::clone(&dispatcher),
        logs: Arc::clone(&logs),
        isolation,
        events: Arc::clone(&events),
        numbers: Numbers {
            metrics,
            meter: Arc::clone(&meter),
            exporter: exporter.clone(),
            dispatcher: Arc::clone(&dispatcher),
            queues,
            outbox: Arc::clone(&outbox),
            clock: clock.clone(),
            awake: Arc::clone(&awake),
        },
        clock,
    };
    let gateway = Gateway {
        admin,
        control,
        dispatcher: Arc::clone(&dispatcher),
        events: Arc::clone(&events),
        neighbours,
        upstreams,
        cloudwatch_logs: CloudWatchLogs::new(args.place(), Arc::clone(&logs)),
        s3,
        sns,
        sqs,
        rules: Arc::clone(&rules),
        access,
        room: Room::outside(),
        awake,
    };
    let scaling = tokio::spawn(Arc::clone(&gateway.control).run_scheduled_actions());
    let gateway = Arc::new(gateway);
    insiders.open(&gateway);
    tokio::spawn(workers::take_in(data, Arc::clone(&dispatcher), insiders, (lines(&logs), Arc::clone(&spans)))?);
    let running = tokio::spawn(Arc::clone(&events).run());
    let polling = tokio::spawn(Arc::clone(&sources).run());
    let sending = tokio::spawn(Arc::clone(&outbox).run());
    let timed = tokio::spawn(Arc::clone(&rules).run());
    let limits =
        ServerLimits { connections: CONNECTIONS, head_bytes: HEAD_BYTES, headers: HEADERS, head_timeout: HEAD_TIMEOUT };
    let server = Server::new(prepared.listeners, limits, unread).context("the listening sockets")?;
    let (stop_server, stopping) = watch::channel(false);
    let serving = tokio::spawn(server.run(gateway, stopping, DRAIN));
    let keeper = prepared.keeper;
    workers::until_joined(&dispatcher, args.workers, keeper.as_ref()).await?;
    // What only the start needed is not to count for as long as the server runs.
    hearth_sandbox::let_code_go();
    say_ready(&format!("http://{}", prepared.address))?;

    let lost = tokio::select! {
        ended = running => bail!("the events are not run any more: {ended:?}"),
        ended = polling => bail!("the event sources are not polled any more: {ended:?}"),
        ended = sending => bail!("nothing is delivered any more: {ended:?}"),
        ended = timed => bail!("rules are not due any more: {ended:?}"),
        ended = scaling => bail!("scheduled actions are not due any more: {ended:?}"),
        name = stop.signalled() => { info!("{name}: draining"); false }
        () = spawner.closed() => true,
        () = workers::lost(keeper.as_ref()) => bail!("the keeper of worker processes has ended; start hearth again"),
    };
    // A follower's answer has no end of its own.
    logs.end_followers();
    stop_server.send_replace(true);
    if lost {
        logs.close();
        bail!("the spawner has ended, and with it all environments; start hearth again");
    }
    let drained = async {
        serving.await.context("the server's task")?;
        tokio::join!(events.stop(DRAIN), sources.stop(DRAIN));
        outbox.stop(DRAIN).await;
        dispatcher.drain(DRAIN).await;
        anyhow::Ok(())
    };
    tokio::select! {
        outcome = drained => outcome?,
        name = stop.signalled() => warn!("{name} again: what still runs is ended"),
    }
    observing::end(&meter, exporter.as_deref()).await;
    if let Some(keeper) = keeper {
        keeper.end().await;
    }
    spawner.stop().await;
    logs.close();
    key_socket::close(&prepared.data);
    workers::close(&prepared.data);
    Ok(())
}

fn open_metadata(args: &ServeArgs, data: &Path, key: &MasterKey) -> Result<SqliteStore, Refused> {
    SqliteStore::open(&data.join("meta.db"), at_rest::seal(key)).map_err(|cause| refused(args, data, &cause))
}

fn open_queues(args: &ServeArgs, data: &Path) -> Result<SqliteQueueStore, Refused> {
    SqliteQueueStore::open(&data.join("queues.db")).map_err(|cause| refused(args, data, &cause))
}

/// What is wrong with a file is said with the name that the user gave its folder.
fn refused(args: &ServeArgs, data: &Path, cause: &OpenError) -> Refused {
    let (here, given) = (data.display().to_string(), args.data_dir.display().to_string());
    Refused(cause.to_string().replace(&here, &given))
}

/// SIGTERM and SIGINT.
pub(crate) struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    pub(crate) fn new() -> Result<Self> {
        let of = |kind| signal(kind).context("handling signals");
        Ok(Self { terminate: of(SignalKind::terminate())?, interrupt: of(SignalKind::interrupt())? })
    }

    pub(crate) async fn signalled(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

fn dispatcher(
    args: &ServeArgs,
    data: &Path,
    spawner: &Spawner,
    catalogue: Catalogue,
    logs: &Arc<LogStore>,
    insiders: Arc<Insiders>,
    (clock, metrics, spans): (&Clock, &Arc<Metrics>, Arc<dyn SpanSink>),
) -> Arc<Dispatcher> {
    let config = DispatcherConfig {
        place: args.place(),
        architecture: ARCHITECTURE,
        limits: args.limits(),
        clock: clock.clone(),
        metrics: Arc::clone(metrics),
    };
    let dispatcher = Dispatcher::new(config, |sink| {
        let embedded = args.runs_functions().then(|| {
            let parts =
                WorkerParts { spawner: spawner.clone(), catalogue, logs: lines(logs), identities: insiders, spans };
            Worker::new(workers::config(parts, &args.node, data), Arc::clone(&sink))
        });
        Workers::new(embedded, sink)
    });
    if args.runs_functions() {
        let memory_mb = workers::memory_budget_mb(&args.node);
        dispatcher.join(EMBEDDED, Capacity { memory_mb, environments: ENVIRONMENTS_MAX });
    }
    tokio::spawn(Arc::clone(&dispatcher).run_timer());
    tokio::spawn(Arc::clone(&dispatcher).run_meter());
    dispatcher
}

/// Where packages come from that clients name by bucket and key.
fn buckets(args: &ServeArgs, client: Client, own: Arc<S3>) -> Result<Buckets> {
    let other = match args.code_s3.clone() {
        Some(s3) => Some(OtherBuckets::new(s3, client, upstream::credentials()?, args.place().region, admin::now)),
        None => None,
    };
    Ok(Buckets { own, other })
}

fn isolation(spawner: &SpawnerConnection, network: NetworkArg) -> serde_json::Value {
    serde_json::json!({
        "level": "process",
        "kept": Level::without(spawner.broken().iter().map(|broken| &broken.promise)).map(Level::name),
        "authority": match spawner.authority() {
            Authority::Root => "root",
            Authority::UserNamespace => "user namespace",
        },
        "cgroups": if spawner.cgroup_v2() { "v2" } else { "v1 with the unified hierarchy" },
        "network": match network {
            NetworkArg::None => "none",
            NetworkArg::Nat => "nat",
        },
    })
}

fn random_key() -> Result<[u8; 64]> {
    let mut key = [0; 64];
    getrandom::fill(&mut key).map_err(|cause| anyhow::anyhow!("the machine gives no random bytes: {cause}"))?;
    Ok(key)
}

fn say_ready(url: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "hearth is ready at {url}").and_then(|()| out.flush()).context("standard output")
}
