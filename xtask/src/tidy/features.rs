//! What can weaken the sandbox is in no build but the one that asks for it.

use anyhow::Result;
use serde_json::Value;

/// Leaves defences out; see the sandbox's `weaken.rs`.
const WEAKEN: &str = "weaken";

/// Packages that turn the feature on by default, or for one that they use.
pub(super) fn check(packages: &[Value]) -> Result<Vec<String>> {
    Ok(packages.iter().filter_map(turned_on).collect())
}

fn turned_on(package: &Value) -> Option<String> {
    let name = package["name"].as_str().unwrap_or_default();
    let is_it = |feature: &Value| feature.as_str().is_some_and(|text| text.rsplit('/').next() == Some(WEAKEN));
    let mut features = package["features"].as_object().into_iter().flatten();
    // A feature of the same name may pass it on; any other would hide it.
    let hidden = features.any(|(own, on)| own != WEAKEN && on.as_array().into_iter().flatten().any(is_it));
    let mut used = package["dependencies"].as_array().into_iter().flatten();
    let asked = used.any(|dependency| dependency["features"].as_array().into_iter().flatten().any(is_it));
    (hidden || asked).then(|| format!("{name} turns the feature {WEAKEN} on: no build may have it unasked"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_feature_of_the_same_name_may_pass_it_on() {
        let package = |features: Value, asked: Value| json!({"name": "a", "features": features, "dependencies": [{"features": asked}]});
        assert_eq!(turned_on(&package(json!({"weaken": ["b/weaken"], "default": ["x"]}), json!([]))), None);
        assert!(turned_on(&package(json!({"default": ["weaken"]}), json!([]))).is_some());
        assert!(turned_on(&package(json!({"full": ["b/weaken"]}), json!([]))).is_some());
        assert!(turned_on(&package(json!({}), json!(["weaken"]))).is_some());
    }
}
