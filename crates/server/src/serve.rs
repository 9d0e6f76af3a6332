//! `hearth serve`: one node with all roles.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use hearth_control::links::CodeLinks;
use hearth_control::names::Place;
use hearth_control::{Control, Parts};
use hearth_frontend::Dispatcher;
use hearth_http::{Server, ServerLimits};
use hearth_image::Unpacker;
use hearth_logs::LogStore;
use hearth_sandbox::Spawner;
use hearth_store::{BlobStore, MetadataStore};
use hearth_store_sqlite::{FileBlobStore, SqliteStore};
use hearth_types::limits::{CONNECTIONS, HEAD_BYTES, HEAD_TIMEOUT, HEADERS, TIMEOUT_MAX_S};
use hearth_worker::{LogSink, WorkerConfig};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{error, info};

use crate::admin::{self, Admin};
use crate::cli::ServeArgs;
use crate::follow;
use crate::gateway::Gateway;
use crate::prepare::{Prepared, prepare};

/// Threads that serve. Work on packages and files has threads of its own.
const THREADS_MAX: usize = 16;
/// Time for requests in work at a stop: the longest invoke, and a little.
const DRAIN: Duration = Duration::from_secs(TIMEOUT_MAX_S as u64 + 5);

/// Serves until SIGTERM or SIGINT.
pub(crate) fn run(args: ServeArgs) -> Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_env("HEARTH_LOG").unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let prepared = prepare(&args)?;
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).clamp(2, THREADS_MAX);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .context("starting the runtime")?
        .block_on(serve(args, prepared))
}

async fn serve(args: ServeArgs, prepared: Prepared) -> Result<()> {
    let mut stop = stop_signals()?;
    let data = &prepared.data;
    let store: Arc<dyn MetadataStore> = Arc::new(SqliteStore::open(&data.join("meta.db"))?);
    let blobs: Arc<dyn BlobStore> = Arc::new(FileBlobStore::open(&data.join("blobs"))?);
    let unpacker = Arc::new(Unpacker::new(data.join("code"))?);
    let logs = Arc::new(LogStore::open(&data.join("logs"))?);
    let spawner = Spawner::new(prepared.spawner)?;
    let isolation = serde_json::to_value(spawner.isolation())?;

    let dispatcher = dispatcher(&args, &spawner, prepared.catalogue, &logs)?;
    let (applied_to, applied) = watch::channel(0);
    tokio::spawn(follow::follow(store.watch(follow::PREFIX), Arc::clone(&dispatcher), applied_to));
    let control = Arc::new(Control::new(Parts {
        place: Place { region: args.region.clone(), account: args.account.clone() },
        architecture: std::env::consts::ARCH_OF_LAMBDA,
        store,
        blobs,
        unpacker,
        applied,
        links: CodeLinks::new(random_key()?),
        now: admin::now,
    }));
    control.recover().await.context("bringing the last state back")?;

    let admin = Admin { control: Arc::clone(&control), dispatcher: Arc::clone(&dispatcher), logs: Arc::clone(&logs), isolation };
    let gateway = Arc::new(Gateway { admin, control, dispatcher: Arc::clone(&dispatcher) });
    let limits =
        ServerLimits { connections: CONNECTIONS, head_bytes: HEAD_BYTES, headers: HEADERS, head_timeout: HEAD_TIMEOUT };
    let server = Server::new(prepared.listener, limits).context("the listening socket")?;
    let (stop_server, stopping) = watch::channel(false);
    let serving = tokio::spawn(server.run(gateway, stopping, DRAIN));
    say_ready(&format!("http://{}", prepared.address))?;

    let lost = tokio::select! {
        name = stop.recv() => { info!("{}: draining", name.unwrap_or("stopped")); false }
        () = spawner.closed() => { error!("the spawner has ended: no environment can be made or ended any more"); true }
    };
    stop_server.send_replace(true);
    if lost {
        bail!("the spawner has ended; start hearth again");
    }
    serving.await.context("the server's task")?;
    dispatcher.drain().await;
    logs.close();
    Ok(())
}
