//! `hearth doctor`: what this machine has, and how to get what is missing.

use anyhow::Result;
use hearth_sandbox::{Finding, examine_machine, examine_network};
use serde_json::{Value, json};

use crate::cli::DoctorArgs;

/// Prints the report. The machine is only looked at.
pub(crate) fn run(args: &DoctorArgs) -> Result<()> {
    // What discovery caches is not worth keeping for one look, and a name in /tmp could be somebody else's link.
    let cache = tempfile::tempdir()?;
    let catalogue = hearth_runtimes::discover(cache.path(), &[]);
    let (sandbox, network) = (examine_machine(), examine_network());
    if args.json {
        let runtimes: Vec<Value> = catalogue
            .runtimes()
            .iter()
            .map(|runtime| json!({"name": runtime.name, "version": runtime.version, "location": runtime.location}))
            .collect();
        let missing: Vec<Value> = catalogue
            .missing()
            .iter()
            .map(|(name, missing)| json!({"name": name, "what": missing.what, "how": missing.how}))
            .collect();
        let findings = |all: &[Finding]| all.iter().map(as_json).collect::<Vec<Value>>();
        let (sandbox, network) = (findings(&sandbox), findings(&network));
        println!("{}", json!({"runtimes": runtimes, "missing": missing, "sandbox": sandbox, "network": network}));
        return Ok(());
    }
    println!("Runtimes that run here");
    for runtime in catalogue.runtimes() {
        let location = runtime.location.as_deref().map_or_else(String::new, |path| path.display().to_string());
        println!("  {:<16} {:<12} {location}", runtime.name, runtime.version);
    }
    println!("\nRuntimes that could");
    for (name, missing) in catalogue.missing() {
        println!("  {name:<16} {missing}");
    }
    println!("\nWhat environments need");
    sandbox.iter().for_each(print);
    println!("\nWhat --network nat needs beside that");
    network.iter().for_each(print);
    Ok(())
}

fn print(finding: &Finding) {
    match &finding.outcome {
        Ok(there) => println!("  yes {:<60} {there}", finding.what),
        Err(missing) => println!("  NO  {:<60} {missing}", finding.what),
    }
}

/// `how` is the remedy; empty where nothing is missing.
fn as_json(finding: &Finding) -> Value {
    let (there, how) = match &finding.outcome {
        Ok(there) => (there.as_str(), String::new()),
        Err(missing) => ("", missing.to_string()),
    };
    json!({"what": finding.what, "there": finding.outcome.is_ok(), "found": there, "how": how})
}
