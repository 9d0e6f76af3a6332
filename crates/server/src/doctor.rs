//! `hearth doctor`: what this machine has, and how to get what is missing.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use crate::cli::DoctorArgs;

/// One thing that an environment's isolation needs.
struct Need {
    what: &'static str,
    there: bool,
    how: &'static str,
}

/// Prints the report. The machine is only looked at.
pub(crate) fn run(args: &DoctorArgs) -> Result<()> {
    // What discovery caches is not worth keeping for one look, and a name in /tmp could be somebody else's link.
    let cache = tempfile::tempdir()?;
    let catalogue = hearth_runtimes::discover(cache.path());
    let needs = needs();
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
        let needs: Vec<Value> =
            needs.iter().map(|need| json!({"what": need.what, "there": need.there, "how": need.how})).collect();
        println!("{}", json!({"runtimes": runtimes, "missing": missing, "sandbox": needs}));
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
    for need in &needs {
        println!(
            "  {} {:<60} {}",
            if need.there { "yes" } else { "NO " },
            need.what,
            if need.there { "" } else { need.how }
        );
    }
    Ok(())
}

fn needs() -> Vec<Need> {
    let exists = |path: &str| Path::new(path).exists();
    let v2 = exists("/sys/fs/cgroup/cgroup.controllers");
    let v1 = ["memory", "cpu", "pids", "unified"].iter().all(|name| exists(&format!("/sys/fs/cgroup/{name}")));
    vec![
        Need {
            what: "root, to make environments (given up before the first request)",
            there: rustix::process::geteuid().is_root(),
            how: "start hearth serve as root",
        },
        Need {
            what: "control groups: v2, or v1 with the unified hierarchy beside it",
            there: v2 || v1,
            how: "mount cgroup2 at /sys/fs/cgroup, or below it at unified",
        },
        Need {
            what: "mkfs.ext4, for the disks behind /tmp",
            there: ["/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4"].iter().any(|path| exists(path)),
            how: "apt install e2fsprogs",
        },
        Need {
            what: "loop devices, for the disks behind /tmp",
            there: exists("/dev/loop-control"),
            how: "modprobe loop",
        },
        Need {
            what: "user namespaces",
            there: std::fs::read_to_string("/proc/sys/user/max_user_namespaces").is_ok_and(|text| text.trim() != "0"),
            how: "sysctl user.max_user_namespaces=16384",
        },
    ]
}
