//! Reads a pattern's text from left to right.

use fancy_regex::Regex;

use super::Malformed;
use super::value::regex;

/// What of the text is still to be read.
pub(super) struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// The next character, past spaces.
    pub(super) fn peek(&mut self) -> Option<char> {
        self.0 = self.0.trim_start();
        self.0.chars().next()
    }

    /// The next character without passing spaces.
    pub(super) fn peek_here(&self) -> Option<char> {
        self.0.chars().next()
    }

    /// Takes this text, past spaces, where it is next.
    pub(super) fn take(&mut self, text: &str) -> bool {
        self.0 = self.0.trim_start();
        self.take_here(text)
    }

    /// Takes this text where it is next, spaces counting.
    pub(super) fn take_here(&mut self, text: &str) -> bool {
        let rest = self.0.strip_prefix(text);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// Takes this word, in any case, where it is next and ends there.
    pub(super) fn take_word(&mut self, word: &str) -> bool {
        self.0 = self.0.trim_start();
        let (Some(found), rest) = (self.0.get(..word.len()), self.0.get(word.len()..).unwrap_or_default()) else {
            return false;
        };
        let is_it = found.eq_ignore_ascii_case(word) && !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        if is_it {
            self.0 = rest;
        }
        is_it
    }

    /// Takes this text, past spaces; it must be there.
    pub(super) fn need(&mut self, text: &str) -> Result<(), Malformed> {
        if self.take(text) { Ok(()) } else { Err(self.unexpected(&format!("{text} is missing"))) }
    }

    /// Takes characters as long as `is_of_it` says so.
    pub(super) fn while_of(&mut self, is_of_it: impl Fn(char) -> bool) -> &'a str {
        let (taken, rest) = self.0.split_at(self.0.find(|c| !is_of_it(c)).unwrap_or(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Takes what stands between this quote and the next one, in which a backslash takes the quote's meaning away.
    pub(super) fn quoted(&mut self, quote: char) -> Result<String, Malformed> {
        let opened = self.0;
        let mut text = String::new();
        let mut characters = self.0.strip_prefix(quote).unwrap_or(self.0).char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => match characters.next() {
                    Some((_, escaped)) if escaped == quote || escaped == '\\' => text.push(escaped),
                    Some((_, other)) => text.extend(['\\', other]),
                    None => break,
                },
                _ if character == quote => {
                    self.0 = &opened[quote.len_utf8() + at + quote.len_utf8()..];
                    return Ok(text);
                }
                other => text.push(other),
            }
        }
        Err(Malformed(format!("Invalid filter pattern: there is no closing {quote} for {opened}")))
    }

    /// Takes a regular expression between percent signs.
    pub(super) fn regex(&mut self) -> Result<Regex, Malformed> {
        let body = self.0.strip_prefix('%').unwrap_or(self.0);
        let Some((text, rest)) = body.split_once('%') else {
            return Err(Malformed(format!("Invalid filter pattern: there is no closing % for {}", self.0)));
        };
        self.0 = rest;
        regex(text)
    }

    /// Nothing may be left.
    pub(super) fn end(&mut self) -> Result<(), Malformed> {
        if self.peek().is_some() { Err(self.unexpected("the pattern should end")) } else { Ok(()) }
    }

    pub(super) fn unexpected(&self, wanted: &str) -> Malformed {
        match self.0 {
            "" => Malformed(format!("Invalid filter pattern: {wanted} at its end")),
            rest => Malformed(format!("Invalid filter pattern: {wanted} before {rest:?}")),
        }
    }
}
