//! The trace id of an invoke: the caller's where it is well-formed, a new one otherwise.

use std::fmt::Write as _;
use std::sync::Arc;

use hearth_types::RequestId;

/// Bytes of a trace header that are looked at; longer ones are not ours to pass on.
const LONGEST: usize = 512;

/// `Root=1-8hex-24hex;Parent=16hex;Sampled=0|1`, with the caller's `Lineage` where it gave one. What the caller gave is
/// taken part by part; a malformed header counts as none. `now_s`: seconds since 1970.
pub(crate) fn trace_id(given: Option<&[u8]>, request: RequestId, now_s: u64) -> Arc<str> {
    let given = given.and_then(Given::read).unwrap_or_default();
    let mut text = String::with_capacity(96);
    // The request id's random bits serve here too: as unique as that, without asking for more.
    let random = request.0.as_u128();
    let _ = match given.root {
        Some(root) => write!(text, "Root={root}"),
        None => write!(text, "Root=1-{:08x}-{:024x}", now_s & 0xffff_ffff, random & (u128::MAX >> 32)),
    };
    let _ = match given.parent {
        Some(parent) => write!(text, ";Parent={parent}"),
        None => write!(text, ";Parent={:016x}", (random >> 64) as u64 ^ random as u64),
    };
    let _ = write!(text, ";Sampled={}", given.sampled.unwrap_or("0"));
    if let Some(lineage) = given.lineage {
        let _ = write!(text, ";Lineage={lineage}");
    }
    text.into()
}

/// The parts of a well-formed header.
#[derive(Default)]
struct Given<'a> {
    root: Option<&'a str>,
    parent: Option<&'a str>,
    sampled: Option<&'a str>,
    lineage: Option<&'a str>,
}

impl<'a> Given<'a> {
    fn read(header: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(header).ok().filter(|text| text.len() <= LONGEST)?;
        let mut given = Self::default();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=')?;
            match name {
                "Root" if is_root(value) => given.root = Some(value),
                "Parent" if is_hex(value, 16) => given.parent = Some(value),
                "Sampled" if matches!(value, "0" | "1") => given.sampled = Some(value),
                // The caller leaves the decision open.
                "Sampled" if value == "?" => {}
                "Lineage" if is_lineage(value) => given.lineage = Some(value),
                "Root" | "Parent" | "Sampled" | "Lineage" => return None,
                _ => {}
            }
        }
        // A parent means something only below its root.
        given.root.map(|_| given)
    }
}

fn is_root(text: &str) -> bool {
    let mut parts = text.split('-');
    let fits = parts.next() == Some("1")
        && parts.next().is_some_and(|part| is_hex(part, 8))
        && parts.next().is_some_and(|part| is_hex(part, 24));
    fits && parts.next().is_none()
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_lineage(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'|');
    (1..=128).contains(&text.len()) && text.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const ROOT: &str = "Root=1-65f0a1b2-0123456789abcdef01234567";

    fn made(given: Option<&str>) -> String {
        let request = RequestId(Uuid::from_u128(0x1111_2222_3333_4444_5555_6666_7777_8888));
        trace_id(given.map(str::as_bytes), request, 0x65f0_a1b3).to_string()
    }

    #[test]
    fn is_made_where_none_is_given() {
        assert_eq!(made(None), "Root=1-65f0a1b3-333344445555666677778888;Parent=444444444444cccc;Sampled=0");
    }

    #[test]
    fn what_is_given_is_kept_and_completed() {
        let whole = format!("{ROOT};Parent=0123456789abcdef;Sampled=1;Lineage=a87bd80c:1|68fd508a:5");
        assert_eq!(made(Some(&whole)), whole);
        assert_eq!(made(Some(ROOT)), format!("{ROOT};Parent=444444444444cccc;Sampled=0"));
        assert_eq!(
            made(Some(&format!("Self=x; {ROOT} ;Sampled=?"))),
            format!("{ROOT};Parent=444444444444cccc;Sampled=0")
        );
    }

    #[test]
    fn what_is_malformed_is_ignored_and_never_shown() {
        let long = format!("{ROOT};Lineage={}", "a".repeat(10_240));
        let bad = ["", "x", "Root=1-zz-0", "Root=2-65f0a1b2-0123456789abcdef01234567", "Sampled=1", &long];
        for given in bad {
            assert_eq!(made(Some(given)), made(None), "{given}");
        }
        assert_eq!(made(Some(&format!("{ROOT};Sampled=2"))), made(None));
    }
}
