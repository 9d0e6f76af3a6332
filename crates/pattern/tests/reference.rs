//! Patterns held against a slow reading of what they mean: the event as a list of values, each with the element of every
//! array that it lies in, and every way of choosing a value for each thing asked.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::collections::BTreeMap;

use hearth_pattern::Pattern;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// A value of the event, the keys that lead to it, and which element it is of which array.
struct Leaf {
    path: Vec<String>,
    value: Value,
    elements: BTreeMap<String, usize>,
}

fn flatten(at: &Value, place: &str, path: &[String], elements: &BTreeMap<String, usize>, leaves: &mut Vec<Leaf>) {
    match at {
        Value::Object(members) => {
            for (key, value) in members {
                let path = [path, std::slice::from_ref(key)].concat();
                flatten(value, &format!("{place}.{key}"), &path, elements, leaves);
            }
        }
        Value::Array(all) => {
            for (index, value) in all.iter().enumerate() {
                let mut elements = elements.clone();
                elements.insert(place.to_owned(), index);
                flatten(value, &format!("{place}[{index}]"), path, &elements, leaves);
            }
        }
        value => leaves.push(Leaf { path: path.to_vec(), value: value.clone(), elements: elements.clone() }),
    }
}

type Asked = (Vec<String>, Vec<Value>);

/// Each combination of the `$or`s as a list of paths with their alternatives.
fn combinations(pattern: &Map<String, Value>, path: &[String]) -> Vec<Vec<Asked>> {
    let mut all: Vec<Vec<Asked>> = vec![vec![]];
    for (key, value) in pattern {
        let here = [path, std::slice::from_ref(key)].concat();
        let these = match value {
            Value::Array(branches) if key == "$or" => {
                branches.iter().flat_map(|branch| combinations(branch.as_object().unwrap(), path)).collect()
            }
            Value::Array(list) => vec![vec![(here, list.clone())]],
            Value::Object(inner) => combinations(inner, &here),
            _ => unreachable!(),
        };
        all = all.iter().flat_map(|one| these.iter().map(move |more| [one.clone(), more.clone()].concat())).collect();
    }
    all
}

fn fits(alternative: &Value, value: &Value) -> bool {
    let Value::Object(operator) = alternative else {
        return match (alternative.as_f64(), value.as_f64()) {
            (Some(one), Some(other)) => (one - other).abs() < 1e-9,
            _ => alternative == value,
        };
    };
    let (name, operand) = operator.iter().next().unwrap();
    match (name.as_str(), value) {
        ("exists", _) => operand == &json!(true),
        ("anything-but", _) => match operand {
            Value::Array(list) => !list.iter().any(|one| fits(one, value)),
            _ => !fits(operand, value),
        },
        ("prefix", Value::String(text)) => text.starts_with(operand.as_str().unwrap()),
        ("suffix", Value::String(text)) => text.ends_with(operand.as_str().unwrap()),
        ("equals-ignore-case", Value::String(text)) => text.eq_ignore_ascii_case(operand.as_str().unwrap()),
        ("numeric", Value::Number(number)) => number.as_f64().unwrap() > operand[1].as_f64().unwrap(),
        _ => false,
    }
}

fn naive(pattern: &Map<String, Value>, event: &Value) -> bool {
    let mut leaves = vec![];
    flatten(event, "", &[], &BTreeMap::new(), &mut leaves);
    combinations(pattern, &[]).iter().any(|asked| choose(asked, &leaves, &BTreeMap::new()))
}

fn choose(asked: &[Asked], leaves: &[Leaf], elements: &BTreeMap<String, usize>) -> bool {
    let Some(((path, alternatives), others)) = asked.split_first() else { return true };
    let there = || leaves.iter().filter(|leaf| &leaf.path == path);
    if there().next().is_none() && alternatives.contains(&json!({"exists": false})) {
        return choose(others, leaves, elements);
    }
    there().filter(|leaf| alternatives.iter().any(|one| fits(one, &leaf.value))).any(|leaf| {
        let agree = leaf.elements.iter().all(|(array, index)| elements.get(array).is_none_or(|other| other == index));
        // Values directly in one array may be different ones: an array of values is no array of objects.
        let mut all = elements.clone();
        all.extend(leaf.elements.clone());
        agree && choose(others, leaves, &all)
    })
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2i64..4).prop_map(Value::from),
        Just(json!(2.0)),
        "[xY]{0,2}".prop_map(Value::from),
    ]
}

fn event() -> impl Strategy<Value = Value> {
    let tree = value().prop_recursive(4, 40, 4, |inner| {
        prop_oneof![
            3 => prop::collection::btree_map("[abc]", inner.clone(), 0..4).prop_map(|all| json!(all)),
            2 => prop::collection::vec(inner, 0..4).prop_map(Value::from),
        ]
    });
    prop::collection::btree_map("[abc]", tree, 0..4).prop_map(|all| json!(all))
}

fn alternative() -> impl Strategy<Value = Value> {
    let text = "[xyXY]{1,2}";
    prop_oneof![
        4 => value(),
        2 => any::<bool>().prop_map(|exists| json!({"exists": exists})),
        1 => text.prop_map(|text| json!({"prefix": text})),
        1 => text.prop_map(|text| json!({"suffix": text})),
        1 => text.prop_map(|text| json!({"equals-ignore-case": text})),
        1 => (-2..3).prop_map(|least| json!({"numeric": [">", least]})),
        1 => text.prop_map(|text| json!({"anything-but": [text]})),
        1 => text.prop_map(|text| json!({"anything-but": {"prefix": text}})),
        1 => (-2..3).prop_map(|number| json!({"anything-but": [number, 2]})),
    ]
}

fn pattern() -> impl Strategy<Value = Value> {
    let list = prop::collection::vec(alternative(), 1..3).prop_map(Value::from);
    let tree = prop::collection::btree_map("[abc]", list, 1..3).prop_map(|all| json!(all));
    tree.prop_recursive(3, 20, 3, |inner| {
        let list = prop::collection::vec(alternative(), 1..3).prop_map(Value::from);
        let members = prop::collection::btree_map("[abc]", prop_oneof![inner.clone(), list], 1..3);
        let branches = prop::option::weighted(0.4, prop::collection::vec(inner, 2..4));
        (members, branches).prop_map(|(members, branches)| {
            let mut all = json!(members);
            if let Some(branches) = branches {
                all["$or"] = json!(branches);
            }
            all
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn as_the_slow_reading_says(pattern in pattern(), event in event()) {
        // Refused is only what asks twice of one value.
        match Pattern::parse(&pattern.to_string()) {
            Ok(read) => prop_assert_eq!(read.matches(&event), naive(pattern.as_object().unwrap(), &event)),
            Err(error) => prop_assert_eq!(error.to_string(), "Path cannot be allowed multiple times"),
        }
    }

    #[test]
    fn no_text_is_too_much(text in "[\\[\\]{}\":,a$or1 ]{0,40}") {
        let _ = Pattern::parse(&text);
    }
}
