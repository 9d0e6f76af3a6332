//! Texts with `*` in them.

use memchr::memmem;

use crate::PatternError;

/// `*` stands for any characters, `\*` and `\\` for themselves. A match costs time linear in both texts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Glob {
    /// What is between the stars, in turn; one without any star.
    parts: Vec<String>,
}

impl Glob {
    /// # Errors
    /// On two stars in a row, and on an escape of anything else.
    pub(crate) fn parse(text: &str) -> Result<Glob, PatternError> {
        let mut parts = vec![];
        let mut part = String::new();
        let mut after_star = false;
        let mut characters = text.chars().enumerate();
        while let Some((at, character)) = characters.next() {
            match character {
                '*' if after_star => {
                    return Err(PatternError(format!("Consecutive wildcard characters at pos {}", at - 1)));
                }
                '*' => parts.push(std::mem::take(&mut part)),
                '\\' => match characters.next() {
                    Some((_, escaped @ ('*' | '\\'))) => part.push(escaped),
                    _ => return Err(PatternError(format!("Invalid escape character at pos {at}"))),
                },
                other => part.push(other),
            }
            after_star = character == '*';
        }
        parts.push(part);
        Ok(Glob { parts })
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = self.parts.as_slice() else {
            return self.parts.first().is_some_and(|whole| whole == text);
        };
        let between = text.strip_prefix(first.as_str()).and_then(|rest| rest.strip_suffix(last.as_str()));
        between.is_some_and(|between| in_turn(middle, between))
    }
}

/// Whether the parts come one after the other. The first place of each leaves most for the next ones.
fn in_turn(parts: &[String], text: &str) -> bool {
    let mut rest = text.as_bytes();
    for part in parts {
        match memmem::find(rest, part.as_bytes()) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(glob: &str, text: &str) -> bool {
        Glob::parse(glob).expect("a glob").matches(text)
    }

    #[test]
    fn stars_stand_for_anything() {
        assert!(matches("dir/*.png", "dir/a.png") && matches("dir/*.png", "dir/.png"));
        assert!(!matches("dir/*.png", "dir/a.jpg") && !matches("dir/*.png", "other/a.png"));
        assert!(matches("*", "") && matches("*", "x") && matches("", "") && !matches("", "x"));
        assert!(!matches("ab*ba", "aba"), "no character twice");
        assert!(matches("a*b*c", "a-b-b-c") && !matches("a*b*c", "a-c-b"));
    }

    #[test]
    fn escapes() {
        assert!(matches(r"a\*b", "a*b") && !matches(r"a\*b", "axb"));
        assert!(matches(r"a\\*", r"a\x") && matches(r"\*\*", "**"));
        assert_eq!(Glob::parse("a**").unwrap_err().to_string(), "Consecutive wildcard characters at pos 1");
        assert_eq!(Glob::parse(r"a\b").unwrap_err().to_string(), "Invalid escape character at pos 1");
        assert_eq!(Glob::parse(r"a\").unwrap_err().to_string(), "Invalid escape character at pos 1");
        assert!(Glob::parse(r"*\**").is_ok(), "a star, a star's character, a star");
    }

    #[test]
    fn hostile_globs_cost_little() {
        let glob = Glob::parse(&"*a".repeat(2000)).unwrap();
        assert!(!glob.matches(&"a".repeat(1999)));
        assert!(glob.matches(&"a".repeat(200_000)));
        assert!(!glob.matches(&format!("{}b", "a".repeat(200_000))));
    }

    fn naive(glob: &[char], text: &[char]) -> bool {
        match (glob, text) {
            ([], text) => text.is_empty(),
            (['*', glob @ ..], text) => (0..=text.len()).any(|at| naive(glob, &text[at..])),
            ([one, glob @ ..], [first, text @ ..]) => one == first && naive(glob, text),
            (_, []) => false,
        }
    }

    proptest! {
        #[test]
        fn as_the_definition_says(glob in "[ab]{0,3}(\\*[abé]{1,2}){0,3}\\*?", text in "[abé]{0,9}") {
            prop_assume!(!glob.contains("**"));
            let (pattern, characters): (Vec<char>, Vec<char>) = (glob.chars().collect(), text.chars().collect());
            prop_assert_eq!(matches(&glob, &text), naive(&pattern, &characters));
        }
    }
}
