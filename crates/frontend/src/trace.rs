//! The trace id of an invoke: the caller's where it is well-formed, a new one otherwise.

use std::fmt::Write as _;
use std::sync::Arc;

use hearth_types::RequestId;
use hearth_worker::Traced;

/// Bytes of a trace header that are looked at; longer ones are not ours to pass on.
const LONGEST: usize = 512;

/// `Root=1-8hex-24hex;Parent=16hex;Sampled=0|1`, with the caller's `Lineage` where it gave one. What the caller gave is
/// taken part by part; a malformed header counts as none. Where the caller left it open, `decides` says whether the request
/// is traced. One that is traced has no parent but the caller's. `now_s`: seconds since 1970.
pub(crate) fn trace_id(
    given: Option<&[u8]>,
    request: RequestId,
    now_s: u64,
    decides: impl FnOnce() -> bool,
) -> Arc<str> {
    let given = given.and_then(Given::read).unwrap_or_default();
    let is_traced = given.is_traced.unwrap_or_else(decides);
    let mut text = root(&given, request, now_s);
    let _ = match given.parent {
        Some(parent) => write!(text, ";Parent={parent}"),
        None if is_traced => Ok(()),
        None => write!(text, ";Parent={:016x}", random(request)),
    };
    text.push_str(if is_traced { ";Sampled=1" } else { ";Sampled=0" });
    ended(text, &given)
}

/// The same, for who decides later: what the caller left open is left open.
pub(crate) fn open_trace_id(given: Option<&[u8]>, request: RequestId, now_s: u64) -> Arc<str> {
    let given = given.and_then(Given::read).unwrap_or_default();
    let mut text = root(&given, request, now_s);
    if let Some(parent) = given.parent {
        let _ = write!(text, ";Parent={parent}");
    }
    text.push_str(match given.is_traced {
        Some(true) => ";Sampled=1",
        Some(false) => ";Sampled=0",
        None => "",
    });
    ended(text, &given)
}

/// What a traced invoke's spans hang together by, and the header with which the function goes on from its own; none where
/// the invoke is not traced.
pub(crate) fn enter(trace_id: &str) -> Option<(Traced, Arc<str>)> {
    // Most are not, and need no more than this.
    let given = trace_id.contains(";Sampled=1").then(|| Given::read(trace_id.as_bytes())).flatten()?;
    let root = given.root?;
    let (service, function) = uuid::Uuid::new_v4().as_u64_pair();
    let traced = Traced {
        trace: u128::from_str_radix(&root.replace('-', "")[1..], 16).ok()?,
        parent: given.parent.and_then(|parent| u64::from_str_radix(parent, 16).ok()),
        service,
        function,
    };
    let text = format!("Root={root};Parent={function:016x};Sampled=1");
    Some((traced, ended(text, &given)))
}

fn root(given: &Given<'_>, request: RequestId, now_s: u64) -> String {
    let mut text = String::with_capacity(96);
    // The request id's random bits serve here too: as unique as that, without asking for more.
    let _ = match given.root {
        Some(root) => write!(text, "Root={root}"),
        None => write!(text, "Root=1-{:08x}-{:024x}", now_s & 0xffff_ffff, request.0.as_u128() & (u128::MAX >> 32)),
    };
    text
}

fn ended(mut text: String, given: &Given<'_>) -> Arc<str> {
    if let Some(lineage) = given.lineage {
        let _ = write!(text, ";Lineage={lineage}");
    }
    text.into()
}

/// Of the request id.
pub(crate) fn random(request: RequestId) -> u64 {
    let (upper, lower) = request.0.as_u64_pair();
    upper ^ lower
}

/// The parts of a well-formed header.
#[derive(Default)]
struct Given<'a> {
    root: Option<&'a str>,
    parent: Option<&'a str>,
    /// None where the caller leaves it open.
    is_traced: Option<bool>,
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
                "Sampled" if matches!(value, "0" | "1") => given.is_traced = Some(value == "1"),
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

    const REQUEST: RequestId = RequestId(Uuid::from_u128(0x1111_2222_3333_4444_5555_6666_7777_8888));

    fn decided(given: Option<&str>, is_traced: bool) -> String {
        trace_id(given.map(str::as_bytes), REQUEST, 0x65f0_a1b3, || is_traced).to_string()
    }

    fn made(given: Option<&str>) -> String {
        decided(given, false)
    }

    #[test]
    fn what_the_caller_decided_holds() {
        for (said, is_traced) in [("0", true), ("1", false)] {
            let whole = format!("{ROOT};Parent=0123456789abcdef;Sampled={said}");
            assert_eq!(decided(Some(&whole), is_traced), whole);
        }
        assert_eq!(decided(Some(&format!("{ROOT};Sampled=?")), true), format!("{ROOT};Sampled=1"));
        assert_eq!(decided(None, true), "Root=1-65f0a1b3-333344445555666677778888;Sampled=1");
    }

    #[test]
    fn what_is_left_open_can_be_decided_later() {
        let open = |given: Option<&str>| open_trace_id(given.map(str::as_bytes), REQUEST, 0x65f0_a1b3).to_string();
        assert_eq!(open(None), "Root=1-65f0a1b3-333344445555666677778888");
        assert_eq!(open(Some(&format!("{ROOT};Lineage=a:1"))), format!("{ROOT};Lineage=a:1"));
        let whole = format!("{ROOT};Parent=0123456789abcdef;Sampled=1");
        assert_eq!(open(Some(&whole)), whole);
        assert_eq!(decided(Some(&open(None)), true), decided(None, true));
    }

    #[test]
    fn a_function_goes_on_from_its_own_span() {
        let (traced, header) = enter(&format!("{ROOT};Parent=0123456789abcdef;Sampled=1;Lineage=a:1")).unwrap();
        assert_eq!(traced.parent, Some(0x0123_4567_89ab_cdef));
        assert_eq!(format!("Root={}", traced.root()), ROOT);
        assert_ne!(traced.service, traced.function);
        assert_eq!(*header, format!("{ROOT};Parent={:016x};Sampled=1;Lineage=a:1", traced.function));
        assert_eq!(enter(&format!("{ROOT};Sampled=1")).unwrap().0.parent, None);
        assert_eq!(enter(&format!("{ROOT};Parent=0123456789abcdef;Sampled=0")), None);
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
