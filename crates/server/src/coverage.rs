//! The part of the documentation that says what is supported, made from the tables that decide it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use hearth_api::Operation;
use hearth_control::coverage::{Line, coverage};

use crate::gateway::INVOKES;
use crate::operate::ANSWERED;

const START: &str = "<!-- generated: coverage; do not edit between these marks -->\n";
const END: &str = "<!-- end generated -->\n";
/// Set by `cargo xtask coverage`: the file is written, not compared.
const WRITE: &str = "HEARTH_WRITE_COVERAGE";
/// Characters of a line of text.
const WIDTH: usize = 120;

/// The operations whose members are shown, in the order of their columns.
const COLUMNS: [Operation; 3] =
    [Operation::CreateFunction, Operation::UpdateFunctionConfiguration, Operation::UpdateFunctionCode];

#[test]
fn the_documentation_says_what_the_code_does() {
    let path = file();
    let before = fs::read_to_string(&path).unwrap();
    let after = with_coverage(&before).unwrap();
    if env::var_os(WRITE).is_some() {
        fs::write(&path, after).unwrap();
    } else {
        assert!(before == after, "{} is not current: run `cargo xtask coverage`", path.display());
    }
}

#[test]
fn an_operation_is_answered_in_one_place() {
    for operation in INVOKES {
        assert!(!ANSWERED.contains(operation), "{}", operation.name());
    }
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/compatibility.md")
}

/// The text with what stands between the marks made anew; none where they are missing.
fn with_coverage(text: &str) -> Option<String> {
    let (before, rest) = text.split_once(START)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{START}{}\n{}{END}{after}", operations(), members()))
}

fn operations() -> String {
    let (answered, missing): (Vec<Operation>, Vec<Operation>) =
        Operation::ALL.iter().partition(|operation| ANSWERED.contains(operation) || INVOKES.contains(operation));
    format!(
        "{} of the API's {} operations are answered:\n\n{}\nThese {} answer 501 with their name:\n\n{}",
        answered.len(),
        Operation::ALL.len(),
        wrapped(&answered),
        missing.len(),
        wrapped(&missing),
    )
}

/// Names, separated by commas, in lines of at most [`WIDTH`] characters.
fn wrapped(operations: &[Operation]) -> String {
    let mut text = String::new();
    let mut column = 0;
    for (index, operation) in operations.iter().enumerate() {
        let end = if index + 1 == operations.len() { "." } else { "," };
        let word = format!("{}{end}", operation.name());
        if column > 0 && column + 1 + word.len() > WIDTH {
            text.push('\n');
            column = 0;
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(&word);
        column += word.len();
    }
    text.push('\n');
    text
}

/// A table: a line for each member, a column for each operation.
fn members() -> String {
    let mut rows: BTreeMap<&str, Vec<Line>> = BTreeMap::new();
    for line in coverage() {
        rows.entry(line.member).or_default().push(line);
    }
    let names: Vec<&str> = COLUMNS.iter().map(|operation| operation.name()).collect();
    let mut text = format!("| member | {} | |\n|---|{}---|\n", names.join(" | "), "---|".repeat(COLUMNS.len()));
    for (member, lines) in rows {
        let effect = |operation| lines.iter().find(|line| line.operation == operation).map_or("", |line| line.effect);
        let mut notes: Vec<&str> = lines.iter().map(|line| line.note).filter(|note| !note.is_empty()).collect();
        notes.dedup();
        let cells: Vec<&str> = COLUMNS.into_iter().map(effect).collect();
        // Writing to a text cannot fail.
        let _ = writeln!(text, "| {member} | {} | {} |", cells.join(" | "), notes.join("; "));
    }
    text
}
