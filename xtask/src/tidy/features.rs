//! What can weaken the sandbox, or crash the server, is in no build but the one that asks for it.

use anyhow::Result;
use serde_json::Value;

/// `weaken` leaves defences out, see the sandbox's `weaken.rs`; `crash-points` ends the process, see the crate `crash`.
const ONLY_ASKED: [&str; 2] = ["weaken", "crash-points"];

/// Packages that turn such a feature on by default, or for one that they use.
pub(super) fn check(packages: &[Value]) -> Result<Vec<String>> {
    Ok(packages.iter().flat_map(|package| ONLY_ASKED.iter().filter_map(|only| turned_on(package, only))).collect())
}

fn turned_on(package: &Value, only: &str) -> Option<String> {
    let name = package["name"].as_str().unwrap_or_default();
    let is_it = |feature: &Value| feature.as_str().is_some_and(|text| text.rsplit('/').next() == Some(only));
    let mut features = package["features"].as_object().into_iter().flatten();
    // A feature of the same name may pass it on; any other would hide it.
    let hidden = features.any(|(own, on)| own != only && on.as_array().into_iter().flatten().any(is_it));
    let mut used = package["dependencies"].as_array().into_iter().flatten();
    let asked = used.any(|dependency| dependency["features"].as_array().into_iter().flatten().any(is_it));
    (hidden || asked).then(|| format!("{name} turns the feature {only} on: no build may have it unasked"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_feature_of_the_same_name_may_pass_it_on() {
        let package = |features: Value, asked: Value| json!({"name": "a", "features": features, "dependencies": [{"features": asked}]});
        assert_eq!(turned_on(&package(json!({"weaken": ["b/weaken"], "default": ["x"]}), json!([])), "weaken"), None);
        assert!(turned_on(&package(json!({"default": ["weaken"]}), json!([])), "weaken").is_some());
        assert!(turned_on(&package(json!({"full": ["b/weaken"]}), json!([])), "weaken").is_some());
        assert!(turned_on(&package(json!({}), json!(["crash-points"])), "crash-points").is_some());
    }
}
