//! Loaders for the traces that providers have published.

mod azure;
mod huawei;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

pub use azure::azure;
pub use huawei::huawei;

/// Calls by minute since the trace began.
type Minutes = BTreeMap<u32, u32>;

const MINUTES_A_DAY: u32 = 1440;

/// The files of a folder whose names begin so and end in `.csv`, by name.
fn files(folder: &Path, prefix: &str) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with(prefix) && name.ends_with(".csv") {
            paths.push(path);
        }
    }
    paths.sort();
    if paths.is_empty() {
        bail!("there is no {prefix}*.csv in {}", folder.display());
    }
    Ok(paths)
}

/// Where a file has the columns of these names.
fn columns<const N: usize>(header: &csv::StringRecord, names: [&str; N]) -> Result<[usize; N]> {
    let mut at = [0; N];
    for (column, name) in at.iter_mut().zip(names) {
        *column =
            header.iter().position(|field| field == name).with_context(|| format!("there is no column {name}"))?;
    }
    Ok(at)
}

/// A field as a number; an empty one is 0.
fn number(field: &str) -> Result<f64> {
    let field = field.trim();
    if field.is_empty() {
        return Ok(0.0);
    }
    let number: f64 = field.parse().with_context(|| format!("{field} is not a number"))?;
    if number.is_finite() && number >= 0.0 { Ok(number) } else { bail!("{field} is not a number from 0 on") }
}

/// Rows of a file one after the other, with what `begin` made of the header; the file and the line are named where one is
/// wrong.
fn rows<T>(
    path: &Path,
    begin: impl FnOnce(&csv::StringRecord) -> Result<T>,
    mut row: impl FnMut(&T, &csv::StringRecord) -> Result<()>,
) -> Result<()> {
    let whole = || path.display().to_string();
    let mut reader = csv::Reader::from_path(path).with_context(whole)?;
    let begun = begin(reader.headers().with_context(whole)?).with_context(whole)?;
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).with_context(whole)? {
        let line = record.position().map_or(0, csv::Position::line);
        row(&begun, &record).with_context(|| format!("{}, line {line}", path.display()))?;
    }
    Ok(())
}
