//! First invokes of functions, beside the bare start of what runs them.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::args::RunArgs;
use crate::client::{Connection, Target};
use crate::functions::{self, Package};
use crate::measure::{AMPLE, FULL_MB, SMALL_MB, SNAPSHOT, bare, first};
use crate::report::Report;
use crate::server::Server;
use crate::stats::Samples;

const STARTS: usize = 40;
/// The distance of two sparse starts.
const GAP: Duration = Duration::from_millis(100);
/// For what a deploy has set going to come to rest.
const REST: Duration = Duration::from_secs(1);

pub(super) fn measure(args: &RunArgs, report: &mut Report) -> Result<()> {
    let packages = [functions::python(args)?, functions::node(args)?, functions::rust(args)?];
    let unused = [&AMPLE[..], &["--ahead", "0"]].concat();
    for (use_, options) in [("unused", &unused[..]), ("used", &AMPLE)] {
        Server::with(args, options, |server| {
            for (pace, gap) in [("burst", Duration::ZERO), ("sparse", GAP)] {
                for package in &packages {
                    one(args, report, server, package, FULL_MB, use_, (pace, gap))?;
                }
                one(args, report, server, &packages[0], SMALL_MB, use_, (pace, gap))?;
            }
            Ok(())
        })?;
    }
    let copied = [&unused[..], &SNAPSHOT].concat();
    Server::with(args, &copied, |server| {
        for (pace, gap) in [("burst", Duration::ZERO), ("sparse", GAP)] {
            one(args, report, server, &packages[0], FULL_MB, "snapshot", (pace, gap))?;
        }
        Ok(())
    })?;
    first::measure(args, report, &packages)
}

/// Has as many functions started as will be measured: what waits after that is what the runtime's use has called for.
fn use_runtime(server: &Server, connection: &mut Connection, package: &Package, names: &[String]) -> Result<()> {
    for name in names {
        let name = format!("{name}-before");
        functions::deploy(connection, &name, package, FULL_MB)?;
        connection.exchange_well(&Target::invoke(server.host(), &name, b"{}").request)?;
        functions::delete(connection, &name)?;
    }
    let mut last = 0;
    loop {
        thread::sleep(REST);
        let waiting = connection.call("GET", "/_hearth/health", b"")?.1["startedAhead"]["waiting"].as_u64();
        if std::mem::replace(&mut last, waiting.unwrap_or_default()) == last {
            return Ok(());
        }
    }
}

fn one(
    args: &RunArgs,
    report: &mut Report,
    server: &Server,
    package: &Package,
    memory_mb: u32,
    use_: &str,
    (pace, gap): (&str, Duration),
) -> Result<()> {
    let count = args.samples(STARTS);
    let names: Vec<String> = (0..count).map(|index| format!("{}-{pace}-{memory_mb}-{index}", package.name)).collect();
    let mut connection = server.connect()?;
    if use_ == "used" {
        use_runtime(server, &mut connection, package, &names)?;
    }
    for name in &names {
        functions::deploy(&mut connection, name, package, memory_mb)?;
    }
    let mut bare = paced(count, gap, |_| bare::start(args, package.name))?;
    let mut cold = paced(count, gap, |index| {
        let target = Target::invoke(server.host(), &names[index], b"{}");
        let sent = Instant::now();
        connection.exchange_well(&target.request).with_context(|| names[index].clone())?;
        Ok(sent.elapsed())
    })?;
    let mut figures = vec![
        ("bare_p50_ms", bare.quantile_ms(0.5)),
        ("bare_p99_ms", bare.quantile_ms(0.99)),
        ("cold_p50_ms", cold.quantile_ms(0.5)),
        ("cold_p99_ms", cold.quantile_ms(0.99)),
        ("above_bare_p50_ms", cold.quantile_ms(0.5) - bare.quantile_ms(0.5)),
    ];
    figures.extend(phases(&mut connection, &names)?);
    report.add(format!("cold/{}/{memory_mb}MB/{use_}/{pace}", package.name), &figures);
    for name in &names {
        functions::delete(&mut connection, name)?;
    }
    Ok(())
}

/// Runs `start` `count` times, `gap` apart (or back to back), after a rest.
fn paced(count: usize, gap: Duration, mut start: impl FnMut(usize) -> Result<Duration>) -> Result<Samples> {
    thread::sleep(REST);
    let mut samples = Samples::default();
    let begin = Instant::now();
    for index in 0..count {
        let due = begin + gap * u32::try_from(index).unwrap_or(u32::MAX);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        samples.push(start(index)?);
    }
    Ok(samples)
}

/// Medians of what the server says that the cold starts were made of.
fn phases(connection: &mut Connection, names: &[String]) -> Result<Vec<(&'static str, f64)>> {
    let parts = [("sandbox_p50_ms", "SandboxMs"), ("runtime_p50_ms", "RuntimeMs"), ("function_p50_ms", "FunctionMs")];
    let mut samples = parts.map(|_| Samples::default());
    for name in names {
        let (_, answer) = connection.call("GET", &format!("/_hearth/functions/{name}/environments"), b"")?;
        let phases: &Value = &answer["Environments"][0]["InitPhases"];
        for ((_, member), samples) in parts.iter().zip(&mut samples) {
            let ms = phases[member].as_f64().with_context(|| format!("{name} has no phases: {answer}"))?;
            samples.push(Duration::from_secs_f64(ms / 1e3));
        }
    }
    Ok(parts.iter().zip(&mut samples).map(|((figure, _), samples)| (*figure, samples.quantile_ms(0.5))).collect())
}
