//! Numbers as patterns compare them.

use hearth_types::limits::PATTERN_NUMBER_MAX;

/// Six digits right of the point are told apart (EventBridge).
const PRECISION: f64 = 1.0e6;

/// A number of a pattern or an event. 300, 300.0 and 3.0e2 are the same.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Number {
    /// Millionths, of a number between minus and plus five billion.
    Comparable(i64),
    /// Of any other the text alone counts.
    Text(String),
}

impl Number {
    pub(crate) fn of(number: &serde_json::Number) -> Number {
        match millionths(number) {
            Some(millionths) => Number::Comparable(millionths),
            None => Number::Text(number.to_string()),
        }
    }
}

/// None beyond five billion.
pub(crate) fn millionths(number: &serde_json::Number) -> Option<i64> {
    let value = number.as_f64().filter(|value| value.abs() <= PATTERN_NUMBER_MAX)?;
    // Below 2^53: exact.
    #[allow(clippy::cast_possible_truncation)]
    Some((value * PRECISION).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::of(&serde_json::from_str(text).expect("a number"))
    }

    #[test]
    fn writings_of_one_number_are_equal() {
        assert_eq!(number("300"), number("300.0"));
        assert_eq!(number("300"), number("3.0e2"));
        assert_eq!(number("0"), number("-0.0"));
        assert_eq!(number("0.1"), number("1e-1"));
        assert_ne!(number("300"), number("300.000001"));
        assert_eq!(number("300"), number("300.0000001"), "beyond the sixth digit");
    }

    #[test]
    fn beyond_five_billion_the_text_counts() {
        assert_eq!(number("5000000000"), number("5e9"));
        assert_ne!(number("5000000001"), number("5000000001.0"));
        assert_eq!(number("9007199254740993"), number("9007199254740993"));
        assert_ne!(number("9007199254740993"), number("9007199254740992"));
    }

    #[test]
    fn they_are_in_order() {
        assert!(number("-5e9") < number("-1.5"));
        assert!(number("-1.5") < number("0"));
        assert!(number("0.000001") > number("0"));
    }
}
