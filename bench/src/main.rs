//! Measures Hearth against what the same machine does without it, in one run: `cargo xtask bench`.
//!
//! `run` starts release servers of its own and writes a table and JSON; `compare` sets two such files side by side;
//! `load` only sends invokes to a server that is there.

mod args;
mod client;
mod functions;
mod load;
mod machine;
mod measure;
mod process;
mod report;
mod server;
mod stats;

use std::fs;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;

use args::{Cli, Command, LoadArgs};
use client::Target;
use report::Report;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => run(&args),
        Command::Compare { before, after } => report::compare(&before, &after),
        Command::Load(args) => load(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &args::RunArgs) -> Result<()> {
    let mut report = Report::new(machine::facts(args));
    measure::all(args, &mut report)?;
    println!("\n{}", report.table());
    if let Some(path) = &args.json {
        fs::write(path, report.json()).with_context(|| format!("cannot write {}", path.display()))?;
        println!("written to {}", path.display());
    }
    Ok(())
}

fn load(args: &LoadArgs) -> Result<()> {
    let target = Target::invoke(&args.host, &args.function, args.payload.as_bytes());
    let duration = std::time::Duration::from_secs(args.seconds);
    let load = match args.rate {
        Some(rate) => load::open(&target, rate, args.concurrency, duration)?,
        None => load::closed(&target, args.concurrency, duration)?,
    };
    println!("{load}");
    Ok(())
}
