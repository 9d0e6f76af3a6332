//! As many warm invokes as the machine takes, at 16 and 64 connections.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::args::RunArgs;
use crate::client::Target;
use crate::functions::{self, Package};
use crate::load;
use crate::measure::{AMPLE, FULL_MB, plain, two_hops};
use crate::report::Report;
use crate::server::Server;

const EVENT: &[u8] = br#"{"key":"value"}"#;
const SECONDS: usize = 10;
const CONNECTIONS: [usize; 2] = [16, 64];
/// The open loop beside the closed one: this part of what the closed one reached.
const PART: f64 = 0.5;

pub(super) fn measure(args: &RunArgs, report: &mut Report) -> Result<()> {
    for connections in CONNECTIONS {
        let seconds = Duration::from_secs(args.samples(SECONDS) as u64);
        let load = plain::with_server(|host| load::closed(&Target::get(host, "/"), connections, seconds))?;
        let name = format!("throughput/bare-hyper/closed-loop-{connections}");
        report.add(name, &[("per_second", load.per_second()), ("failed", load.failed as f64)]);
    }
    for connections in CONNECTIONS {
        bare_relay(args, report, connections)?;
    }
    let packages = [functions::python(args)?, functions::awslambdaric(args)?, functions::rust(args)?];
    Server::with(args, &AMPLE, |server| packages.iter().try_for_each(|package| one(args, report, server, package)))
}

/// As many processes of the Rust function as connections, and nothing but a relay in between.
fn bare_relay(args: &RunArgs, report: &mut Report, connections: usize) -> Result<()> {
    let seconds = Duration::from_secs(args.samples(SECONDS) as u64);
    let (mut load, cpu) = two_hops::with_relay(args, connections, |host| {
        let target = Target::invoke(host, "bare", EVENT);
        warm_up(&target, connections)?;
        load::closed(&target, connections, seconds)
    })?;
    let figures = [
        ("per_second", load.per_second()),
        ("p50_us", load.latency.quantile_us(0.5)),
        ("p99_us", load.latency.quantile_us(0.99)),
        ("platform_cpu_us", cpu.as_secs_f64() * 1e6),
        ("failed", load.failed as f64),
    ];
    report.add(format!("throughput/bare-relay-to-rust/closed-loop-{connections}"), &figures);
    Ok(())
}

fn one(args: &RunArgs, report: &mut Report, server: &Server, package: &Package) -> Result<()> {
    let mut connection = server.connect()?;
    functions::deploy(&mut connection, package.name, package, FULL_MB)?;
    let target = Target::invoke(server.host(), package.name, EVENT);
    for connections in CONNECTIONS {
        let name = format!("throughput/{}/{FULL_MB}MB/closed-loop-{connections}", package.name);
        let closed = at(args, report, server, &target, connections, None, name)?;
        let name = format!("throughput/{}/{FULL_MB}MB/open-loop-{connections}-at-half", package.name);
        at(args, report, server, &target, connections, Some(closed * PART), name)?;
    }
    functions::delete(&mut connection, package.name)
}

fn at(
    args: &RunArgs,
    report: &mut Report,
    server: &Server,
    target: &Target,
    connections: usize,
    rate: Option<f64>,
    name: String,
) -> Result<f64> {
    warm_up(target, connections).with_context(|| name.clone())?;
    let duration = Duration::from_secs(args.samples(SECONDS) as u64);
    let before = server.cpu()?;
    let mut load = match rate {
        Some(rate) => load::open(target, rate, connections, duration),
        None => load::closed(target, connections, duration),
    }
    .with_context(|| name.clone())?;
    let cpu = (server.cpu()? - before).as_secs_f64() * 1e6 / load.latency.count() as f64;
    let per_second = load.per_second();
    let latency = &mut load.latency;
    let figures = [
        ("per_second", per_second),
        ("p50_us", latency.quantile_us(0.5)),
        ("p99_us", latency.quantile_us(0.99)),
        ("p99.9_us", latency.quantile_us(0.999)),
        ("platform_cpu_us", cpu),
        ("failed", load.failed as f64),
    ];
    report.add(name, &figures);
    Ok(per_second)
}

/// Until each connection has an environment.
fn warm_up(target: &Target, connections: usize) -> Result<()> {
    for _ in 0..20 {
        if load::closed(target, connections, Duration::from_secs(1))?.failed == 0 {
            return Ok(());
        }
    }
    bail!("invokes keep failing at {connections} connections")
}
