//! Terms: all must be in a message, those with a minus must not, of those with a question mark one must be.

use fancy_regex::Regex;

use super::Malformed;
use super::cursor::Cursor;
use super::value::fits_regex;

#[derive(Debug, Default)]
pub(super) struct Terms {
    all: Vec<Term>,
    none: Vec<Term>,
    any: Vec<Term>,
}

#[derive(Debug)]
enum Term {
    Text(String),
    Regex(Regex),
}

impl Term {
    fn is_in(&self, message: &str) -> bool {
        match self {
            Self::Text(text) => message.contains(text.as_str()),
            Self::Regex(regex) => fits_regex(regex, message),
        }
    }
}

impl Terms {
    pub(super) fn matches(&self, message: &str) -> bool {
        let is_in = |term: &Term| term.is_in(message);
        self.all.iter().all(is_in)
            && !self.none.iter().any(is_in)
            && (self.any.is_empty() || self.any.iter().any(is_in))
    }
}

pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Terms, Malformed> {
    let mut terms = Terms::default();
    while cursor.peek().is_some() {
        let list = if cursor.take("?") {
            &mut terms.any
        } else if cursor.take("-") {
            &mut terms.none
        } else {
            &mut terms.all
        };
        list.push(term(cursor)?);
    }
    if !terms.all.is_empty() || !terms.none.is_empty() {
        // As the service has it: question marks do nothing beside other terms.
        terms.any.clear();
    }
    Ok(terms)
}

fn term(cursor: &mut Cursor<'_>) -> Result<Term, Malformed> {
    match cursor.peek_here() {
        Some('"') => cursor.quoted('"').map(Term::Text),
        Some('%') => cursor.regex().map(Term::Regex),
        _ => {
            let text = cursor.while_of(|c| !c.is_whitespace());
            let is_plain = !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_');
            if is_plain {
                Ok(Term::Text(text.to_owned()))
            } else {
                Err(Malformed(format!("Invalid character(s) in term '{text}'")))
            }
        }
    }
}
