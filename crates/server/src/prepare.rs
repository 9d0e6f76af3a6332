//! The start of `hearth serve`, while it is still one thread and root, the machine's or a user namespace's: look at the
//! machine, take the socket and the data folder, start the spawner, and give root up.

use std::fs::File;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use hearth_identity::MasterKey;
use hearth_runtimes::Catalogue;
use hearth_sandbox::{Authority, Broken, Level, NetworkMode, Promise, SpawnerConfig, SpawnerConnection, Throughput};
use hearth_types::limits::{POOL_LEAST, POOL_MAX};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

use crate::awake;
use crate::cli::{AuthArg, ServeArgs};
use crate::keeper::Keeper;
use crate::key_file;
use crate::node_args::{NetworkArg, NodeArgs, StartPython};

/// What was asked for cannot be: the message says what to ask for instead.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(pub(crate) String);

/// A machine that is ready to serve; no privilege is left in this process.
pub(crate) struct Prepared {
    pub(crate) listeners: Vec<TcpListener>,
    pub(crate) address: SocketAddr,
    pub(crate) spawner: SpawnerConnection,
    pub(crate) catalogue: Catalogue,
    /// Where this process reaches its data folder.
    pub(crate) data: PathBuf,
    /// What secrets are sealed with.
    pub(crate) key: MasterKey,
    /// Of the server's own worker processes, where it has some.
    pub(crate) keeper: Option<Keeper>,
    /// What keeps processors awake, where that is asked for.
    pub(crate) awake: Option<File>,
}

/// Everything that must happen before the first thread.
pub(crate) fn prepare(args: &ServeArgs) -> Result<Prepared> {
    refuse_what_is_not_safe_or_not_there(args)?;
    let awake = awake::device(args.awake)?;
    let authority = take_authority(args.node.network)?;
    let data_dir = make_data_dir(&args.data_dir)?;
    let key = key_file::load(&data_dir, args.key_file.as_deref())?;
    let listener = TcpListener::bind(args.listen)
        .map_err(|cause| Refused(format!("cannot listen on {}: {cause}; choose another --listen", args.listen)))?;
    let address = listener.local_addr().context("the listening socket")?;
    let listeners: Vec<TcpListener> = std::iter::once(listener).chain(other_loopback(address)).collect();
    for listener in &listeners {
        listener.set_nonblocking(true).context("the listening socket")?;
    }
    let config = SpawnerConfig::new(data_dir.clone(), Vec::new()).by(authority);
    let (config, node) = (SpawnerConfig { segments: args.otlp.is_some(), ..config }, own_part(args));
    let (spawner, catalogue) = start_spawner(config, &node)?;
    // Whose sockets lie in the folder must be able to: what was before is given away first.
    let begin = || Keeper::begin(args.workers, &data_dir, args.otlp.is_some(), &args.node);
    let keeper = (args.workers > 0).then(begin).transpose()?;
    let data = hearth_sandbox::drop_root(&data_dir, authority).context("giving up root")?;
    Ok(Prepared { listeners, address, spawner, catalogue, data, key, keeper, awake })
}

/// A server that runs no functions itself makes nothing ahead of them.
fn own_part(args: &ServeArgs) -> NodeArgs {
    let pool = if args.runs_functions() { args.node.pool } else { Some(0) };
    NodeArgs { pool, ..args.node.clone() }
}

/// A spawner that has the machine's runtimes, where as much is kept as is asked for.
pub(crate) fn start_spawner(config: SpawnerConfig, args: &NodeArgs) -> Result<(SpawnerConnection, Catalogue)> {
    let pool = args.pool.map(|count| usize::try_from(count).unwrap_or(0));
    let config = SpawnerConfig {
        pool: pool.map_or(POOL_LEAST..=POOL_MAX, |count| count..=count),
        network: match args.network {
            NetworkArg::None => NetworkMode::None,
            NetworkArg::Nat => NetworkMode::Nat,
        },
        throughput: throughput(args),
        ..config
    };
    let begin = || hearth_sandbox::begin_spawner(&config).context("starting the spawner");
    let discover = || hearth_runtimes::discover(&config.data_dir, &args.runtime);
    let (spawner, catalogue) = match config.authority {
        // While the one looks at the machine, the other looks at its runtimes.
        Authority::Root => (begin()?, discover()),
        // What the interpreters are asked by would be in the group that the spawner takes for environments alone.
        Authority::UserNamespace => {
            let catalogue = discover();
            (begin()?, catalogue)
        }
    };
    let mut spawner = spawner.finish(catalogue.roots()).context("starting the spawner")?;
    if let Err(missing) = catalogue.stock(&args.stock) {
        spawner.end();
        return Err(Refused(format!("--stock: {}; {}", missing.what, missing.how)).into());
    }
    if args.start_python == StartPython::Snapshot {
        spawner.give_up(Promise::OwnLayout, "those of --start-python snapshot do");
    }
    if let Err(refused) = hold_to(args.isolation_at_least.into(), spawner.broken()) {
        spawner.end();
        return Err(refused.into());
    }
    Ok((spawner, catalogue))
}

/// 0 is how the command line says no limit.
fn throughput(args: &NodeArgs) -> Throughput {
    let limit = |given: u32| (given > 0).then_some(given);
    Throughput { network_mbit: limit(args.network_throughput), tmp_mb: limit(args.tmp_throughput) }
}

/// Refuses to serve where less is kept than is asked for, and says what is not kept where that is accepted.
fn hold_to(wanted: Level, broken: &[Broken]) -> Result<(), Refused> {
    let reasons = || broken.iter().map(|broken| format!("{}: {}", broken.promise.text(), broken.why));
    let kept = Level::without(broken.iter().map(|broken| &broken.promise));
    if kept.is_none_or(|kept| kept < wanted) {
        let accept = kept.map_or_else(String::new, |kept| {
            format!("; --isolation-at-least {} serves without (see hearth doctor)", kept.name())
        });
        let reasons = reasons().collect::<Vec<_>>().join("; ");
        return Err(Refused(format!("what is promised of environments is not kept here: {reasons}{accept}")));
    }
    reasons().for_each(|reason| warn!("not kept here: {reason}"));
    Ok(())
}

/// `localhost` and the names below it, those of function URLs too, are both loopback addresses: whoever listens on one
/// listens on the other too, where the machine has it.
fn other_loopback(address: SocketAddr) -> Option<TcpListener> {
    let other = match address.ip() {
        IpAddr::V4(ip) if ip == Ipv4Addr::LOCALHOST => IpAddr::V6(Ipv6Addr::LOCALHOST),
        IpAddr::V6(ip) if ip == Ipv6Addr::LOCALHOST => IpAddr::V4(Ipv4Addr::LOCALHOST),
        _ => return None,
    };
    let other = SocketAddr::new(other, address.port());
    match TcpListener::bind(other) {
        Ok(listener) => Some(listener),
        Err(cause) if cause.kind() == ErrorKind::AddrInUse => {
            warn!("{other} is somebody else's: to some clients localhost:{} is another server", other.port());
            None
        }
        // There is no such address here.
        Err(_) => None,
    }
}

fn refuse_what_is_not_safe_or_not_there(args: &ServeArgs) -> Result<()> {
    if args.workers > 0 && !rustix::process::geteuid().is_root() {
        return Err(Refused(
            "--workers needs root: an ordinary user's worker processes need a control group each, which the server cannot \
             give them. Start hearth serve --no-worker and, in groups of their own, hearth worker"
                .to_owned(),
        )
        .into());
    }
    if !args.listen.ip().is_loopback() && args.auth == Some(AuthArg::Open) {
        return Err(Refused(format!(
            "--auth open and --listen {}, which is not a loopback address: anybody who reaches it could run code here; \
             use --auth required, and make keys with hearth keys create, or listen on 127.0.0.1:{}",
            args.listen,
            args.listen.port()
        ))
        .into());
    }
    Ok(())
}

/// An ordinary user becomes root of a user namespace; how else could it make environments?
pub(crate) fn take_authority(network: NetworkArg) -> Result<Authority> {
    allow_descriptors()?;
    if rustix::process::geteuid().is_root() {
        return Ok(Authority::Root);
    }
    if network == NetworkArg::Nat {
        return Err(Refused(
            "--network nat needs root: only root can link environments to the machine's network. Start hearth as root \
             (it gives root up before it serves), or with --network none"
                .to_owned(),
        )
        .into());
    }
    hearth_sandbox::enter_user_namespace()
        .context("without root, environments are made in a user namespace (see hearth doctor)")?;
    Ok(Authority::UserNamespace)
}

/// As many as the machine allows: each environment needs some, and the usual limit of 1,024 is meant for other programs.
fn allow_descriptors() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, most).context("raising the limit of open files")
}

pub(crate) fn make_data_dir(path: &Path) -> Result<PathBuf> {
    hearth_store::make_folder(path).with_context(|| format!("making the data folder {}", path.display()))?;
    path.canonicalize().with_context(|| format!("the data folder {}", path.display()))
}
