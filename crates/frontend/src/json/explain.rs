//! The texts that the real service gives for payloads that are not JSON.

use super::grammar::goes_on_word;
use super::{Flaw, FlawKind, Wanted};

const LITERALS: &str = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')";
const SOURCE: &str = "[Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); ";
/// Characters of an unknown word that are shown.
const WORD_SHOWN: usize = 256;

/// The message of the error that `flaw` of `payload` gives.
pub(crate) fn explain(payload: &[u8], flaw: Flaw) -> String {
    let (what, at) = describe(payload, flaw);
    format!(
        "Could not parse request body into json: Could not parse payload into json: {what}\n at {}",
        place(payload, at)
    )
}

/// What is wrong, and the offset that is named for it: the character's own, or the one behind what has been read.
fn describe(payload: &[u8], flaw: Flaw) -> (String, usize) {
    let Flaw { at, kind } = flaw;
    let byte = payload.get(at).copied().unwrap_or_default();
    match kind {
        FlawKind::Nothing => ("No content to map due to end-of-input".into(), at),
        FlawKind::End(wanted) => (end(payload, wanted), at),
        FlawKind::Character(wanted) => (format!("Unexpected character ({}){}", name(byte), instead(wanted)), at),
        FlawKind::Token => token(payload, at),
        FlawKind::Marker => (marker(payload, at, byte), at),
        FlawKind::LeadingZero => ("Invalid numeric value: Leading zeroes not allowed".into(), at),
        FlawKind::Control => {
            let rule = "has to be escaped using backslash to be included in string value";
            (format!("Illegal unquoted character ({}): {rule}", name(byte)), at + 1)
        }
        FlawKind::Escape => (format!("Unrecognized character escape {}", name(byte)), at + 1),
        FlawKind::Utf8Start => (format!("Invalid UTF-8 start byte 0x{byte:x}"), at + 1),
        FlawKind::Utf8Middle => (format!("Invalid UTF-8 middle byte 0x{byte:x}"), at + 1),
    }
}

/// A word that is no literal. Where it goes on with what is no character, the service complains of that instead.
fn token(payload: &[u8], at: usize) -> (String, usize) {
    let length = payload[at..].iter().take_while(|byte| goes_on_word(**byte)).count();
    let end = at + length;
    if length < WORD_SHOWN && payload.get(end).is_some_and(|byte| matches!(byte, 0x80..0xc0 | 0xf8..)) {
        return describe(payload, Flaw { at: end, kind: FlawKind::Utf8Start });
    }
    let word = &payload[at..end];
    if let b"NaN" | b"Infinity" = word {
        let number = String::from_utf8_lossy(word);
        let rule = "enable `JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS` to allow";
        return (format!("Non-standard token '{number}': {rule}"), end);
    }
    let shown = String::from_utf8_lossy(&word[..length.min(WORD_SHOWN)]);
    let more = if length > WORD_SHOWN { "..." } else { "" };
    (format!("Unrecognized token '{shown}{more}': was expecting {LITERALS}"), end)
}

fn instead(wanted: Wanted) -> String {
    match wanted {
        Wanted::Value => format!(": expected a valid value {LITERALS}"),
        Wanted::ValueNotCloser => ": expected a value".into(),
        Wanted::Key => ": was expecting double-quote to start field name".into(),
        Wanted::Colon => ": was expecting a colon to separate field name and value".into(),
        Wanted::CommaInObject => ": was expecting comma to separate Object entries".into(),
        Wanted::CommaInArray => ": was expecting comma to separate Array entries".into(),
        Wanted::Hex => ": expected a hex-digit for character escape sequence".into(),
        Wanted::Quote => ": was expecting closing quote for a string value".into(),
        Wanted::DigitAfterMinus => {
            " in numeric value: expected digit (0-9) to follow minus sign, for valid numeric value".into()
        }
        Wanted::DigitAfterPoint => " in numeric value: Decimal point not followed by a digit".into(),
        Wanted::DigitInExponent => " in numeric value: Exponent indicator not followed by a digit".into(),
        Wanted::Nothing => ": expected nothing behind the value".into(),
    }
}

fn end(payload: &[u8], wanted: Wanted) -> String {
    let inside = match wanted {
        Wanted::Quote | Wanted::Hex => " in a string: was expecting closing quote for a string value".to_owned(),
        Wanted::DigitAfterMinus | Wanted::DigitAfterPoint | Wanted::DigitInExponent => " in numeric value".to_owned(),
        _ => innermost(payload).map_or_else(
            || format!(": expected {LITERALS}"),
            |(start, kind)| format!(": expected close marker for {kind} (start marker at {})", place(payload, start)),
        ),
    };
    format!("Unexpected end-of-input{inside}")
}

fn marker(payload: &[u8], at: usize, found: u8) -> String {
    let right = if found == b']' { '}' } else { ']' };
    let (start, kind) = innermost(&payload[..at]).unwrap_or((0, "Object"));
    let start = place(payload, start);
    format!("Unexpected close marker '{}': expected '{right}' (for {kind} starting at {start})", char::from(found))
}

/// A byte as a person reads it.
fn name(byte: u8) -> String {
    match byte {
        0..0x20 | 0x7f..0xa0 => format!("(CTRL-CHAR, code {byte})"),
        _ => format!("'{}' (code {byte})", char::from(byte)),
    }
}

/// Where the innermost object or array starts that is open at the end of `bytes`, which is right so far.
fn innermost(bytes: &[u8]) -> Option<(usize, &'static str)> {
    let mut open = Vec::new();
    let (mut in_string, mut escaped) = (false, false);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' => open.push((at, "Object")),
            b'[' => open.push((at, "Array")),
            b'}' | b']' => {
                open.pop();
            }
            _ => {}
        }
    }
    open.pop()
}

/// Line and column of an offset, both counted from 1, the column in bytes.
fn place(payload: &[u8], at: usize) -> String {
    let before = &payload[..at.min(payload.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    format!("{SOURCE}line: {line}, column: {column}]")
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    fn told(payload: &[u8]) -> String {
        let text = explain(payload, check(payload).unwrap_err());
        text.strip_prefix("Could not parse request body into json: Could not parse payload into json: ").unwrap().into()
    }

    #[test]
    fn texts_are_as_recorded() {
        for payload in [b"\"\x87\"", b"n\x87r"] {
            assert_eq!(
                told(payload),
                "Invalid UTF-8 start byte 0x87\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` \
                 disabled); line: 1, column: 3]"
            );
        }
        assert_eq!(
            told(b"\x99"),
            "Unexpected character ((CTRL-CHAR, code 153)): expected a valid value (JSON String, Number, Array, Object \
             or token 'null', 'true' or 'false')\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` \
             disabled); line: 1, column: 1]"
        );
    }

    #[test]
    fn other_texts_name_what_and_where() {
        let starts = |payload: &[u8], start: &str, place: &str| {
            let text = told(payload);
            assert!(text.starts_with(start) && text.ends_with(place), "{text}");
        };
        starts(
            b"{",
            "Unexpected end-of-input: expected close marker for Object (start marker at",
            "line: 1, column: 2]",
        );
        starts(b"abc", "Unrecognized token 'abc': was expecting (JSON String", "line: 1, column: 4]");
        starts(b"[NaN]", "Non-standard token 'NaN': enable `JsonReadFeature.ALLOW_NON", "line: 1, column: 5]");
        starts(b"NaNs", "Unrecognized token 'NaNs'", "line: 1, column: 5]");
        starts(b"{'a': 1}", "Unexpected character (''' (code 39)): was expecting double-quote", "line: 1, column: 2]");
        starts(b"{\n \"a\" 1}", "Unexpected character ('1' (code 49)): was expecting a colon", "line: 2, column: 6]");
        starts(b"[1}", "Unexpected close marker '}': expected ']' (for Array starting at", "line: 1, column: 3]");
        starts(b"{} {}", "Unexpected character ('{' (code 123)): expected nothing behind", "line: 1, column: 4]");
        starts(b"  ", "No content to map due to end-of-input", "line: 1, column: 3]");
    }
}
