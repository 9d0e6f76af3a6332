//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Measures Hearth.
#[derive(Debug, Parser)]
#[command(name = "hearth-bench")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start servers, measure, print a table.
    Run(RunArgs),
    /// Compare two JSON files of earlier runs.
    Compare {
        /// The earlier one.
        before: PathBuf,
        /// The later one.
        after: PathBuf,
    },
    /// Send invokes to a server that is there.
    Load(LoadArgs),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct RunArgs {
    /// The release binary `hearth`.
    #[arg(long)]
    pub(crate) hearth: PathBuf,
    /// A `bootstrap` on the official Rust runtime crate, linked statically.
    #[arg(long)]
    pub(crate) rust: PathBuf,
    /// The folder that `awslambdaric` is installed in.
    #[arg(long)]
    pub(crate) awslambdaric: PathBuf,
    /// The interpreter that the Python runtime is made of.
    #[arg(long)]
    pub(crate) python: PathBuf,
    /// Its runtime: `python3.11`.
    #[arg(long)]
    pub(crate) python_runtime: String,
    /// The interpreter that the Node runtime is made of.
    #[arg(long)]
    pub(crate) node: PathBuf,
    /// Its runtime: `nodejs20.x`.
    #[arg(long)]
    pub(crate) node_runtime: String,
    /// What is measured, for the report: a commit.
    #[arg(long, default_value = "")]
    pub(crate) commit: String,
    /// Only these: warm, throughput, cold, idle, scale, stock, density, deploy, control, events, queues.
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// What the servers are started with as `--awake`: never, requests.
    #[arg(long, default_value = "never")]
    pub(crate) awake: String,
    /// A tenth of the samples: shows that everything runs, not how fast.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Where the JSON goes.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}

impl RunArgs {
    /// Whether this group of measurements is wanted; `named`: not unless it is named.
    pub(crate) fn wants(&self, group: &str, named: bool) -> bool {
        self.only.is_empty() && !named || self.only.iter().any(|only| only == group)
    }

    /// How many samples, out of those of a full run.
    pub(crate) fn samples(&self, full: usize) -> usize {
        if self.quick { full.div_ceil(10) } else { full }
    }
}

#[derive(Clone, Debug, Args)]
pub(crate) struct LoadArgs {
    /// Address and port of the server.
    #[arg(long, default_value = "127.0.0.1:4566")]
    pub(crate) host: String,
    /// The function's name.
    pub(crate) function: String,
    /// The event.
    #[arg(long, default_value = "{}")]
    pub(crate) payload: String,
    /// Invokes a second, started whether or not earlier ones are answered. Without it: closed loop, each connection
    /// sends when its last invoke is answered.
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Connections.
    #[arg(long, default_value_t = 1)]
    pub(crate) concurrency: usize,
    /// How long.
    #[arg(long, default_value_t = 10)]
    pub(crate) seconds: u64,
}
