//! What a function sends ahead of a streamed answer: status, headers and cookies as JSON, then eight NULs.

use bytes::{Bytes, BytesMut};
use hearth_types::limits::URL_PRELUDE_BYTES;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::url::answer::{GivenHeaders, Head, Malformed};

/// The content type of an answer that begins so.
pub(super) const CONTENT_TYPE: &[u8] = b"application/vnd.awslambda.http-integration-response";

/// What stands between the JSON, which has no NUL, and the body.
const END: [u8; 8] = [0; 8];

const TOO_LONG: Malformed = Malformed("what stands ahead of the body is too long");

/// Collects a prelude out of the parts in which it comes.
#[derive(Default)]
pub(super) struct Prelude {
    collected: BytesMut,
}

/// How far it is.
pub(super) enum Read {
    More,
    /// All of it, and the beginning of the body.
    Whole(Head, Bytes),
    Bad(Malformed),
}

impl Prelude {
    /// The next part of the answer to a request to this host.
    pub(super) fn read(&mut self, part: &[u8], host: &str) -> Read {
        let seen = self.collected.len().saturating_sub(END.len() - 1);
        self.collected.extend_from_slice(part);
        match self.collected[seen..].windows(END.len()).position(|window| window == END) {
            None if self.collected.len() > URL_PRELUDE_BYTES => Read::Bad(TOO_LONG),
            None => Read::More,
            Some(at) => {
                let json = self.collected.split_to(seen + at);
                let body = self.collected.split_off(END.len()).freeze();
                head(&json, host).map_or_else(Read::Bad, |head| Read::Whole(head, body))
            }
        }
    }
}

fn head(json: &[u8], host: &str) -> Result<Head, Malformed> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Described<'a> {
        #[serde(borrow)]
        status_code: Option<&'a RawValue>,
        #[serde(borrow)]
        headers: Option<GivenHeaders<'a>>,
        cookies: Option<Vec<String>>,
    }
    if json.len() > URL_PRELUDE_BYTES {
        return Err(TOO_LONG);
    }
    let types = Malformed("what stands ahead of the body is no JSON with statusCode, headers and cookies");
    let Described { status_code, headers, cookies } = serde_json::from_slice(json).map_err(|_| types)?;
    Head::read(status_code, headers, cookies, host)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &[u8] =
        b"{\"statusCode\":201,\"headers\":{\"X-A\":\"b\"},\"cookies\":[\"c=d\"]}\0\0\0\0\0\0\0\0\0body\0\0\0\0\0\0\0\0";

    fn read(parts: &[&[u8]]) -> Option<(u16, usize, Vec<u8>)> {
        let mut prelude = Prelude::default();
        let mut parts = parts.iter();
        loop {
            match prelude.read(parts.next()?, "h") {
                Read::More => {}
                Read::Bad(_) => return None,
                Read::Whole(head, first) => {
                    let rest: Vec<u8> = parts.fold(first.to_vec(), |body, part| [&body, *part].concat());
                    return Some((head.status.as_u16(), head.headers.len(), rest));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn it_may_come_in_any_parts(mut cuts in proptest::collection::vec(0..TEXT.len(), 0..8)) {
            cuts.extend([0, TEXT.len()]);
            cuts.sort_unstable();
            let parts: Vec<&[u8]> = cuts.windows(2).map(|cut| &TEXT[cut[0]..cut[1]]).collect();
            prop_assert_eq!(read(&parts), Some((201, 2, b"\0body\0\0\0\0\0\0\0\0".to_vec())));
        }
    }

    #[test]
    fn a_status_need_not_be_said() {
        assert_eq!(read(&[b"{}\0\0\0\0\0\0\0\0"]), Some((200, 0, Vec::new())));
    }

    #[test]
    fn what_is_malformed_is_none() {
        for text in [
            "\0\0\0\0\0\0\0\0",
            "x\0\0\0\0\0\0\0\0",
            "[]\0\0\0\0\0\0\0\0",
            "{\"statusCode\":99}\0\0\0\0\0\0\0\0",
            "{\"cookies\":1}\0\0\0\0\0\0\0\0",
        ] {
            assert_eq!(read(&[text.as_bytes()]), None, "{text}");
        }
        assert_eq!(read(&[b"{}\0\0\0\0\0\0\0"]), None, "it never ends");
        assert_eq!(read(&[b"{}\0\0\0\0\0\0\0x\0"]), None, "a NUL in it");
    }

    #[test]
    fn it_has_a_bound() {
        let end = b"{}\0\0\0\0\0\0\0\0";
        let blanks = |count| vec![b' '; count];
        assert!(read(&[&blanks(URL_PRELUDE_BYTES - 2), end, &blanks(URL_PRELUDE_BYTES)]).is_some());
        assert!(read(&[&[&blanks(URL_PRELUDE_BYTES - 2)[..], end, &blanks(URL_PRELUDE_BYTES)].concat()]).is_some());
        assert!(read(&[&blanks(URL_PRELUDE_BYTES - 1), end]).is_none());
        let mut endless = Prelude::default();
        let parts = (0..).take_while(|_| matches!(endless.read(&[b' '; 1024], "h"), Read::More)).count();
        assert_eq!(parts, URL_PRELUDE_BYTES / 1024);
    }
}
