//! The command line.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use hearth_scheduler::{KeepAlive, Placement, Rate, Scaling};
use hearth_types::limits::{KEEP_ALIVE_MAX_S, SCALING_AFTER_BURST_PER_MINUTE, SCALING_PERIOD};

use crate::node_args::{KeepArgs, NodeArgs, WorkerArgs};
use crate::packages::OtherS3;
use crate::upstream::Upstream;

/// AWS Lambda on your own machine.
#[derive(Debug, Parser)]
#[command(name = "hearth", version, about, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the Lambda API and run functions.
    Serve(Box<ServeArgs>),
    /// Run functions for a server on this machine, in a process of its own. SIGTERM drains it.
    Worker(Box<WorkerArgs>),
    /// Of `hearth serve --workers`, which starts it.
    #[command(hide = true)]
    KeepWorkers(Box<KeepArgs>),
    /// Show a function's log.
    Logs(LogsArgs),
    /// Show which asynchronous invokes wait or failed lately; run some at once, or drop them.
    Events(EventsArgs),
    /// Run a function and show what it answers; with --timing, where the time went.
    Invoke(InvokeArgs),
    /// Show what functions are doing, again and again.
    Top(TopArgs),
    /// Run a function with several memories, and show how fast it is with each and what that costs.
    Tune(TuneArgs),
    /// Show what functions used in a month, and what that would cost on Lambda.
    Cost(CostArgs),
    /// Make, list and delete access keys, of a running server or of a data folder at rest.
    Keys(KeysArgs),
    /// List what this machine has: runtimes, isolation, limits; and how to get what is missing.
    Doctor(DoctorArgs),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ServeArgs {
    /// Address and port to listen on. Only loopback, as long as requests are not authenticated. Port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:4566")]
    pub(crate) listen: SocketAddr,
    /// Where functions, code and logs are kept.
    #[arg(long, default_value = "./.hearth")]
    pub(crate) data_dir: PathBuf,
    /// Whether requests must be signed. Default: open on a loopback address, required on any other.
    #[arg(long, value_enum)]
    pub(crate) auth: Option<AuthArg>,
    /// The file with the key that secrets are sealed with. Default: secret.key in the data folder, made if need be.
    #[arg(long)]
    pub(crate) key_file: Option<PathBuf>,
    /// The account in ARNs: 12 digits.
    #[arg(long, default_value = "000000000000", value_parser = account)]
    pub(crate) account: String,
    /// The region in ARNs and in the functions' AWS_REGION.
    #[arg(long, default_value = "us-east-1", value_parser = region)]
    pub(crate) region: String,
    /// How long an idle environment is kept: room, as long as there is room in the memory budget, then those go first of which
    /// the least is expected; a number of seconds; or histogram, by how long each function was idle between its calls.
    #[arg(long, value_name = "SECONDS|room|histogram", default_value = "room", value_parser = keep_alive)]
    pub(crate) keep_alive: KeepAlive,
    /// Whether an environment is made just before a call that can be foreseen, of a function that is called in even steps.
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub(crate) ahead_of_calls: Switch,
    /// Seconds that an environment lives, at most: an older one takes no invoke any more. Some go up to an eighth earlier.
    #[arg(long, default_value_t = hearth_types::limits::ENVIRONMENT_LIFE_S, value_parser = clap::value_parser!(u64).range(1..=604_800))]
    pub(crate) environment_max_age: u64,
    /// Concurrent executions of the account.
    #[arg(long, default_value_t = hearth_types::limits::ACCOUNT_CONCURRENCY, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) concurrency: u32,
    /// Requests a second that clients may send, for each unit of concurrency: the account's, or that which a function
    /// reserves. 0: concurrency alone bounds them.
    #[arg(long, value_name = "COUNT", default_value_t = hearth_types::limits::REQUESTS_PER_CONCURRENCY, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub(crate) request_rate: u32,
    /// How fast environments may come to be: per-function:COUNT in 10 seconds, as Lambda has it; burst:COUNT, then 500 a
    /// minute, for all functions together, as it had it until 2023; or unlimited.
    #[arg(long, value_name = "PROFILE", default_value = "per-function:1000", value_parser = scaling)]
    pub(crate) scaling: Scaling,
    /// Concurrent executions that reservations leave to functions without one. Default: 100, at most a tenth of
    /// --concurrency.
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub(crate) unreserved_concurrency_min: Option<u32>,
    /// Milliseconds that a create or an update is under way at least: State Pending, LastUpdateStatus InProgress. To see, as
    /// on AWS, where a client forgets to wait.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pub(crate) settle_after: u64,
    /// Milliseconds before an asynchronous invoke that failed is tried again; twice that before the third attempt. All other
    /// waits of events are in proportion. Lambda's is a minute: less makes tests of retries short.
    #[arg(long, default_value_t = 60_000, value_parser = clap::value_parser!(u64).range(60..=600_000))]
    pub(crate) retry_base: u64,
    /// What time it is for everything that is due later: retries, ages, delays, idle environments, credentials. A manual
    /// clock stands still until it is moved: POST /_hearth/clock {"advance": "6h"}. A function's own time is always real.
    #[arg(long, value_enum, default_value_t = ClockArg::Real)]
    pub(crate) clock: ClockArg,
    /// Asynchronous invokes that run at a time; those of one function are half of them at most.
    #[arg(long, default_value_t = hearth_types::limits::EVENT_POLLERS, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) event_pollers: u64,
    /// Where a service that Hearth does not have is sent on to: sqs=http://127.0.0.1:5000; several are allowed, and * is
    /// every service without one of its own. Signed again, with HEARTH_UPSTREAM_ACCESS_KEY_ID,
    /// HEARTH_UPSTREAM_SECRET_ACCESS_KEY and HEARTH_UPSTREAM_SESSION_TOKEN where they are set.
    #[arg(long, value_name = "SERVICE=URL", value_parser = crate::upstream::parse)]
    pub(crate) upstream: Vec<Upstream>,
    /// Where a broker is that event source mappings name by its ARN: orders=amqp://127.0.0.1:5672 of RabbitMQ,
    /// orders=stomp://127.0.0.1:61613 of ActiveMQ; several are allowed.
    #[arg(long, value_name = "NAME=URL", value_parser = hearth_sources::Broker::parse)]
    pub(crate) broker: Vec<hearth_sources::Broker>,
    /// Another S3, http://HOST:PORT or https://HOST:PORT: packages (S3Bucket, S3Key) come from there where a bucket is not on this server. Asked
    /// with the same credentials as upstreams.
    #[arg(long, value_name = "URL", value_parser = crate::packages::parse)]
    pub(crate) code_s3: Option<OtherS3>,
    /// The collector that spans of traced invokes are sent to: http://HOST:4318; OpenTelemetry's protocol, protobuf over
    /// HTTP, at /v1/traces below that.
    #[arg(long, value_name = "URL", value_parser = hearth_client::Endpoint::parse)]
    pub(crate) otlp: Option<hearth_client::Endpoint>,
    /// A file with the prices at which use is shown: JSON, as `hearth cost --prices` prints it. Default: Lambda's public ones.
    #[arg(long, value_name = "FILE")]
    pub(crate) prices: Option<PathBuf>,
    /// What environments of this process are made of.
    #[command(flatten)]
    pub(crate) node: NodeArgs,
    /// Run functions in so many worker processes of the server's own, which share the memory budget, and none in this process.
    /// One that dies is started again. 0: this process runs them.
    #[arg(long, value_name = "COUNT", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=hearth_types::limits::WORKERS_MAX as i64))]
    pub(crate) workers: u32,
    /// Run no functions in this process: only worker processes that join (hearth worker) do.
    #[arg(long)]
    pub(crate) no_worker: bool,
    /// Keep idle processors from halting while clients' requests are under way: waking them then takes no time, which on a
    /// virtual machine can be half of a warm invoke; all processors poll meanwhile, and use power or their host.
    #[arg(long, value_enum, default_value_t = AwakeArg::Never)]
    pub(crate) awake: AwakeArg,
    /// Which of several workers gets a new environment: pack fills one after another, spread takes the emptiest.
    #[arg(long, value_enum, default_value_t = PlacementArg::Pack)]
    pub(crate) placement: PlacementArg,
}

impl ServeArgs {
    /// Whether this process runs functions.
    pub(crate) fn runs_functions(&self) -> bool {
        !self.no_worker && self.workers == 0
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum PlacementArg {
    /// The one with the least memory left that has room.
    Pack,
    /// The one with the most memory left.
    Spread,
}

impl From<PlacementArg> for Placement {
    fn from(arg: PlacementArg) -> Self {
        match arg {
            PlacementArg::Pack => Self::Pack,
            PlacementArg::Spread => Self::Spread,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum AwakeArg {
    /// The machine's settings alone decide.
    Never,
    /// While requests are under way, for 20 ms of each at most, and 2 ms after.
    Requests,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum AuthArg {
    /// Any credentials, or none, may do everything; those that this server made are held to their policies.
    Open,
    /// Every request bears a signature of an access key or session of this server's.
    Required,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum ClockArg {
    /// The machine's.
    Real,
    /// Begins now, and is moved by hand.
    Manual,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct LogsArgs {
    /// The function's name.
    pub(crate) name: String,
    /// Go on with what comes.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// One JSON object per line instead of text.
    #[arg(long)]
    pub(crate) json: bool,
    /// The server.
    #[arg(long, env = "AWS_ENDPOINT_URL", default_value = "http://127.0.0.1:4566")]
    pub(crate) endpoint: String,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct InvokeArgs {
    /// The function's name or ARN.
    pub(crate) function: String,
    /// A version or an alias.
    #[arg(long)]
    pub(crate) qualifier: Option<String>,
    /// The event: JSON, or @FILE, or - for what standard input has. Default: {}.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub(crate) payload: String,
    /// Show on standard error where the time went.
    #[arg(long)]
    pub(crate) timing: bool,
    /// Show on standard error the end of the invoke's log.
    #[arg(long)]
    pub(crate) log: bool,
    /// The server.
    #[arg(long, env = "AWS_ENDPOINT_URL", default_value = "http://127.0.0.1:4566")]
    pub(crate) endpoint: String,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct TopArgs {
    /// Seconds between two looks.
    #[arg(long, default_value_t = 1.0, value_parser = interval)]
    pub(crate) interval: f64,
    /// Looks that are shown; then it ends. Default: without end on a terminal, otherwise one.
    #[arg(long)]
    pub(crate) count: Option<u64>,
    /// One JSON object for each look instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// The server.
    #[arg(long, env = "AWS_ENDPOINT_URL", default_value = "http://127.0.0.1:4566")]
    pub(crate) endpoint: String,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct TuneArgs {
    /// The function's name, or ARN; with a version or an alias, if need be: NAME:QUALIFIER.
    pub(crate) function: String,
    /// A version or an alias.
    #[arg(long)]
    pub(crate) qualifier: Option<String>,
    /// The event: JSON, or @FILE, or - for what standard input has. Default: {}.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub(crate) payload: String,
    /// The memories to try, in MB.
    #[arg(long, value_name = "MB,MB,...", value_delimiter = ',', default_value = "128,256,512,1024,1769,3008")]
    pub(crate) memory: Vec<u32>,
    /// Warm runs with each.
    #[arg(long, default_value_t = 10)]
    pub(crate) runs: usize,
    /// Where the chart goes, as SVG.
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
    /// JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// The server.
    #[arg(long, env = "AWS_ENDPOINT_URL", default_value = "http://127.0.0.1:4566")]
    pub(crate) endpoint: String,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct CostArgs {
    /// Which month, as 2026-11. Default: the present one.
    #[arg(long)]
    pub(crate) month: Option<String>,
    /// Show the prices in force instead: what a file for `hearth serve --prices` may begin with.
    #[arg(long)]
    pub(crate) prices: bool,
    /// JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// The server.
    #[arg(long, env = "AWS_ENDPOINT_URL", default_value = "http://127.0.0.1:4566")]
    pub(crate) endpoint: String,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct EventsArgs {
    #[command(subcommand)]
    pub(crate) command: EventsCommand,
    /// JSON instead of text.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The server.
    #[arg(long, global = true, env = "AWS_ENDPOINT_URL", default_value = "http://127.0.0.1:4566")]
    pub(crate) endpoint: String,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum EventsCommand {
    /// List what waits and what failed lately.
    List {
        /// Only this function's.
        function: Option<String>,
    },
    /// Show one that waits, with what was sent.
    Show {
        /// The function's name.
        function: String,
        /// The event's request id.
        id: String,
    },
    /// Run at once what waits for another attempt.
    Redrive(WhichEvents),
    /// Remove events; nobody is told of them.
    Drop(WhichEvents),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct WhichEvents {
    /// The function's name.
    pub(crate) function: String,
    /// The event's request id.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(crate) id: Option<String>,
    /// All of the function.
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    pub(crate) command: KeysCommand,
    /// The server's data folder.
    #[arg(long, global = true, default_value = "./.hearth")]
    pub(crate) data_dir: PathBuf,
    /// The server's key file, if it is not the one in the data folder.
    #[arg(long, global = true)]
    pub(crate) key_file: Option<PathBuf>,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key and show its secret, this once.
    Create(NewKeyArgs),
    /// List the keys, without their secrets.
    List {
        /// JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Delete a key: what is signed with it is refused from then on.
    Delete {
        /// The access key id.
        id: String,
    },
}

#[derive(Clone, Debug, Args)]
pub(crate) struct NewKeyArgs {
    /// The user whom the key stands for: arn:aws:iam::ACCOUNT:user/USER.
    #[arg(long, default_value = "admin")]
    pub(crate) user: String,
    /// A file with a policy document; several are allowed. Without any policy the key may do everything.
    #[arg(long)]
    pub(crate) policy: Vec<PathBuf>,
    /// The ARN of a managed policy; several are allowed.
    #[arg(long)]
    pub(crate) policy_arn: Vec<String>,
    /// JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct DoctorArgs {
    /// JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Seconds.
fn interval(text: &str) -> Result<f64, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.1..=3600.0).contains(seconds));
    seconds.ok_or_else(|| format!("{text} is not between 0.1 and 3600 seconds"))
}

fn account(text: &str) -> Result<String, String> {
    if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(text.to_owned());
    }
    Err("an account is 12 digits".to_owned())
}

fn region(text: &str) -> Result<String, String> {
    let shape: Vec<&str> = text.split('-').collect();
    let letters = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    match shape.as_slice() {
        [words @ .., digit] if words.len() >= 2 && words.iter().all(letters) && digit.len() == 1 => {
            digit.bytes().all(|b| b.is_ascii_digit()).then(|| text.to_owned())
        }
        _ => None,
    }
    .ok_or_else(|| "a region looks like us-east-1".to_owned())
}

fn keep_alive(text: &str) -> Result<KeepAlive, String> {
    if text == "room" {
        return Ok(KeepAlive::Room);
    }
    if text == "histogram" {
        return Ok(KeepAlive::Histogram);
    }
    match text.parse() {
        Ok(seconds @ 1..=KEEP_ALIVE_MAX_S) => Ok(KeepAlive::Fixed(Duration::from_secs(seconds))),
        _ => Err(format!("idle environments are kept for 1 to {KEEP_ALIVE_MAX_S} seconds, or room, or histogram")),
    }
}

fn scaling(text: &str) -> Result<Scaling, String> {
    let count = |text: &str| text.parse::<NonZeroU32>().map_err(|_| format!("{text} is no count of environments"));
    match text.split_once(':') {
        None if text == "unlimited" => Ok(Scaling::Unlimited),
        Some(("per-function", text)) => {
            let refill = count(text)?;
            Ok(Scaling::PerFunction(Rate { burst: refill.get(), refill, per: SCALING_PERIOD }))
        }
        Some(("burst", text)) => {
            let per = Duration::from_secs(60);
            Ok(Scaling::Account(Rate { burst: count(text)?.get(), refill: SCALING_AFTER_BURST_PER_MINUTE, per }))
        }
        _ => Err("a profile is per-function:COUNT, burst:COUNT or unlimited".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_ways_to_keep_idle_environments() {
        assert_eq!(keep_alive("room"), Ok(KeepAlive::Room));
        assert_eq!(keep_alive("histogram"), Ok(KeepAlive::Histogram));
        assert_eq!(keep_alive("600"), Ok(KeepAlive::Fixed(Duration::from_secs(600))));
        for wrong in ["0", "86401", "-1", "10m", ""] {
            assert!(keep_alive(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn takes_profiles_of_scaling() {
        assert!(matches!(scaling("per-function:1000"), Ok(Scaling::PerFunction(Rate { burst: 1000, .. }))));
        assert!(matches!(scaling("burst:3000"), Ok(Scaling::Account(Rate { burst: 3000, .. }))));
        assert_eq!(scaling("unlimited"), Ok(Scaling::Unlimited));
        for wrong in ["burst", "burst:0", "per-function:-1", "fast"] {
            assert!(scaling(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn takes_only_regions_and_accounts() {
        assert!(region("eu-west-1").is_ok() && region("us-gov-west-1").is_ok());
        assert!(region("moon").is_err() && region("us-east-").is_err() && region("us-east-1x").is_err());
        assert!(account("123456789012").is_ok() && account("12345678901").is_err() && account("12345678901x").is_err());
    }
}
