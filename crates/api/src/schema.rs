//! What the generated tables are made of.

use std::sync::OnceLock;

use fancy_regex::{Regex, RegexBuilder};
use hearth_types::limits::{PATTERN_BACKTRACKS, PATTERN_TEXT_BYTES};

/// A shape of the service model.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) kind: Kind,
    /// Whether values must not show in messages.
    pub(crate) sensitive: bool,
}

impl Shape {
    pub(crate) const fn new(kind: Kind) -> Self {
        Self { kind, sensitive: false }
    }

    pub(crate) const fn secret(kind: Kind) -> Self {
        Self { kind, sensitive: true }
    }
}

/// What a value is, and its constraints.
#[derive(Debug)]
pub(crate) enum Kind {
    Text { length: Range<usize>, pattern: Option<&'static Pattern>, values: &'static [&'static str] },
    Integer { value: Range<i64> },
    Long { value: Range<i64> },
    Double { value: Range<f64> },
    Boolean,
    Blob { length: Range<usize> },
    Timestamp,
    List { length: Range<usize>, member: &'static Shape },
    Map { length: Range<usize>, key: &'static Shape, value: &'static Shape },
    Structure { name: &'static str, members: &'static [Member] },
}

/// Bounds, both inclusive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range<T> {
    pub(crate) min: Option<T>,
    pub(crate) max: Option<T>,
}

impl<T: PartialOrd + Copy> Range<T> {
    pub(crate) fn too_large(&self, value: T) -> Option<T> {
        self.max.filter(|max| value > *max)
    }

    pub(crate) fn too_small(&self, value: T) -> Option<T> {
        self.min.filter(|min| value < *min)
    }
}

/// A member of a structure.
#[derive(Debug)]
pub(crate) struct Member {
    /// As the model names it: the key in a JSON body.
    pub(crate) name: &'static str,
    /// As validation messages name it.
    pub(crate) printed: &'static str,
    /// Name of the label, query parameter or header.
    pub(crate) wire: &'static str,
    pub(crate) place: Place,
    pub(crate) shape: &'static Shape,
    pub(crate) required: bool,
}

/// Where in the request a member stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    Body,
    Label,
    Query,
    Header,
    Payload,
}

/// A pattern that a whole text must match. Compiled when first needed.
#[derive(Debug)]
pub(crate) struct Pattern {
    text: &'static str,
    takes_words: bool,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    /// `takes_words` claims that each text of `[a-zA-Z0-9-_]+` matches, so that plain names need no regex.
    pub(crate) const fn new(text: &'static str, takes_words: bool) -> Self {
        Self { text, takes_words, compiled: OnceLock::new() }
    }

    /// As the service prints it.
    pub(crate) fn text(&self) -> &'static str {
        self.text
    }

    /// Whether the whole text matches. A text beyond [`PATTERN_TEXT_BYTES`], or one that makes the matcher try more
    /// than [`PATTERN_BACKTRACKS`] ways, does not.
    pub(crate) fn matches(&self, text: &str) -> bool {
        if self.takes_words && is_word(text) {
            return true;
        }
        text.len() <= PATTERN_TEXT_BYTES && self.regex().is_some_and(|regex| regex.is_match(text).unwrap_or(false))
    }

    /// The compiled pattern; none where it is not well formed, which a test excludes.
    fn regex(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| compile(self.text)).as_ref()
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// The patterns are the service's: their `\d`, `\s` and `\w` mean ASCII. `\w` stands in classes only.
fn compile(pattern: &str) -> Option<Regex> {
    let ascii = pattern.replace(r"\d", "[0-9]").replace(r"\w", "0-9A-Za-z_");
    // All that UTF-16 writes in two halves.
    let ascii = ascii.replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF");
    let ascii = ascii.replace(r"[^\s]", r"[^ \t\n\x0B\f\r]").replace(r"[\s\S]", r"(?s:.)");
    RegexBuilder::new(&format!(r"\A(?:{ascii})\z")).backtrack_limit(PATTERN_BACKTRACKS).build().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::generated::{application_autoscaling, events, iam, lambda, logs, scheduler, sns, sqs, ssm, sts};

    fn patterns() -> impl Iterator<Item = &'static Pattern> {
        let all = [
            lambda::schema::PATTERNS,
            iam::schema::PATTERNS,
            sts::schema::PATTERNS,
            ssm::schema::PATTERNS,
            logs::schema::PATTERNS,
            sqs::schema::PATTERNS,
            sns::schema::PATTERNS,
            events::schema::PATTERNS,
            scheduler::schema::PATTERNS,
            application_autoscaling::schema::PATTERNS,
        ];
        all.into_iter().flatten().copied()
    }

    #[test]
    fn all_patterns_compile() {
        for pattern in patterns() {
            assert!(pattern.regex().is_some(), "{}", pattern.text);
        }
    }

    #[test]
    fn the_whole_text_must_match() {
        let pattern = Pattern::new("[0-9]+|a", false);
        assert!(pattern.matches("12") && pattern.matches("a"));
        assert!(!pattern.matches("12x") && !pattern.matches("x12") && !pattern.matches("a\n"));
    }

    #[test]
    fn lookaheads_and_digits_work() {
        let alias = Pattern::new("(?!^[0-9]+$)([a-zA-Z0-9-_]+)", false);
        assert!(alias.matches("2024-01-02") && !alias.matches("2024"));
        assert!(!Pattern::new(r"\d{1}", false).matches("\u{663}"), "an Arabic digit is none");
        let role = Pattern::new(r"[\w+=,.@-]+", false);
        assert!(role.matches("a-b_c@d") && !role.matches("\u{e9}") && !role.matches("a b"));
        let halves = Pattern::new(r"[\u0020-\uD7FF\uD800\uDC00-\uDBFF\uDFFF]*", false);
        assert!(halves.matches("a\u{1F600}") && !halves.matches("\u{7}"));
        assert!(Pattern::new(r"[\p{L}]+", false).matches("\u{e9}"), "classes by their names are all of Unicode");
    }

    proptest! {
        #[test]
        fn patterns_said_to_take_words_do(word in "[a-zA-Z0-9_-]{1,128}") {
            for pattern in patterns().filter(|p| p.takes_words) {
                prop_assert!(pattern.regex().unwrap().is_match(&word).unwrap(), "{}", pattern.text);
            }
        }
    }
}
