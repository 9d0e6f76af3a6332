//! Parts of uploads.

use std::fmt::Display;
use std::sync::Arc;

use bytes::Bytes;
use hearth_store::Precondition;
use hearth_types::limits::S3_PARTS;
use http::StatusCode;
use http_body::Body;

use crate::S3;
use crate::buckets::page_size;
use crate::contents::Kept;
use crate::copy::{Source, show_source};
use crate::digest::{Digests, hex};
use crate::error::S3Error;
use crate::headers::{iso_date, quoted, refuse_unsupported, set, text};
use crate::list::Shown;
use crate::receive::{Announced, Received};
use crate::records::{self, Part, Segment, Upload};
use crate::route::{Answer, Call, document, empty};
use crate::send::{Range, each_piece};
use crate::state::put;
use crate::versions::Stored;
use crate::xml::Xml;

impl S3 {
    /// The upload.
    ///
    /// # Errors
    /// When there is none, any more or of this object.
    pub(crate) async fn upload(&self, bucket: &str, key: &str, id: &str) -> Result<Stored<Upload>, S3Error> {
        self.bucket(bucket).await?;
        self.load(&records::upload(bucket, key, id)).await?.ok_or_else(|| S3Error::no_such_upload(id))
    }

    pub(crate) async fn upload_part<B>(
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
        refuse_unsupported(&call.headers)?;
        let number = number(call)?;
        let upload = self.upload(bucket, key, id).await?;
        let algorithm = upload.record.checksum.map(|(algorithm, _)| algorithm);
        let announced = Announced::of(call)?;
        if let (Some(chosen), Some(sent)) = (algorithm, announced.algorithm())
            && chosen != sent
        {
            let message = format!(
                "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
                chosen.name().to_lowercase(),
                sent.name().to_lowercase()
            );
            return Err(S3Error::invalid_request(message));
        }
        let received = announced.receive(body, &self.contents, algorithm).await?;
        let part = self.keep_part(bucket, key, id, number, received).await?;
        let mut response = empty(StatusCode::OK);
        set(response.headers_mut(), "etag", &quoted(&part.etag));
        if let Some((algorithm, value)) = &part.checksum {
            set(response.headers_mut(), algorithm.header(), value);
        }
        Ok(response)
    }

    pub(crate) async fn upload_part_copy(self: &Arc<Self>, call: &Call, bucket: &str, key: &str, id: &str) -> Answer {
        let number = number(call)?;
        let upload = self.upload(bucket, key, id).await?;
        let found = self.source(call, &Source::of(call)?).await?;
        let range = match text(&call.headers, "x-amz-copy-source-range")? {
            None => Range::whole(&found.content),
            Some(header) => Range::of_header(header, found.content.size)?.ok_or_else(|| {
                let message = "The x-amz-copy-source-range value must be of the form bytes=first-last where first and \
                               last are the zero-based offsets of the first and last bytes to copy";
                S3Error::invalid_argument(message, "x-amz-copy-source-range", header)
            })?,
        };
        let algorithm = upload.record.checksum.map(|(algorithm, _)| algorithm);
        let contents = Arc::clone(&self.contents);
        let copied = tokio::task::spawn_blocking(move || {
            let mut digests = Digests::new(false, algorithm);
            let mut draft = contents.create()?;
            each_piece(found.pinned.contents(), &found.content.segments, range, |piece| {
                digests.update(piece);
                draft.write(piece)
            })?;
            let kept = (range.length > 0).then(|| draft.finish()).transpose()?;
            std::io::Result::Ok((Received { kept, size: range.length, digested: digests.finish() }, found))
        });
        let failed = |cause: &dyn Display| S3Error::internal("copying a part", cause);
        let copied = copied.await.map_err(|cause| failed(&cause))?;
        let (received, found) = copied.map_err(|cause| failed(&cause))?;
        let part = self.keep_part(bucket, key, id, number, received).await?;
        let mut xml = Xml::new();
        xml.root("CopyPartResult").text("LastModified", &iso_date(part.modified_ms));
        xml.text("ETag", &quoted(&part.etag));
        if let Some((algorithm, value)) = &part.checksum {
            xml.text(algorithm.member(), value);
        }
        xml.close("CopyPartResult");
        let mut response = document(xml);
        show_source(&found, response.headers_mut());
        Ok(response)
    }

    /// Makes it the part of this number; what was it before is gone.
    async fn keep_part(
        self: &Arc<Self>,
        bucket: &str,
        key: &str,
        id: &str,
        number: u32,
        received: Received,
    ) -> Result<Part, S3Error> {
        // A part of no bytes has a file too: a segment is always one.
        let received = match received.kept {
            Some(_) => received,
            None => Received { kept: Some(self.empty_file().await?), ..received },
        };
        let Some(kept) = received.kept else { return Err(S3Error::internal("keeping a part", "it has no file")) };
        let part = Part {
            segment: Segment { file: kept.id(), size: received.size },
            etag: hex(&received.digested.md5),
            checksum: received.digested.checksum,
            modified_ms: self.now_ms(),
        };
        let (s3, bucket, key, id) = (Arc::clone(self), bucket.to_owned(), key.to_owned(), id.to_owned());
        // As every commit that names files, it goes on where the client stops waiting.
        let commit = tokio::spawn(async move { s3.commit_part(&bucket, &key, &id, number, part, kept).await });
        commit.await.unwrap_or_else(|cause| Err(S3Error::internal("keeping a part", cause)))
    }

    async fn commit_part(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
        number: u32,
        part: Part,
        mut kept: Kept,
    ) -> Result<Part, S3Error> {
        let at = records::part(id, number);
        loop {
            let upload = self.upload(bucket, key, id).await?;
            let before = self.load::<Part>(&at).await?;
            let unchanged = before.as_ref().map_or(Precondition::Absent, |part| Precondition::Version(part.version));
            // The upload is written as it is: completing it must notice a part that was replaced since it looked.
            let writes = vec![
                put(records::upload(bucket, key, id), &upload.record, Precondition::Version(upload.version))?,
                put(at.clone(), &part, unchanged)?,
            ];
            kept.keep();
            match self.commit(writes).await {
                Ok(false) => kept.is_not_named(),
                Ok(true) => {
                    self.remove_later(before.into_iter().map(|part| part.record.segment.file).collect());
                    return Ok(part);
                }
                // It may be there all the same: the next start looks.
                Err(cause) => return Err(cause),
            }
        }
    }

    async fn empty_file(&self) -> Result<Kept, S3Error> {
        let contents = Arc::clone(&self.contents);
        let failed = |cause: &dyn Display| S3Error::internal("keeping a part", cause);
        let made = tokio::task::spawn_blocking(move || contents.create()?.finish()).await;
        made.map_err(|cause| failed(&cause))?.map_err(|cause| failed(&cause))
    }

    pub(crate) async fn list_parts(&self, call: &Call, bucket: &str, key: &str, id: &str) -> Answer {
        let upload = self.upload(bucket, key, id).await?;
        let size = page_size(call, "max-parts")?;
        let marker =
            call.query.given("part-number-marker").map_or(Ok(0), |text| text.parse().map_err(|_| bad_number(text)))?;
        let after = records::part(id, marker);
        let mut found = self.page::<Part>(&records::parts(id), Some(&after), size + 1).await?;
        let is_truncated = found.len() > size;
        found.truncate(size);
        let number = |rest: &str| rest.trim_start_matches('0').to_owned();
        let mut xml = Xml::new();
        xml.root("ListPartsResult").text("Bucket", bucket).text("Key", &Shown::of(call).key(key)).text("UploadId", id);
        for who in ["Initiator", "Owner"] {
            xml.open(who).text("ID", &self.owner()).close(who);
        }
        xml.text("StorageClass", "STANDARD").text("PartNumberMarker", &marker.to_string());
        if let Some((rest, _)) = found.last().filter(|_| is_truncated) {
            xml.text("NextPartNumberMarker", &number(rest));
        }
        xml.text("MaxParts", &size.to_string()).text("IsTruncated", if is_truncated { "true" } else { "false" });
        if let Some((algorithm, kind)) = upload.record.checksum {
            xml.text("ChecksumAlgorithm", algorithm.name()).text("ChecksumType", kind.name());
        }
        for (rest, Stored { record: part, .. }) in &found {
            xml.open("Part").text("PartNumber", &number(rest)).text("LastModified", &iso_date(part.modified_ms));
            xml.text("ETag", &quoted(&part.etag)).text("Size", &part.segment.size.to_string());
            if let Some((algorithm, value)) = &part.checksum {
                xml.text(algorithm.member(), value);
            }
            xml.close("Part");
        }
        xml.close("ListPartsResult");
        Ok(document(xml))
    }
}

fn number(call: &Call) -> Result<u32, S3Error> {
    let given = call.query.get("partNumber").unwrap_or_default();
    given.parse().ok().filter(|number| (1..=S3_PARTS).contains(number)).ok_or_else(|| bad_number(given))
}

/// For what is no part's number.
pub(crate) fn bad_number(given: &str) -> S3Error {
    let message = format!("Part number must be an integer between 1 and {S3_PARTS}, inclusive");
    S3Error::invalid_argument(message, "partNumber", given)
}
