//! `hearth worker`: runs functions for a server on the same machine.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use hearth_remote::{Ended, Joining, SOCKET};
use hearth_runtimes::Catalogue;
use hearth_sandbox::{Authority, SERVER_ID, Spawner, SpawnerConfig, SpawnerConnection};
use hearth_types::limits::{SANDBOXES, WORKERS_MAX};
use hearth_worker::Worker;
use rustix::fs::FlockOperation;
use tokio::net::UnixListener;
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::node_args::WorkerArgs;
use crate::prepare::{Refused, make_data_dir, start_spawner, take_authority};
use crate::serve::{Stop, log_to_stderr, runtime};
use crate::workers::{self, FOLDER, WorkerParts};

/// A folder in the data folder that no other worker has.
struct Place {
    number: u32,
    folder: PathBuf,
    /// Held for as long as this process lives.
    _lock: File,
}

/// A worker that has given root up.
struct Prepared {
    spawner: SpawnerConnection,
    catalogue: Catalogue,
    data: PathBuf,
    place: Place,
}

/// Runs until SIGTERM or SIGINT, which drain it; a second one ends what still runs.
pub(crate) fn run(args: &WorkerArgs) -> Result<()> {
    log_to_stderr();
    let prepared = prepare(args)?;
    runtime()?.block_on(work(args, prepared))
}

/// Everything that must happen before the first thread.
fn prepare(args: &WorkerArgs) -> Result<Prepared> {
    let authority = take_authority(args.node.network)?;
    let data_dir = make_data_dir(&args.data_dir)?;
    let place = take_place(&data_dir, authority)?;
    let config = SpawnerConfig::new(data_dir.clone(), Vec::new()).by(authority);
    let uid_base = match authority {
        // After the server's, each worker's environments have user ids that no other has.
        Authority::Root => config.uid_base + (place.number + 1) * 2 * SANDBOXES,
        // Each has a user namespace of its own.
        Authority::UserNamespace => config.uid_base,
    };
    let config = SpawnerConfig { own_dir: place.folder.clone(), uid_base, segments: args.xray_daemon, ..config };
    let (spawner, catalogue) = start_spawner(config, &args.node)?;
    let data = hearth_sandbox::drop_root(&data_dir, authority).context("giving up root")?;
    Ok(Prepared { spawner, catalogue, data, place })
}

/// The first place that nobody has. What a worker before left in it is removed by the spawner.
fn take_place(data_dir: &Path, authority: Authority) -> Result<Place> {
    let folders = data_dir.join(FOLDER);
    for number in 0..WORKERS_MAX as u32 {
        let folder = folders.join(number.to_string());
        hearth_store::make_folder(&folder).with_context(|| format!("making {}", folder.display()))?;
        let lock = OpenOptions::new().create(true).append(true).open(folder.join("lock"));
        let lock = lock.with_context(|| format!("the lock of {}", folder.display()))?;
        if rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            continue;
        }
        if authority == Authority::Root {
            for path in [&folders, &folder] {
                std::os::unix::fs::chown(path, Some(SERVER_ID), Some(SERVER_ID))
                    .with_context(|| format!("giving {} away", path.display()))?;
            }
        }
        return Ok(Place { number, folder, _lock: lock });
    }
    Err(Refused(format!("{WORKERS_MAX} workers use {} already", data_dir.display())).into())
}

async fn work(args: &WorkerArgs, prepared: Prepared) -> Result<()> {
    let Prepared { spawner, catalogue, data, place } = prepared;
    let mut stop = Stop::new()?;
    let spawner = Spawner::new(spawner).context("talking to the spawner")?;
    let socket = format!("{}.sock", place.number);
    let joining = Joining {
        server: data.join(SOCKET),
        listener: listen(&data.join(FOLDER).join(&socket))?,
        socket,
        name: args.name.clone().unwrap_or_else(|| format!("worker-{}", place.number)),
        memory_mb: workers::memory_budget_mb(&args.node),
        environments: args.environments,
    };
    let own_socket = data.join(FOLDER).join(&joining.socket);
    let (leave, leaving) = watch::channel(false);
    let (node, environments, of_worker) = (args.node.clone(), args.environments, spawner.clone());
    let make = move |events, logs, spans, identities| {
        let parts = WorkerParts { spawner: of_worker, catalogue, logs, spans, identities };
        Worker::new(workers::config(parts, &node, environments, &data), events)
    };
    hearth_sandbox::let_code_go();
    say_ready(&joining.name)?;
    let mut joined = tokio::spawn(hearth_remote::join(joining, leaving, make));
    let lease = lease_ended(args.with_lease);
    tokio::pin!(lease);
    let ended = tokio::select! {
        ended = &mut joined => ended.context("the worker's task")?,
        () = spawner.closed() => bail!("the spawner has ended, and with it all environments; start the worker again"),
        () = &mut lease => {
            info!("the server has ended, and with it this worker");
            Ended::Left
        }
        name = stop.signalled() => {
            info!("{name}: draining");
            leave.send_replace(true);
            tokio::select! {
                ended = &mut joined => ended.context("the worker's task")?,
                name = stop.signalled() => {
                    warn!("{name} again: what still runs is ended");
                    Ended::Left
                }
                () = &mut lease => Ended::Left,
            }
        }
    };
    spawner.stop().await;
    // What is left is replaced by the next worker in this place.
    let _ = std::fs::remove_file(own_socket);
    match ended {
        Ended::Left => Ok(()),
        Ended::Refused(why) => Err(Refused(why).into()),
    }
}

/// Returns when the server is no more whose own worker this is.
async fn lease_ended(with_lease: bool) {
    if !with_lease {
        return std::future::pending().await;
    }
    let lease = std::io::stdin().as_fd().try_clone_to_owned().and_then(pipe::Receiver::from_owned_fd);
    match lease {
        // Nobody writes to it: what comes is its end.
        Ok(lease) => drop(lease.readable().await),
        Err(error) => warn!("the standard input is no lease: {error}"),
    }
}

/// Where the server connects to.
fn listen(path: &Path) -> Result<UnixListener> {
    // The place's lock is ours: no other worker uses this one.
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path).context("binding the worker's socket")?;
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .context("the worker's socket")?;
    Ok(listener)
}

fn say_ready(name: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "hearth {name} is ready").and_then(|()| out.flush()).context("standard output")
}
