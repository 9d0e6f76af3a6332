//! Sequence numbers: where a record is in its shard.

use std::cmp::Ordering;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A number of up to 128 digits, as text. Later records of a shard have greater ones.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub(crate) struct Sequence(pub(crate) Arc<str>);

impl From<String> for Sequence {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<Sequence> for String {
    fn from(sequence: Sequence) -> Self {
        sequence.0.as_ref().to_owned()
    }
}

impl Ord for Sequence {
    /// As numbers: their texts have no fixed length.
    fn cmp(&self, other: &Self) -> Ordering {
        let digits = |sequence: &Self| sequence.0.trim_start_matches('0').len();
        let numbers = (self.0.trim_start_matches('0'), other.0.trim_start_matches('0'));
        digits(self).cmp(&digits(other)).then_with(|| numbers.0.cmp(numbers.1)).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Sequence {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_compared_as_numbers() {
        let of = |text: &str| Sequence(text.into());
        assert!(of("9") < of("10") && of("009") < of("10") && of("10") < of("11") && of("0") < of("1"));
        assert!(of("49590338271490256608559692538361571095921575989136588898") > of("9"));
    }
}
