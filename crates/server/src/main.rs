//! The binary `hearth`: wiring, roles and the command line.

use std::process::ExitCode;

use clap::Parser as _;

mod admin;
mod asking;
mod at_rest;
mod awake;
mod cli;
mod clock;
mod cost_command;
#[cfg(test)]
mod coverage;
mod deliveries;
mod deliveries_of_rules;
mod doctor;
mod event_desk;
mod events;
mod events_command;
mod follow;
mod function_url;
mod gateway;
mod inside;
mod invoke_command;
mod keeper;
mod key_file;
mod key_socket;
mod keys;
mod lately;
mod leftovers;
mod logs;
mod metrics;
mod neighbours;
mod node_args;
mod observing;
mod operate;
mod pace;
mod packages;
mod prepare;
mod provisioned;
mod reader;
mod room;
mod serve;
mod service;
mod settings;
mod snapshots;
mod sources;
mod table;
mod top_command;
mod tune;
mod tune_chart;
mod tune_command;
mod upstream;
mod wiring;
mod worker;
mod workers;

fn main() -> ExitCode {
    // The spawner is this same binary: it must not get further than this.
    hearth_sandbox::run_if_spawner(Some(reader::in_jail));
    let outcome = match cli::Cli::parse().command {
        cli::Command::Serve(args) => serve::run(*args),
        cli::Command::Worker(args) => worker::run(&args),
        cli::Command::KeepWorkers(args) => keeper::run(&args),
        cli::Command::Logs(args) => logs::run(&args),
        cli::Command::Events(args) => events_command::run(&args),
        cli::Command::Invoke(args) => return invoke_command::run(&args),
        cli::Command::Top(args) => top_command::run(&args),
        cli::Command::Tune(args) => tune_command::run(&args),
        cli::Command::Cost(args) => cost_command::run(&args),
        cli::Command::Keys(args) => keys::run(&args),
        cli::Command::Doctor(args) => doctor::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hearth: {error:#}");
            // 2: what was asked for cannot be; 1: it went wrong on the way.
            ExitCode::from(if error.is::<prepare::Refused>() { 2 } else { 1 })
        }
    }
}
