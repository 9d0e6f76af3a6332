//! Every point to crash at is in the code, and is driven: the crate `crash` names them, the code comes to them, and
//! `e2e/loss/points.py` says what leads there.

use anyhow::Result;

use crate::tools::root;

const NAMES: &str = "crates/crash/src/lib.rs";
const DRIVEN: &str = "e2e/loss/points.py";

/// What one of the three has and another has not. `files` are all files of the project.
pub(super) fn check(files: &[String]) -> Result<Vec<String>> {
    let read = |path: &str| std::fs::read_to_string(root().join(path));
    let code = files.iter().filter(|path| path.starts_with("crates/") && path.ends_with(".rs") && *path != NAMES);
    let code: String = code.filter_map(|path| read(path).ok()).collect();
    Ok(compare(&read(NAMES)?, &code, &read(DRIVEN)?))
}

fn compare(names: &str, code: &str, driven: &str) -> Vec<String> {
    let points = points(names);
    let mut broken = Vec::new();
    for point in &points {
        if !code.contains(&format!("Point::{point})")) {
            broken.push(format!("{NAMES}: the code never comes to {point}"));
        }
        if !driven.contains(&format!("\"{}\":", kebab(point))) {
            broken.push(format!("{DRIVEN}: nothing leads to {}", kebab(point)));
        }
    }
    let driven = driven.lines().filter_map(|line| line.strip_prefix("    \"")?.split_once("\":")).map(|(name, _)| name);
    for name in driven.filter(|name| !points.iter().any(|point| kebab(point) == *name)) {
        broken.push(format!("{DRIVEN}: there is no point {name}"));
    }
    broken
}

/// The variants of the enumeration.
fn points(names: &str) -> Vec<&str> {
    let Some((_, body)) = names.split_once("pub enum Point {") else { return Vec::new() };
    let body = body.split_once("\n}").map_or(body, |(body, _)| body);
    body.lines().map(str::trim).filter_map(|line| line.strip_suffix(',')).collect()
}

/// `QueueWritten` is `queue-written`.
fn kebab(point: &str) -> String {
    let mut name = String::new();
    for c in point.chars() {
        if c.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_named_reached_and_driven() {
        let names = "pub enum Point {\n    /// One.\n    OneTwo,\n    Three,\n}\n";
        let driven = "    \"one-two\": x,\n    \"three\": y,\n";
        let code = "crash::point(Point::OneTwo); crash::point(Point::Three);";
        assert_eq!(compare(names, code, driven), Vec::<String>::new());
        assert_eq!(compare(names, "crash::point(Point::OneTwo)", driven).len(), 1);
        assert_eq!(compare(names, code, "    \"three\": y,\n").len(), 1);
        assert_eq!(compare(names, code, &format!("{driven}    \"four\": z,\n")).len(), 1);
    }
}
