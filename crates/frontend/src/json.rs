//! One pass over a payload: is it JSON? Nothing is built, nothing recurses; any depth passes.

mod explain;
mod grammar;
mod strings;

pub(crate) use explain::explain;
use grammar::Grammar;

/// Whether `payload` is one JSON value (RFC 8259) in UTF-8 with white space around it.
pub(crate) fn check(payload: &[u8]) -> Result<(), Flaw> {
    Grammar::new(payload).document()
}

/// The first thing in a payload that is not JSON.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Flaw {
    /// Offset of the byte at which it shows; the payload's length where more was needed.
    pub(crate) at: usize,
    pub(crate) kind: FlawKind,
}

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FlawKind {
    /// Nothing but white space.
    Nothing,
    /// The end, where something else must come.
    End(Wanted),
    /// A character, where something else must come.
    Character(Wanted),
    /// A word that is none of true, false and null; `at` is its first byte.
    Token,
    /// `]` where `}` must come, or the other way round.
    Marker,
    /// 01
    LeadingZero,
    /// A control character inside a string.
    Control,
    /// A backslash and a character that make no escape.
    Escape,
    /// A byte that starts no UTF-8 sequence.
    Utf8Start,
    /// A byte that does not go on with a UTF-8 sequence.
    Utf8Middle,
}

/// What must come instead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wanted {
    Value,
    /// A value, not the comma or the end of what is around it.
    ValueNotCloser,
    Key,
    Colon,
    CommaInObject,
    CommaInArray,
    Hex,
    Quote,
    DigitAfterMinus,
    DigitAfterPoint,
    DigitInExponent,
    Nothing,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    use super::*;

    /// serde_json, which ignores what is in a string, and the standard library for that.
    fn oracle(payload: &[u8]) -> bool {
        std::str::from_utf8(payload).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
    }

    #[test]
    fn agrees_on_known_cases() {
        let good = [
            "{}",
            "[]",
            " null ",
            "0",
            "-0",
            "1.5e+10",
            "1E5",
            "\"\"",
            "\"\\u00e9\\n\"",
            "[1,2,[3,{\"a\":null}]]",
            "{\"a\":1,\"a\":2,\"__proto__\":{}}",
            "\"\\ud800\"",
            "\t\r\n[ ]",
            "\"é€😀\u{7f}\"",
            "true",
            "false",
        ];
        for text in good {
            assert_eq!(check(text.as_bytes()), Ok(()), "{text}");
            assert!(oracle(text.as_bytes()), "{text}");
        }
        let bad: [&[u8]; 39] = [
            b"",
            b" ",
            b"{",
            b"[",
            b"}",
            b"]",
            b"[1,]",
            b"{\"a\":1,}",
            b"{a:1}",
            b"'a'",
            b"abc",
            b"nul",
            b"truex",
            b"01",
            b"-",
            b"1.",
            b"1e",
            b".5",
            b"+1",
            b"NaN",
            b"\"",
            b"\"\\x\"",
            b"\"\\u12g4\"",
            b"\"\n\"",
            b"{} {}",
            b"1 2",
            b"[1 2]",
            b"{\"a\" 1}",
            b"{\"a\":}",
            b"[}",
            b"\xef\xbb\xbf{}",
            b"\"\xff\"",
            b"\"\xc3\"",
            b"\"\xc0\x80\"",
            b"\"\xed\xa0\x80\"",
            b"\"\xf4\x90\x80\x80\"",
            b"\x99",
            b"{\"a\":1]",
            b"[,1]",
        ];
        for bytes in bad {
            assert!(check(bytes).is_err(), "{bytes:?}");
            assert!(!oracle(bytes), "{bytes:?}");
        }
    }

    #[test]
    fn any_depth_passes_and_an_unclosed_one_does_not() {
        let mut deep = "[".repeat(100_000) + &"{\"a\":".repeat(100_000);
        assert!(check(deep.as_bytes()).is_err());
        deep += &("1".to_owned() + &"}".repeat(100_000) + &"]".repeat(100_000));
        assert_eq!(check(deep.as_bytes()), Ok(()));
        let wrong = "[".repeat(300) + "{" + &"]".repeat(301);
        assert!(check(wrong.as_bytes()).is_err());
    }

    /// Text out of JSON's own pieces, so that most of it is nearly right.
    fn pieces() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop::sample::select(vec![
            &b"{"[..],
            b"}",
            b"[",
            b"]",
            b",",
            b":",
            b"\"a\"",
            b"\"\"",
            b"1",
            b"-2.5e3",
            b"true",
            b"null",
            b" ",
            b"\n",
            b"\"\\u0041\"",
            b"\"\\",
            b"0",
            b"e",
            b".",
            b"\xc3\xa9",
            b"\xe2\x82",
            b"\"\xf0\x9f\x98\x80 some longer text\"",
        ]);
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    fn values() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(6, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
                prop::collection::hash_map(any::<String>(), inner, 0..8)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

        #[test]
        fn agrees_on_pieces(payload in pieces()) {
            prop_assert_eq!(check(&payload).is_ok(), oracle(&payload));
        }

        #[test]
        fn agrees_on_bytes_in_a_string(bytes in prop::collection::vec(any::<u8>(), 0..24)) {
            let payload = [b"\"", &bytes[..], b"\""].concat();
            prop_assert_eq!(check(&payload).is_ok(), oracle(&payload));
        }
    }

    proptest! {
        #[test]
        fn agrees_on_values_with_one_byte_changed(value in values(), at in any::<usize>(), byte in any::<u8>()) {
            let mut payload = value.to_string().into_bytes();
            prop_assert_eq!(check(&payload), Ok(()));
            let at = at % payload.len();
            payload[at] = byte;
            prop_assert_eq!(check(&payload).is_ok(), oracle(&payload));
        }

        #[test]
        fn each_flaw_has_a_text(payload in pieces()) {
            if let Err(flaw) = check(&payload) {
                prop_assert!(flaw.at <= payload.len());
                prop_assert!(explain(&payload, flaw).contains("line: "));
            }
        }
    }
}
