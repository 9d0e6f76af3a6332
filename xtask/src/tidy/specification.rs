//! What docs/SPECIFICATION.md promises is checked by something: each row names a command, each command a test that is
//! there, each bound one that the code has.

use anyhow::Result;

use crate::tools::root;

const DOCUMENT: &str = "docs/SPECIFICATION.md";

/// What is wrong with its rows. `files` are all files of the project.
pub(super) fn check(files: &[String]) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(root().join(DOCUMENT))?;
    let read = |wanted: fn(&str) -> bool| {
        let wanted = files.iter().filter(|path| wanted(path));
        wanted.filter_map(|path| std::fs::read_to_string(root().join(path)).ok()).collect::<String>()
    };
    let known = Known {
        limits: read(|path| path.starts_with("crates/types/src/limits")),
        tests: read(|path| path.starts_with("e2e/tests/")),
        rows: read(|path| path.starts_with("e2e/hostile/rows/")),
    };
    let rows = text.lines().enumerate().filter(|(_, line)| line.starts_with("| ") && !line.starts_with("| number"));
    let broken = rows.filter_map(|(at, line)| known.broken(line).map(|what| (at, what)));
    Ok(broken.map(|(at, what)| format!("{DOCUMENT}: line {}: {what}", at + 1)).collect())
}

struct Known {
    limits: String,
    tests: String,
    rows: String,
}

impl Known {
    fn broken(&self, line: &str) -> Option<String> {
        let cells: Vec<&str> = line.trim_matches('|').split(" |").map(str::trim).collect();
        let [_, bounds, command] = cells.as_slice() else { return Some(format!("not three cells: {line}")) };
        for bound in bounds.split('`').filter(|word| word.len() > 2 && word.chars().all(is_of_constant)) {
            if !self.limits.contains(&format!("pub const {bound}:")) {
                return Some(format!("the code has no bound {bound}"));
            }
        }
        let words: Vec<&str> = command.trim_matches('`').split(' ').collect();
        match words.as_slice() {
            ["cargo", "xtask", "e2e", "-k", test] if self.tests.contains(&format!("def {test}(")) => None,
            ["cargo", "xtask", "hostile", "-k", row] if self.rows.contains(&format!("row(\"{row}\",")) => None,
            ["cargo", "xtask", "bench" | "soak" | "loss", ..] => None,
            _ => Some(format!("nothing checks this: {command}")),
        }
    }
}

fn is_of_constant(c: char) -> bool {
    c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_a_bound_and_a_command_that_are_there() {
        let known = Known {
            limits: "pub const LAYERS: usize = 5;".to_owned(),
            tests: "def test_a():".to_owned(),
            rows: "@row(\"J01\", ".to_owned(),
        };
        let broken = |line| known.broken(line).is_some();
        assert!(!broken("| 5 | `LAYERS` | `cargo xtask e2e -k test_a` |"));
        assert!(!broken("| 5 | | `cargo xtask hostile -k J01` |"));
        assert!(!broken("| 5 ms | of a start | `cargo xtask bench --only cold` |"));
        assert!(broken("| 5 | `LAYER` | `cargo xtask e2e -k test_a` |"));
        assert!(broken("| 5 | `LAYERS` | `cargo xtask e2e -k test_b` |"));
        assert!(broken("| 5 | | `cargo xtask hostile -k J02` |"));
        assert!(broken("| 5 | `LAYERS` | |"));
        assert!(broken("| 5 |"));
    }
}
