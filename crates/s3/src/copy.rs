//! Objects copied: another name for the same bytes, with a life of its own.

use std::fmt::Display;
use std::sync::Arc;

use crate::S3;
use crate::access::object_arn;
use crate::address::{check_key, decode};
use crate::conditions::{self, OfWrite};
use crate::contents::Kept;
use crate::digest::{Algorithm, Digests, hex};
use crate::error::S3Error;
use crate::happening::Doing;
use crate::headers::{described, iso_date, quoted, set, show_version, text};
use crate::objects::Found;
use crate::records::{Checksum, ChecksumKind, Content, Described, Segment};
use crate::route::{Answer, Call, document};
use crate::send::{Range, each_piece};
use crate::state::Files;
use crate::xml::Xml;

/// What a copy takes from its source.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Directive {
    Copy,
    Replace,
}

impl S3 {
    pub(crate) async fn copy_object(self: &Arc<Self>, call: &Call, bucket: &str, key: &str) -> Answer {
        self.bucket(bucket).await?;
        let conditions = OfWrite::of(&call.headers)?;
        let source = Source::of(call)?;
        let found = self.source(call, &source).await?;
        let metadata = directive(call, "x-amz-metadata-directive")?;
        let tagging = directive(call, "x-amz-tagging-directive")?;
        let is_itself = source.bucket == bucket && source.key == key && source.version.is_none();
        if is_itself && metadata == Directive::Copy && tagging == Directive::Copy {
            let message = "This copy request is illegal because it is trying to copy an object to itself without \
                           changing the object's metadata, storage class, website redirect location or encryption \
                           attributes.";
            return Err(S3Error::invalid_request(message));
        }
        let given = described(&call.headers)?;
        let described = chosen(&found.content.described, given, metadata, tagging);
        let wanted = text(&call.headers, "x-amz-checksum-algorithm")?.map(algorithm).transpose()?;
        let (content, kept, found) = self.duplicate(found, described, wanted).await?;
        let files = Files { kept, beside: Vec::new(), occasion: Some(call.occasion(Doing::Copy)) };
        let (etag, checksum) = (quoted(&content.etag), content.checksum.clone());
        let (version, versioning) = self.store(bucket, key, content, conditions, files).await?;
        let mut xml = Xml::new();
        xml.root("CopyObjectResult").text("LastModified", &iso_date(version.modified_ms)).text("ETag", &etag);
        if let Some(checksum) = &checksum {
            xml.text(checksum.algorithm.member(), &checksum.value).text("ChecksumType", checksum.kind.name());
        }
        xml.close("CopyObjectResult");
        let mut response = document(xml);
        show_version(&version, versioning, response.headers_mut());
        show_source(&found, response.headers_mut());
        Ok(response)
    }

    /// The object that is to be copied, if its conditions hold.
    pub(crate) async fn source(&self, call: &Call, source: &Source) -> Result<Found, S3Error> {
        let arn = object_arn(&source.bucket, &source.key);
        call.may_on_version(["s3:GetObject", "s3:GetObjectVersion"], &arn, source.version.as_deref())?;
        let found = self.find(&source.bucket, &source.key, source.version.as_deref()).await?;
        conditions::check_read(&conditions::OF_COPY, &call.headers, &found.version, &found.content)?;
        Ok(found)
    }

    /// The same bytes once more. What a copy is told by is of the whole, so an object of several parts is read for it.
    async fn duplicate(
        &self,
        found: Found,
        described: Described,
        wanted: Option<Algorithm>,
    ) -> Result<(Content, Vec<Kept>, Found), S3Error> {
        let contents = Arc::clone(&self.contents);
        let work = move || {
            let mut kept = Vec::new();
            let mut segments = Vec::new();
            for segment in &found.content.segments {
                let link = contents.link(segment.file)?;
                segments.push(Segment { file: link.id(), size: segment.size });
                kept.push(link);
            }
            let of_whole = found.content.checksum.as_ref().filter(|one| one.kind == ChecksumKind::FullObject);
            let wanted = wanted.or(found.content.checksum.as_ref().map(|one| one.algorithm));
            let is_known = !found.content.etag.contains('-') && wanted == of_whole.map(|one| one.algorithm);
            let (etag, checksum) = if is_known {
                (found.content.etag.clone(), of_whole.cloned())
            } else {
                let mut digests = Digests::new(false, wanted);
                each_piece(&contents, &found.content.segments, Range::whole(&found.content), |piece| {
                    digests.update(piece);
                    Ok(())
                })?;
                let digested = digests.finish();
                let kind = ChecksumKind::FullObject;
                let checksum = digested.checksum.map(|(algorithm, value)| Checksum { algorithm, value, kind });
                (hex(&digested.md5), checksum)
            };
            let content = Content { size: found.content.size, etag, segments, checksum, described };
            Ok((content, kept, found))
        };
        let failed = |cause: &dyn Display| S3Error::internal("copying an object", cause);
        let done = tokio::task::spawn_blocking(work).await.map_err(|cause| failed(&cause))?;
        done.map_err(|cause: std::io::Error| failed(&cause))
    }
}

/// Which object is to be copied.
pub(crate) struct Source {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) version: Option<String>,
}

impl Source {
    pub(crate) fn of(call: &Call) -> Result<Self, S3Error> {
        let given = text(&call.headers, "x-amz-copy-source")?.unwrap_or_default();
        let invalid = || {
            let message = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey";
            S3Error::invalid_argument(message, "x-amz-copy-source", given)
        };
        let (path, query) = given.split_once("?versionId=").map_or((given, None), |(path, id)| (path, Some(id)));
        let path = decode(path, false).ok_or_else(invalid)?;
        let (bucket, key) = path.strip_prefix('/').unwrap_or(&path).split_once('/').ok_or_else(invalid)?;
        if bucket.is_empty() || key.is_empty() {
            return Err(invalid());
        }
        check_key(key)?;
        let version = query.map(|id| decode(id, false).ok_or_else(invalid)).transpose()?;
        Ok(Self { bucket: bucket.to_owned(), key: key.to_owned(), version })
    }
}

/// Says which version was copied.
pub(crate) fn show_source(found: &Found, headers: &mut http::HeaderMap) {
    if found.bucket.versioning != crate::records::Versioning::Off {
        set(headers, "x-amz-copy-source-version-id", found.version.shown_id());
    }
}

fn directive(call: &Call, header: &'static str) -> Result<Directive, S3Error> {
    match text(&call.headers, header)? {
        None | Some("COPY") => Ok(Directive::Copy),
        Some("REPLACE") => Ok(Directive::Replace),
        Some(other) => Err(S3Error::invalid_argument("Unknown metadata directive.", header, other)),
    }
}

fn chosen(source: &Described, given: Described, metadata: Directive, tagging: Directive) -> Described {
    let tags = if tagging == Directive::Replace { given.tags.clone() } else { source.tags.clone() };
    let of_source =
        Described { headers: source.headers.clone(), metadata: source.metadata.clone(), tags: tags.clone() };
    if metadata == Directive::Replace { Described { tags, ..given } } else { of_source }
}

/// A checksum's name.
pub(crate) fn algorithm(name: &str) -> Result<Algorithm, S3Error> {
    Algorithm::of_name(name).ok_or_else(|| {
        let message = "Checksum algorithm provided is unsupported. Please try again with any of the valid types: \
                       [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]";
        S3Error::invalid_request(message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(given: &str) -> Result<(String, String, Option<String>), &'static str> {
        let mut headers = http::HeaderMap::new();
        headers.insert("x-amz-copy-source", given.parse().unwrap());
        let call = crate::route::tests::put(headers, None);
        Source::of(&call).map(|found| (found.bucket, found.key, found.version)).map_err(|error| error.code)
    }

    #[test]
    fn sources_are_named_with_and_without_a_slash() {
        let expected = Ok(("b".to_owned(), "k l/m".to_owned(), None));
        assert_eq!(source("/b/k%20l/m"), expected);
        assert_eq!(source("b/k%20l%2Fm"), expected);
        assert_eq!(source("b/k?versionId=v1"), Ok(("b".to_owned(), "k".to_owned(), Some("v1".to_owned()))));
        for bad in ["", "b", "b/", "/", "b/%zz"] {
            assert_eq!(source(bad), Err("InvalidArgument"), "{bad}");
        }
    }
}
