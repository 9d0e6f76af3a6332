//! The project's own proof on cgroup v2: what is run in the guest when no command is given.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Job, repository};
use crate::tools::cargo;

/// The sandbox's own tests; the server with its smoke test, started by root; the same by an ordinary user.
pub(super) const PARTS: [&str; 3] = ["sandbox", "server", "ordinary"];

/// Builds what is to be proved and fills the job.
pub(super) fn prepare(job: &mut Job) -> Result<()> {
    if job.parts.is_empty() {
        job.parts = PARTS.map(String::from).to_vec();
    }
    if job.parts.iter().any(|part| part == "sandbox") {
        let tests = executables(&["test", "--locked", "--package", "hearth-sandbox", "--no-run"])?;
        ensure!(!tests.is_empty(), "hearth-sandbox has no tests to prove");
        for test in tests {
            let name = test.file_name().context("a test program without a name")?;
            job.copies.push((test.clone(), PathBuf::from("/guest/tests").join(name)));
        }
    }
    let server = executables(&["build", "--release", "--locked", "--package", "hearth-server", "--bin", "hearth"])?;
    let server = server.into_iter().next().context("cargo built no server")?;
    job.copies.push((server, "/usr/local/bin/hearth".into()));
    for script in ["prove.sh", "smoke.py"] {
        job.copies.push((repository().join("e2e/guest").join(script), PathBuf::from("/guest").join(script)));
    }
    job.command = ["bash", "/guest/prove.sh"].map(String::from).to_vec();
    job.command.extend(job.parts.iter().cloned());
    Ok(())
}

/// Runs cargo and returns the programs that it built.
fn executables(args: &[&str]) -> Result<Vec<PathBuf>> {
    let output = cargo(args)
        .args(["--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    ensure!(output.status.success(), "cargo {} failed", args.join(" "));
    Ok(String::from_utf8(output.stdout)?.lines().filter_map(executable).collect())
}

/// The program that one of cargo's messages names; examples, which come along with tests, are none.
fn executable(message: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    let example = message["target"]["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "example"));
    message["executable"].as_str().filter(|_| !example).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_messages_about_programs_name_one() {
        assert_eq!(executable(r#"{"reason":"compiler-artifact","executable":"/t/a"}"#), Some("/t/a".into()));
        assert_eq!(executable(r#"{"reason":"compiler-artifact","executable":null}"#), None);
        assert_eq!(executable(r#"{"target":{"kind":["example"]},"executable":"/t/a"}"#), None);
        assert_eq!(executable("running 3 tests"), None);
    }
}
