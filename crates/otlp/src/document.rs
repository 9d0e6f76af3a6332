//! A segment document as an X-Ray SDK sends it to its daemon: a line that says the format, and a JSON object.

use serde_json::{Map, Value};

/// A segment or a subsegment, with those below it as its member `subsegments`.
#[derive(Debug)]
pub(crate) struct Document(Map<String, Value>);

/// What has to be there.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Head<'d> {
    pub(crate) id: u64,
    pub(crate) name: &'d str,
    pub(crate) began_ns: u64,
    /// None where it is not over.
    pub(crate) ended_ns: Option<u64>,
}

/// A second that no segment begins in: in the year 2286, for which nanoseconds still have room.
const NEVER: f64 = 1e10;

impl Document {
    /// What a datagram holds; none where it is anything else.
    pub(crate) fn read(datagram: &[u8]) -> Option<Self> {
        let end = datagram.iter().position(|byte| *byte == b'\n')?;
        let (header, body) = datagram.split_at(end);
        let header: Map<String, Value> = serde_json::from_slice(header).ok()?;
        let is_known = header.get("format")? == "json" && header.get("version")?.as_u64() == Some(1);
        is_known.then(|| serde_json::from_slice(body).ok().map(Self)).flatten()
    }

    /// The trace that it names.
    pub(crate) fn trace(&self) -> Option<u128> {
        let mut parts = self.0.get("trace_id")?.as_str()?.split('-');
        let (version, seconds, rest) = (parts.next()?, parts.next()?, parts.next()?);
        let is_one = version == "1" && seconds.len() == 8 && rest.len() == 24 && parts.next().is_none();
        let digits = is_one.then(|| format!("{seconds}{rest}"))?;
        hex(&digits).then(|| u128::from_str_radix(&digits, 16).ok()).flatten()
    }

    /// The span that it names as the one above it.
    pub(crate) fn parent(&self) -> Option<u64> {
        id(self.0.get("parent_id")?)
    }

    /// Its members.
    pub(crate) fn members(&self) -> &Map<String, Value> {
        &self.0
    }
}

/// What has to be there of a document, or of one of those below it.
pub(crate) fn head(members: &Map<String, Value>) -> Option<Head<'_>> {
    let name = members.get("name")?.as_str().filter(|name| !name.is_empty())?;
    let began_ns = ns(members.get("start_time")?)?;
    let ended_ns = members.get("end_time").and_then(ns).map(|ended_ns| ended_ns.max(began_ns));
    Some(Head { id: id(members.get("id")?)?, name, began_ns, ended_ns })
}

/// 16 hexadecimal digits, not all of them zeros.
fn id(value: &Value) -> Option<u64> {
    let digits = value.as_str().filter(|text| text.len() == 16 && hex(text))?;
    u64::from_str_radix(digits, 16).ok().filter(|id| *id != 0)
}

fn hex(digits: &str) -> bool {
    digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Of seconds since 1970 with a fraction.
fn ns(value: &Value) -> Option<u64> {
    let seconds = value.as_f64().filter(|seconds| (0.0..NEVER).contains(seconds))?;
    Some(seconds.trunc() as u64 * 1_000_000_000 + (seconds.fract() * 1e9).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Option<Document> {
        Document::read(format!("{{\"format\": \"json\", \"version\": 1}}\n{body}").as_bytes())
    }

    #[test]
    fn a_header_and_an_object_are_a_document() {
        assert!(read("{}").is_some());
        for bytes in [&b""[..], b"{}", b"{}\n{}", b"{\"format\":\"json\",\"version\":2}\n{}", b"\n{}", b"null\n{}"] {
            assert!(Document::read(bytes).is_none(), "{:?}", String::from_utf8_lossy(bytes));
        }
        assert!(read("[]").is_none() && read("").is_none() && read("{} {}").is_none() && read("{").is_none());
    }

    #[test]
    fn ids_and_traces_are_as_long_as_they_are() {
        let trace = |text: &str| read(&format!(r#"{{"trace_id": "{text}"}}"#)).unwrap().trace();
        let whole = 0x5759_e988_bd86_2e3f_e1be_46a9_9427_2793;
        assert_eq!(trace("1-5759e988-bd862e3fe1be46a994272793"), Some(whole));
        for text in [
            "5759e988bd862e3fe1be46a994272793",
            "2-5759e988-bd862e3fe1be46a994272793",
            "1-5759e988-bd862e3fe1be46a99427279",
            "1-5759e988-bd862e3fe1be46a994272793-",
            "1-+759e988-bd862e3fe1be46a994272793",
        ] {
            assert_eq!(trace(text), None, "{text}");
        }
        let parent = |text: &str| read(&format!(r#"{{"parent_id": "{text}"}}"#)).unwrap().parent();
        assert_eq!(parent("00000000000000fF"), Some(0xff));
        for text in ["", "0000000000000000", "+000000000000001", "1", "00000000000000001", "zz"] {
            assert_eq!(parent(text), None, "{text}");
        }
    }

    #[test]
    fn times_are_seconds_with_a_fraction() {
        let head = |times: &str| {
            let document = read(&format!(r#"{{"id": "0000000000000001", "name": "n", {times}}}"#)).unwrap();
            head(document.members()).map(|head| (head.began_ns, head.ended_ns))
        };
        let at = 1_484_789_387_126_000_000_u64;
        let (began, ended) = head(r#""start_time": 1484789387.126, "end_time": 1484789387.627"#).unwrap();
        assert!(began.abs_diff(at) < 1000 && ended.unwrap().abs_diff(at + 501_000_000) < 1000);
        assert_eq!(head(r#""start_time": 5, "end_time": 4"#), Some((5_000_000_000, Some(5_000_000_000))));
        assert_eq!(head(r#""start_time": 5, "in_progress": true"#), Some((5_000_000_000, None)));
        for times in [r#""start_time": -1"#, r#""start_time": 1e300"#, r#""start_time": "5""#, r#""x": 1"#] {
            assert_eq!(head(times), None, "{times}");
        }
    }
}
