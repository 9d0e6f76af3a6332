//! The project's own proof on cgroup v2: what is run in the guest when no command is given.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Job, repository};
use crate::tools::{cargo, output};

/// The sandbox's own tests; the server with its smoke test, started by root; the same by an ordinary user.
pub(super) const PARTS: [&str; 3] = ["sandbox", "server", "ordinary"];

/// The first runtime that snapshots are taken of.
const SNAP_START: &str = "python3.12";

/// What of its library no function here imports, and is larger than all the rest: by the beginnings of names.
const UNUSED: [&str; 6] = ["__pycache__", "config-", "ensurepip", "idlelib", "site-packages", "test"];

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
    job.copies.extend(python(&server)?);
    job.copies.push((server, "/usr/local/bin/hearth".into()));
    for script in ["prove.sh", "smoke.py"] {
        job.copies.push((repository().join("e2e/guest").join(script), PathBuf::from("/guest").join(script)));
    }
    job.command = ["bash", "/guest/prove.sh"].map(String::from).to_vec();
    job.command.extend(job.parts.iter().cloned());
    Ok(())
}

/// What of this machine's Python becomes the guest's second one: SnapStart wants a newer one than Debian 12 has.
fn python(server: &Path) -> Result<Vec<(PathBuf, PathBuf)>> {
    let report: Value = serde_json::from_str(&output(Command::new(server).args(["doctor", "--json"]))?)?;
    let program = location(&report, SNAP_START).with_context(|| {
        format!("the proof has a function with SnapStart: install {SNAP_START} where `hearth doctor` finds it")
    })?;
    let prefix = program.ancestors().nth(2).context("an interpreter that is in no bin folder")?;
    let library = Path::new("lib").join(SNAP_START);
    let mut copies = vec![(program.clone(), PathBuf::from("/usr/local/bin").join(SNAP_START))];
    for entry in fs::read_dir(prefix.join(&library)).context("an interpreter without its library")? {
        let name = entry?.file_name();
        if !UNUSED.iter().any(|unused| name.to_string_lossy().starts_with(unused)) {
            copies.push((prefix.join(&library).join(&name), Path::new("/usr/local").join(&library).join(name)));
        }
    }
    let shared = Path::new("lib").join(format!("lib{SNAP_START}.so.1.0"));
    if prefix.join(&shared).exists() {
        copies.push((prefix.join(&shared), Path::new("/usr/local").join(&shared)));
    }
    Ok(copies)
}

/// Where a runtime's interpreter is, as `hearth doctor --json` says it.
fn location(report: &Value, runtime: &str) -> Option<PathBuf> {
    let runtimes = report["runtimes"].as_array()?;
    runtimes.iter().find(|one| one["name"] == runtime)?["location"].as_str().map(PathBuf::from)
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
    fn an_interpreter_is_where_the_report_says() {
        let report: Value = serde_json::from_str(
            r#"{"runtimes":[{"name":"provided.al2","location":null},{"name":"python3.12","location":"/p/bin/python3.12"}]}"#,
        )
        .unwrap();
        assert_eq!(location(&report, "python3.12"), Some("/p/bin/python3.12".into()));
        assert_eq!((location(&report, "provided.al2"), location(&report, "python3.13")), (None, None));
    }

    #[test]
    fn only_messages_about_programs_name_one() {
        assert_eq!(executable(r#"{"reason":"compiler-artifact","executable":"/t/a"}"#), Some("/t/a".into()));
        assert_eq!(executable(r#"{"reason":"compiler-artifact","executable":null}"#), None);
        assert_eq!(executable(r#"{"target":{"kind":["example"]},"executable":"/t/a"}"#), None);
        assert_eq!(executable("running 3 tests"), None);
    }
}
