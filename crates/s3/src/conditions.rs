//! Conditions on requests: read what has not changed, write where nobody else has.

use http::{HeaderMap, StatusCode};
use jiff::fmt::rfc2822::DateTimeParser;

use crate::error::S3Error;
use crate::headers::{quoted, text};
use crate::records::{Content, Version};

/// The names of the four conditions of a read.
pub(crate) struct Names {
    if_match: &'static str,
    if_none_match: &'static str,
    if_modified_since: &'static str,
    if_unmodified_since: &'static str,
    /// What says that nothing has changed: an answer of its own, or an error.
    not_modified: StatusCode,
}

/// Those of GetObject and HeadObject.
pub(crate) const OF_READ: Names = Names {
    if_match: "if-match",
    if_none_match: "if-none-match",
    if_modified_since: "if-modified-since",
    if_unmodified_since: "if-unmodified-since",
    not_modified: StatusCode::NOT_MODIFIED,
};
/// Those on the source of a copy.
pub(crate) const OF_COPY: Names = Names {
    if_match: "x-amz-copy-source-if-match",
    if_none_match: "x-amz-copy-source-if-none-match",
    if_modified_since: "x-amz-copy-source-if-modified-since",
    if_unmodified_since: "x-amz-copy-source-if-unmodified-since",
    not_modified: StatusCode::PRECONDITION_FAILED,
};

/// Checks the conditions of a read. Those on the entity tag outrank those on time (RFC 9110, 13.2.2).
pub(crate) fn check_read(
    names: &Names,
    headers: &HeaderMap,
    found: &Version,
    content: &Content,
) -> Result<(), S3Error> {
    let modified_s = found.modified_ms.div_euclid(1000);
    if let Some(wanted) = text(headers, names.if_match)? {
        if !matches(wanted, &content.etag) {
            return Err(S3Error::precondition_failed("If-Match"));
        }
    } else if let Some(since_s) = date(headers, names.if_unmodified_since)?
        && modified_s > since_s
    {
        return Err(S3Error::precondition_failed("If-Unmodified-Since"));
    }
    let is_same = match text(headers, names.if_none_match)? {
        Some(known) => matches(known, &content.etag),
        None => date(headers, names.if_modified_since)?.is_some_and(|since_s| modified_s <= since_s),
    };
    if is_same {
        let error = S3Error::precondition_failed("If-None-Match").with_header("etag", quoted(&content.etag));
        return Err(error.with_status(names.not_modified));
    }
    Ok(())
}

/// What must hold for an object to be written.
#[derive(Clone, Default, Debug)]
pub(crate) struct OfWrite {
    if_match: Option<String>,
    is_new: bool,
}

impl OfWrite {
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, S3Error> {
        let is_new = match text(headers, "if-none-match")? {
            None => false,
            Some("*") => true,
            Some(_) => return Err(S3Error::not_implemented("If-None-Match with anything but *")),
        };
        Ok(Self { if_match: text(headers, "if-match")?.map(str::to_owned), is_new })
    }

    pub(crate) fn check(&self, key: &str, latest: Option<&Version>) -> Result<(), S3Error> {
        let content = latest.and_then(|latest| latest.content.as_ref());
        if self.is_new && content.is_some() {
            return Err(S3Error::precondition_failed("If-None-Match"));
        }
        match (&self.if_match, content) {
            (Some(_), None) => Err(S3Error::no_such_key(key)),
            (Some(wanted), Some(content)) if !matches(wanted, &content.etag) => {
                Err(S3Error::precondition_failed("If-Match"))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a list of entity tags has this one.
fn matches(list: &str, etag: &str) -> bool {
    list.split(',').map(str::trim).any(|one| {
        let one = one.strip_prefix("W/").unwrap_or(one);
        one == "*" || one.trim_matches('"') == etag
    })
}

/// Seconds since 1970; none where the header is not there, or no date (RFC 9110 has such a one ignored).
fn date(headers: &HeaderMap, name: &str) -> Result<Option<i64>, S3Error> {
    let parsed = |text| DateTimeParser::new().parse_timestamp(text).ok().map(jiff::Timestamp::as_second);
    Ok(text(headers, name)?.and_then(parsed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::http_date;
    use crate::records::Described;

    fn found() -> (Version, Content) {
        let content =
            Content { size: 0, etag: "abc".into(), segments: vec![], checksum: None, described: Described::default() };
        (Version { id: None, generation: 1, modified_ms: 5_500, content: Some(content.clone()) }, content)
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn read(pairs: &[(&'static str, &str)]) -> u16 {
        let (version, content) = found();
        check_read(&OF_READ, &headers(pairs), &version, &content).map_or_else(|error| error.status.as_u16(), |()| 200)
    }

    #[test]
    fn reads_are_conditional() {
        assert_eq!(read(&[]), 200);
        assert_eq!(read(&[("if-match", "\"abc\"")]), 200);
        assert_eq!(read(&[("if-match", "\"x\", W/\"abc\"")]), 200);
        assert_eq!(read(&[("if-match", "\"x\"")]), 412);
        assert_eq!(read(&[("if-none-match", "abc")]), 304);
        assert_eq!(read(&[("if-none-match", "\"x\"")]), 200);
        assert_eq!(read(&[("if-modified-since", &http_date(5_000))]), 304);
        assert_eq!(read(&[("if-modified-since", &http_date(4_000))]), 200);
        assert_eq!(read(&[("if-unmodified-since", &http_date(4_000))]), 412);
        assert_eq!(read(&[("if-unmodified-since", &http_date(4_000)), ("if-match", "abc")]), 200);
        assert_eq!(read(&[("if-modified-since", "yesterday")]), 200);
    }

    #[test]
    fn writes_are_conditional() {
        let write = |pairs: &[(&'static str, &str)], latest: Option<&Version>| {
            OfWrite::of(&headers(pairs))
                .and_then(|conditions| conditions.check("k", latest))
                .map_err(|error| error.code)
        };
        let (version, _) = found();
        let marker = Version { content: None, ..version.clone() };
        assert_eq!(write(&[("if-none-match", "*")], Some(&version)), Err("PreconditionFailed"));
        assert_eq!(write(&[("if-none-match", "*")], Some(&marker)), Ok(()));
        assert_eq!(write(&[("if-none-match", "*")], None), Ok(()));
        assert_eq!(write(&[("if-none-match", "abc")], None), Err("NotImplemented"));
        assert_eq!(write(&[("if-match", "\"abc\"")], Some(&version)), Ok(()));
        assert_eq!(write(&[("if-match", "\"x\"")], Some(&version)), Err("PreconditionFailed"));
        assert_eq!(write(&[("if-match", "\"abc\"")], None), Err("NoSuchKey"));
    }
}
