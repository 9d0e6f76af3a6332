//! Uploads in parts: begun, completed, aborted, listed.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::sync::Arc;

use bytes::Bytes;
use hearth_store::{Precondition, Write};
use hearth_types::limits::{S3_OBJECT_BYTES, S3_PART_MIN_BYTES, S3_PARTS, S3_XML_BYTES};
use http::StatusCode;
use http_body::Body;
use serde::Deserialize;

use crate::S3;
use crate::buckets::page_size;
use crate::conditions::OfWrite;
use crate::contents::ContentId;
use crate::copy::algorithm;
use crate::digest::{Algorithm, etag_of_parts};
use crate::error::S3Error;
use crate::happening::Doing;
use crate::headers::{described, iso_date, quoted, show_version, text};
use crate::list::Shown;
use crate::receive::{bad_checksum, collect};
use crate::records::{self, Checksum, ChecksumKind, Content, Part, Upload};
use crate::route::{Answer, Call, document, empty};
use crate::state::{Files, put};
use crate::versions::Stored;
use crate::xml::{self, Xml};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CompleteMultipartUpload {
    #[serde(default)]
    part: Vec<Named>,
}

/// A part as the client names it.
#[derive(Deserialize)]
struct Named {
    #[serde(rename = "PartNumber")]
    number: u32,
    #[serde(rename = "ETag")]
    etag: String,
    #[serde(rename = "ChecksumCRC32")]
    crc32: Option<String>,
    #[serde(rename = "ChecksumCRC32C")]
    crc32c: Option<String>,
    #[serde(rename = "ChecksumCRC64NVME")]
    crc64nvme: Option<String>,
    #[serde(rename = "ChecksumSHA1")]
    sha1: Option<String>,
    #[serde(rename = "ChecksumSHA256")]
    sha256: Option<String>,
}

impl Named {
    fn checksum(&self, algorithm: Algorithm) -> Option<&str> {
        match algorithm {
            Algorithm::Crc32 => self.crc32.as_deref(),
            Algorithm::Crc32c => self.crc32c.as_deref(),
            Algorithm::Crc64nvme => self.crc64nvme.as_deref(),
            Algorithm::Sha1 => self.sha1.as_deref(),
            Algorithm::Sha256 => self.sha256.as_deref(),
        }
    }

    fn is(&self, part: &Part) -> bool {
        let same_checksum = part
            .checksum
            .as_ref()
            .is_none_or(|(algorithm, value)| self.checksum(*algorithm).is_none_or(|named| named == value));
        self.etag.trim_matches('"') == part.etag && same_checksum
    }
}

impl S3 {
    pub(crate) async fn create_upload(self: &Arc<Self>, call: &Call, bucket: &str, key: &str) -> Answer {
        let described = described(&call.headers)?;
        let checksum = wanted_checksum(call)?;
        let id = crate::random_id();
        let upload = Upload { started_ms: self.now_ms(), checksum, described };
        let found = self.bucket(bucket).await?;
        if found.record.is_going {
            return Err(S3Error::operation_aborted());
        }
        let writes = vec![
            Write::check(records::bucket(bucket), Precondition::Version(found.version)),
            put(records::upload(bucket, key, &id), &upload, Precondition::Absent)?,
        ];
        if !self.commit(writes).await? {
            return Err(S3Error::operation_aborted());
        }
        let mut xml = Xml::new();
        xml.root("InitiateMultipartUploadResult").text("Bucket", bucket).text("Key", key).text("UploadId", &id);
        xml.close("InitiateMultipartUploadResult");
        let mut response = document(xml);
        if let Some((algorithm, kind)) = checksum {
            crate::headers::set(response.headers_mut(), "x-amz-checksum-algorithm", algorithm.name());
            crate::headers::set(response.headers_mut(), "x-amz-checksum-type", kind.name());
        }
        Ok(response)
    }

    /// Makes one object of the parts that the client names, in one commit. Their files become the object's; those of
    /// other parts go.
    pub(crate) async fn complete_upload<B>(
        self: &Arc<Self>,
        call: &Call,
        bucket: &str,
        key: &str,
        id: &str,
        body: B,
    ) -> Answer
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Display,
    {
        let conditions = OfWrite::of(&call.headers)?;
        let upload = self.upload(bucket, key, id).await?;
        let body = collect(call, body, S3_XML_BYTES).await?;
        let named = xml::read::<CompleteMultipartUpload>(&body)?.part;
        let parts = self.all::<Part>(&records::parts(id)).await?;
        let chosen = choose(&named, &parts)?;
        let content = assemble(&upload.record, &chosen)?;
        check_claims(call, &content)?;
        let used: HashSet<ContentId> = content.segments.iter().map(|segment| segment.file).collect();
        let unused =
            parts.iter().map(|(_, part)| part.record.segment.file).filter(|file| !used.contains(file)).collect();
        let (etag, checksum) = (quoted(&content.etag), content.checksum.clone());
        // Each part that is put writes the upload too, so none of these was replaced since.
        let beside = vec![Write::delete(records::upload(bucket, key, id), Precondition::Version(upload.version))];
        let files = Files { kept: Vec::new(), beside, occasion: Some(call.occasion(Doing::CompleteUpload)) };
        let stored = self.store(bucket, key, content, conditions, files).await;
        let (version, versioning) = stored?;
        self.forget_parts(id, unused).await?;
        let mut xml = Xml::new();
        xml.root("CompleteMultipartUploadResult").text("Location", &location(call, bucket, key));
        xml.text("Bucket", bucket).text("Key", key).text("ETag", &etag);
        if let Some(checksum) = &checksum {
            xml.text(checksum.algorithm.member(), &checksum.value).text("ChecksumType", checksum.kind.name());
        }
        xml.close("CompleteMultipartUploadResult");
        let mut response = document(xml);
        show_version(&version, versioning, response.headers_mut());
        Ok(response)
    }

    pub(crate) async fn abort_upload(self: &Arc<Self>, bucket: &str, key: &str, id: &str) -> Answer {
        self.upload(bucket, key, id).await?;
        self.discard_upload(bucket, key, id).await?;
        Ok(empty(StatusCode::NO_CONTENT))
    }

    /// Removes an upload with its parts.
    pub(crate) async fn discard_upload(&self, bucket: &str, key: &str, id: &str) -> Result<(), S3Error> {
        self.commit(vec![Write::delete(records::upload(bucket, key, id), Precondition::Any)]).await?;
        // Without their upload parts can only be removed: nobody adds one, and the next start would go on with it.
        let parts = self.all::<Part>(&records::parts(id)).await?;
        self.forget_parts(id, parts.into_iter().map(|(_, part)| part.record.segment.file).collect()).await
    }

    /// Removes the records of all parts of an upload that is no more, and these files.
    async fn forget_parts(&self, id: &str, files: Vec<ContentId>) -> Result<(), S3Error> {
        let prefix = records::parts(id);
        let parts = self.all::<Part>(&prefix).await?;
        for some in parts.chunks(hearth_types::limits::STORE_COMMIT_WRITES) {
            let gone = some.iter().map(|(rest, _)| Write::delete(format!("{prefix}{rest}"), Precondition::Any));
            self.commit(gone.collect()).await?;
        }
        self.remove_later(files);
        Ok(())
    }

    pub(crate) async fn list_uploads(&self, call: &Call, bucket: &str) -> Answer {
        self.bucket(bucket).await?;
        let query = &call.query;
        if query.given("delimiter").is_some() {
            return Err(S3Error::not_implemented("The delimiter of ListMultipartUploads"));
        }
        let size = page_size(call, "max-uploads")?;
        let given = query.get("prefix").unwrap_or_default();
        let all = records::uploads(bucket);
        let after = match (query.given("key-marker"), query.given("upload-id-marker")) {
            (Some(key), Some(id)) => Some(records::upload(bucket, key, id)),
            (Some(key), None) => Some(format!("{all}{key}\u{1}")),
            (None, _) => None,
        };
        let mut found = self.page::<Upload>(&format!("{all}{given}"), after.as_deref(), size + 1).await?;
        let is_truncated = found.len() > size;
        found.truncate(size);
        let name = |rest: &str| {
            let whole = format!("{given}{rest}");
            whole.rsplit_once('\0').map(|(key, id)| (key.to_owned(), id.to_owned())).unwrap_or_default()
        };
        let shown = Shown::of(call);
        let mut xml = Xml::new();
        xml.root("ListMultipartUploadsResult").text("Bucket", bucket);
        xml.text("KeyMarker", &shown.key(query.get("key-marker").unwrap_or_default()));
        xml.text("UploadIdMarker", query.get("upload-id-marker").unwrap_or_default());
        if let Some((rest, _)) = found.last().filter(|_| is_truncated) {
            let (key, id) = name(rest);
            xml.text("NextKeyMarker", &shown.key(&key)).text("NextUploadIdMarker", &id);
        }
        xml.text("Prefix", &shown.key(given)).text("MaxUploads", &size.to_string());
        xml.maybe("EncodingType", shown.encoding());
        xml.text("IsTruncated", if is_truncated { "true" } else { "false" });
        for (rest, upload) in &found {
            let (key, id) = name(rest);
            xml.open("Upload").text("Key", &shown.key(&key)).text("UploadId", &id);
            for who in ["Initiator", "Owner"] {
                xml.open(who).text("ID", &self.owner()).close(who);
            }
            xml.text("StorageClass", "STANDARD").text("Initiated", &iso_date(upload.record.started_ms));
            if let Some((algorithm, kind)) = upload.record.checksum {
                xml.text("ChecksumAlgorithm", algorithm.name()).text("ChecksumType", kind.name());
            }
            xml.close("Upload");
        }
        xml.close("ListMultipartUploadsResult");
        Ok(document(xml))
    }
}

/// The checksum of an upload, and what it is computed over: what the algorithm allows, where the client does not say.
fn wanted_checksum(call: &Call) -> Result<Option<(Algorithm, ChecksumKind)>, S3Error> {
    let Some(algorithm) = text(&call.headers, "x-amz-checksum-algorithm")?.map(algorithm).transpose()? else {
        return Ok(None);
    };
    let kind = match (text(&call.headers, "x-amz-checksum-type")?, algorithm) {
        (None | Some("FULL_OBJECT"), Algorithm::Crc64nvme) => ChecksumKind::FullObject,
        (Some("FULL_OBJECT"), Algorithm::Crc32 | Algorithm::Crc32c) => ChecksumKind::FullObject,
        (None | Some("COMPOSITE"), Algorithm::Crc32 | Algorithm::Crc32c | Algorithm::Sha1 | Algorithm::Sha256) => {
            ChecksumKind::Composite
        }
        (Some(kind), algorithm) => {
            let name = algorithm.name().to_lowercase();
            let message = format!("The {kind} checksum type cannot be used with the {name} checksum algorithm.");
            return Err(S3Error::invalid_request(message));
        }
    };
    Ok(Some((algorithm, kind)))
}

/// The parts that the client names, in its order.
fn choose<'a>(named: &[Named], parts: &'a [(String, Stored<Part>)]) -> Result<Vec<&'a Part>, S3Error> {
    if named.is_empty() || named.len() > S3_PARTS as usize {
        return Err(S3Error::malformed_xml());
    }
    if named.windows(2).any(|two| two[0].number >= two[1].number) {
        let message = "The list of parts was not in ascending order. Parts must be ordered by part number.";
        return Err(S3Error::bad("InvalidPartOrder", message));
    }
    let kept: HashMap<u32, &Part> =
        parts.iter().filter_map(|(rest, part)| Some((rest.parse().ok()?, &part.record))).collect();
    let find = |named: &Named| {
        let found = kept.get(&named.number).copied().filter(|part| named.is(part));
        found.ok_or_else(|| {
            let message = "One or more of the specified parts could not be found.  The part may not have been \
                           uploaded, or the specified entity tag may not match the part's entity tag.";
            S3Error::bad("InvalidPart", message)
                .with("PartNumber", named.number.to_string())
                .with("ETag", named.etag.trim_matches('"'))
        })
    };
    named.iter().map(find).collect()
}

/// The object that the parts make.
fn assemble(upload: &Upload, parts: &[&Part]) -> Result<Content, S3Error> {
    let (_, all_but_last) = parts.split_last().ok_or_else(S3Error::malformed_xml)?;
    if let Some(small) = all_but_last.iter().find(|part| part.segment.size < S3_PART_MIN_BYTES) {
        let message = "Your proposed upload is smaller than the minimum allowed size";
        return Err(S3Error::bad("EntityTooSmall", message)
            .with("ProposedSize", small.segment.size.to_string())
            .with("MinSizeAllowed", S3_PART_MIN_BYTES.to_string()));
    }
    let size: u64 = parts.iter().map(|part| part.segment.size).sum();
    if size > S3_OBJECT_BYTES {
        let message = "Your proposed upload exceeds the maximum allowed size";
        return Err(S3Error::bad("EntityTooLarge", message)
            .with("ProposedSize", size.to_string())
            .with("MaxSizeAllowed", S3_OBJECT_BYTES.to_string()));
    }
    let broken = || S3Error::internal("completing an upload", "a part's digest is none");
    let etag = etag_of_parts(parts.iter().map(|part| part.etag.as_str())).ok_or_else(broken)?;
    let checksum = upload.checksum.map(|(algorithm, kind)| {
        let of = |part: &&'_ Part| part.checksum.as_ref().map(|(_, value)| value.clone());
        let values: Vec<String> = parts.iter().map(of).collect::<Option<_>>().ok_or_else(broken)?;
        let texts = values.iter().map(String::as_str);
        let value = match kind {
            ChecksumKind::FullObject => algorithm.combined(texts.zip(parts.iter().map(|part| part.segment.size))),
            ChecksumKind::Composite => algorithm.composite(texts).map(|value| format!("{value}-{}", parts.len())),
        };
        Ok(Checksum { algorithm, value: value.ok_or_else(broken)?, kind })
    });
    Ok(Content {
        size,
        etag,
        segments: parts.iter().map(|part| part.segment.clone()).collect(),
        checksum: checksum.transpose()?,
        described: upload.described.clone(),
    })
}

/// What the client says of the whole must hold.
fn check_claims(call: &Call, content: &Content) -> Result<(), S3Error> {
    if let Some(size) = text(&call.headers, "x-amz-mp-object-size")?
        && size.parse() != Ok(content.size)
    {
        let message = "The provided 'x-amz-mp-object-size' header value does not match the size of the object.";
        return Err(S3Error::invalid_request(message));
    }
    let Some(checksum) = &content.checksum else { return Ok(()) };
    match text(&call.headers, checksum.algorithm.header())? {
        Some(claimed) if claimed != checksum.value => Err(bad_checksum(checksum.algorithm)),
        _ => Ok(()),
    }
}

/// The object's address as the client used it.
fn location(call: &Call, bucket: &str, key: &str) -> String {
    let host = call.headers.get(http::header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    format!("http://{host}/{bucket}/{}", crate::address::encode(key))
}
