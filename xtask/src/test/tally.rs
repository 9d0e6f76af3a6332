//! Counts of passed and failed tests, read from what the runners print.

use std::fmt;
use std::time::Duration;

use anyhow::Result;

/// How many tests passed and failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
}

impl Tally {
    /// Adds one test.
    pub(crate) fn count(&mut self, passed: bool) {
        if passed { self.passed += 1 } else { self.failed += 1 }
    }

    /// Adds one test that is a task of our own.
    pub(crate) fn check(&mut self, result: Result<()>) -> Result<()> {
        result?;
        self.passed += 1;
        Ok(())
    }

    /// Adds a summary of `cargo test`, if the line is one.
    pub(crate) fn read_rust(&mut self, line: &str) {
        let line = plain(line);
        if line.starts_with("test result:") {
            self.add_words(&line);
        }
    }

    /// Adds the summary that pytest prints last: `==== 3 failed, 40 passed in 12.3s ====`.
    pub(crate) fn read_pytest(&mut self, line: &str) {
        let line = plain(line);
        let summary = line.trim_matches(['=', ' ']);
        if summary.starts_with(|c: char| c.is_ascii_digit()) && summary.contains(" in ") {
            self.add_words(summary);
        }
    }

    /// Adds the summary of Node's test runner: `# pass 3` or, for people, `ℹ pass 3`.
    pub(crate) fn read_node(&mut self, line: &str) {
        let line = plain(line);
        let words: Vec<&str> = line.trim_start_matches(['#', 'ℹ', ' ']).split(' ').collect();
        match words.as_slice() {
            ["pass", n] => self.passed += n.parse().unwrap_or(0),
            ["fail", n] => self.failed += n.parse().unwrap_or(0),
            _ => {}
        }
    }

    /// Adds each `N passed`, `N failed` and `N errors` of the line.
    fn add_words(&mut self, line: &str) {
        let words: Vec<&str> = line.split([' ', ',', ';', '.']).filter(|word| !word.is_empty()).collect();
        for pair in words.windows(2) {
            let Ok(number) = pair[0].parse::<u32>() else { continue };
            match pair[1] {
                "passed" => self.passed += number,
                "failed" | "error" | "errors" => self.failed += number,
                _ => {}
            }
        }
    }

    /// One line of the closing table.
    pub(crate) fn line_since(&self, before: Self, name: &str, time: Duration) -> String {
        let passed = self.passed - before.passed;
        let failed = self.failed - before.failed;
        let word = if failed > 0 {
            "FAILED"
        } else if passed > 0 {
            "ok"
        } else {
            "left out"
        };
        format!("{name:<28} {word:<8} {passed:>5} passed {failed:>4} failed {:>6.1} s", time.as_secs_f64())
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// The line without the escape sequences that colour it.
fn plain(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        if c == '\u{1b}' {
            rest.by_ref().find(|c| c.is_ascii_alphabetic());
        } else {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str], read: fn(&mut Tally, &str)) -> (u32, u32) {
        let mut tally = Tally::default();
        lines.iter().for_each(|line| read(&mut tally, line));
        (tally.passed, tally.failed)
    }

    #[test]
    fn counts_rust_tests() {
        let cargo = [
            "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored",
            "test tests::counts_7 passed ... ok",
        ];
        assert_eq!(read(&cargo, Tally::read_rust), (15, 2));
    }

    #[test]
    fn counts_python_and_node_tests() {
        let pytest =
            ["=== 3 failed, 40 passed, 1 skipped, 2 errors in 12.30s ===", "4 passed in 1.0s", "tests/a.py 5 passed"];
        assert_eq!(read(&pytest, Tally::read_pytest), (44, 5));
        assert_eq!(read(&["# tests 4", "# pass 3", "ℹ fail 1"], Tally::read_node), (3, 1));
    }

    #[test]
    fn sums_up_in_one_line() {
        let tally = Tally { passed: 3, failed: 1 };
        assert_eq!(tally.to_string(), "3 passed, 1 failed");
        assert!(tally.line_since(Tally::default(), "x", Duration::ZERO).contains("FAILED"));
    }
}
