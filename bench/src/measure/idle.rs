//! What Hearth costs when nothing happens: its start, the server at rest, an idle environment.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::args::RunArgs;
use crate::client::Target;
use crate::functions::{self, Package};
use crate::load;
use crate::measure::{AMPLE, FULL_MB};
use crate::process;
use crate::report::Report;
use crate::server::Server;
use crate::stats::Samples;

const STARTS: usize = 20;
const ENVIRONMENTS: usize = 30;
/// For what a start or the last invoke has set going to come to rest.
const REST: Duration = Duration::from_secs(2);

pub(super) fn measure(args: &RunArgs, report: &mut Report) -> Result<()> {
    ready(args, report)?;
    let environments = args.samples(ENVIRONMENTS);
    for package in [functions::slow_python(args)?, functions::node(args)?, functions::rust(args)?] {
        // Nothing else may come and go while they are counted.
        let alone = [&AMPLE[..], &["--ahead", "0"]].concat();
        Server::with(args, &alone, |server| environment(report, server, &package, environments))?;
    }
    for package in [functions::python(args)?, functions::node(args)?] {
        Server::with(args, &AMPLE, |server| waiting(report, server, &package))?;
    }
    Ok(())
}

/// Starts in a data folder that has been used, as all but the first one are.
fn ready(args: &RunArgs, report: &mut Report) -> Result<()> {
    let first = Server::start(args, &[])?;
    let first_ready = first.ready_after;
    let mut data = first.stop()?;
    let mut samples = Samples::default();
    for _ in 1..args.samples(STARTS).max(2) {
        let server = Server::start_in(args, &[], data)?;
        samples.push(server.ready_after);
        data = server.stop()?;
    }
    let figures = [
        ("first_ms", first_ready.as_secs_f64() * 1e3),
        ("p50_ms", samples.quantile_ms(0.5)),
        ("p99_ms", samples.quantile_ms(0.99)),
    ];
    report.add("idle/start-to-ready", &figures);
    let server = Server::start_in(args, &[], data)?;
    thread::sleep(REST);
    let mb = |kb: u64| kb as f64 / 1024.0;
    for (index, pid) in server.platform()?.into_iter().enumerate() {
        let (rss, pss) = process::memory_kb(pid);
        let name = if index == 0 { "idle/server-at-rest" } else { "idle/spawner-at-rest" };
        let descriptors = process::descriptors(pid) as f64;
        report.add(name, &[("rss_mb", mb(rss)), ("pss_mb", mb(pss)), ("descriptors", descriptors)]);
    }
    server.stop().map(drop)
}

/// What each environment adds, to the server, to the spawner, in its own processes and in the kernel.
fn environment(report: &mut Report, server: &Server, package: &Package, count: usize) -> Result<()> {
    let mut connection = server.connect()?;
    functions::deploy(&mut connection, package.name, package, FULL_MB)?;
    let target = Target::invoke(server.host(), package.name, b"{}");
    // One first: what all environments share is not what each one costs.
    load::sequential(&target, 1)?;
    let alive = |server: &Server| -> Result<usize> { Ok(environments(server)?.len()) };
    thread::sleep(REST);
    let (before, others) = (Use::of(server)?, alive(server)?);
    load::closed(&target, count + 1, Duration::ZERO)?;
    thread::sleep(REST);
    let added = (connected_count(&mut connection, package.name)? - 1).max(1) as f64;
    let after = Use::of(server)?;
    let each = |after: u64, before: u64| (after as f64 - before as f64) / added;
    let figures = [
        ("environments", added),
        ("function_pss_kb", each(after.function_kb, before.function_kb)),
        ("server_rss_kb", each(after.server_kb, before.server_kb)),
        ("spawner_rss_kb", each(after.spawner_kb, before.spawner_kb)),
        ("kernel_kb", each(after.kernel_kb, before.kernel_kb)),
        ("server_descriptors", each(after.server_descriptors, before.server_descriptors)),
        ("spawner_descriptors", each(after.spawner_descriptors, before.spawner_descriptors)),
        ("processes", (alive(server)? as f64 - others as f64) / added),
    ];
    report.add(format!("idle/environment/{}", package.name), &figures);
    Ok(())
}

/// What a runtime takes that was started ahead and waits.
fn waiting(report: &mut Report, server: &Server, package: &Package) -> Result<()> {
    let mut connection = server.connect()?;
    functions::deploy(&mut connection, package.name, package, FULL_MB)?;
    load::sequential(&Target::invoke(server.host(), package.name, b"{}"), 1)?;
    while connection.call("GET", "/_hearth/health", b"")?.1["startedAhead"]["waiting"] != 1 {
        thread::sleep(Duration::from_millis(10));
    }
    thread::sleep(REST);
    let pid = environments(server)?.into_iter().find(|pid| process::has_variable(*pid, "_HEARTH_AHEAD"));
    let pid = pid.context("no process waits")?;
    let (rss, pss) = process::memory_kb(pid);
    let figures = [("private_kb", process::private_kb(pid) as f64), ("pss_kb", pss as f64), ("rss_kb", rss as f64)];
    report.add(format!("idle/started-ahead/{}", package.name), &figures);
    Ok(())
}

/// Living environments, as the server counts them.
fn connected_count(connection: &mut crate::client::Connection, name: &str) -> Result<usize> {
    let (_, answer) = connection.call("GET", &format!("/_hearth/functions/{name}/environments"), b"")?;
    Ok(answer["Environments"].as_array().map_or(0, Vec::len))
}

/// The processes inside environments.
fn environments(server: &Server) -> Result<Vec<u32>> {
    let platform = server.platform()?;
    Ok(process::descendants(server.pid())?.into_iter().filter(|pid| !platform.contains(pid)).collect())
}

/// What is in use at one moment.
struct Use {
    function_kb: u64,
    server_kb: u64,
    spawner_kb: u64,
    kernel_kb: u64,
    server_descriptors: u64,
    spawner_descriptors: u64,
}

impl Use {
    fn of(server: &Server) -> Result<Self> {
        let platform = server.platform()?;
        let spawner = platform.get(1).copied().unwrap_or_default();
        Ok(Self {
            function_kb: environments(server)?.into_iter().map(|pid| process::memory_kb(pid).1).sum(),
            server_kb: process::memory_kb(server.pid()).0,
            spawner_kb: process::memory_kb(spawner).0,
            kernel_kb: process::kernel_kb(),
            server_descriptors: process::descriptors(server.pid()),
            spawner_descriptors: process::descriptors(spawner),
        })
    }
}
