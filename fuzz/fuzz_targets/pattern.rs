//! A pattern, and after the first line end an event to hold it against.
#![no_main]

use hearth_pattern::{FilterPolicy, Pattern, Scope};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

fuzz_target!(|text: &str| {
    let (pattern, event) = text.split_once('\n').unwrap_or((text, "{}"));
    let event: Value = serde_json::from_str(event).unwrap_or_default();
    let rule = Pattern::parse(pattern);
    if let Ok(mapping) = Pattern::parse_mapping(pattern) {
        let rule = rule.as_ref().expect("a rule takes what a mapping takes");
        assert_eq!(rule.matches(&event), mapping.matches(&event));
    }
    if let Ok(rule) = rule {
        assert_eq!(rule.matches(&event), rule.matches(&event));
    }
    if let Ok(policy) = FilterPolicy::parse(pattern, Scope::MessageBody) {
        let text = event.to_string();
        assert_eq!(policy.lets_through(&Map::new(), &text), policy.lets_through(&Map::new(), &text));
    }
    if let (Ok(policy), Value::Object(attributes)) = (FilterPolicy::parse(pattern, Scope::MessageAttributes), event) {
        assert_eq!(policy.lets_through(&attributes, ""), policy.lets_through(&attributes, ""));
    }
});
