//! What is known of a request besides who asks for what.

use std::collections::BTreeMap;

/// Condition keys and their values. Keys are the same whatever their case.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Context(BTreeMap<String, Vec<String>>);

impl Context {
    /// Gives a key its one value.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        self.0.insert(key.to_ascii_lowercase(), vec![value.into()]);
    }

    /// Gives a key of many values all of them.
    pub fn set_all(&mut self, key: &str, values: impl IntoIterator<Item = String>) {
        self.0.insert(key.to_ascii_lowercase(), values.into_iter().collect());
    }

    /// The same with one key more.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.set(key, value);
        self
    }

    /// Takes over all keys of another one.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// All values of a key; none where it is absent. `key` is in lower case.
    pub(super) fn values(&self, key: &str) -> &[String] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    /// The value of a variable: that of a key which has exactly one.
    pub(super) fn variable(&self, key: &str) -> Option<&str> {
        match self.values(key) {
            [value] => Some(value),
            _ => None,
        }
    }
}
