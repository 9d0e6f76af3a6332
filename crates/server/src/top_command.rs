//! `hearth top`: what functions are doing, as a table that is drawn again and again; plain where nobody watches.

use std::collections::HashMap;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use hearth_logs::escape_for_terminal;
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};

use crate::asking::get_json;
use crate::cli::TopArgs;
use crate::table::{Align, table};
use crate::workers::OWN;

/// A screen of its own without a cursor, and back to the one before.
const OPEN: &str = "\x1b[?1049h\x1b[?25l";
const CLOSE: &str = "\x1b[?25h\x1b[?1049l";
/// From the top; the rest of a line, and of the screen, is emptied.
const HOME: &str = "\x1b[H";
const LINE: &str = "\x1b[K\n";
const REST: &str = "\x1b[J";
/// Rows of a terminal that does not say how many it has.
const ROWS: usize = 24;
/// Above the functions.
const HEAD_ROWS: usize = 4;

/// `/_hearth/functions`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Look {
    functions: Vec<Counted>,
    memory_mb: u64,
    memory_budget_mb: u64,
    /// `/_hearth/workers`.
    #[serde(skip)]
    workers: Vec<Worker>,
}

/// A worker, as the server lists it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all(deserialize = "PascalCase", serialize = "camelCase"))]
struct Worker {
    name: String,
    state: String,
    environments: u64,
    idle_environments: u64,
    #[serde(rename(deserialize = "UsedMemoryMB"))]
    used_memory_mb: u64,
    #[serde(rename(deserialize = "MemoryMB"))]
    memory_mb: u64,
    descriptors: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Workers {
    workers: Vec<Worker>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Counted {
    function: String,
    in_flight: u64,
    init: u64,
    busy: u64,
    idle: u64,
    memory_mb: u64,
    invocations: u64,
    errors: u64,
    throttles: u64,
    cold_starts: u64,
    durations_us: Vec<(u64, u64)>,
}

/// What a function did between two looks.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    function: String,
    in_flight: u64,
    rate: f64,
    p50_ms: Option<f64>,
    cold_rate: f64,
    error_rate: f64,
    throttle_rate: f64,
    environments: u64,
    idle: u64,
    memory_mb: u64,
}

pub(crate) fn run(args: &TopArgs) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let is_drawn = std::io::stdout().is_terminal() && !args.json;
    if is_drawn {
        put(OPEN)?;
    }
    let outcome = runtime.block_on(watch(args, is_drawn));
    if is_drawn {
        put(CLOSE)?;
    }
    outcome
}

async fn watch(args: &TopArgs, is_drawn: bool) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut left = args.count.or((!is_drawn).then_some(1));
    let (mut before, mut at) = (look(args).await?, Instant::now());
    while left != Some(0) {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs_f64(args.interval)) => {}
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
        }
        let now = look(args).await?;
        let rows = rows(&before, &now, at.elapsed());
        (before, at) = (now, Instant::now());
        if args.json {
            let all = serde_json::json!({
                "functions": rows, "memoryMb": before.memory_mb, "workers": before.workers,
            });
            put(&format!("{all}\n"))?;
        } else if is_drawn {
            put(&screen(&lines(&before, &rows, args), height().saturating_sub(1)))?;
        } else {
            put(&format!("{}\n", lines(&before, &rows, args).join("\n")))?;
        }
        left = left.map(|left| left - 1);
    }
    Ok(())
}

async fn look(args: &TopArgs) -> Result<Look> {
    let not_ours = "the server's answer is not what this version asks for";
    let answer = get_json(&args.endpoint, "/_hearth/functions").await?;
    let look: Look = serde_json::from_value(answer).context(not_ours)?;
    let answer = get_json(&args.endpoint, "/_hearth/workers").await?;
    let Workers { workers } = serde_json::from_value(answer).context(not_ours)?;
    Ok(Look { workers, ..look })
}

/// Those with most invokes first. A counter that is less than before began anew.
fn rows(before: &Look, now: &Look, passed: Duration) -> Vec<Row> {
    let known: HashMap<_, _> = before.functions.iter().map(|of| (&*of.function, of)).collect();
    let none = Counted::default();
    let mut rows: Vec<_> = now
        .functions
        .iter()
        .map(|of| {
            let was =
                known.get(&*of.function).copied().filter(|was| was.invocations <= of.invocations).unwrap_or(&none);
            let rate = |now: u64, was: u64| now.saturating_sub(was) as f64 / passed.as_secs_f64();
            Row {
                function: of.function.clone(),
                in_flight: of.in_flight,
                rate: rate(of.invocations, was.invocations),
                p50_ms: median_us(&of.durations_us, &was.durations_us).map(|us| us / 1000.0),
                cold_rate: rate(of.cold_starts, was.cold_starts),
                error_rate: rate(of.errors, was.errors),
                throttle_rate: rate(of.throttles, was.throttles),
                environments: of.init + of.busy + of.idle,
                idle: of.idle,
                memory_mb: of.memory_mb,
            }
        })
        .collect();
    rows.sort_by(|a, b| {
        b.rate.total_cmp(&a.rate).then(b.in_flight.cmp(&a.in_flight)).then(a.function.cmp(&b.function))
    });
    rows
}

/// Of the durations that were added since; those of one length lie evenly over it.
fn median_us(now: &[(u64, u64)], before: &[(u64, u64)]) -> Option<f64> {
    let was: HashMap<_, _> = before.iter().copied().collect();
    let added: Vec<_> =
        now.iter().map(|(us, count)| (*us, count.saturating_sub(was.get(us).copied().unwrap_or(0)))).collect();
    let all: u64 = added.iter().map(|(_, count)| count).sum();
    let mut below = 0.0;
    for (least, count) in added.into_iter().filter(|(_, count)| *count > 0) {
        let here = count as f64;
        if below + here >= all as f64 / 2.0 {
            let quarter = (1_u64 << least.max(1).ilog2()) as f64 / 4.0;
            return Some(least as f64 + quarter * (all as f64 / 2.0 - below) / here);
        }
        below += here;
    }
    None
}

fn lines(look: &Look, rows: &[Row], args: &TopArgs) -> Vec<String> {
    let sum = |of: fn(&Row) -> f64| rows.iter().map(of).sum::<f64>();
    let mut lines = vec![
        format!(
            "{}   {:.1} invokes/s   {} under way   {:.1} cold/s   {:.1} errors/s   {:.1} throttles/s",
            args.endpoint,
            sum(|row| row.rate),
            rows.iter().map(|row| row.in_flight).sum::<u64>(),
            sum(|row| row.cold_rate),
            sum(|row| row.error_rate),
            sum(|row| row.throttle_rate),
        ),
        format!(
            "{} environments, {} idle   {} of {} MB promised",
            rows.iter().map(|row| row.environments).sum::<u64>(),
            rows.iter().map(|row| row.idle).sum::<u64>(),
            look.memory_mb,
            look.memory_budget_mb
        ),
        String::new(),
    ];
    // The server's own alone would say the same once more.
    if look.workers.len() > 1 || look.workers.iter().any(|worker| worker.name != OWN) {
        lines.extend(of_workers(&look.workers));
        lines.push(String::new());
    }
    let right = |head| (head, Align::Right);
    let heads = [
        ("FUNCTION", Align::Left),
        right("UNDER WAY"),
        right("RATE/S"),
        right("P50 MS"),
        right("COLD/S"),
        right("ERRORS/S"),
        right("THROTTLES/S"),
        right("ENVS"),
        right("IDLE"),
        right("MB"),
    ];
    let cells = |row: &Row| {
        vec![
            escape_for_terminal(&row.function),
            row.in_flight.to_string(),
            format!("{:.1}", row.rate),
            row.p50_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.2}")),
            format!("{:.1}", row.cold_rate),
            format!("{:.1}", row.error_rate),
            format!("{:.1}", row.throttle_rate),
            row.environments.to_string(),
            row.idle.to_string(),
            row.memory_mb.to_string(),
        ]
    };
    lines.extend(table(&heads, &rows.iter().map(cells).collect::<Vec<_>>()));
    lines
}

fn of_workers(workers: &[Worker]) -> Vec<String> {
    let right = |head| (head, Align::Right);
    let heads = [
        ("WORKER", Align::Left),
        ("STATE", Align::Left),
        right("ENVS"),
        right("IDLE"),
        right("MB"),
        right("OF MB"),
        right("DESCRIPTORS"),
    ];
    let cells = |worker: &Worker| {
        vec![
            escape_for_terminal(&worker.name),
            escape_for_terminal(&worker.state),
            worker.environments.to_string(),
            worker.idle_environments.to_string(),
            worker.used_memory_mb.to_string(),
            worker.memory_mb.to_string(),
            worker.descriptors.to_string(),
        ]
    };
    table(&heads, &workers.iter().map(cells).collect::<Vec<_>>())
}

/// What has room on a terminal of so many rows.
fn screen(lines: &[String], rows: usize) -> String {
    let mut text = HOME.to_owned();
    let shown = if lines.len() > rows { rows.saturating_sub(1) } else { lines.len() };
    for line in &lines[..shown] {
        text += line;
        text += LINE;
    }
    if shown < lines.len() {
        text += &format!("({} more)", lines.len() - shown.max(HEAD_ROWS.min(lines.len())));
        text += LINE;
    }
    text + REST
}

/// Rows of the terminal, as `stty` says it.
fn height() -> usize {
    let said = std::process::Command::new("stty").arg("size").stdin(std::process::Stdio::inherit()).output();
    let text = said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned()).unwrap_or_default();
    text.split_whitespace().next().and_then(|rows| rows.parse().ok()).filter(|rows| *rows > 0).unwrap_or(ROWS)
}

fn put(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("standard output")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(functions: Vec<Counted>) -> Look {
        Look { functions, memory_mb: 256, memory_budget_mb: 1024, workers: Vec::new() }
    }

    #[test]
    fn rates_and_medians_are_of_what_was_added() {
        let of = |invocations, durations_us: &[(u64, u64)]| Counted {
            function: "f".to_owned(),
            invocations,
            durations_us: durations_us.to_vec(),
            ..Counted::default()
        };
        let rows = |before, now| rows(&look(vec![before]), &look(vec![now]), Duration::from_secs(2));
        let [row] = &rows(of(10, &[(1024, 10)]), of(16, &[(1024, 10), (4096, 6)]))[..] else { panic!("one") };
        assert_eq!((row.rate, row.p50_ms), (3.0, Some(4.608)));
        let [row] = &rows(of(10, &[(1024, 10)]), of(10, &[(1024, 10)]))[..] else { panic!("one") };
        assert_eq!((row.rate, row.p50_ms), (0.0, None));
        let [row] = &rows(of(10, &[(1024, 10)]), of(4, &[(1024, 4)]))[..] else { panic!("one") };
        assert_eq!(row.rate, 2.0, "it was made anew");
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let lines: Vec<_> = (0..10).map(|n| format!("line {n}")).collect();
        let text = screen(&lines, 6);
        assert!(text.contains("line 4") && !text.contains("line 5") && text.contains("(5 more)"), "{text:?}");
        assert!(screen(&lines, 10).contains("line 9"));
    }
}
