//! `hearth serve`: one node with all roles.

use std::io::Write as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use hearth_http::{Server, ServerLimits};
use hearth_metering::Prices;
use hearth_store::QueueError;
use hearth_types::limits::{CONNECTIONS, HEAD_BYTES, HEAD_TIMEOUT, HEADERS, TIMEOUT_MAX_S};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::cli::ServeArgs;
use crate::gateway::Gateway;
use crate::key_socket;
use crate::observing;
use crate::prepare::{Prepared, prepare};
use crate::wiring::{Node, wire};
use crate::workers::{self, lines};

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

async fn serve(args: ServeArgs, mut prepared: Prepared, prices: Prices) -> Result<()> {
    let mut stop = Stop::new()?;
    let (workers, keeper) = (args.workers, prepared.keeper.take());
    let listeners = std::mem::take(&mut prepared.listeners);
    let (node, gateway) = wire(args, prepared, prices).await?;
    let (stop_server, stopping) = watch::channel(false);
    let mut work = Work::begin(&node, gateway, listeners, stopping)?;
    workers::until_joined(&node.runner.dispatcher, workers, keeper.as_ref()).await?;
    // What only the start needed is not to count for as long as the server runs.
    hearth_sandbox::let_code_go();
    say_ready(&format!("http://{}", node.address))?;
    tokio::spawn(Arc::clone(&node.remembered).run(node.runner.applied.clone()));

    let lost = tokio::select! {
        broken = work.broken() => return Err(broken),
        name = stop.signalled() => { info!("{name}: draining"); false }
        () = node.runner.spawner.closed() => true,
        () = workers::lost(keeper.as_ref()) => bail!("the keeper of worker processes has ended; start hearth again"),
    };
    // A follower's answer has no end of its own.
    node.logs.end_followers();
    stop_server.send_replace(true);
    if lost {
        node.logs.close();
        bail!("the spawner has ended, and with it all environments; start hearth again");
    }
    // While the environments live.
    node.remembered.look().await;
    tokio::select! {
        drained = node.drain(work.serving) => drained?,
        name = stop.signalled() => warn!("{name} again: what still runs is ended"),
    }
    observing::end(&node.meter, node.runner.exporter.as_deref()).await;
    if let Some(keeper) = keeper {
        keeper.end().await;
    }
    node.runner.spawner.stop().await;
    node.logs.close();
    key_socket::close(&node.data);
    workers::close(&node.data);
    Ok(())
}

/// What a server does all the time.
struct Work {
    serving: JoinHandle<()>,
    running: JoinHandle<Result<(), QueueError>>,
    polling: JoinHandle<()>,
    sending: JoinHandle<Result<(), QueueError>>,
    timed: JoinHandle<()>,
    scaling: JoinHandle<()>,
}

impl Work {
    fn begin(
        node: &Node,
        gateway: Gateway,
        listeners: Vec<TcpListener>,
        stopping: watch::Receiver<bool>,
    ) -> Result<Self> {
        let scaling = tokio::spawn(Arc::clone(&gateway.control).run_scheduled_actions());
        let (gateway, runner) = (Arc::new(gateway), &node.runner);
        runner.insiders.open(&gateway);
        let sinks = (lines(&node.logs), Arc::clone(&runner.spans));
        let doors = Arc::clone(&runner.insiders);
        tokio::spawn(workers::take_in(&node.data, Arc::clone(&runner.dispatcher), doors, sinks)?);
        let running = tokio::spawn(Arc::clone(&node.events).run());
        let polling = tokio::spawn(Arc::clone(&node.sources).run());
        let sending = tokio::spawn(Arc::clone(&node.outbox).run());
        let timed = tokio::spawn(Arc::clone(&node.rules).run());
        let limits = ServerLimits {
            connections: CONNECTIONS,
            head_bytes: HEAD_BYTES,
            headers: HEADERS,
            head_timeout: HEAD_TIMEOUT,
        };
        let server = Server::new(listeners, limits, Arc::clone(&runner.unread)).context("the listening sockets")?;
        let serving = tokio::spawn(server.run(gateway, stopping, DRAIN));
        Ok(Self { serving, running, polling, sending, timed, scaling })
    }

    /// Returns when something has ended that does not end by itself.
    async fn broken(&mut self) -> anyhow::Error {
        tokio::select! {
            ended = &mut self.running => anyhow!("the events are not run any more: {ended:?}"),
            ended = &mut self.polling => anyhow!("the event sources are not polled any more: {ended:?}"),
            ended = &mut self.sending => anyhow!("nothing is delivered any more: {ended:?}"),
            ended = &mut self.timed => anyhow!("rules are not due any more: {ended:?}"),
            ended = &mut self.scaling => anyhow!("scheduled actions are not due any more: {ended:?}"),
        }
    }
}

impl Node {
    /// Lets what was asked for come to its end, from the clients' requests to the environments.
    async fn drain(&self, serving: JoinHandle<()>) -> Result<()> {
        serving.await.context("the server's task")?;
        tokio::join!(self.events.stop(DRAIN), self.sources.stop(DRAIN));
        self.outbox.stop(DRAIN).await;
        self.runner.dispatcher.drain(DRAIN).await;
        Ok(())
    }
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

fn say_ready(url: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "hearth is ready at {url}").and_then(|()| out.flush()).context("standard output")
}
