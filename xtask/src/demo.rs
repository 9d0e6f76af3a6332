//! `cargo xtask demo`: from a clean checkout to three functions that answered, cold and warm.

pub(crate) mod packages;
mod report;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::tools::aws::Aws;
use crate::tools::http::Connection;
use crate::tools::server::{self, Server};
use crate::tools::{TempDir, cargo, install, run as run_command};
use report::{Phases, Row};

/// Warm invokes that the median is taken from.
const WARM_INVOKES: usize = 200;
/// MB of each function: one full core.
const MEMORY: &str = "1769";
/// Nothing checks it: any role of the right form will do.
const ROLE: &str = "arn:aws:iam::000000000000:role/demo";

/// One function of the demo.
struct Example {
    name: &'static str,
    runtime: String,
    handler: &'static str,
    package: PathBuf,
    event: Value,
}

/// Runs the task.
pub(crate) fn run(_args: &[String]) -> Result<()> {
    println!("1. Building Hearth and three functions (the first time takes minutes)");
    run_command(&mut cargo(&["build", "--release", "--package", "hearth-server"]))?;
    let work = TempDir::new("demo")?;
    let examples = examples(work.path())?;

    let server = Server::start(&server::binary("release")?, &[])?;
    println!("\n2. `hearth serve` is ready at {}; any AWS client finds it with", server.url());
    println!("     export AWS_ENDPOINT_URL={}\n", server.url());
    let aws = Aws::new(server.url())?;
    println!("3. Deploying and invoking with the AWS CLI");
    let rows = examples.iter().map(|example| show(&aws, &server, example)).collect::<Result<Vec<_>>>()?;

    println!("\n4. What it took ({MEMORY} MB each, sandbox on)\n");
    print!("{}", report::table(&rows));
    server.stop()?;
    println!("\n5. Stopped. No process, mount, cgroup or file of it is left.");
    Ok(())
}

fn examples(work: &Path) -> Result<Vec<Example>> {
    let (major, minor) = install::python_version()?;
    Ok(vec![
        Example {
            name: "python-pandas",
            runtime: format!("python{major}.{minor}"),
            handler: "handler.handler",
            package: packages::python(work)?,
            event: json!({ "rows": [{ "group": "a", "value": 1 }, { "group": "a", "value": 3 }, { "group": "b", "value": 5 }] }),
        },
        Example {
            name: "node-esm",
            runtime: packages::node_runtime()?,
            handler: "index.handler",
            package: packages::node(work)?,
            event: json!({ "name": "fire" }),
        },
        Example {
            name: "rust-hello",
            runtime: "provided.al2023".to_owned(),
            handler: "bootstrap",
            package: packages::rust(work)?,
            event: json!({ "name": "fire" }),
        },
    ])
}

/// Deploys one function and invokes it, cold and warm.
fn show(aws: &Aws, server: &Server, example: &Example) -> Result<Row> {
    let name = example.name;
    let deploy = Instant::now();
    deploy_function(aws, example)?;
    println!("   {name} ({}) is active after {:.1} s", example.runtime, deploy.elapsed().as_secs_f64());

    let cold = invoke(aws, example).with_context(|| format!("the first invoke of {name}"))?;
    println!("     -> {}", cold.answer);
    let mut connection = Connection::open(server.host())?;
    let phases = Phases::of_newest(&mut connection, name)?;
    let warm = warm_latencies(&mut connection, example)?;
    let last = invoke(aws, example).with_context(|| format!("a warm invoke of {name}"))?;
    ensure!(last.log.init_ms.is_none(), "{name} started cold again: {:?}", last.log);
    Ok(Row { name: name.to_owned(), phases, cold: cold.log, warm, max_memory_mb: last.log.max_memory_mb })
}

fn deploy_function(aws: &Aws, example: &Example) -> Result<()> {
    let package = format!("fileb://{}", example.package.display());
    let name = ["--function-name", example.name];
    let code = ["--runtime", &example.runtime, "--handler", example.handler, "--zip-file", &package];
    let sizes = ["--role", ROLE, "--memory-size", MEMORY, "--timeout", "30"];
    aws.lambda(&[&["create-function"], &name[..], &code, &sizes].concat())?;
    aws.lambda(&[&["wait", "function-active-v2"], &name[..]].concat())?;
    Ok(())
}

/// What one invoke by the command line client gave.
struct Invoked {
    answer: Value,
    log: report::Line,
}

fn invoke(aws: &Aws, example: &Example) -> Result<Invoked> {
    let out = TempDir::new("answer")?;
    let (file, event) = (out.path().join("answer.json"), out.path().join("event.json"));
    std::fs::write(&event, example.event.to_string())?;
    let payload = format!("fileb://{}", event.display());
    let args = ["--function-name", example.name, "--log-type", "Tail", "--payload", &payload];
    let result = aws.lambda(&[&["invoke"], &args[..], &[&file.to_string_lossy()]].concat())?;
    let text = std::fs::read_to_string(&file)?;
    ensure!(result["StatusCode"] == 200 && result.get("FunctionError").is_none(), "{result}\n{text}");
    let log = result["LogResult"].as_str().context("no log came with the answer")?;
    Ok(Invoked { answer: serde_json::from_str(&text)?, log: report::Line::of_log(&report::log_text(log)?)? })
}

/// Round trips of warm invokes, sorted: one client, one kept connection, one invoke after the other.
fn warm_latencies(connection: &mut Connection, example: &Example) -> Result<Vec<Duration>> {
    let path = format!("/2015-03-31/functions/{}/invocations", example.name);
    let body = example.event.to_string();
    let mut times = Vec::with_capacity(WARM_INVOKES);
    for _ in 0..WARM_INVOKES {
        let start = Instant::now();
        let answer = connection.request("POST", &path, body.as_bytes())?;
        times.push(start.elapsed());
        ensure!(answer.status == 200, "invoke: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
    }
    times.sort_unstable();
    Ok(times)
}
