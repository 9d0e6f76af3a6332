//! As many idle environments as a machine of 24 GB is to keep: what each takes, and whether they serve.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use crate::args::RunArgs;
use crate::client::{Connection, Target};
use crate::functions;
use crate::load;
use crate::measure::AMPLE;
use crate::process;
use crate::report::Report;
use crate::server::Server;

const ENVIRONMENTS: usize = 5000;
/// A process may often have no more than 20,000 descriptors; a worker takes at most 1,000 environments.
const WORKERS: &str = "5";
/// That may be provisioned, and the unreserved pool.
const CONCURRENCY: &str = "6000";
/// Above what a machine of two cores takes for them.
const READY_WITHIN: Duration = Duration::from_secs(1200);
const LOOK_EACH: Duration = Duration::from_millis(500);
const REST: Duration = Duration::from_secs(5);
const NAME: &str = "dense";

pub(super) fn measure(args: &RunArgs, report: &mut Report) -> Result<()> {
    let options = [&AMPLE[..], &["--ahead", "0", "--pool", "0", "--workers", WORKERS, "--concurrency", CONCURRENCY]];
    Server::with(args, &options.concat(), |server| density(args, report, server))
}

/// Keeps them provisioned: they are initialised without an invoke, and stay.
fn density(args: &RunArgs, report: &mut Report, server: &Server) -> Result<()> {
    let count = args.samples(ENVIRONMENTS);
    let mut connection = server.connect()?;
    functions::deploy(&mut connection, NAME, &functions::slow_python(args)?, 128)?;
    ask(&mut connection, "POST", "versions", &json!({}))?;
    thread::sleep(REST);
    let before = Use::of(server)?;
    let begin = Instant::now();
    let wanted = json!({ "ProvisionedConcurrentExecutions": count });
    ask(&mut connection, "PUT", "provisioned-concurrency?Qualifier=1", &wanted)?;
    until_ready(&mut connection)?;
    let elapsed = begin.elapsed().as_secs_f64();
    thread::sleep(REST);
    let after = Use::of(server)?;
    let each = |after: u64, before: u64| (after as f64 - before as f64) / count as f64;
    let figures = [
        ("per_second", count as f64 / elapsed),
        ("memory_kb", each(before.available_kb, after.available_kb)),
        ("kernel_kb", each(after.kernel_kb, before.kernel_kb)),
        ("descriptors", each(after.descriptors, before.descriptors)),
        ("server_descriptors", each(after.server_descriptors, before.server_descriptors)),
        ("most_descriptors", after.most_descriptors as f64),
    ];
    report.add(format!("density/idle-python/{count}"), &figures);
    let load = load::closed(&Target::invoke(server.host(), &format!("{NAME}:1"), b"{}"), count / 5, Duration::ZERO)?;
    let figures = [("seconds", load.elapsed.as_secs_f64()), ("failed", load.failed as f64)];
    report.add(format!("density/sleepers-among-them/{}", count / 5), &figures);
    Ok(())
}

fn until_ready(connection: &mut Connection) -> Result<()> {
    let begin = Instant::now();
    loop {
        let config = ask(connection, "GET", "provisioned-concurrency?Qualifier=1", &Value::Null)?;
        match config["Status"].as_str() {
            Some("READY") => return Ok(()),
            Some("IN_PROGRESS") if begin.elapsed() < READY_WITHIN => thread::sleep(LOOK_EACH),
            _ => bail!("they do not get ready: {config}"),
        }
    }
}

/// Calls an operation on the function.
fn ask(connection: &mut Connection, method: &str, part: &str, body: &Value) -> Result<Value> {
    let prefix = if part.starts_with("provisioned") { "/2019-09-30" } else { "/2015-03-31" };
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let (status, answer) = connection.call(method, &format!("{prefix}/functions/{NAME}/{part}"), &body)?;
    ensure!((200..300).contains(&status), "{method} {part} was answered {status}: {answer}");
    Ok(answer)
}

/// What is in use at one moment.
struct Use {
    available_kb: u64,
    kernel_kb: u64,
    server_descriptors: u64,
    /// Of the server, what keeps its workers, these and their spawners.
    descriptors: u64,
    /// Of the one of them that has the most.
    most_descriptors: u64,
}

impl Use {
    fn of(server: &Server) -> Result<Self> {
        let mut platform = vec![server.pid()];
        let mut generation = platform.clone();
        // The keeper, its workers, their spawners; what comes below is environments.
        for _ in 0..3 {
            let children = generation.into_iter().map(process::children).collect::<Result<Vec<_>>>()?;
            generation = children.concat();
            platform.extend(&generation);
        }
        let descriptors: Vec<u64> = platform.into_iter().map(process::descriptors).collect();
        Ok(Self {
            available_kb: process::available_kb(),
            kernel_kb: process::kernel_kb(),
            server_descriptors: process::descriptors(server.pid()),
            descriptors: descriptors.iter().sum(),
            most_descriptors: descriptors.into_iter().max().unwrap_or_default(),
        })
    }
}
