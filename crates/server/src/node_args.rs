//! What a process that runs functions is told: the server, and each worker process.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use hearth_sandbox::Level;

#[derive(Clone, Debug, Args)]
pub(crate) struct NodeArgs {
    /// What functions reach: nothing, or the outside through NAT.
    #[arg(long, value_enum, default_value_t = NetworkArg::None)]
    pub(crate) network: NetworkArg,
    /// Megabits a second that an environment sends to, and gets from, the outside at most. 0: no limit.
    #[arg(long, value_name = "MBIT", default_value_t = hearth_types::limits::NETWORK_MBIT, value_parser = clap::value_parser!(u32).range(0..=i64::from(hearth_types::limits::NETWORK_MBIT_MAX)))]
    pub(crate) network_throughput: u32,
    /// MB a second that an environment reads from, and writes to, the disk behind its /tmp at most. 0: no limit.
    #[arg(long, value_name = "MB", default_value_t = hearth_types::limits::TMP_THROUGHPUT_MB, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub(crate) tmp_throughput: u32,
    /// What must be kept of what is promised of environments; on a machine that keeps less the server does not start.
    #[arg(long, value_enum, default_value_t = LevelArg::Full)]
    pub(crate) isolation_at_least: LevelArg,
    /// Milliseconds after an invoke until an idle environment is frozen.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pub(crate) freeze_after: u64,
    /// MB of memory that all environments together may be promised. Default: three quarters of the machine's.
    #[arg(long)]
    pub(crate) memory_budget: Option<u64>,
    /// An interpreter that serves the name of a runtime for which this machine has none: ruby3.3=/usr/bin/ruby3.1.
    #[arg(long, value_name = "NAME=PROGRAM")]
    pub(crate) runtime: Vec<hearth_runtimes::StandIn>,
    /// MB a second of a streamed answer beyond its first 6 MB. 0: as fast as the client takes it.
    #[arg(long, default_value_t = hearth_types::limits::STREAM_BANDWIDTH_MB, value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    pub(crate) stream_bandwidth: u64,
    /// Sandboxes made ahead of need. Default: as many as the largest burst of ten minutes took, 2 to 48.
    #[arg(long, value_parser = clap::value_parser!(u64).range(0..=64))]
    pub(crate) pool: Option<u64>,
    /// Runtimes with an interpreter started ahead of need, at most, of the kinds that were wanted or deployed lately: as many as
    /// their largest burst of ten minutes took, within a quarter of the memory available. 0: none.
    #[arg(long, default_value_t = hearth_types::limits::AHEAD_RUNTIMES, value_parser = clap::value_parser!(u64).range(0..=hearth_types::limits::AHEAD_MAX))]
    pub(crate) ahead: u64,
    /// So many of a runtime that always wait, from the start on, besides those of --ahead and within the same memory:
    /// python3.11=1000. A Node.js is for functions of one size: nodejs20.x:512=50; without, 128 MB.
    #[arg(long, value_name = "NAME=COUNT")]
    pub(crate) stock: Vec<hearth_runtimes::Stock>,
    /// What a function on Python begins with where no interpreter waits. snapshot takes half of the CPU and of the memory, and
    /// is less than --isolation-at-least full.
    #[arg(long, value_enum, default_value_t = StartPython::Fresh)]
    pub(crate) start_python: StartPython,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct WorkerArgs {
    /// The data folder of the server to join; it may start, and start again, later.
    #[arg(long, default_value = "./.hearth")]
    pub(crate) data_dir: PathBuf,
    /// What it is called in metrics and logs. Default: worker-N, the first N that is free.
    #[arg(long, value_parser = name)]
    pub(crate) name: Option<String>,
    /// End when the standard input does: of workers that a server keeps itself.
    #[arg(long, hide = true)]
    pub(crate) with_lease: bool,
    /// Environments at a time, at most.
    #[arg(long, default_value_t = hearth_types::limits::ENVIRONMENTS_MAX, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) environments: u32,
    /// Take segments that X-Ray SDKs in functions send, for the collector of a server with --otlp.
    #[arg(long)]
    pub(crate) xray_daemon: bool,
    /// What its environments are made of.
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// What the keeper of a server's own workers is told.
#[derive(Clone, Debug, Args)]
pub(crate) struct KeepArgs {
    #[arg(long)]
    pub(crate) workers: u32,
    #[arg(long)]
    pub(crate) xray_daemon: bool,
    #[arg(long)]
    pub(crate) data_dir: PathBuf,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

fn name(text: &str) -> Result<String, String> {
    let fits = (1..=64).contains(&text.len());
    if fits && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
        return Ok(text.to_owned());
    }
    Err("a name is 1 to 64 letters, digits, - and _".to_owned())
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum LevelArg {
    /// Functions reach nothing outside of their environment, and have hard limits of memory, tasks and CPU.
    Limits,
    /// That, and a disk of its size and throughput behind /tmp.
    Disk,
    /// That, and no hash seed or memory layout that another function has, too.
    Full,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum StartPython {
    /// An interpreter that is started for it.
    Fresh,
    /// A copy of one that was started before it was known for whom, and is renewed every ten minutes: hash seed and memory
    /// layout are those of others.
    Snapshot,
}

impl From<LevelArg> for Level {
    fn from(arg: LevelArg) -> Self {
        match arg {
            LevelArg::Limits => Self::Limits,
            LevelArg::Disk => Self::Disk,
            LevelArg::Full => Self::Full,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum NetworkArg {
    /// Loopback only.
    None,
    /// Outbound through NAT.
    Nat,
}
