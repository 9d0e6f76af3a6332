//! Runs as a table for people.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::compare::Run;

type Column = (&'static str, fn(&Run) -> String);

const COLUMNS: &[Column] = &[
    ("policy", |run| run.policy.name()),
    ("GB", |run| gb(run.machine.memory_mb() as f64 / 1024.0)),
    ("calls", |run| run.figures.calls().to_string()),
    ("cold", |run| percent(run.figures.cold_rate())),
    ("p50", |run| percent(run.figures.cold_rate_of_functions(0.5))),
    ("p75", |run| percent(run.figures.cold_rate_of_functions(0.75))),
    ("p99", |run| percent(run.figures.cold_rate_of_functions(0.99))),
    ("ahead", |run| run.figures.ahead.to_string()),
    ("idle GB-s", |run| format!("{:.0}", run.figures.idle_gb_s())),
    ("mean GB", |run| gb(run.figures.mean_gb())),
    ("peak GB", |run| gb(run.figures.peak_gb())),
    ("wait p99", |run| milliseconds(run.figures.waited(0.99))),
    ("waited s", |run| format!("{:.0}", run.figures.waited_s())),
    ("throttled", |run| run.figures.throttled_in_all().to_string()),
];

/// A line for each run. `cold` is the share of all invokes, `p50` to `p99` of functions by their own share; `GB` is what
/// there was, `idle GB-s` what was had and not used.
#[must_use]
pub fn table(runs: &[Run]) -> String {
    let reasons: BTreeSet<&str> = runs.iter().flat_map(|run| run.figures.throttles().keys().copied()).collect();
    let mut rows = vec![COLUMNS.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>()];
    rows[0].extend(reasons.iter().map(|reason| (*reason).to_owned()));
    for run in runs {
        let mut row: Vec<String> = COLUMNS.iter().map(|(_, cell)| cell(run)).collect();
        row.extend(reasons.iter().map(|reason| run.figures.throttles().get(reason).copied().unwrap_or(0).to_string()));
        rows.push(row);
    }
    align(&rows)
}

fn align(rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            let width = width(column);
            // Writing to a string never fails.
            let _ = if column == 0 { write!(text, "{cell:<width$}") } else { write!(text, "  {cell:>width$}") };
        }
        text.push('\n');
    }
    text
}

fn percent(share: f64) -> String {
    format!("{:.3} %", share * 100.0)
}

fn gb(gb: f64) -> String {
    format!("{gb:.1}")
}

fn milliseconds(nanoseconds: u64) -> String {
    format!("{:.1} ms", nanoseconds as f64 / 1e6)
}
