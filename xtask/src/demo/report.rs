//! The demo's figures and the table that shows them.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::tools::http::Connection;

/// One function's figures.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) phases: Option<Phases>,
    pub(super) cold: Line,
    /// Sorted.
    pub(super) warm: Vec<Duration>,
    pub(super) max_memory_mb: f64,
}

/// Milliseconds that the parts of a cold start took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phases {
    sandbox_ms: f64,
    runtime_ms: f64,
    function_ms: f64,
}

impl Phases {
    /// Of the function's newest environment; none while it tells no phases.
    pub(super) fn of_newest(connection: &mut Connection, function: &str) -> Result<Option<Self>> {
        let answer = connection.request("GET", &format!("/_hearth/functions/{function}/environments"), b"")?;
        if answer.status != 200 {
            bail!("the server shows no environments of {function}: status {}", answer.status);
        }
        let all: Value = serde_json::from_slice(&answer.body)?;
        let newest = all["Environments"].as_array().and_then(|list| list.last());
        let part = |name| newest.and_then(|environment| environment["InitPhases"][name].as_f64());
        let parts = (part("SandboxMs"), part("RuntimeMs"), part("FunctionMs"));
        let (Some(sandbox_ms), Some(runtime_ms), Some(function_ms)) = parts else { return Ok(None) };
        Ok(Some(Self { sandbox_ms, runtime_ms, function_ms }))
    }
}

/// The REPORT line of one invoke.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    pub(super) duration_ms: f64,
    pub(super) max_memory_mb: f64,
    pub(super) init_ms: Option<f64>,
}

impl Line {
    /// Finds the line in a log's tail.
    pub(super) fn of_log(log: &str) -> Result<Self> {
        let line =
            log.lines().rfind(|line| line.starts_with("REPORT ")).with_context(|| format!("no REPORT in {log:?}"))?;
        let field = |name: &str| {
            let part = line.split('\t').find_map(|part| part.trim().strip_prefix(name))?;
            part.trim_start_matches(':').split_whitespace().next()?.parse().ok()
        };
        let missing = || format!("{line:?} is not complete");
        Ok(Self {
            duration_ms: field("Duration").with_context(missing)?,
            max_memory_mb: field("Max Memory Used").with_context(missing)?,
            init_ms: field("Init Duration"),
        })
    }
}

/// A table with a column per function.
pub(super) fn table(rows: &[Row]) -> String {
    let milliseconds = |value: Option<f64>| value.map_or("-".to_owned(), |ms| format!("{ms:.2} ms"));
    let phase = |row: &Row, of: fn(&Phases) -> f64| milliseconds(row.phases.as_ref().map(of));
    type Cell<'a> = Box<dyn Fn(&Row) -> String + 'a>;
    let lines: [(&str, Cell<'_>); 9] = [
        ("", Box::new(|row| row.name.clone())),
        ("cold: sandbox", Box::new(|row| phase(row, |p| p.sandbox_ms))),
        ("      runtime", Box::new(|row| phase(row, |p| p.runtime_ms))),
        ("      function's init code", Box::new(|row| phase(row, |p| p.function_ms))),
        ("      Init Duration (REPORT)", Box::new(|row| milliseconds(row.cold.init_ms))),
        ("      first handler call", Box::new(|row| milliseconds(Some(row.cold.duration_ms)))),
        ("warm: round trip, p50", Box::new(|row| quantile(&row.warm, 0.50))),
        ("      round trip, p99", Box::new(|row| quantile(&row.warm, 0.99))),
        ("most memory used", Box::new(|row| format!("{:.0} MB", row.max_memory_mb))),
    ];
    let mut text = String::new();
    for (title, cell) in lines {
        let cells: String = rows.iter().map(|row| format!("{:>16}", cell(row))).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "   {title:<28}{cells}");
    }
    text
}

fn quantile(sorted: &[Duration], share: f64) -> String {
    let last = sorted.len().saturating_sub(1);
    let at = ((last as f64) * share).round() as usize;
    sorted.get(at).map_or("-".to_owned(), |time| format!("{:.3} ms", time.as_secs_f64() * 1e3))
}

/// The text behind a `LogResult`.
pub(super) fn log_text(base64: &str) -> Result<String> {
    let bytes = STANDARD.decode(base64).with_context(|| format!("{base64:?} is not base64"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_report_lines() {
        let cold = "START RequestId: x Version: $LATEST\nEND RequestId: x\nREPORT RequestId: x\tDuration: 3.01 ms\t\
                    Billed Duration: 114 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\tInit Duration: 110.10 ms\t\n";
        let line = Line { duration_ms: 3.01, max_memory_mb: 36.0, init_ms: Some(110.10) };
        assert_eq!(Line::of_log(cold).unwrap(), line);
        assert_eq!(Line::of_log(&cold.replace("Init Duration: 110.10 ms\t", "")).unwrap().init_ms, None);
        assert!(Line::of_log("END RequestId: x\n").is_err());
    }
}
