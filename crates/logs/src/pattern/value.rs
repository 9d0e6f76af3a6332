//! What fields are compared with.

use std::cmp::Ordering;

use fancy_regex::{Regex, RegexBuilder};
use hearth_types::limits::PATTERN_BACKTRACKS;

use super::Malformed;
use super::cursor::Cursor;

/// Bytes that a compiled expression may take.
const REGEX_BYTES: usize = 256 * 1024;

/// How a field is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// The longer ones first: each begins with a shorter one.
const OPERATORS: [(&str, Operator); 6] = [
    ("!=", Operator::NotEqual),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("=", Operator::Equal),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

/// What a field is compared with, and how.
#[derive(Debug)]
pub(super) struct Comparison {
    operator: Operator,
    wanted: Wanted,
}

#[derive(Debug)]
enum Wanted {
    /// Asterisks stand for any text; where all of it is a number, it is one too.
    Text {
        text: String,
        number: Option<f64>,
    },
    Regex(Regex),
}

impl Comparison {
    /// Reads an operator and a value.
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let found = OPERATORS.iter().find(|(text, _)| cursor.take(text));
        let Some((text, operator)) = found else { return Err(cursor.unexpected("an operator is missing")) };
        let wanted = match cursor.peek() {
            Some('"') => Wanted::Text { text: cursor.quoted('"')?, number: None },
            Some('%') => Wanted::Regex(cursor.regex()?),
            _ => {
                let text = cursor.while_of(|c| !c.is_whitespace() && !"(){}[],=!<>&|\"%".contains(c));
                if text.is_empty() {
                    return Err(cursor.unexpected("a value is missing"));
                }
                Wanted::Text { text: text.to_owned(), number: text.parse().ok() }
            }
        };
        let comparison = Self { operator: *operator, wanted };
        let needs_number = !matches!(operator, Operator::Equal | Operator::NotEqual);
        if needs_number && comparison.number().is_none() {
            return Err(Malformed(format!("Invalid filter pattern: {text} compares with numbers only")));
        }
        Ok(comparison)
    }

    fn number(&self) -> Option<f64> {
        match &self.wanted {
            Wanted::Text { number, .. } => *number,
            Wanted::Regex(_) => None,
        }
    }

    /// Whether a number fits; `shown` is how it is written.
    pub(super) fn fits_number(&self, number: f64, shown: &str) -> bool {
        let Some(wanted) = self.number() else { return self.fits_text(shown) };
        let order = number.partial_cmp(&wanted);
        match self.operator {
            Operator::Equal => order == Some(Ordering::Equal),
            Operator::NotEqual => order != Some(Ordering::Equal),
            Operator::Less => order == Some(Ordering::Less),
            Operator::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Operator::Greater => order == Some(Ordering::Greater),
            Operator::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        }
    }

    /// Whether a text fits.
    pub(super) fn fits_text(&self, text: &str) -> bool {
        let is_equal = match &self.wanted {
            Wanted::Text { text: wanted, .. } => is_like(wanted, text),
            Wanted::Regex(regex) => fits_regex(regex, text),
        };
        match self.operator {
            Operator::Equal => is_equal,
            Operator::NotEqual => !is_equal,
            _ => false,
        }
    }
}

/// Whether a text is the pattern's, in which each asterisk stands for any text.
fn is_like(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some((_, behind)) = rest.split_once(part) else { return false };
        rest = behind;
    }
    rest.ends_with(last)
}

/// Whether an expression is somewhere in a text. One that takes too many ways to tell is not.
pub(super) fn fits_regex(regex: &Regex, text: &str) -> bool {
    regex.is_match(text).unwrap_or(false)
}

/// The service's expressions have neither groups nor escapes beyond these: `\d \D \s \S \w \W` and of what is no letter
/// or digit.
pub(super) fn regex(text: &str) -> Result<Regex, Malformed> {
    let refused = |why: &str| Malformed(format!("Invalid filter pattern: the regular expression %{text}% {why}"));
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                let escaped = characters.next().ok_or_else(|| refused("ends with a backslash"))?;
                if escaped.is_alphanumeric() && !"dDsSwW".contains(escaped) {
                    return Err(refused(&format!("has \\{escaped}, which is not supported")));
                }
            }
            '(' | ')' => return Err(refused("has groups, which are not supported")),
            _ => {}
        }
    }
    RegexBuilder::new(text)
        .backtrack_limit(PATTERN_BACKTRACKS)
        .delegate_size_limit(REGEX_BYTES)
        .build()
        .map_err(|cause| refused(&format!("cannot be read: {cause}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asterisks_stand_for_any_text() {
        for (pattern, text) in
            [("a", "a"), ("*", ""), ("*", "x"), ("a*", "abc"), ("*c", "abc"), ("a*b*c", "a-b-c"), ("a*a", "aa")]
        {
            assert!(is_like(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("a", "ab"), ("a*", "ba"), ("*c", "cb"), ("a*b*c", "a-c-b"), ("a*a", "a"), ("", "a")] {
            assert!(!is_like(pattern, text), "{pattern} {text}");
        }
    }
}
