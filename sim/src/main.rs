//! `hearth-sim`: plays workloads to the scheduler in virtual time, and compares policies.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use clap::Parser;
use hearth_scheduler::Capacity;
use hearth_sim::{Machine, Plan, Policy, Run, Story, Workload, azure, compare, generate, huawei, soak, svg, table};

/// Plays a workload to the scheduler in virtual time and compares policies. What goes to the standard output is the same
/// for the same arguments; how long it took goes to the standard error.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask sim", disable_version_flag = true)]
struct Args {
    /// Functions to generate.
    #[arg(long, default_value_t = 2000)]
    functions: usize,
    /// Hours to generate.
    #[arg(long, default_value_t = 24.0)]
    hours: f64,
    /// Of all that is drawn.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Policies to compare: room (the default of the server), hybrid (histograms of idle minutes), or fixed-TIME, as in
    /// fixed-10m.
    #[arg(long, value_delimiter = ',', default_value = "fixed-1m,fixed-10m,fixed-1h,hybrid,room", value_parser = Policy::parse)]
    policies: Vec<Policy>,
    /// Plays stories instead, and says which of their expectations come true.
    #[arg(long, num_args = 1..)]
    story: Vec<PathBuf>,
    /// Takes the calls from Azure's trace of 2019: the folder of its files.
    #[arg(long, conflicts_with = "huawei")]
    azure: Option<PathBuf>,
    /// Takes the calls from Huawei's trace of 2023: the folder of its requests by minute.
    #[arg(long)]
    huawei: Option<PathBuf>,
    /// GB of memory on which to compare them.
    #[arg(long, value_delimiter = ',', default_value = "1024")]
    memory_gb: Vec<u64>,
    /// Writes the comparison as a picture.
    #[arg(long)]
    svg: Option<PathBuf>,
    /// Runs at once; as many as there are processors, where it is not given.
    #[arg(long)]
    jobs: Option<NonZeroUsize>,
    /// Runs short simulations at random instead, with faults, each step held against the rules.
    #[arg(long)]
    soak: bool,
    /// Minutes of soaking.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
}

fn main() -> Result<()> {
    let args = Args::parse();
    if args.soak {
        return soak_for(args.seed, args.minutes);
    }
    if !args.story.is_empty() {
        return play(&args.story);
    }
    let workload = match (&args.azure, &args.huawei) {
        (Some(folder), _) => azure(folder, args.seed)?,
        (_, Some(folder)) => huawei(folder, args.seed)?,
        (None, None) => generate(args.functions, args.hours, args.seed),
    };
    let plan = Plan {
        policies: args.policies.clone(),
        machines: args.memory_gb.iter().map(|gb| machine(*gb)).collect(),
        seed: args.seed,
        jobs: args.jobs.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN),
    };
    let (runs, took) = timed(&workload, &plan)?;
    println!("{}\n\n{}", workload.name, table(&runs));
    if let Some(path) = &args.svg {
        std::fs::write(path, svg(&workload.name, &runs)).with_context(|| format!("writing {}", path.display()))?;
    }
    let calls: u64 = runs.iter().map(|run| run.figures.calls()).sum();
    let steps: u64 = runs.iter().map(|run| run.figures.steps).sum();
    let rate = |count: u64| count as f64 / took.as_secs_f64() / 1e6;
    eprintln!("{took:.1?}: {:.2} million calls and {:.2} million steps a second", rate(calls), rate(steps));
    Ok(())
}

fn machine(gb: u64) -> Machine {
    Machine { workers: 1, each: Capacity { memory_mb: gb * 1024, environments: u32::MAX } }
}

fn timed(workload: &Workload, plan: &Plan) -> Result<(Vec<Run>, Duration)> {
    let begin = Instant::now();
    let runs = compare(workload, plan).map_err(|broken| anyhow!(broken))?;
    Ok((runs, begin.elapsed()))
}

/// Plays stories and prints their expectations; the ones that do not come true are an error.
fn play(paths: &[PathBuf]) -> Result<()> {
    let mut wrong = 0;
    for path in paths {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let story = Story::parse(&text).with_context(|| path.display().to_string())?;
        println!("{}", path.display());
        for told in story.play().map_err(|broken| anyhow!(broken))? {
            println!("  {}  {}", told.line, if told.holds { "yes".to_owned() } else { format!("NO: {}", told.count) });
            wrong += usize::from(!told.holds);
        }
    }
    if wrong > 0 { bail!("{wrong} expectations did not come true") } else { Ok(()) }
}

/// Seed after seed, from `first` on, until the time is over or a rule is broken.
fn soak_for(first: u64, minutes: f64) -> Result<()> {
    let time = Duration::try_from_secs_f64(minutes * 60.0).context("--minutes is not a time")?;
    let begin = Instant::now();
    let (mut calls, mut seed) = (0, first);
    while begin.elapsed() < time {
        match soak(seed, None) {
            Ok(figures) => calls += figures.calls(),
            Err(broken) => bail!("{broken}"),
        }
        seed += 1;
    }
    println!("{} seeds from {first} on, {calls} invokes: all rules hold", seed - first);
    Ok(())
}
