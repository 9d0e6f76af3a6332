//! Paths into an event: `$.detail.state`, `$.resources[0]`, `$.detail['a.b'][*]`. Pure.

use serde_json::Value;

/// A path that was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Path(Vec<Step>);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    Member(String),
    Element(usize),
    Each,
}

impl Path {
    /// None for what is no path.
    pub(crate) fn parse(text: &str) -> Option<Path> {
        let mut rest = text.strip_prefix('$')?;
        let mut steps = vec![];
        while !rest.is_empty() {
            let (step, behind) = step(rest)?;
            steps.push(step);
            rest = behind;
        }
        Some(Path(steps))
    }

    /// What is there; of several values, a list of them.
    pub(crate) fn find(&self, event: &Value) -> Option<Value> {
        let mut found = vec![event];
        for step in &self.0 {
            found = found.into_iter().flat_map(|value| step.of(value)).collect();
        }
        if self.0.contains(&Step::Each) {
            return Some(found.into_iter().cloned().collect());
        }
        found.first().map(|value| (*value).clone())
    }
}

impl Step {
    fn of<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        match (self, value) {
            (Step::Member(name), Value::Object(members)) => members.get(name).into_iter().collect(),
            (Step::Element(index), Value::Array(elements)) => elements.get(*index).into_iter().collect(),
            (Step::Each, Value::Array(elements)) => elements.iter().collect(),
            (Step::Each, Value::Object(members)) => members.values().collect(),
            _ => vec![],
        }
    }
}

fn step(text: &str) -> Option<(Step, &str)> {
    if let Some(rest) = text.strip_prefix('.') {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let step = if name == "*" { Step::Each } else { Step::Member(name.to_owned()) };
        return (!name.is_empty()).then_some((step, rest));
    }
    let inner = text.strip_prefix('[')?;
    for quote in ['\'', '"'] {
        if let Some(quoted) = inner.strip_prefix(quote) {
            let (name, rest) = quoted.split_once(quote)?;
            return Some((Step::Member(name.to_owned()), rest.strip_prefix(']')?));
        }
    }
    let (index, rest) = inner.split_once(']')?;
    if index == "*" {
        return Some((Step::Each, rest));
    }
    index.parse().ok().map(|index| (Step::Element(index), rest))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_lies_where() {
        let event =
            json!({"detail-type": "t", "resources": ["a", "b"], "detail": {"a.b": {"c": [{"d": 1}, {"d": 2}]}}});
        let at = |path: &str| Path::parse(path).unwrap().find(&event);
        assert_eq!(at("$"), Some(event.clone()));
        assert_eq!(at("$.detail-type"), Some(json!("t")));
        assert_eq!(at("$.resources[1]"), Some(json!("b")));
        assert_eq!(at("$['detail'][\"a.b\"].c[0].d"), Some(json!(1)));
        assert_eq!(at("$.detail['a.b'].c[*].d"), Some(json!([1, 2])));
        assert_eq!(at("$.detail.nothing"), None);
        assert_eq!(at("$.resources[2]"), None);
        for none in ["", "detail", "$detail", "$.", "$..a", "$[", "$[x]", "$['a]", "$.a["] {
            assert_eq!(Path::parse(none), None, "{none}");
        }
    }
}
