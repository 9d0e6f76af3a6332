//! SQS: what a send, and a receive with its delete, take with many clients at once, and one by one. Each is on disk before
//! it is answered, so all of it is a matter of how many share a flush.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::args::RunArgs;
use crate::client::Connection;
use crate::report::Report;
use crate::server::Server;
use crate::stats::Samples;

const CLIENTS: usize = 64;
/// Messages of each client.
const EACH: usize = 200;
const BODY_BYTES: usize = 1024;
const BATCH: usize = 10;

pub(super) fn measure(args: &RunArgs, report: &mut Report) -> Result<()> {
    Server::with(args, &[], |server| {
        for (clients, each) in [(1, args.samples(EACH)), (CLIENTS, args.samples(EACH))] {
            for kind in ["standard", "fifo"] {
                let queue = create(server, kind, clients)?;
                let send = |client: usize, connection: &mut Connection, samples: &mut Samples| {
                    (0..each).try_for_each(|n| timed(samples, || send(connection, &queue, kind, client, n)))
                };
                add(report, server, &format!("queues/{kind}/send/{clients}"), clients, each, send)?;
                let take = |_: usize, connection: &mut Connection, samples: &mut Samples| {
                    (0..each).try_for_each(|_| timed(samples, || take(connection, &queue, 1).map(drop)))
                };
                add(report, server, &format!("queues/{kind}/receive-delete/{clients}"), clients, each, take)?;
            }
            let queue = create(server, "standard", clients + CLIENTS)?;
            let batches = each.div_ceil(BATCH);
            let send = |client: usize, connection: &mut Connection, samples: &mut Samples| {
                (0..batches).try_for_each(|n| timed(samples, || send_batch(connection, &queue, client, n)))
            };
            add(report, server, &format!("queues/batches-of-10/send/{clients}"), clients, batches, send)?;
            let take = |_: usize, connection: &mut Connection, samples: &mut Samples| {
                (0..batches).try_for_each(|_| timed(samples, || take(connection, &queue, BATCH).map(drop)))
            };
            add(report, server, &format!("queues/batches-of-10/receive-delete/{clients}"), clients, batches, take)?;
        }
        Ok(())
    })
}

/// Has each of so many clients do its work, and reports how much of it is done in a second.
fn add(
    report: &mut Report,
    server: &Server,
    name: &str,
    clients: usize,
    each: usize,
    work: impl Fn(usize, &mut Connection, &mut Samples) -> Result<()> + Sync,
) -> Result<()> {
    let (cpu, begin) = (server.cpu()?, Instant::now());
    let one = |client: usize| -> Result<Samples> {
        let (mut connection, mut samples) = (server.connect()?, Samples::default());
        work(client, &mut connection, &mut samples)?;
        Ok(samples)
    };
    let all = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..clients).map(|client| scope.spawn(move || one(client))).collect();
        threads.into_iter().map(|thread| thread.join().ok().context("a client panicked")?).collect::<Result<Vec<_>>>()
    })?;
    let elapsed = begin.elapsed();
    let mut samples = Samples::default();
    all.into_iter().for_each(|of_client| samples.append(of_client));
    let count = (clients * each) as f64;
    let cpu = (server.cpu()? - cpu).as_secs_f64() * 1e6 / count;
    let figures = [
        ("per_second", count / elapsed.as_secs_f64()),
        ("p50_us", samples.quantile_us(0.5)),
        ("p99_us", samples.quantile_us(0.99)),
        ("server_cpu_us_each", cpu),
    ];
    report.add(name, &figures);
    Ok(())
}

fn timed(samples: &mut Samples, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let begin = Instant::now();
    work()?;
    samples.push(begin.elapsed());
    Ok(())
}

fn create(server: &Server, kind: &str, number: usize) -> Result<String> {
    let (suffix, attributes) = if kind == "fifo" { (".fifo", json!({"FifoQueue": "true"})) } else { ("", json!({})) };
    let input = json!({"QueueName": format!("bench-{number}{suffix}"), "Attributes": attributes});
    let answer = server.connect()?.sqs("CreateQueue", &input)?;
    answer["QueueUrl"].as_str().map(str::to_owned).context("no queue was made")
}

/// Each client has a group of its own.
fn send(connection: &mut Connection, queue: &str, kind: &str, client: usize, n: usize) -> Result<()> {
    let mut input = json!({"QueueUrl": queue, "MessageBody": "x".repeat(BODY_BYTES)});
    if kind == "fifo" {
        input["MessageGroupId"] = json!(client.to_string());
        input["MessageDeduplicationId"] = json!(format!("{client}-{n}"));
    }
    connection.sqs("SendMessage", &input).map(drop)
}

fn send_batch(connection: &mut Connection, queue: &str, client: usize, n: usize) -> Result<()> {
    let entry = |index| json!({"Id": format!("{client}-{n}-{index}"), "MessageBody": "x".repeat(BODY_BYTES)});
    let entries: Vec<Value> = (0..BATCH).map(entry).collect();
    let answer = connection.sqs("SendMessageBatch", &json!({"QueueUrl": queue, "Entries": entries}))?;
    ensure!(answer["Failed"].as_array().is_none_or(Vec::is_empty), "some were not sent: {answer}");
    Ok(())
}

/// Receives up to so many and deletes them; waits for the first.
fn take(connection: &mut Connection, queue: &str, most: usize) -> Result<usize> {
    let end = Instant::now() + Duration::from_secs(60);
    while Instant::now() < end {
        let input = json!({"QueueUrl": queue, "MaxNumberOfMessages": most, "WaitTimeSeconds": 1});
        let answer = connection.sqs("ReceiveMessage", &input)?;
        let Some(messages) = answer["Messages"].as_array() else { continue };
        let entry =
            |(n, message): (usize, &Value)| json!({"Id": n.to_string(), "ReceiptHandle": message["ReceiptHandle"]});
        if most == 1 {
            let input = json!({"QueueUrl": queue, "ReceiptHandle": messages[0]["ReceiptHandle"]});
            connection.sqs("DeleteMessage", &input)?;
        } else {
            let entries: Vec<Value> = messages.iter().enumerate().map(entry).collect();
            connection.sqs("DeleteMessageBatch", &json!({"QueueUrl": queue, "Entries": entries}))?;
        }
        return Ok(messages.len());
    }
    anyhow::bail!("no message came")
}
