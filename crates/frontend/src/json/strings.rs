//! Strings: most of a payload's bytes, so plain text goes by eight bytes at a time.

use super::{Flaw, FlawKind, Wanted};

/// Walks over the string whose opening quote is at `start`; the offset behind its closing quote.
pub(super) fn string(bytes: &[u8], start: usize) -> Result<usize, Flaw> {
    let mut at = start + 1;
    loop {
        at = plain(bytes, at);
        let flaw = |at, kind| Err(Flaw { at, kind });
        at = match bytes.get(at) {
            None => return flaw(at, FlawKind::End(Wanted::Quote)),
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => escape(bytes, at)?,
            Some(0x80..) => sequence(bytes, at)?,
            Some(_) => return flaw(at, FlawKind::Control),
        };
    }
}

/// The offset of the next byte that is not plain: a quote, a backslash, a control character, or not ASCII.
fn plain(bytes: &[u8], mut at: usize) -> usize {
    while let Some(eight) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let marks = special(u64::from_le_bytes(*eight));
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let is_plain = |byte: &&u8| !matches!(**byte, b'"' | b'\\' | 0..0x20 | 0x80..);
    at + bytes.get(at..).map_or(0, |rest| rest.iter().take_while(is_plain).count())
}

/// The top bit of each byte that is not plain. Bits above the first mark may be wrong: a borrow goes upwards.
fn special(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    let is_zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let quotes = is_zero(word ^ (ONES * 0x22));
    let backslashes = is_zero(word ^ (ONES * 0x5c));
    let controls = word.wrapping_sub(ONES * 0x20) & !word;
    (quotes | backslashes | controls | word) & TOPS
}

/// Walks over the escape whose backslash is at `at`.
fn escape(bytes: &[u8], at: usize) -> Result<usize, Flaw> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => {
            let digits = bytes[at + 2..].iter().take(4).take_while(|byte| byte.is_ascii_hexdigit()).count();
            let end = at + 2 + digits;
            match (digits, end < bytes.len()) {
                (4, _) => Ok(end),
                (_, true) => Err(Flaw { at: end, kind: FlawKind::Character(Wanted::Hex) }),
                (_, false) => Err(Flaw { at: end, kind: FlawKind::End(Wanted::Hex) }),
            }
        }
        Some(_) => Err(Flaw { at: at + 1, kind: FlawKind::Escape }),
        None => Err(Flaw { at: at + 1, kind: FlawKind::End(Wanted::Quote) }),
    }
}

/// Walks over the UTF-8 sequence of two to four bytes that starts at `at`; no overlong ones, no surrogates.
fn sequence(bytes: &[u8], at: usize) -> Result<usize, Flaw> {
    // How many bytes follow, and what the first of them may be.
    let (follow, second) = match bytes[at] {
        0xc2..=0xdf => (1, 0x80..=0xbf),
        0xe0 => (2, 0xa0..=0xbf),
        0xed => (2, 0x80..=0x9f),
        0xe1..=0xef => (2, 0x80..=0xbf),
        0xf0 => (3, 0x90..=0xbf),
        0xf1..=0xf3 => (3, 0x80..=0xbf),
        0xf4 => (3, 0x80..=0x8f),
        _ => return Err(Flaw { at, kind: FlawKind::Utf8Start }),
    };
    for offset in 1..=follow {
        let at = at + offset;
        let Some(byte) = bytes.get(at) else { return Err(Flaw { at, kind: FlawKind::End(Wanted::Quote) }) };
        let fits = if offset == 1 { second.contains(byte) } else { (0x80..=0xbf).contains(byte) };
        if !fits {
            return Err(Flaw { at, kind: FlawKind::Utf8Middle });
        }
    }
    Ok(at + follow + 1)
}
