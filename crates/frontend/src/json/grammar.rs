//! The grammar of RFC 8259 as a loop with a stack of bits.

use super::strings::string;
use super::{Flaw, FlawKind, Wanted};

/// A position in a payload.
pub(super) struct Grammar<'a> {
    bytes: &'a [u8],
    at: usize,
    open: Open,
}

/// What may come next.
enum Next {
    Value,
    /// Behind `[`.
    FirstValue,
    /// Behind `{`.
    FirstKey,
    Key,
    /// Behind a value.
    Rest,
}

impl<'a> Grammar<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, open: Open::default() }
    }

    /// One value and white space.
    pub(super) fn document(&mut self) -> Result<(), Flaw> {
        if self.peek().is_none() {
            return Err(Flaw { at: self.at, kind: FlawKind::Nothing });
        }
        let mut next = Next::Value;
        loop {
            let found = self.peek();
            next = match (next, found) {
                (Next::FirstValue, Some(b']')) | (Next::FirstKey, Some(b'}')) => self.close(),
                (Next::Value | Next::FirstValue, _) => self.value(found)?,
                (Next::FirstKey | Next::Key, Some(b'"')) => {
                    self.key()?;
                    Next::Value
                }
                (Next::FirstKey | Next::Key, _) => return Err(self.unexpected(Wanted::Key)),
                (Next::Rest, _) => match self.open.innermost() {
                    None if found.is_none() => return Ok(()),
                    None => return Err(self.unexpected(Wanted::Nothing)),
                    Some(around) => self.rest(found, around)?,
                },
            };
        }
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    fn value(&mut self, found: Option<u8>) -> Result<Next, Flaw> {
        match found {
            Some(b'"') => self.at = string(self.bytes, self.at)?,
            Some(b'{') => return Ok(self.open(Around::Object, Next::FirstKey)),
            Some(b'[') => return Ok(self.open(Around::Array, Next::FirstValue)),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word(b"true")?,
            Some(b'f') => self.word(b"false")?,
            Some(b'n') => self.word(b"null")?,
            Some(byte) if starts_word(byte) => return Err(self.flaw(FlawKind::Token)),
            Some(b'}' | b',') => return Err(self.unexpected(Wanted::ValueNotCloser)),
            Some(b']') if self.open.innermost() == Some(Around::Array) => {
                return Err(self.unexpected(Wanted::ValueNotCloser));
            }
            _ => return Err(self.unexpected(Wanted::Value)),
        }
        Ok(Next::Rest)
    }

    fn key(&mut self) -> Result<(), Flaw> {
        self.at = string(self.bytes, self.at)?;
        if self.peek() != Some(b':') {
            return Err(self.unexpected(Wanted::Colon));
        }
        self.at += 1;
        Ok(())
    }

    /// Behind a value inside an object or an array.
    fn rest(&mut self, found: Option<u8>, around: Around) -> Result<Next, Flaw> {
        match (found, around) {
            (Some(b','), Around::Object) => Ok(self.step(Next::Key)),
            (Some(b','), Around::Array) => Ok(self.step(Next::Value)),
            (Some(b'}'), Around::Object) | (Some(b']'), Around::Array) => Ok(self.close()),
            (Some(b'}' | b']'), _) => Err(self.flaw(FlawKind::Marker)),
            (_, Around::Object) => Err(self.unexpected(Wanted::CommaInObject)),
            (_, Around::Array) => Err(self.unexpected(Wanted::CommaInArray)),
        }
    }

    fn open(&mut self, around: Around, next: Next) -> Next {
        self.open.push(around);
        self.step(next)
    }

    fn close(&mut self) -> Next {
        self.open.pop();
        self.step(Next::Rest)
    }

    fn step(&mut self, next: Next) -> Next {
        self.at += 1;
        next
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Flaw> {
        let end = self.at + word.len();
        let fits = self.bytes[self.at..].starts_with(word) && !self.bytes.get(end).copied().is_some_and(goes_on_word);
        if !fits {
            return Err(self.flaw(FlawKind::Token));
        }
        self.at = end;
        Ok(())
    }

    fn number(&mut self) -> Result<(), Flaw> {
        if self.bytes[self.at] == b'-' {
            self.at += 1;
        }
        if self.bytes.get(self.at) == Some(&b'0') {
            self.at += 1;
            if self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
                return Err(self.flaw(FlawKind::LeadingZero));
            }
        } else {
            self.digits(Wanted::DigitAfterMinus)?;
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits(Wanted::DigitAfterPoint)?;
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits(Wanted::DigitInExponent)?;
        }
        Ok(())
    }

    /// One digit or more.
    fn digits(&mut self, wanted: Wanted) -> Result<(), Flaw> {
        let count = self.bytes[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(self.unexpected(wanted));
        }
        self.at += count;
        Ok(())
    }

    fn unexpected(&self, wanted: Wanted) -> Flaw {
        let at_end = self.at >= self.bytes.len();
        self.flaw(if at_end { FlawKind::End(wanted) } else { FlawKind::Character(wanted) })
    }

    fn flaw(&self, kind: FlawKind) -> Flaw {
        Flaw { at: self.at, kind }
    }
}

/// Bytes that a client can only have meant as the start of a word.
pub(super) fn starts_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'$')
}

/// Bytes that belong to a word that has been started.
pub(super) fn goes_on_word(byte: u8) -> bool {
    starts_word(byte) || byte.is_ascii_digit()
}

/// What a value is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Around {
    Object,
    Array,
}

/// The open objects and arrays, one bit each: six million of them take less than a megabyte. The innermost 64 are at
/// hand without an allocation.
#[derive(Default)]
struct Open {
    /// The lowest bit is the innermost; 1 stands for an object.
    inner: u64,
    outer: Vec<u64>,
    depth: usize,
}

impl Open {
    fn push(&mut self, around: Around) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.inner);
        }
        self.inner = self.inner << 1 | u64::from(around == Around::Object);
        self.depth += 1;
    }

    fn pop(&mut self) {
        self.depth -= 1;
        self.inner >>= 1;
        if self.depth > 0
            && self.depth.is_multiple_of(64)
            && let Some(outer) = self.outer.pop()
        {
            self.inner = outer;
        }
    }

    fn innermost(&self) -> Option<Around> {
        match (self.depth, self.inner & 1) {
            (0, _) => None,
            (_, 1) => Some(Around::Object),
            _ => Some(Around::Array),
        }
    }
}
