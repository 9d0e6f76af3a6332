//! Which records a mapping lets through. Pure.

use hearth_pattern::{Pattern, PatternError};
use serde_json::Value;

/// The patterns of a mapping; a record has to fit one of them. None lets all pass.
pub(crate) struct Filters(Vec<Pattern>);

impl Filters {
    /// # Errors
    /// For a pattern that is none. Those of mappings have been checked.
    pub(crate) fn new(patterns: &[String]) -> Result<Self, PatternError> {
        patterns.iter().map(|text| Pattern::parse_mapping(text)).collect::<Result<_, _>>().map(Self)
    }

    /// Whether any record may be held back.
    pub(crate) fn are_any(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether a record passes, which `record` makes: its data as [`data`] has them.
    pub(crate) fn let_through(&self, record: impl FnOnce() -> Value) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let record = record();
        self.0.iter().any(|pattern| pattern.matches(&record))
    }
}

/// What a record carries, as patterns see it: what JSON says, and otherwise the text itself. So a pattern of keys never
/// fits a plain text, and one of a text never fits JSON.
pub(crate) fn data(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn passes(pattern: &str, body: &str) -> bool {
        Filters::new(&[pattern.to_owned()]).unwrap().let_through(|| json!({ "body": data(body) }))
    }

    #[test]
    fn data_and_pattern_are_of_one_kind_or_the_record_is_held_back() {
        let (keys, text) = (r#"{"body":{"k":["v"]}}"#, r#"{"body":["v"]}"#);
        assert!(passes(keys, r#"{"k":"v"}"#) && !passes(keys, r#"{"k":"w"}"#) && !passes(keys, "v"));
        assert!(passes(text, "v") && !passes(text, "w") && !passes(text, r#"{"k":"v"}"#));
        assert!(passes(r#"{"body":{"n":[{"numeric":[">",100]}]}}"#, r#"{"n":101}"#));
    }

    #[test]
    fn one_pattern_of_many_is_enough_and_no_pattern_lets_all_through() {
        let filters = Filters::new(&[r#"{"body":["a"]}"#.into(), r#"{"body":["b"]}"#.into()]).unwrap();
        assert!(filters.let_through(|| json!({"body": "b"})) && !filters.let_through(|| json!({"body": "c"})));
        assert!(Filters::new(&[]).unwrap().let_through(|| Value::Null));
        assert!(Filters::new(&["word".into()]).is_err());
    }
}
