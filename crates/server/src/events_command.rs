//! `hearth events`: a running server's asynchronous invokes.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use hearth_logs::escape_for_terminal;
use http::Method;
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::asking::{Question, ask};
use crate::cli::{EventsArgs, EventsCommand};

/// Characters of an error that are listed. Ours.
const ERROR_CHARS: usize = 200;

pub(crate) fn run(args: &EventsArgs) -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(answer(args))
}

async fn answer(args: &EventsArgs) -> Result<()> {
    let (answer, text) = match &args.command {
        EventsCommand::List { function } => {
            let query = function.as_ref().map(|name| format!("?function={name}")).unwrap_or_default();
            let answer = get(args, &format!("/_hearth/events{query}")).await?;
            let text = listed(&answer);
            (answer, text)
        }
        EventsCommand::Show { function, id } => {
            let answer = get(args, &format!("/_hearth/events/{function}/{id}")).await?;
            let text = format!("{answer:#}\n");
            (answer, text)
        }
        EventsCommand::Redrive(which) => changed(args, "redrive", &which.function, which.id.as_deref()).await?,
        EventsCommand::Drop(which) => changed(args, "drop", &which.function, which.id.as_deref()).await?,
    };
    let shown = if args.json { format!("{answer}\n") } else { text };
    std::io::stdout().lock().write_all(shown.as_bytes()).context("standard output")
}

async fn changed(args: &EventsArgs, action: &str, function: &str, id: Option<&str>) -> Result<(Value, String)> {
    let body = json!({ "action": action, "function": function, "id": id });
    let answer = asked(args, Method::POST, "/_hearth/events", Bytes::from(body.to_string())).await?;
    let text = format!("{} events\n", answer["count"]);
    Ok((answer, text))
}

async fn get(args: &EventsArgs, path: &str) -> Result<Value> {
    asked(args, Method::GET, path, Bytes::new()).await
}

async fn asked(args: &EventsArgs, method: Method, path: &str, body: Bytes) -> Result<Value> {
    let response = ask(Question { endpoint: &args.endpoint, method, path, body, service: "lambda" }).await?;
    serde_json::from_slice(&response.collect().await?.to_bytes()).context("the server's answer is no JSON")
}

/// A line for each.
fn listed(answer: &Value) -> String {
    let all = |name: &str| answer[name].as_array().into_iter().flatten();
    let mut text = String::new();
    for event in all("events") {
        let what =
            format!("{} after {} attempts, due {}", said(event, "state"), event["attempts"], time(&event["dueMs"]));
        text += &line(event, &what);
    }
    if answer["more"] == true {
        text += "(there are more)\n";
    }
    for event in all("failed") {
        let what = format!(
            "failed: {} after {} attempts, at {}",
            said(event, "condition"),
            event["attempts"],
            time(&event["endedMs"])
        );
        text += &line(event, &what);
    }
    for lane in all("deliveries") {
        text += &format!("{}: {} deliveries wait, due {}\n", said(lane, "lane"), lane["waiting"], time(&lane["dueMs"]));
    }
    text
}

fn line(event: &Value, what: &str) -> String {
    let error = event["lastError"].as_str().map(|error| format!(": {}", escape_for_terminal(&beginning(error))));
    format!("{} {} {what}{}\n", said(event, "function"), said(event, "id"), error.unwrap_or_default())
}

/// A line's worth of what a function said; `show` and `--json` have it whole.
fn beginning(error: &str) -> String {
    let mut shown: String = error.chars().take(ERROR_CHARS).collect();
    if shown.len() < error.len() {
        shown.push_str("...");
    }
    shown
}

fn said(value: &Value, name: &str) -> String {
    escape_for_terminal(value[name].as_str().unwrap_or_default())
}

fn time(ms: &Value) -> String {
    let time = ms.as_i64().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    time.map(|time| time.to_string()).unwrap_or_default()
}
