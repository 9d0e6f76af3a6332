//! What the headers of a request say of an object, and what an answer's headers say of it.

use std::collections::BTreeMap;

use hearth_types::limits::{S3_METADATA_BYTES, S3_OBJECT_TAGS, TAG_KEY_CHARS, TAG_VALUE_CHARS};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

use crate::address::Query;
use crate::error::S3Error;
use crate::records::{Content, Described, Version, Versioning};

/// Headers that are kept with an object and given back.
const KEPT: [HeaderName; 6] = [
    header::CACHE_CONTROL,
    header::CONTENT_DISPOSITION,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_TYPE,
    header::EXPIRES,
];
const METADATA: &str = "x-amz-meta-";
const DEFAULT_TYPE: &str = "binary/octet-stream";

/// Headers that would have an effect that Hearth does not have, and the values that ask for none.
const WITHOUT_EFFECT: &[(&str, &[&str])] = &[
    // Objects lie on the disk as they came; who may read the disk may read them.
    ("x-amz-server-side-encryption", &["AES256"]),
    ("x-amz-server-side-encryption-aws-kms-key-id", &[]),
    ("x-amz-server-side-encryption-context", &[]),
    ("x-amz-server-side-encryption-customer-algorithm", &[]),
    ("x-amz-copy-source-server-side-encryption-customer-algorithm", &[]),
    ("x-amz-storage-class", &["STANDARD"]),
    ("x-amz-website-redirect-location", &[]),
    ("x-amz-object-lock-mode", &[]),
    ("x-amz-object-lock-retain-until-date", &[]),
    ("x-amz-object-lock-legal-hold", &["OFF"]),
    ("x-amz-bucket-object-lock-enabled", &["false", "False"]),
    ("x-amz-write-offset-bytes", &[]),
];
/// Access lists: nothing but what holds anyway.
const ACCESS_LISTS: &[(&str, &[&str])] = &[
    ("x-amz-acl", &["private", "bucket-owner-full-control"]),
    ("x-amz-grant-full-control", &[]),
    ("x-amz-grant-read", &[]),
    ("x-amz-grant-read-acp", &[]),
    ("x-amz-grant-write", &[]),
    ("x-amz-grant-write-acp", &[]),
];

/// The text of a header.
///
/// # Errors
/// Where it is none.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, S3Error> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = std::str::from_utf8(value.as_bytes());
    text.map(Some).map_err(|_| S3Error::invalid_request(format!("The header {name} is not text")))
}

/// See [`text`].
pub(crate) fn text_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, S3Error> {
    text(headers, name.as_str())
}

/// # Errors
/// For a header that should have an effect that there is not.
pub(crate) fn refuse_unsupported(headers: &HeaderMap) -> Result<(), S3Error> {
    let refused = |list: &'static [(&str, &[&str])]| {
        list.iter().find(|(name, fine)| {
            headers.get_all(*name).iter().any(|value| !fine.iter().any(|fine| value.as_bytes() == fine.as_bytes()))
        })
    };
    if refused(ACCESS_LISTS).is_some() {
        return Err(S3Error::bad("AccessControlListNotSupported", "The bucket does not allow ACLs"));
    }
    match refused(WITHOUT_EFFECT) {
        Some((name, _)) => {
            Err(S3Error::not_implemented(&format!("The header {name} with this value")).with("Header", *name))
        }
        None => Ok(()),
    }
}

/// What the client says of the object that it sends.
pub(crate) fn described(headers: &HeaderMap) -> Result<Described, S3Error> {
    refuse_unsupported(headers)?;
    let mut described = Described::default();
    for name in KEPT {
        let Some(value) = text_of(headers, &name)? else { continue };
        let value = if name == header::CONTENT_ENCODING { without_chunking(value) } else { value.to_owned() };
        if !value.is_empty() {
            described.headers.insert(name.as_str().to_owned(), value);
        }
    }
    described.headers.entry(header::CONTENT_TYPE.as_str().to_owned()).or_insert_with(|| DEFAULT_TYPE.to_owned());
    for name in headers.keys().filter(|name| name.as_str().starts_with(METADATA)) {
        let values: Vec<_> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        described.metadata.insert(name.as_str()[METADATA.len()..].to_owned(), values.join(","));
    }
    let size: usize = described.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > S3_METADATA_BYTES {
        let message = "Your metadata headers exceed the maximum allowed metadata size";
        return Err(S3Error::bad("MetadataTooLarge", message)
            .with("Size", size.to_string())
            .with("MaxSizeAllowed", S3_METADATA_BYTES.to_string()));
    }
    if let Some(tags) = text(headers, "x-amz-tagging")? {
        described.tags = tags_of_header(tags)?;
    }
    Ok(described)
}

/// The framing is not the object's.
fn without_chunking(encoding: &str) -> String {
    let kept: Vec<&str> = encoding.split(',').map(str::trim).filter(|one| *one != "aws-chunked").collect();
    kept.join(",")
}

/// Tags as `a=1&b=2`.
pub(crate) fn tags_of_header(header: &str) -> Result<BTreeMap<String, String>, S3Error> {
    let invalid = || {
        S3Error::invalid_argument(
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.",
            "x-amz-tagging",
            header,
        )
    };
    let uri = format!("/?{header}").parse().map_err(|_| invalid())?;
    let query = Query::of(&uri).map_err(|_| invalid())?;
    let pairs = query.names().map(|name| (name.to_owned(), query.get(name).unwrap_or_default().to_owned()));
    checked_tags(pairs, S3_OBJECT_TAGS)
}

/// # Errors
/// For too many tags, one key twice, keys and values that are too long.
pub(crate) fn checked_tags(
    pairs: impl Iterator<Item = (String, String)>,
    most: usize,
) -> Result<BTreeMap<String, String>, S3Error> {
    let mut tags = BTreeMap::new();
    for (key, value) in pairs {
        if key.is_empty() || key.chars().count() > TAG_KEY_CHARS {
            return Err(S3Error::bad("InvalidTag", "The TagKey you have provided is invalid").with("TagKey", key));
        }
        if value.chars().count() > TAG_VALUE_CHARS {
            return Err(S3Error::bad("InvalidTag", "The TagValue you have provided is invalid").with("TagValue", value));
        }
        if tags.insert(key.clone(), value).is_some() {
            let message = "Cannot provide multiple Tags with the same key";
            return Err(S3Error::bad("InvalidTag", message).with("TagKey", key));
        }
    }
    if tags.len() > most {
        return Err(S3Error::bad("BadRequest", format!("Object tags cannot be greater than {most}")));
    }
    Ok(tags)
}

/// The headers that tell what a version of an object is.
pub(crate) fn show(version: &Version, content: &Content, versioning: Versioning, headers: &mut HeaderMap) {
    let described = &content.described;
    for (name, value) in &described.headers {
        set(headers, name, value);
    }
    for (name, value) in &described.metadata {
        set(headers, &format!("{METADATA}{name}"), value);
    }
    if !described.tags.is_empty() {
        set(headers, "x-amz-tagging-count", &described.tags.len().to_string());
    }
    set(headers, "etag", &quoted(&content.etag));
    set(headers, "last-modified", &http_date(version.modified_ms));
    set(headers, "accept-ranges", "bytes");
    show_version(version, versioning, headers);
}

/// The version's id, where versions have one.
pub(crate) fn show_version(version: &Version, versioning: Versioning, headers: &mut HeaderMap) {
    if versioning != Versioning::Off {
        set(headers, "x-amz-version-id", version.shown_id());
    }
}

/// The checksum of an object.
pub(crate) fn show_checksum(content: &Content, headers: &mut HeaderMap) {
    if let Some(checksum) = &content.checksum {
        set(headers, checksum.algorithm.header(), &checksum.value);
        set(headers, "x-amz-checksum-type", checksum.kind.name());
    }
}

/// Sets a header; what cannot be one is left away.
pub(crate) fn set(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_bytes(value.as_bytes())) {
        headers.insert(name, value);
    }
}

/// An entity tag as headers and lists have it.
pub(crate) fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

/// For a header.
pub(crate) fn http_date(ms: i64) -> String {
    let time = Timestamp::from_millisecond(ms).unwrap_or_default();
    DateTimePrinter::new().timestamp_to_rfc9110_string(&time).unwrap_or_default()
}

/// For an XML answer.
pub(crate) fn iso_date(ms: i64) -> String {
    let time = Timestamp::from_millisecond(ms).unwrap_or_default();
    format!("{time:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn objects_are_described_by_headers() {
        let given = [
            ("content-encoding", "aws-chunked, gzip"),
            ("cache-control", "no-store"),
            ("x-amz-meta-owner", "me"),
            ("x-amz-tagging", "a=1&b=x%20y"),
            ("x-amz-acl", "bucket-owner-full-control"),
            ("x-amz-server-side-encryption", "AES256"),
        ];
        let described = described(&headers(&given)).unwrap();
        let kept: Vec<_> = described.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let expected = [("cache-control", "no-store"), ("content-encoding", "gzip"), ("content-type", DEFAULT_TYPE)];
        assert_eq!(kept, expected);
        assert_eq!(described.metadata["owner"], "me");
        assert_eq!(described.tags["b"], "x y");
    }

    #[test]
    fn what_would_have_no_effect_is_refused() {
        let code = |name, value: &str| super::described(&headers(&[(name, value)])).unwrap_err().code;
        assert_eq!(code("x-amz-acl", "public-read"), "AccessControlListNotSupported");
        assert_eq!(code("x-amz-server-side-encryption", "aws:kms"), "NotImplemented");
        assert_eq!(code("x-amz-storage-class", "GLACIER"), "NotImplemented");
        assert_eq!(code("x-amz-meta-long", &"v".repeat(2048)), "MetadataTooLarge");
        assert_eq!(code("x-amz-tagging", "a=1&a=2"), "InvalidTag");
        assert_eq!(code("x-amz-tagging", &format!("a={}", "v".repeat(257))), "InvalidTag");
    }

    #[test]
    fn dates_are_written_as_clients_read_them() {
        assert_eq!(http_date(1_784_000_000_999), "Tue, 14 Jul 2026 03:33:20 GMT");
        assert_eq!(iso_date(1_784_000_000_999), "2026-07-14T03:33:20.999Z");
        assert_eq!(iso_date(0), "1970-01-01T00:00:00.000Z");
    }
}
