//! What was measured, as a table and as JSON; two of them side by side.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// Figures of one run, in the order they were measured.
pub(crate) struct Report {
    machine: Value,
    rows: Vec<Row>,
}

/// One measurement.
struct Row {
    /// `warm/python/1769MB/...`: the same in each run.
    name: String,
    /// Name with its unit, and figure.
    figures: Vec<(&'static str, f64)>,
}

impl Report {
    pub(crate) fn new(machine: Value) -> Self {
        Self { machine, rows: Vec::new() }
    }

    /// Adds a measurement and says so.
    pub(crate) fn add(&mut self, name: impl Into<String>, figures: &[(&'static str, f64)]) {
        let row = Row { name: name.into(), figures: figures.to_vec() };
        eprintln!("  {}", row.text());
        self.rows.push(row);
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        if let Some(machine) = self.machine.as_object() {
            let facts: Vec<String> = machine.iter().map(|(name, value)| format!("{name} {}", plain(value))).collect();
            let _ = writeln!(text, "{}\n", facts.join(", "));
        }
        let mut group = "";
        for row in &self.rows {
            let of = row.name.split('/').next().unwrap_or_default();
            if std::mem::replace(&mut group, of) != of {
                let _ = writeln!(text, "-- {of}");
            }
            let _ = writeln!(text, "{}", row.text());
        }
        text
    }

    /// For machines, and for a later comparison.
    pub(crate) fn json(&self) -> String {
        let rows = self.rows.iter().map(|row| {
            let figures: serde_json::Map<String, Value> =
                row.figures.iter().map(|(name, figure)| ((*name).to_owned(), json!(figure))).collect();
            json!({ "name": row.name, "figures": figures })
        });
        let rows: Vec<Value> = rows.collect();
        format!("{:#}\n", json!({ "machine": self.machine, "measurements": rows }))
    }
}

impl Row {
    fn text(&self) -> String {
        let figures: Vec<String> =
            self.figures.iter().map(|(name, figure)| format!("{name} {}", shown(*figure))).collect();
        format!("{:<58} {}", self.name, figures.join("  "))
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Three significant digits or so.
fn shown(figure: f64) -> String {
    match figure.abs() {
        size if size >= 100.0 || figure.fract() == 0.0 => format!("{figure:.0}"),
        size if size >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}

type Figures = BTreeMap<(String, String), f64>;

/// Prints the figures that two reports share, and their ratio.
pub(crate) fn compare(before: &Path, after: &Path) -> Result<()> {
    let (before, after) = (read(before)?, read(after)?);
    println!("{:<58} {:<16} {:>10} {:>10} {:>7}", "measurement", "figure", "before", "after", "ratio");
    for ((name, figure), old) in &before {
        let Some(new) = after.get(&(name.clone(), figure.clone())) else { continue };
        let ratio = if *old == 0.0 { "-".to_owned() } else { format!("{:.2}", new / old) };
        println!("{name:<58} {figure:<16} {:>10} {:>10} {ratio:>7}", shown(*old), shown(*new));
    }
    let only = |a: &Figures, b: &Figures| a.keys().filter(|key| !b.contains_key(*key)).count();
    println!("only before: {}; only after: {}", only(&before, &after), only(&after, &before));
    Ok(())
}

fn read(path: &Path) -> Result<Figures> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let report: Value = serde_json::from_str(&text).with_context(|| format!("{} is no report", path.display()))?;
    let rows = report["measurements"].as_array().with_context(|| format!("{} is no report", path.display()))?;
    let mut figures = BTreeMap::new();
    for row in rows {
        let name = row["name"].as_str().unwrap_or_default();
        for (figure, value) in row["figures"].as_object().into_iter().flatten() {
            figures.insert((name.to_owned(), figure.clone()), value.as_f64().unwrap_or_default());
        }
    }
    Ok(figures)
}
