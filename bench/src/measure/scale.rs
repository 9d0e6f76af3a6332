//! Many environments: how fast they come, and what each one takes.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::args::RunArgs;
use crate::client::Target;
use crate::functions::{self, Package};
use crate::load;
use crate::measure::stock::Stock;
use crate::measure::{AMPLE, FULL_MB, SMALL_MB, SNAPSHOT, floor};
use crate::process;
use crate::report::Report;
use crate::server::Server;

/// The account's usual limit.
const SLEEPERS: usize = 1000;
const STARTS: usize = 400;
/// Connections that start functions.
const CLIENTS: usize = 8;
const SLEEPER: &str = "sleeper";
/// For what the last invoke has set going to come to rest.
const REST: Duration = Duration::from_secs(5);

pub(super) fn measure(args: &RunArgs, report: &mut Report) -> Result<()> {
    for (way, options) in [("", &[][..]), ("-snapshot", &SNAPSHOT)] {
        let options = [&AMPLE[..], options].concat();
        Server::with(args, &options, |server| {
            let before = Use::of(server)?;
            sleepers(args, report, server, way)?;
            idle(report, server, &before, way)
        })?;
    }
    // All of each start, and nothing besides.
    let alone = [&AMPLE[..], &["--ahead", "0"]].concat();
    let copied = [&alone[..], &SNAPSHOT].concat();
    let (rust, python) = (functions::rust(args)?, functions::python(args)?);
    for (package, way, options) in [(&rust, "", &alone), (&python, "", &alone), (&python, "-snapshot", &copied)] {
        Server::with(args, options, |server| starts(args, report, server, package, way))?;
    }
    floor::measure(args, report)
}

/// The same where as many as will be wanted have been started ahead.
pub(super) fn stocked(args: &RunArgs, report: &mut Report) -> Result<()> {
    let (python, node, rust) = (functions::python(args)?, functions::node(args)?, functions::rust(args)?);
    let stock = Stock::of(&python, SMALL_MB, args.samples(SLEEPERS));
    stock.with(args, report, |report, server| {
        sleepers(args, report, server, "-stock")?;
        stock.state(report, server, "after-sleepers")
    })?;
    for package in [&rust, &python, &node] {
        let stock = Stock::of(package, FULL_MB, args.samples(STARTS));
        stock.with(args, report, |report, server| {
            starts(args, report, server, package, "-stock")?;
            stock.state(report, server, "after-starts")
        })?;
    }
    Ok(())
}

/// From no environment to so many at a time, by invokes that all come at once and sleep for a second.
fn sleepers(args: &RunArgs, report: &mut Report, server: &Server, way: &str) -> Result<()> {
    let count = args.samples(SLEEPERS);
    let package = functions::slow_python(args)?;
    functions::deploy(&mut server.connect()?, SLEEPER, &package, SMALL_MB)?;
    thread::sleep(REST);
    let (busy, platform) = (process::machine_cpu()?, server.cpu()?);
    let target = Target::invoke(server.host(), SLEEPER, b"{}");
    let mut load = load::closed(&target, count, Duration::ZERO)?;
    let each = |cpu: Duration| cpu.as_secs_f64() * 1e3 / count as f64;
    let name = format!("scale/python{way}-sleepers-0-to-{count}");
    let figures = [
        ("seconds", load.elapsed.as_secs_f64()),
        ("p50_ms", load.latency.quantile_ms(0.5)),
        ("p99_ms", load.latency.quantile_ms(0.99)),
        ("failed", load.failed as f64),
        ("machine_cpu_ms", each(process::machine_cpu()?.saturating_sub(busy))),
        ("platform_cpu_ms", each(server.cpu()?.saturating_sub(platform))),
    ];
    report.add(name, &figures);
    Ok(())
}

/// What each of those takes that are idle after that.
fn idle(report: &mut Report, server: &Server, before: &Use, way: &str) -> Result<()> {
    thread::sleep(REST);
    let mut connection = server.connect()?;
    let (_, answer) = connection.call("GET", &format!("/_hearth/functions/{SLEEPER}/environments"), b"")?;
    let alive = answer["Environments"].as_array().map_or(0, Vec::len);
    ensure!(alive > 0, "no environment is left");
    let after = Use::of(server)?;
    let each = |after: u64, before: u64| (after as f64 - before as f64) / alive as f64;
    let figures = [
        ("environments", alive as f64),
        ("memory_kb", each(before.available_kb, after.available_kb)),
        ("kernel_kb", each(after.kernel_kb, before.kernel_kb)),
        ("server_descriptors", each(after.server_descriptors, before.server_descriptors)),
        ("spawner_descriptors", each(after.spawner_descriptors, before.spawner_descriptors)),
    ];
    report.add(format!("scale/idle-python{way}/{alive}"), &figures);
    functions::delete(&mut connection, SLEEPER)
}

/// Functions that each start once.
fn starts(args: &RunArgs, report: &mut Report, server: &Server, package: &Package, way: &str) -> Result<()> {
    let count = args.samples(STARTS);
    let names: Vec<String> = (0..count).map(|index| format!("{}-{index}", package.name)).collect();
    let mut connection = server.connect()?;
    for name in &names {
        functions::deploy(&mut connection, name, package, FULL_MB)?;
    }
    thread::sleep(REST);
    let (busy, platform, begin) = (process::machine_cpu()?, server.cpu()?, Instant::now());
    let client = |names: &[String]| -> Result<()> {
        let mut connection = server.connect()?;
        names.iter().try_for_each(|name| {
            let target = Target::invoke(server.host(), name, b"{}");
            connection.exchange_well(&target.request).map(drop).with_context(|| name.clone())
        })
    };
    thread::scope(|scope| {
        let clients: Vec<_> =
            names.chunks(count.div_ceil(CLIENTS)).map(|part| scope.spawn(move || client(part))).collect();
        clients.into_iter().try_for_each(|client| client.join().ok().context("a client panicked")?)
    })?;
    let (elapsed, n) = (begin.elapsed().as_secs_f64(), count as f64);
    let machine = (process::machine_cpu()?.saturating_sub(busy)).as_secs_f64() / n;
    let cores = thread::available_parallelism().map_or(1, usize::from) as f64;
    let figures = [
        ("per_second", n / elapsed),
        ("per_second_per_core", n / elapsed / cores),
        ("machine_cpu_ms", machine * 1e3),
        ("platform_cpu_ms", (server.cpu()?.saturating_sub(platform)).as_secs_f64() * 1e3 / n),
    ];
    report.add(format!("scale/starts/{}{way}", package.name), &figures);
    Ok(())
}

/// What is in use at one moment.
struct Use {
    available_kb: u64,
    kernel_kb: u64,
    server_descriptors: u64,
    spawner_descriptors: u64,
}

impl Use {
    fn of(server: &Server) -> Result<Self> {
        let spawner = server.platform()?.get(1).copied().unwrap_or_default();
        Ok(Self {
            available_kb: process::available_kb(),
            kernel_kb: process::kernel_kb(),
            server_descriptors: process::descriptors(server.pid()),
            spawner_descriptors: process::descriptors(spawner),
        })
    }
}
