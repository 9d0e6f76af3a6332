//! Objects put and got.

use std::fmt::Display;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use hearth_http::ResponseBody;
use http::{HeaderMap, Method, Response, StatusCode};
use http_body::Body;

use crate::S3;
use crate::conditions::{self, OfWrite};
use crate::contents::{Kept, Pinned};
use crate::digest::hex;
use crate::error::S3Error;
use crate::happening::Doing;
use crate::headers::{described, quoted, set, show, show_checksum, show_version, text};
use crate::receive::{Announced, Received};
use crate::records::{Bucket, Checksum, ChecksumKind, Content, Described, Segment, Version, Versioning};
use crate::route::{Answer, Call, empty};
use crate::send::{self, Range};
use crate::state::{Files, Older};

/// Headers of an answer that a signed query may set.
const OVERRIDES: &[(&str, &str)] = &[
    ("response-cache-control", "cache-control"),
    ("response-content-disposition", "content-disposition"),
    ("response-content-encoding", "content-encoding"),
    ("response-content-language", "content-language"),
    ("response-content-type", "content-type"),
    ("response-expires", "expires"),
];

/// An object that was found, and may be read for as long as this is held.
pub(crate) struct Found {
    pub(crate) bucket: Bucket,
    pub(crate) version: Version,
    pub(crate) content: Content,
    pub(crate) pinned: Pinned,
}

impl S3 {
    pub(crate) async fn put_object<B>(self: &Arc<Self>, call: &Call, bucket: &str, key: &str, body: B) -> Answer
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Display,
    {
        self.bucket(bucket).await?;
        let described = described(&call.headers)?;
        let conditions = OfWrite::of(&call.headers)?;
        let announced = Announced::of(call)?;
        let received = announced.receive(body, &self.contents, None).await?;
        let (content, kept) = whole(received, described);
        let (etag, checksum) = (quoted(&content.etag), content.clone());
        let files =
            Files { kept: kept.into_iter().collect(), beside: Vec::new(), occasion: Some(call.occasion(Doing::Put)) };
        let (version, versioning) = self.store(bucket, key, content, conditions, files).await?;
        let mut response = empty(StatusCode::OK);
        set(response.headers_mut(), "etag", &etag);
        show_checksum(&checksum, response.headers_mut());
        show_version(&version, versioning, response.headers_mut());
        Ok(response)
    }

    /// Makes this the latest version of the object.
    pub(crate) async fn store(
        self: &Arc<Self>,
        bucket: &str,
        key: &str,
        content: Content,
        conditions: OfWrite,
        files: Files,
    ) -> Result<(Version, Versioning), S3Error> {
        let (name, id, now_ms) = (key.to_owned(), crate::random_id(), self.now_ms());
        let older = self.older_needed(bucket).await?;
        let stored = self.change(bucket, key, older, files, move |bucket, chain| {
            conditions.check(&name, chain.latest.as_ref().map(|latest| &latest.record))?;
            if bucket.versioning == Versioning::Suspended && older == Older::Unread {
                // It was suspended a moment ago; the client tries again.
                return Err(S3Error::operation_aborted());
            }
            let (version, plan) = chain.put(bucket.versioning, id.clone(), now_ms, Some(content.clone()));
            Ok(((version, bucket.versioning), plan))
        });
        stored.await
    }

    /// Where the version without an id is replaced, it has to be found first.
    pub(crate) async fn older_needed(&self, bucket: &str) -> Result<Older, S3Error> {
        match self.bucket(bucket).await?.record.versioning {
            Versioning::Suspended => Ok(Older::Read),
            Versioning::Off | Versioning::Enabled => Ok(Older::Unread),
        }
    }

    /// GetObject and HeadObject.
    pub(crate) async fn get_object(self: &Arc<Self>, call: &Call, bucket: &str, key: &str) -> Answer {
        let found = self.find(bucket, key, call.query.given("versionId")).await?;
        conditions::check_read(&conditions::OF_READ, &call.headers, &found.version, &found.content)?;
        let content = &found.content;
        let range = wanted_range(call, content)?;
        let mut headers = HeaderMap::new();
        show(&found.version, content, found.bucket.versioning, &mut headers);
        for (parameter, header) in OVERRIDES {
            if let Some(value) = call.query.given(parameter) {
                set(&mut headers, header, value);
            }
        }
        if call.query.has("partNumber") && content.segments.len() > 1 {
            set(&mut headers, "x-amz-mp-parts-count", &content.segments.len().to_string());
        }
        let wants_checksum =
            text(&call.headers, "x-amz-checksum-mode")?.is_some_and(|mode| mode.eq_ignore_ascii_case("enabled"));
        if wants_checksum && range.is_none() {
            show_checksum(content, &mut headers);
        }
        let stretch = range.unwrap_or_else(|| Range::whole(content));
        set(&mut headers, "content-length", &stretch.length.to_string());
        if range.is_some() && stretch.length > 0 {
            set(&mut headers, "content-range", &stretch.shown(content.size));
        }
        let body = match call.method {
            Method::HEAD => ResponseBody::empty(),
            _ => send::body(found.pinned, &content.segments, stretch).await?,
        };
        let mut response = Response::new(body);
        if range.is_some() {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        *response.headers_mut() = headers;
        Ok(response)
    }

    /// The whole of an object of at most `limit` bytes, for the server itself.
    ///
    /// # Errors
    /// As GetObject gives them, and `EntityTooLarge`.
    pub async fn read_object(&self, bucket: &str, key: &str, id: Option<&str>, limit: u64) -> Result<Bytes, S3Error> {
        crate::address::check_key(key)?;
        let found = self.find(bucket, key, id).await?;
        if found.content.size > limit {
            let message = "Your proposed upload exceeds the maximum allowed size";
            return Err(S3Error::bad("EntityTooLarge", message).with("MaxSizeAllowed", limit.to_string()));
        }
        let read = move || {
            let mut bytes = BytesMut::with_capacity(usize::try_from(found.content.size).unwrap_or_default());
            let (segments, range) = (&found.content.segments, Range::whole(&found.content));
            send::each_piece(found.pinned.contents(), segments, range, |piece| {
                bytes.extend_from_slice(piece);
                Ok(())
            })?;
            Ok(bytes.freeze())
        };
        let failed = |cause: &dyn Display| S3Error::internal("reading an object", cause);
        let read = tokio::task::spawn_blocking(read).await.map_err(|cause| failed(&cause))?;
        read.map_err(|cause: std::io::Error| failed(&cause))
    }

    /// A version with content, its files held.
    pub(crate) async fn find(&self, bucket: &str, key: &str, id: Option<&str>) -> Result<Found, S3Error> {
        loop {
            let within = self.bucket(bucket).await?;
            let (version, content) = self.version(bucket, key, id).await?;
            let pinned = self.contents.pin(version.files().collect());
            // Files go after the record that names them: one that still does now, keeps them.
            let (again, _) = self.version(bucket, key, id).await?;
            if again.files().eq(version.files()) {
                return Ok(Found { bucket: within.record, version, content, pinned });
            }
        }
    }

    /// A version with content.
    pub(crate) async fn version(
        &self,
        bucket: &str,
        key: &str,
        id: Option<&str>,
    ) -> Result<(Version, Content), S3Error> {
        let older = if id.is_some() { Older::Read } else { Older::Unread };
        let chain = self.chain(bucket, key, older).await?;
        let version = chain.find(key, id)?.record.clone();
        let marker = |error: S3Error| {
            error.with_header("x-amz-delete-marker", "true").with_header("x-amz-version-id", version.shown_id())
        };
        match (&version.content, id) {
            (Some(content), _) => Ok((version.clone(), content.clone())),
            (None, None) => Err(marker(S3Error::no_such_key(key))),
            (None, Some(_)) => {
                Err(marker(S3Error::method_not_allowed(&Method::GET)).with_header("allow", Method::DELETE.as_str()))
            }
        }
    }
}

/// The stretch that a client asks for; none for all of it.
fn wanted_range(call: &Call, content: &Content) -> Result<Option<Range>, S3Error> {
    let header = text(&call.headers, "range")?;
    if let Some(part) = call.query.given("partNumber") {
        if header.is_some() {
            return Err(S3Error::invalid_request("Cannot specify both Range header and partNumber query parameter"));
        }
        let number = part.parse().map_err(|_| crate::parts::bad_number(part))?;
        return Range::of_part(number, content).map(Some);
    }
    match header {
        Some(header) => Range::of_header(header, content.size),
        None => Ok(None),
    }
}

/// An object that was sent at once.
pub(crate) fn whole(received: Received, described: Described) -> (Content, Option<Kept>) {
    let segments = received.kept.iter().map(|kept| Segment { file: kept.id(), size: received.size }).collect();
    let checksum = received.digested.checksum;
    let content = Content {
        size: received.size,
        etag: hex(&received.digested.md5),
        segments,
        checksum: checksum.map(|(algorithm, value)| Checksum { algorithm, value, kind: ChecksumKind::FullObject }),
        described,
    };
    (content, received.kept)
}
