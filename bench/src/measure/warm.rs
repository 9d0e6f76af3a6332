//! Warm invokes one at a time: latency, and CPU of the platform, with the freeze and without.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::args::RunArgs;
use crate::client::Target;
use crate::functions::{self, Package};
use crate::load::{self, Load};
use crate::machine;
use crate::measure::{AMPLE, FULL_MB, SMALL_MB, alone, bare};
use crate::report::Report;
use crate::server::Server;

/// Name, and after how many ms of idleness an environment is frozen.
const FREEZES: [(&str, &str); 3] = [("never-frozen", "60000"), ("frozen-after-3-ms", "3"), ("frozen-each-time", "0")];
const WARM_UP: usize = 500;
const INVOKES: usize = 20_000;
/// At 7 % of a core each one takes ten times as long.
const SMALL_INVOKES: usize = 3000;
/// Invokes a second of the open loop: between two of them an environment is idle long enough to be frozen.
const RATE: f64 = 100.0;
const OPEN_SECONDS: usize = 20;

pub(super) fn measure(args: &RunArgs, report: &mut Report) -> Result<()> {
    let mut floor = bare::round_trip(args.samples(20_000))?;
    report.add(
        "warm/bare-loopback-round-trip",
        &[("p50_us", floor.quantile_us(0.5)), ("p99_us", floor.quantile_us(0.99))],
    );
    let (mut floor, cpu) = bare::relay(args.samples(20_000))?;
    report.add(
        "warm/bare-relay",
        &[
            ("p50_us", floor.quantile_us(0.5)),
            ("p99_us", floor.quantile_us(0.99)),
            ("platform_cpu_us", cpu.as_secs_f64() * 1e6),
        ],
    );
    let mut alone = alone::awslambdaric(args, args.samples(20_000))?;
    report.add(
        "warm/awslambdaric-alone",
        &[
            ("p50_us", alone.whole.quantile_us(0.5)),
            ("p99_us", alone.whole.quantile_us(0.99)),
            ("until_answer_p50_us", alone.answers.quantile_us(0.5)),
        ],
    );
    let packages =
        [functions::awslambdaric(args)?, functions::python(args)?, functions::node(args)?, functions::rust(args)?];
    for (freeze, after) in FREEZES {
        Server::with(args, &[&AMPLE[..], &["--freeze-after", after]].concat(), |server| {
            for package in &packages {
                closed(args, report, server, package, FULL_MB, freeze)?;
            }
            closed(args, report, server, &packages[0], SMALL_MB, freeze)?;
            closed(args, report, server, &packages[1], SMALL_MB, freeze)?;
            open(args, report, server, &packages[0], freeze)
        })?;
    }
    if args.awake == "requests" || !machine::can_be_kept_awake() {
        return Ok(());
    }
    // Beside the defaults in the same run: what a processor's halt has of them.
    for (freeze, after) in FREEZES {
        let options = ["--freeze-after", after, "--awake", "requests"];
        Server::with(args, &[&AMPLE[..], &options].concat(), |server| {
            let freeze = format!("{freeze}-kept-awake");
            packages.iter().try_for_each(|package| closed(args, report, server, package, FULL_MB, &freeze))
        })?;
    }
    Ok(())
}

fn closed(
    args: &RunArgs,
    report: &mut Report,
    server: &Server,
    package: &Package,
    memory_mb: u32,
    freeze: &str,
) -> Result<()> {
    let count = args.samples(if memory_mb == FULL_MB { INVOKES } else { SMALL_INVOKES });
    let name = format!("warm/{}/{memory_mb}MB/{freeze}/closed-loop-1", package.name);
    run(report, server, package, memory_mb, name, |target| load::sequential(target, count))
}

fn open(args: &RunArgs, report: &mut Report, server: &Server, package: &Package, freeze: &str) -> Result<()> {
    let duration = Duration::from_secs(args.samples(OPEN_SECONDS) as u64);
    let name = format!("warm/{}/{FULL_MB}MB/{freeze}/open-loop-{RATE}", package.name);
    run(report, server, package, FULL_MB, name, |target| load::open(target, RATE, 4, duration))
}

fn run(
    report: &mut Report,
    server: &Server,
    package: &Package,
    memory_mb: u32,
    name: String,
    load: impl FnOnce(&Target) -> Result<Load>,
) -> Result<()> {
    let mut connection = server.connect()?;
    functions::deploy(&mut connection, package.name, package, memory_mb)?;
    let target = Target::invoke(server.host(), package.name, br#"{"key":"value"}"#);
    load::sequential(&target, WARM_UP.min(memory_mb as usize)).with_context(|| name.clone())?;
    let before = server.cpu()?;
    let mut load = load(&target).with_context(|| name.clone())?;
    let cpu = (server.cpu()? - before).as_secs_f64() * 1e6 / load.latency.count() as f64;
    let latency = &mut load.latency;
    let figures = [
        ("p50_us", latency.quantile_us(0.5)),
        ("p99_us", latency.quantile_us(0.99)),
        ("p99.9_us", latency.quantile_us(0.999)),
        ("platform_cpu_us", cpu),
        ("n", latency.count() as f64),
        ("failed", load.failed as f64),
    ];
    report.add(name, &figures);
    functions::delete(&mut connection, package.name)
}
