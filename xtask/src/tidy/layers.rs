//! Dependencies between crates go downwards only.

use anyhow::Result;
use serde_json::Value;

/// Each crate's layer; a crate may use crates of lower layers, and the exceptions below.
const LAYERS: &[(&str, u8)] = &[
    // The vocabulary: no I/O, no tokio.
    ("hearth-types", 0),
    ("hearth-crash", 0),
    ("hearth-api", 0),
    ("hearth-scheduler", 0),
    ("hearth-pattern", 0),
    ("hearth-cron", 0),
    ("hearth-metrics", 0),
    // Seams and plumbing.
    ("hearth-clock", 1),
    ("hearth-store", 1),
    ("hearth-store-sqlite", 1),
    ("hearth-records", 1),
    ("hearth-http", 1),
    ("hearth-identity", 1),
    ("hearth-access", 2),
    ("hearth-client", 2),
    ("hearth-metering", 2),
    ("hearth-sqs", 2),
    ("hearth-fleet", 2),
    // The node.
    ("hearth-sandbox", 2),
    ("hearth-image", 2),
    ("hearth-runtimes", 2),
    ("hearth-worker", 2),
    // The data plane.
    ("hearth-frontend", 3),
    ("hearth-delivery", 3),
    ("hearth-events", 3),
    ("hearth-logs", 3),
    ("hearth-otlp", 3),
    // Uses the front end's seam for environments.
    ("hearth-remote", 4),
    // Uses what delivers events.
    ("hearth-sources", 4),
    // The control plane.
    ("hearth-control", 4),
    // The neighbours.
    ("hearth-s3", 4),
    ("hearth-sns", 4),
    ("hearth-neighbours", 4),
    ("hearth-rules", 4),
    // The composition, and what only tests and measures.
    ("hearth-server", 5),
    ("hearth-bench", 6),
    ("hearth-sim", 6),
    ("xtask", 6),
];

/// Uses within a layer that are meant: (user, used).
const WITHIN: &[(&str, &str)] = &[
    ("hearth-api", "hearth-types"),
    ("hearth-scheduler", "hearth-types"),
    ("hearth-metrics", "hearth-types"),
    ("hearth-pattern", "hearth-types"),
    ("hearth-store-sqlite", "hearth-store"),
    ("hearth-records", "hearth-store"),
    ("hearth-worker", "hearth-sandbox"),
    ("hearth-events", "hearth-delivery"),
    ("hearth-worker", "hearth-runtimes"),
];

/// Uses across layers that must never be, whatever the layers say: (user, used, why).
const NEVER: &[(&str, &str, &str)] = &[
    ("hearth-control", "hearth-frontend", "control plane and front end meet in the store"),
    ("hearth-control", "hearth-store-sqlite", "only the server knows which engine there is"),
    ("hearth-frontend", "hearth-store-sqlite", "only the server knows which engine there is"),
];

/// External crates that the lowest layer must not use.
const NO_IO: &[&str] = &["tokio", "hyper", "hyper-util", "rustix", "rusqlite", "libc"];

/// What is against the order of layers.
pub(super) fn check(packages: &[Value]) -> Result<Vec<String>> {
    let mut broken = Vec::new();
    for package in packages {
        let user = package["name"].as_str().unwrap_or_default();
        let used = package["dependencies"].as_array().into_iter().flatten();
        // Tests may look upwards, for instance to run against a real engine.
        let used = used.filter(|dependency| dependency["kind"] != "dev");
        let used: Vec<&str> = used.filter_map(|dependency| dependency["name"].as_str()).collect();
        broken.extend(against(user, &used));
    }
    Ok(broken)
}

fn layer(name: &str) -> Option<u8> {
    LAYERS.iter().find(|(crate_name, _)| *crate_name == name).map(|(_, layer)| *layer)
}

fn against(user: &str, used: &[&str]) -> Vec<String> {
    let Some(own) = layer(user) else {
        return vec![format!("{user} has no layer: give it one in xtask/src/tidy/layers.rs")];
    };
    let mut broken = Vec::new();
    for name in used {
        if own == 0 && NO_IO.contains(name) {
            broken.push(format!("{user} uses {name}: layer 0 does no I/O"));
        }
        if let Some((_, _, why)) = NEVER.iter().find(|(a, b, _)| a == &user && b == name) {
            broken.push(format!("{user} uses {name}: {why}"));
        }
        let Some(other) = layer(name) else { continue };
        if other > own || (other == own && !WITHIN.contains(&(user, name))) {
            broken.push(format!("{user} (layer {own}) uses {name} (layer {other})"));
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_only_downward_uses_through() {
        assert!(against("hearth-worker", &["hearth-types", "hearth-sandbox", "tokio"]).is_empty());
        assert_eq!(against("hearth-store", &["hearth-worker"]).len(), 1);
        assert_eq!(against("hearth-sandbox", &["hearth-worker"]).len(), 1);
        assert_eq!(against("hearth-types", &["tokio"]).len(), 1);
        assert_eq!(against("hearth-control", &["hearth-frontend"]).len(), 1);
        assert_eq!(against("hearth-new", &[]).len(), 1);
    }
}
