//! How the parts of a server come together: stores, what everything stands on, services, the control plane, the gateway.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, Result};
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
use hearth_http::Unread;
use hearth_identity::MasterKey;
use hearth_image::Unpacker;
use hearth_logs::{CloudWatchLogs, LogStore};
use hearth_metering::{Meter, Prices};
use hearth_metrics::Metrics;
use hearth_neighbours::Neighbours;
use hearth_otlp::Exporter;
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
use hearth_types::limits::{CODE_STORAGE_BYTES, ENVIRONMENTS_MAX, UNREAD_ANSWERS_BYTES};
use hearth_types::runtime::{ARCHITECTURE, Installed};
use hearth_worker::{SpanSink, Worker};
use tokio::sync::watch;
use tracing::warn;

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
use crate::lately::Remembered;
use crate::metrics::Numbers;
use crate::node_args::NetworkArg;
use crate::observing;
use crate::packages::{Buckets, OtherBuckets};
use crate::prepare::{Prepared, Refused};
use crate::provisioned::Provisioned;
use crate::reader::JailedReader;
use crate::room::Room;
use crate::snapshots;
use crate::sources::{OfAccess, Polled};
use crate::upstream::{self, Upstreams};
use crate::workers::{self, WorkerParts, lines};

/// A server's parts that its work is begun and ended with.
pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    pub(crate) data: PathBuf,
    pub(crate) logs: Arc<LogStore>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) runner: Runner,
    pub(crate) remembered: Arc<Remembered>,
    pub(crate) events: Arc<Events>,
    pub(crate) sources: Arc<Sources>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) rules: Arc<Rules>,
}

/// Makes a server of a machine that is ready to serve: all but what listens.
///
/// # Errors
/// What of it cannot be opened.
pub(crate) async fn wire(args: ServeArgs, prepared: Prepared, prices: Prices) -> Result<(Node, Gateway)> {
    let Prepared { address, spawner, catalogue, data, key, awake, .. } = prepared;
    let isolation = isolation(&spawner, args.node.network);
    let runtimes = catalogue.installed();
    let ground = Ground::lay(args, data, key, prices).await?;
    let runner = Runner::new(&ground, spawner, catalogue)?;
    let access_keys = Arc::new(AccessKeys::new(Arc::clone(&ground.stores.metadata), ground.key.clone()));
    tokio::spawn(key_socket::serve(key_socket::listen(&ground.data)?, access_keys));
    let services = Services::open(&ground, &runner.dispatcher, address).await?;
    let control = control(&ground, &runner, &services, runtimes)?;
    let unused = control.recover().await.context("bringing the last state back")?;
    tokio::spawn(Arc::clone(&control).keep_tidy(unused));
    tokio::spawn(Arc::clone(&runner.trees).make_ahead());
    tokio::spawn(snapshots::take(Arc::clone(&runner.dispatcher), Arc::clone(&control)));
    let dispatcher = Arc::clone(&runner.dispatcher);
    let remembered = Remembered::new(dispatcher, Arc::clone(&ground.stores.metadata));
    let node = Node {
        address,
        remembered,
        data: ground.data.clone(),
        logs: Arc::clone(&ground.stores.logs),
        meter: Arc::clone(&ground.meter),
        runner,
        events: Arc::clone(&services.events),
        sources: Arc::clone(&services.sources),
        outbox: Arc::clone(&services.outbox),
        rules: Arc::clone(&services.rules),
    };
    let admin = admin(&ground, &node, Arc::clone(&control), isolation, Awake::new(awake));
    let gateway = gateway(&ground, services, control, admin);
    Ok((node, gateway))
}

/// What outlives the server.
struct Stores {
    metadata: Arc<dyn MetadataStore>,
    blobs: Arc<dyn BlobStore>,
    queues: Arc<dyn QueueStore>,
    logs: Arc<LogStore>,
}

impl Stores {
    fn open(args: &ServeArgs, data: &Path, key: &MasterKey) -> Result<Self> {
        let metadata = SqliteStore::open(&data.join("meta.db"), at_rest::seal(key))
            .map_err(|cause| refused(args, data, &cause))?;
        let blobs = Arc::new(metadata.blobs(FileBlobStore::open(&data.join("blobs"))?));
        let queues = SqliteQueueStore::open(&data.join("queues.db")).map_err(|cause| refused(args, data, &cause))?;
        let logs = LogStore::open(&data.join("logs")).context("the log store")?;
        Ok(Self { metadata: Arc::new(metadata), blobs, queues: Arc::new(queues), logs })
    }
}

/// What is wrong with a file is said with the name that the user gave its folder.
fn refused(args: &ServeArgs, data: &Path, cause: &OpenError) -> Refused {
    let (here, given) = (data.display().to_string(), args.data_dir.display().to_string());
    Refused(cause.to_string().replace(&here, &given))
}

/// What everything else stands on.
struct Ground {
    args: ServeArgs,
    data: PathBuf,
    key: MasterKey,
    clock: Clock,
    stores: Stores,
    metrics: Arc<Metrics>,
    meter: Arc<Meter>,
    access: Arc<Access>,
}

impl Ground {
    async fn lay(args: ServeArgs, data: PathBuf, key: MasterKey, prices: Prices) -> Result<Self> {
        let (clock, metrics) = (args.clock(), Arc::<Metrics>::default());
        let stores = Stores::open(&args, &data, &key)?;
        let access = Arc::new(Access::new(hearth_access::Parts {
            place: args.place(),
            store: Arc::clone(&stores.metadata),
            key: key.clone(),
            auth: args.auth(),
            now: admin::now,
            clock: clock.clone(),
        }));
        let meter = Meter::open(Arc::clone(&metrics), Arc::clone(&stores.metadata), clock.clone(), prices).await?;
        tokio::spawn(Arc::clone(&meter).run());
        Ok(Self { args, data, key, clock, stores, metrics, meter, access })
    }
}

/// What runs functions.
pub(crate) struct Runner {
    pub(crate) spawner: Spawner,
    /// The packages, unpacked.
    trees: Arc<Trees>,
    /// Where spans go to a collector.
    pub(crate) exporter: Option<Arc<Exporter>>,
    pub(crate) spans: Arc<dyn SpanSink>,
    pub(crate) unread: Arc<Unread>,
    pub(crate) insiders: Arc<Insiders>,
    pub(crate) dispatcher: Arc<Dispatcher>,
    /// The version of the store that the dispatcher knows.
    pub(crate) applied: watch::Receiver<u64>,
}

impl Runner {
    fn new(ground: &Ground, spawner: SpawnerConnection, catalogue: Catalogue) -> Result<Self> {
        let Ground { args, data, clock, stores, access, .. } = ground;
        let spawner = Spawner::new(spawner).context("talking to the spawner")?;
        let reader = Arc::new(JailedReader::new(spawner.clone()));
        let unpacker = Arc::new(Unpacker::new(data.join("code"), reader)?);
        let trees = Arc::new(Trees::new(unpacker, Arc::clone(&stores.blobs)));
        let exporter = observing::exporter(args.otlp.as_ref());
        let spans = observing::sink(exporter.as_ref());
        let unread = Unread::new(UNREAD_ANSWERS_BYTES);
        let insiders = Arc::new(Insiders::new(
            Arc::clone(access),
            Arc::clone(&trees),
            args.environment_life(),
            clock.clone(),
            Arc::clone(&unread),
            random_key()?,
        ));
        let parts = WorkerParts {
            spawner: spawner.clone(),
            catalogue,
            logs: lines(&stores.logs),
            identities: Arc::clone(&insiders) as _,
            spans: Arc::clone(&spans),
        };
        let dispatcher = dispatcher(ground, parts);
        let (applied_to, applied) = watch::channel(0);
        let changes = stores.metadata.watch(keys::FOLLOWED);
        tokio::spawn(follow::follow(changes, Arc::clone(&dispatcher), applied_to));
        Ok(Self { spawner, trees, exporter, spans, unread, insiders, dispatcher, applied })
    }
}

fn dispatcher(ground: &Ground, parts: WorkerParts) -> Arc<Dispatcher> {
    let Ground { args, data, clock, metrics, .. } = ground;
    let config = DispatcherConfig {
        place: args.place(),
        architecture: ARCHITECTURE,
        limits: args.limits(),
        clock: clock.clone(),
        metrics: Arc::clone(metrics),
    };
    let dispatcher = Dispatcher::new(config, |sink| {
        let embedded = args
            .runs_functions()
            .then(|| Worker::new(workers::config(parts, &args.node, ENVIRONMENTS_MAX, data), Arc::clone(&sink)));
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

/// The services beside Lambda, and what is done after answers.
struct Services {
    client: Client,
    upstreams: Upstreams,
    s3: Arc<S3>,
    sqs: Arc<Sqs>,
    sns: Arc<Sns>,
    outbox: Arc<Outbox>,
    events: Arc<Events>,
    sources: Arc<Sources>,
    rules: Arc<Rules>,
}

impl Services {
    async fn open(ground: &Ground, dispatcher: &Arc<Dispatcher>, address: SocketAddr) -> Result<Self> {
        let Ground { args, data, clock, stores, metrics, .. } = ground;
        let client = Client::new();
        let region = args.place().region;
        let upstreams = Upstreams::new(&args.upstream, client.clone(), upstream::credentials()?, region, admin::now)?;
        let parts = hearth_s3::Parts { place: args.place(), store: Arc::clone(&stores.metadata), now: admin::now };
        let s3 = S3::open(parts, &data.join("objects")).await?;
        let sqs = Sqs::new(hearth_sqs::Parts {
            place: args.place(),
            metadata: Arc::clone(&stores.metadata),
            queues: Arc::clone(&stores.queues),
            clock: clock.clone(),
        });
        sqs.recover().await.map_err(anyhow::Error::msg).context("bringing the queues back")?;
        let timing = Timing { retry_base: Duration::from_millis(args.retry_base) };
        let targets = own_targets(ground, &s3, &sqs, &client);
        let outbox = Outbox::new(hearth_delivery::Parts {
            queues: Arc::clone(&stores.queues),
            targets: Arc::clone(&targets) as _,
            clock: clock.clone(),
            timing,
        });
        let events = Events::new(hearth_events::Parts {
            place: args.place(),
            queues: Arc::clone(&stores.queues),
            metadata: Arc::clone(&stores.metadata),
            functions: Arc::new(OfDispatcher(Arc::clone(dispatcher))),
            outbox: Arc::clone(&outbox),
            clock: clock.clone(),
            metrics: Arc::clone(metrics),
            timing,
            pollers: usize::try_from(args.event_pollers).unwrap_or(1),
        });
        let sources = sources(ground, dispatcher, &sqs, &outbox, &upstreams);
        let rules = Rules::new(hearth_rules::Parts {
            place: args.place(),
            store: Arc::clone(&stores.metadata),
            outbox: Arc::clone(&outbox),
            clock: clock.clone(),
        });
        let sns = Sns::new(hearth_sns::Parts {
            place: args.place(),
            metadata: Arc::clone(&stores.metadata),
            outbox: Arc::clone(&outbox),
            queues: Arc::clone(&stores.queues),
            endpoint: format!("http://{address}"),
            clock: clock.clone(),
        });
        targets.events.get_or_init(|| Arc::downgrade(&events));
        targets.rules.get_or_init(|| Arc::downgrade(&rules));
        targets.sns.get_or_init(|| Arc::downgrade(&sns));
        let topics = Arc::clone(&sns);
        tokio::spawn(async move {
            if let Err(cause) = topics.forget_the_gone().await {
                warn!("what topics that are gone once took is not forgotten: {cause}");
            }
        });
        s3.tell_by(&outbox).await.map_err(anyhow::Error::msg).context("telling what happened in buckets")?;
        Ok(Self { client, upstreams, s3, sqs, sns, outbox, events, sources, rules })
    }
}

/// Those of the outbox; who is made with it is set once it is there.
fn own_targets(ground: &Ground, s3: &Arc<S3>, sqs: &Arc<Sqs>, client: &Client) -> Arc<OwnTargets> {
    let Ground { args, clock, stores, metrics, access, .. } = ground;
    Arc::new(OwnTargets {
        place: args.place(),
        access: Arc::clone(access),
        metadata: Arc::clone(&stores.metadata),
        sqs: Arc::clone(sqs),
        s3: Arc::clone(s3),
        logs: Arc::clone(&stores.logs),
        clock: clock.clone(),
        metrics: Arc::clone(metrics),
        events: OnceLock::new(),
        rules: OnceLock::new(),
        client: client.clone(),
        sns: OnceLock::new(),
    })
}

fn sources(
    ground: &Ground,
    dispatcher: &Arc<Dispatcher>,
    sqs: &Arc<Sqs>,
    outbox: &Arc<Outbox>,
    upstreams: &Upstreams,
) -> Arc<Sources> {
    let Ground { args, clock, stores, metrics, access, .. } = ground;
    Sources::new(hearth_sources::Parts {
        place: args.place(),
        metadata: Arc::clone(&stores.metadata),
        functions: Arc::new(OfDispatcher(Arc::clone(dispatcher))),
        roles: Arc::new(OfAccess(Arc::clone(access))),
        sqs: Arc::clone(sqs),
        queues: upstreams.api("sqs"),
        kinesis: upstreams.api("kinesis"),
        dynamodb: upstreams.api("dynamodb"),
        secrets: upstreams.api("secretsmanager"),
        brokers: args.broker.clone(),
        outbox: Arc::clone(outbox),
        clock: clock.clone(),
        metrics: Arc::clone(metrics),
    })
}

fn control(ground: &Ground, runner: &Runner, services: &Services, runtimes: Installed) -> Result<Arc<Control>> {
    let Ground { args, clock, stores, .. } = ground;
    let buckets = buckets(args, services.client.clone(), Arc::clone(&services.s3))?;
    Ok(Arc::new(Control::new(Parts {
        place: args.place(),
        architecture: ARCHITECTURE,
        runtimes,
        concurrency: args.concurrency(),
        code_storage: CODE_STORAGE_BYTES,
        roles: args.roles(),
        settle_after: Duration::from_millis(args.settle_after),
        store: Arc::clone(&stores.metadata),
        blobs: Arc::clone(&stores.blobs),
        trees: Arc::clone(&runner.trees),
        applied: runner.applied.clone(),
        objects: Some(Arc::new(buckets)),
        links: CodeLinks::new(random_key()?),
        event_sources: Arc::new(Polled(Arc::clone(&services.sources))),
        provisioner: Arc::new(Provisioned(Arc::clone(&runner.dispatcher))),
        clock: clock.clone(),
    })))
}

/// Where packages come from that clients name by bucket and key.
fn buckets(args: &ServeArgs, client: Client, own: Arc<S3>) -> Result<Buckets> {
    let other = match args.code_s3.clone() {
        Some(s3) => Some(OtherBuckets::new(s3, client, upstream::credentials()?, args.place().region, admin::now)),
        None => None,
    };
    Ok(Buckets { own, other })
}

fn admin(
    ground: &Ground,
    node: &Node,
    control: Arc<Control>,
    isolation: serde_json::Value,
    awake: Arc<Awake>,
) -> Admin {
    let Ground { clock, stores, metrics, .. } = ground;
    Admin {
        control,
        dispatcher: Arc::clone(&node.runner.dispatcher),
        logs: Arc::clone(&node.logs),
        isolation,
        events: Arc::clone(&node.events),
        numbers: Numbers {
            metrics: Arc::clone(metrics),
            meter: Arc::clone(&node.meter),
            remembered: Arc::clone(&node.remembered),
            exporter: node.runner.exporter.clone(),
            dispatcher: Arc::clone(&node.runner.dispatcher),
            queues: Arc::clone(&stores.queues),
            outbox: Arc::clone(&node.outbox),
            clock: clock.clone(),
            awake,
        },
        clock: clock.clone(),
    }
}

fn gateway(ground: &Ground, services: Services, control: Arc<Control>, admin: Admin) -> Gateway {
    let Ground { args, key, clock, stores, access, .. } = ground;
    let Services { upstreams, s3, sqs, sns, events, rules, .. } = services;
    let neighbours = Neighbours::new(hearth_neighbours::Parts {
        place: args.place(),
        store: Arc::clone(&stores.metadata),
        key: key.clone(),
        clock: clock.clone(),
    });
    Gateway {
        control,
        dispatcher: Arc::clone(&admin.dispatcher),
        events,
        neighbours,
        upstreams,
        cloudwatch_logs: CloudWatchLogs::new(args.place(), Arc::clone(&stores.logs)),
        s3,
        sns,
        sqs,
        rules,
        access: Arc::clone(access),
        room: Room::outside(),
        awake: Arc::clone(&admin.numbers.awake),
        admin,
    }
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
