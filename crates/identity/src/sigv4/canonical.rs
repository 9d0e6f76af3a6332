//! The canonical request: what is signed of a request, in the one form that both sides can make.

use http::{HeaderMap, HeaderValue, Uri};

/// How a service treats paths.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Paths {
    /// As the key that the path names, encoded once: S3.
    EncodedOnce,
    /// As sent, without dot segments and doubled slashes, encoded once more: all others.
    EncodedTwice,
}

/// Everything but the hash of the payload.
pub(super) struct Canonical<'a> {
    pub(super) method: &'a str,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
    /// Lower case, sorted.
    pub(super) signed_headers: &'a [String],
    pub(super) paths: Paths,
    /// Whether the signature stands in the query, where it cannot sign itself.
    pub(super) is_presigned: bool,
}

impl Canonical<'_> {
    /// The canonical request over a payload of this hash, or what stands in its place.
    pub(super) fn with_payload(&self, hash: &str) -> Vec<u8> {
        let mut text = Vec::with_capacity(1024);
        let mut line = |bytes: &[u8]| {
            text.extend_from_slice(bytes);
            text.push(b'\n');
        };
        line(self.method.as_bytes());
        line(path(self.uri.path(), self.paths).as_bytes());
        line(query(self.uri.query().unwrap_or_default(), self.is_presigned).as_bytes());
        for name in self.signed_headers {
            line(&header(name, self.headers));
        }
        line(b"");
        line(self.signed_headers.join(";").as_bytes());
        text.extend_from_slice(hash.as_bytes());
        text
    }
}

fn path(raw: &str, paths: Paths) -> String {
    match paths {
        Paths::EncodedOnce if raw.is_empty() => "/".to_owned(),
        Paths::EncodedOnce => encode(&decode(raw, Plus::IsPlus), Slash::Kept),
        Paths::EncodedTwice => encode(without_dots(raw).as_bytes(), Slash::Kept),
    }
}

/// RFC 3986, 5.2.4, and doubled slashes as one.
fn without_dots(raw: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in raw.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    let end = if raw.ends_with('/') && !segments.is_empty() { "/" } else { "" };
    format!("/{}{end}", segments.join("/"))
}

fn query(raw: &str, is_presigned: bool) -> String {
    let mut pairs: Vec<(String, String)> = raw
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let again = |text| encode(&decode(text, Plus::IsSpace), Slash::Encoded);
            (again(name), again(value))
        })
        .filter(|(name, _)| !(is_presigned && name == "X-Amz-Signature"))
        .collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// `name:value`, several values with commas between them, each without needless blanks.
fn header(name: &str, headers: &HeaderMap) -> Vec<u8> {
    let mut line = format!("{name}:").into_bytes();
    for (number, value) in headers.get_all(name).iter().enumerate() {
        if number > 0 {
            line.push(b',');
        }
        trim_into(value, &mut line);
    }
    line
}

fn trim_into(value: &HeaderValue, line: &mut Vec<u8>) {
    let words = value.as_bytes().split(|b| matches!(b, b' ' | b'\t')).filter(|word| !word.is_empty());
    for (number, word) in words.enumerate() {
        if number > 0 {
            line.push(b' ');
        }
        line.extend_from_slice(word);
    }
}

/// What a slash becomes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Slash {
    Kept,
    Encoded,
}

/// Percent-encodes all but `A-Za-z0-9-._~`.
pub(super) fn encode(bytes: &[u8], slash: Slash) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        let is_plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        if is_plain || (byte == b'/' && slash == Slash::Kept) {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    text
}

/// What a plus stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Plus {
    IsPlus,
    IsSpace,
}

/// Undoes percent-encoding; what is none stays as it is.
pub(super) fn decode(text: &str, plus: Plus) -> Vec<u8> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16)).map(|digit| digit as u8);
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(high << 4 | low);
                at += 3;
                continue;
            }
            (b'+', ..) if plus == Plus::IsSpace => decoded.push(b' '),
            (other, ..) => decoded.push(other),
        }
        at += 1;
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_encoded_as_often_as_the_service_does() {
        assert_eq!(path("/functions/arn%3Aaws", Paths::EncodedTwice), "/functions/arn%253Aaws");
        assert_eq!(path("/functions/arn%3Aaws", Paths::EncodedOnce), "/functions/arn%3Aaws");
        assert_eq!(path("/a b(1)", Paths::EncodedOnce), "/a%20b%281%29");
        assert_eq!(path("/a+b%2Fc", Paths::EncodedOnce), "/a%2Bb/c");
        assert_eq!(path("", Paths::EncodedTwice), "/");
        assert_eq!(path("", Paths::EncodedOnce), "/");
    }

    #[test]
    fn dots_and_doubled_slashes_go_except_in_keys() {
        for (raw, expected) in
            [("//a//b/", "/a/b/"), ("/a/../../b", "/b"), ("/./", "/"), ("/a/.", "/a"), ("/", "/"), ("/..", "/")]
        {
            assert_eq!(path(raw, Paths::EncodedTwice), expected, "{raw}");
        }
        assert_eq!(path("/b//k/../x", Paths::EncodedOnce), "/b//k/../x");
    }

    #[test]
    fn queries_are_decoded_sorted_and_encoded() {
        assert_eq!(query("b=2&a=%7e&a=1&flag&c=x+y&d=%2f", false), "a=1&a=~&b=2&c=x%20y&d=%2F&flag=");
        assert_eq!(query("X-Amz-Signature=f&X-Amz-Date=d", true), "X-Amz-Date=d");
        assert_eq!(query("X-Amz-Signature=f", false), "X-Amz-Signature=f");
        assert_eq!(query("a=%zz&b=%", false), "a=%25zz&b=%25");
    }

    #[test]
    fn headers_lose_needless_blanks_and_join() {
        let mut headers = HeaderMap::new();
        headers.append("x-a", HeaderValue::from_static(" a   b "));
        headers.append("x-a", HeaderValue::from_static("c"));
        assert_eq!(header("x-a", &headers), b"x-a:a b,c");
    }
}
