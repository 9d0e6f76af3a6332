//! `hearth doctor`: what this machine has, and how to get what is missing.

use anyhow::Result;
use hearth_sandbox::{Finding, Kept, Level, SandboxError, examine_machine, examine_network, examine_promises};
use serde_json::{Value, json};

use crate::asking::region;
use crate::cli::DoctorArgs;
use crate::pace::hindrances;

/// Prints the report. The machine is only looked at.
pub(crate) fn run(args: &DoctorArgs) -> Result<()> {
    // What discovery caches is not worth keeping for one look, and a name in /tmp could be somebody else's link.
    let cache = tempfile::tempdir()?;
    let catalogue = hearth_runtimes::discover(cache.path(), &[]);
    let (sandbox, network, promises) = (examine_machine(), examine_network(), examine_promises());
    let level = level(&promises);
    let region = region();
    if args.json {
        let runtimes: Vec<Value> = catalogue
            .runtimes()
            .iter()
            .map(|runtime| {
                let arn = runtime.id.arn(&region);
                json!({"name": runtime.name, "version": runtime.version, "location": runtime.location, "arn": arn})
            })
            .collect();
        let missing: Vec<Value> = catalogue
            .missing()
            .iter()
            .map(|(name, missing)| json!({"name": name, "what": missing.what, "how": missing.how}))
            .collect();
        let findings = |all: &[Finding]| all.iter().map(as_json).collect::<Vec<Value>>();
        let (sandbox, network) = (findings(&sandbox), findings(&network));
        let promises: Vec<Value> = promises.iter().map(promise_as_json).collect();
        let slower: Vec<Value> =
            hindrances().iter().map(|found| json!({"what": found.what, "how": found.how})).collect();
        let report = json!({
            "runtimes": runtimes, "missing": missing, "sandbox": sandbox, "network": network,
            "promises": promises, "isolation": level.map(Level::name), "slower": slower,
        });
        println!("{report}");
        return Ok(());
    }
    println!("Runtimes that run here");
    for runtime in catalogue.runtimes() {
        let location = runtime.location.as_deref().map_or_else(String::new, |path| path.display().to_string());
        println!("  {:<16} {:<12} {location}", runtime.name, runtime.version);
        // Functions can be held to one of several: by this name.
        if catalogue.runtimes().iter().filter(|other| other.name == runtime.name).count() > 1 {
            println!("  {:<16} {:<12} {}", "", "", runtime.id.arn(&region));
        }
    }
    println!("\nRuntimes that could");
    for (name, missing) in catalogue.missing() {
        println!("  {name:<16} {missing}");
    }
    println!("\nWhat environments need");
    sandbox.iter().for_each(print);
    println!("\nWhat is promised of environments (--isolation-at-least: {})", level.map_or("none", Level::name));
    for Kept { promise, outcome } in &promises {
        print_line(promise.text(), outcome);
    }
    println!("\nWhat --network nat needs beside that");
    network.iter().for_each(print);
    let slower = hindrances();
    if !slower.is_empty() {
        println!("\nWhat makes this machine slower than it could be");
        slower.iter().for_each(|found| println!("  {}: {}", found.what, found.how));
    }
    Ok(())
}

fn print(finding: &Finding) {
    print_line(finding.what, &finding.outcome);
}

fn print_line(what: &str, outcome: &Result<String, SandboxError>) {
    match outcome {
        Ok(there) => println!("  yes {what:<60} {there}"),
        Err(missing) => println!("  NO  {what:<60} {missing}"),
    }
}

/// The level that this machine keeps.
fn level(promises: &[Kept]) -> Option<Level> {
    Level::without(promises.iter().filter(|kept| kept.outcome.is_err()).map(|kept| &kept.promise))
}

fn promise_as_json(kept: &Kept) -> Value {
    let mut line = outcome_as_json(kept.promise.text(), &kept.outcome);
    line["level"] = kept.promise.level().name().into();
    line
}

/// `how` is the remedy; empty where nothing is missing.
fn as_json(finding: &Finding) -> Value {
    outcome_as_json(finding.what, &finding.outcome)
}

fn outcome_as_json(what: &str, outcome: &Result<String, SandboxError>) -> Value {
    let (there, how) = match outcome {
        Ok(there) => (there.as_str(), String::new()),
        Err(missing) => ("", missing.to_string()),
    };
    json!({"what": what, "there": outcome.is_ok(), "found": there, "how": how})
}
