//! Events: how many are taken in, how fast they are run, what a million of them cost at a start and do to others.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::args::RunArgs;
use crate::client::{Connection, Target};
use crate::functions;
use crate::load;
use crate::measure::{AMPLE, FULL_MB};
use crate::process;
use crate::report::Report;
use crate::server::Server;
use crate::stats::Samples;

const CLIENTS: usize = 64;
const SECONDS: usize = 10;
/// Events that wait when the server starts.
const WAITING: usize = 1_000_000;
/// Events of another function meanwhile.
const LONE: usize = 20;
const FLUSHES: usize = 300;
/// Bytes that are written for a flush: two pages of the log.
const FLUSHED_BYTES: usize = 8192;
const ANY_ACCOUNT: &str = "arn:aws:sqs:us-east-1:000000000000";

pub(super) fn measure(args: &RunArgs, report: &mut Report) -> Result<()> {
    let server = Server::start(args, &AMPLE)?;
    let mut connection = server.connect()?;
    prepare(args, &mut connection)?;
    let taken = accepts(args, report, &server)?;
    let waiting = fill(args, &server, taken)?;
    // As many as are in work are waited for.
    let server = Server::start_in(args, &AMPLE, server.stop()?)?;
    let (rss, _) = process::memory_kb(server.pid());
    let figures = [
        ("waiting", waiting as f64),
        ("ready_ms", server.ready_after.as_secs_f64() * 1e3),
        ("server_mb", rss as f64 / 1024.0),
    ];
    report.add("events/start-with-events-waiting", &figures);
    drain(args, report, &server)?;
    server.stop().map(drop)
}

/// `flood`, which runs one event a second for now, and `lone`; what they say goes to queues of these names.
fn prepare(args: &RunArgs, connection: &mut Connection) -> Result<()> {
    functions::deploy(connection, "flood", &functions::slow_python(args)?, FULL_MB)?;
    functions::deploy(connection, "lone", &functions::python(args)?, FULL_MB)?;
    let one = json!({ "ReservedConcurrentExecutions": 1 });
    well(connection, "PUT", "/2017-10-31/functions/flood/concurrency", &one)?;
    for name in ["flood", "lone"] {
        connection.sqs("CreateQueue", &json!({ "QueueName": name }))?;
        let ends = json!({ "DestinationConfig": { "OnSuccess": { "Destination": format!("{ANY_ACCOUNT}:{name}") } } });
        well(connection, "PUT", &format!("/2019-09-25/functions/{name}/event-invoke-config"), &ends)?;
    }
    Ok(())
}

/// Each is on stable storage when it is acknowledged. Beside them what the machine takes for a flush, and for an answer
/// without one.
fn accepts(args: &RunArgs, report: &mut Report, server: &Server) -> Result<usize> {
    let seconds = Duration::from_secs(args.samples(SECONDS) as u64);
    let flush = flushes(args)?.quantile_us(0.5);
    let floor = Target::get(server.host(), "/2016-08-19/account-settings");
    let floor = load::closed(&floor, CLIENTS, seconds)?.latency.quantile_us(0.5);
    let before = server.cpu()?;
    let mut load = load::closed(&Target::event(server.host(), "flood", b"{}"), CLIENTS, seconds)?;
    ensure!(load.failed == 0, "{} events were not taken", load.failed);
    let cpu = (server.cpu()? - before).as_secs_f64() * 1e6 / load.latency.count() as f64;
    let p50 = load.latency.quantile_us(0.5);
    let figures = [
        ("per_second", load.per_second()),
        ("p50_us", p50),
        ("p99_us", load.latency.quantile_us(0.99)),
        ("answer_p50_us", floor),
        ("flush_p50_us", flush),
        ("flushes_above_answer", (p50 - floor) / flush),
        ("platform_cpu_us", cpu),
    ];
    report.add(format!("events/accepts/closed-loop-{CLIENTS}"), &figures);
    Ok(load.latency.count())
}

/// Writes over two pages of a file and flushes them, as a log that has been used once.
fn flushes(args: &RunArgs) -> Result<Samples> {
    let mut file = tempfile::tempfile()?;
    let pages = vec![1; FLUSHED_BYTES];
    for _ in 0..FLUSHES {
        file.write_all(&pages)?;
    }
    file.sync_all()?;
    file.seek(SeekFrom::Start(0))?;
    let mut samples = Samples::default();
    for _ in 0..args.samples(FLUSHES) {
        let start = Instant::now();
        file.write_all(&pages)?;
        file.sync_data()?;
        samples.push(start.elapsed());
    }
    Ok(samples)
}

fn fill(args: &RunArgs, server: &Server, mut waiting: usize) -> Result<usize> {
    let target = Target::event(server.host(), "flood", b"{}");
    while waiting < args.samples(WAITING) {
        let load = load::closed(&target, CLIENTS, Duration::from_secs(5))?;
        ensure!(load.failed == 0, "{} events were not taken", load.failed);
        waiting += load.latency.count();
    }
    Ok(waiting)
}

/// `flood` gives its event back at once from now on; beside it events of `lone`.
fn drain(args: &RunArgs, report: &mut Report, server: &Server) -> Result<()> {
    let mut connection = server.connect()?;
    let code = json!({ "ZipFile": STANDARD.encode(functions::python(args)?.zip) });
    well(&mut connection, "PUT", "/2015-03-31/functions/flood/code", &code)?;
    well(&mut connection, "DELETE", "/2017-10-31/functions/flood/concurrency", &Value::Null)?;
    // The last of the slow ones.
    thread::sleep(Duration::from_secs(2));
    let (before, start) = (told(&mut connection, "flood")?, Instant::now());
    let mut delays = Samples::default();
    for _ in 0..args.samples(LONE) {
        delays.push(lone(&mut connection)?);
    }
    thread::sleep(Duration::from_secs(args.samples(SECONDS) as u64));
    let ended = told(&mut connection, "flood")? - before;
    report.add("events/run-with-a-record-each", &[("per_second", ended / start.elapsed().as_secs_f64())]);
    let figures = [
        ("p50_ms", delays.quantile_ms(0.5)),
        ("p90_ms", delays.quantile_ms(0.9)),
        ("most_ms", delays.quantile_ms(1.0)),
    ];
    report.add("events/lone-beside-a-flood/sent-to-record", &figures);
    Ok(())
}

/// From the sending of an event to the receipt of the record of its end.
fn lone(connection: &mut Connection) -> Result<Duration> {
    let start = Instant::now();
    let request = Target::event(connection.host(), "lone", b"{}").request;
    ensure!(connection.exchange(&request)?.is_good(), "an event was not taken");
    loop {
        let ask = json!({ "QueueUrl": url("lone"), "WaitTimeSeconds": 20 });
        let answer = connection.sqs("ReceiveMessage", &ask)?;
        let Some(handle) = answer["Messages"][0]["ReceiptHandle"].as_str() else { continue };
        let waited = start.elapsed();
        connection.sqs("DeleteMessage", &json!({ "QueueUrl": url("lone"), "ReceiptHandle": handle }))?;
        return Ok(waited);
    }
}

/// How many ends were told.
fn told(connection: &mut Connection, queue: &str) -> Result<f64> {
    let ask = json!({ "QueueUrl": url(queue), "AttributeNames": ["ApproximateNumberOfMessages"] });
    let answer = connection.sqs("GetQueueAttributes", &ask)?;
    let number = answer["Attributes"]["ApproximateNumberOfMessages"].as_str().context("no number of messages")?;
    Ok(number.parse()?)
}

fn url(queue: &str) -> String {
    format!("http://localhost/000000000000/{queue}")
}

fn well(connection: &mut Connection, method: &str, path: &str, body: &Value) -> Result<()> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let (status, answer) = connection.call(method, path, body.as_bytes())?;
    ensure!(status < 300, "{method} {path} was answered {status}: {answer}");
    Ok(())
}
