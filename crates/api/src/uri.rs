//! Percent codes and query strings.

use std::borrow::Cow;

/// Decodes percent codes. None where a code is incomplete or the bytes are no UTF-8 text, or hold a NUL.
pub(crate) fn percent_decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => hex(bytes.next()?)? * 16 + hex(bytes.next()?)?,
            other => other,
        });
    }
    if out.contains(&0) {
        return None;
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// The parameters of a query, in order; `+` is a blank, a parameter without `=` is empty. None where a percent code
/// is broken.
pub(crate) fn query_pairs(query: &str) -> impl Iterator<Item = Option<(Cow<'_, str>, Cow<'_, str>)>> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((query_decode(name)?, query_decode(value)?))
    })
}

fn query_decode(text: &str) -> Option<Cow<'_, str>> {
    if text.contains('+') {
        let blanks = text.replace('+', " ");
        return percent_decode(&blanks).map(|text| Cow::Owned(text.into_owned()));
    }
    percent_decode(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_percent_codes() {
        assert_eq!(percent_decode("plain").as_deref(), Some("plain"));
        assert_eq!(percent_decode("a%3Ab%2fc%25").as_deref(), Some("a:b/c%"));
        assert_eq!(percent_decode("%C3%A4+").as_deref(), Some("\u{e4}+"));
        for broken in ["%", "%4", "%zz", "%ff", "a%00b", "%+1"] {
            assert_eq!(percent_decode(broken), None, "{broken}");
        }
    }

    #[test]
    fn takes_queries_apart() {
        let pairs: Vec<_> = query_pairs("a=1&&b=x%26y+z&c&d=e=f").map(|p| p.unwrap()).collect();
        let texts: Vec<(&str, &str)> = pairs.iter().map(|(n, v)| (n.as_ref(), v.as_ref())).collect();
        assert_eq!(texts, [("a", "1"), ("b", "x&y z"), ("c", ""), ("d", "e=f")]);
        assert!(query_pairs("a=%f").next().unwrap().is_none());
    }
}
