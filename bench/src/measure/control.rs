//! The control plane: what an operation takes, with few functions and with many.

use std::fs::File;
use std::io::Write as _;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::args::RunArgs;
use crate::client::Connection;
use crate::functions::{self, Package};
use crate::measure::SMALL_MB;
use crate::process;
use crate::report::Report;
use crate::server::Server;
use crate::stats::Samples;

const MANY: usize = 10_000;
const WRITES: usize = 300;
const READS: usize = 5_000;
/// Clients that make the many functions at once.
const MAKERS: usize = 16;
/// The function that is looked at.
const NAME: &str = "looked-at";

pub(super) fn measure(args: &RunArgs, report: &mut Report) -> Result<()> {
    Server::with(args, &[], |server| {
        let package = functions::python(args)?;
        let mut connection = server.connect()?;
        functions::deploy(&mut connection, NAME, &package, SMALL_MB)?;
        bare(args, report)?;
        operations(args, report, &mut connection, &package, "few")?;
        let many = args.samples(MANY);
        let begin = Instant::now();
        fill(server, &package, many)?;
        let (rss, pss) = process::memory_kb(server.pid());
        let figures = [
            ("functions", many as f64),
            ("created_per_second", many as f64 / begin.elapsed().as_secs_f64()),
            ("rss_mb", rss as f64 / 1024.0),
            ("pss_mb", pss as f64 / 1024.0),
        ];
        report.add("control/many-functions", &figures);
        operations(args, report, &mut connection, &package, "many")
    })
}

/// What the disk takes for a commit's worth of bytes.
fn bare(args: &RunArgs, report: &mut Report) -> Result<()> {
    let folder = TempDir::with_prefix("hearth-bench-")?;
    let mut file = File::create(folder.path().join("bare"))?;
    let samples = timed(args.samples(WRITES), |_| {
        file.write_all(&[7; 4096])?;
        Ok(file.sync_data()?)
    })?;
    add(report, "control/bare-write-fsync-4kB", samples);
    Ok(())
}

fn operations(
    args: &RunArgs,
    report: &mut Report,
    connection: &mut Connection,
    package: &Package,
    functions_there: &str,
) -> Result<()> {
    let (writes, reads) = (args.samples(WRITES), args.samples(READS));
    let path = format!("/2015-03-31/functions/{NAME}");
    let mut row = |operation: &str, samples| add(report, &format!("control/{operation}/{functions_there}"), samples);

    let bodies: Vec<_> = (0..writes)
        .map(|index| functions::creation(&format!("{functions_there}-{index}"), package, SMALL_MB))
        .collect();
    row("CreateFunction", timed(writes, |index| functions::create(connection, &bodies[index]))?);
    // One that is there already need not be unpacked.
    let news = (0..writes).map(|index| {
        let name = format!("{functions_there}-new-{index}");
        Ok(functions::creation(&name, &functions::marked_python(args, &name)?, SMALL_MB))
    });
    let news = news.collect::<Result<Vec<_>>>()?;
    row("CreateFunction-new-package", timed(writes, |index| functions::create(connection, &news[index]))?);
    row("GetFunction", timed(reads, |_| expect(connection, "GET", &path, "", 200))?);
    let page = "/2015-03-31/functions?MaxItems=50";
    row("ListFunctions-50", timed(reads.div_ceil(10), |_| expect(connection, "GET", page, "", 200))?);

    // A version comes to be only where something has changed since the last one.
    let mut published = Samples::default();
    for index in 0..writes.div_ceil(3) {
        let change = format!(r#"{{"Description":"{functions_there} {index}"}}"#);
        expect(connection, "PUT", &format!("{path}/configuration"), &change, 200)?;
        until_updated(connection, &path)?;
        let begin = Instant::now();
        expect(connection, "POST", &format!("{path}/versions"), "{}", 201)?;
        published.push(begin.elapsed());
    }
    row("PublishVersion", published);
    Ok(())
}

fn timed(count: usize, mut operation: impl FnMut(usize) -> Result<()>) -> Result<Samples> {
    let mut samples = Samples::default();
    for index in 0..count {
        let begin = Instant::now();
        operation(index)?;
        samples.push(begin.elapsed());
    }
    Ok(samples)
}

fn add(report: &mut Report, name: &str, mut samples: Samples) {
    let figures =
        [("p50_us", samples.quantile_us(0.5)), ("p99_us", samples.quantile_us(0.99)), ("n", samples.count() as f64)];
    report.add(name, &figures);
}

fn expect(connection: &mut Connection, method: &str, path: &str, body: &str, status: u16) -> Result<()> {
    let (given, answer) = connection.call(method, path, body.as_bytes())?;
    ensure!(given == status, "{method} {path} was answered {given}: {answer}");
    Ok(())
}

fn until_updated(connection: &mut Connection, path: &str) -> Result<()> {
    loop {
        let (_, answer) = connection.call("GET", &format!("{path}/configuration"), b"")?;
        match answer["LastUpdateStatus"].as_str() {
            Some("InProgress") => std::thread::yield_now(),
            Some("Successful") => return Ok(()),
            _ => anyhow::bail!("{path} was not updated: {answer}"),
        }
    }
}

/// Makes functions from several clients, as a pipeline's deploy does.
fn fill(server: &Server, package: &Package, count: usize) -> Result<()> {
    let make = |maker: usize| -> Result<()> {
        let mut connection = server.connect()?;
        for index in (maker..count).step_by(MAKERS) {
            functions::create(&mut connection, &functions::creation(&format!("filler-{index}"), package, SMALL_MB))?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let makers: Vec<_> = (0..MAKERS).map(|maker| scope.spawn(move || make(maker))).collect();
        makers.into_iter().try_for_each(|maker| maker.join().ok().context("a client panicked")?)
    })
}
