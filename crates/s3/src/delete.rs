//! Objects deleted: by a marker, or for good.

use std::fmt::Display;
use std::sync::Arc;

use bytes::Bytes;
use hearth_types::limits::{S3_PAGE, S3_XML_BYTES};
use http::StatusCode;
use http_body::Body;
use serde::Deserialize;

use crate::S3;
use crate::access::object_arn;
use crate::address::check_key;
use crate::conditions::OfWrite;
use crate::error::S3Error;
use crate::happening::Doing;
use crate::headers::set;
use crate::receive::collect;
use crate::records::Versioning;
use crate::route::{Answer, Call, document, empty};
use crate::state::{Files, Older};
use crate::versions::Plan;
use crate::xml::{self, Xml};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Delete {
    #[serde(default)]
    object: Vec<Target>,
    #[serde(default)]
    quiet: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Target {
    key: String,
    version_id: Option<String>,
    #[serde(rename = "ETag")]
    etag: Option<String>,
}

/// What became of an object.
struct Deleted {
    /// A marker was made, or one was removed.
    is_marker: bool,
    /// Of the marker, or of what was removed.
    version: Option<String>,
}

impl S3 {
    pub(crate) async fn delete_object(self: &Arc<Self>, call: &Call, bucket: &str, key: &str) -> Answer {
        let conditions = OfWrite::of(&call.headers)?;
        let deleted = self.delete(call, bucket, key, call.query.given("versionId"), conditions).await?;
        let mut response = empty(StatusCode::NO_CONTENT);
        if deleted.is_marker {
            set(response.headers_mut(), "x-amz-delete-marker", "true");
        }
        if let Some(version) = &deleted.version {
            set(response.headers_mut(), "x-amz-version-id", version);
        }
        Ok(response)
    }

    pub(crate) async fn delete_objects<B>(self: &Arc<Self>, call: &Call, bucket: &str, body: B) -> Answer
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Display,
    {
        self.bucket(bucket).await?;
        let asked: Delete = xml::read(&collect(call, body, S3_XML_BYTES).await?)?;
        if !(1..=S3_PAGE).contains(&asked.object.len()) {
            return Err(S3Error::malformed_xml());
        }
        let mut xml = Xml::new();
        xml.root("DeleteResult");
        for target in &asked.object {
            let version = target.version_id.as_deref().filter(|id| !id.is_empty());
            let deleted = match (check_key(&target.key), &target.etag) {
                (Err(error), _) => Err(error),
                (Ok(()), Some(_)) => Err(S3Error::not_implemented("ETag in DeleteObjects")),
                (Ok(()), None) => self.delete_one(call, bucket, &target.key, version).await,
            };
            match deleted {
                Err(error) => {
                    xml.open("Error").text("Key", &target.key).maybe("VersionId", version);
                    xml.text("Code", error.code).text("Message", &error.message).close("Error");
                }
                Ok(_) if asked.quiet => {}
                Ok(deleted) => {
                    xml.open("Deleted").text("Key", &target.key).maybe("VersionId", version);
                    if deleted.is_marker {
                        xml.text("DeleteMarker", "true");
                        xml.maybe("DeleteMarkerVersionId", deleted.version.as_deref());
                    }
                    xml.close("Deleted");
                }
            }
        }
        xml.close("DeleteResult");
        Ok(document(xml))
    }

    /// One of many: each is a matter of its own.
    async fn delete_one(
        self: &Arc<Self>,
        call: &Call,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<Deleted, S3Error> {
        let actions = ["s3:DeleteObject", "s3:DeleteObjectVersion"];
        call.may_on_version(actions, &object_arn(bucket, key), version)?;
        self.delete(call, bucket, key, version, OfWrite::default()).await
    }

    /// Without a version's id what was there is kept, where the bucket keeps versions; with one, that one is removed.
    async fn delete(
        self: &Arc<Self>,
        call: &Call,
        bucket: &str,
        key: &str,
        id: Option<&str>,
        conditions: OfWrite,
    ) -> Result<Deleted, S3Error> {
        let (name, marker_id, now_ms) = (key.to_owned(), crate::random_id(), self.now_ms());
        let older = if id.is_some() { Older::Read } else { self.older_needed(bucket).await? };
        let id = id.map(str::to_owned);
        let files = Files::none(call.occasion(Doing::Delete(id.clone())));
        let deleted = self.change(bucket, key, older, files, move |bucket, chain| {
            let is_there = chain.latest.as_ref().is_some_and(|latest| latest.record.content.is_some());
            if is_there {
                conditions.check(&name, chain.latest.as_ref().map(|latest| &latest.record))?;
            }
            if let Some(id) = &id {
                // What is not there is gone already.
                let Ok(found) = chain.find(&name, Some(id)) else {
                    return Ok((Deleted { is_marker: false, version: Some(id.clone()) }, Plan::default()));
                };
                let is_latest =
                    chain.latest.as_ref().is_some_and(|latest| latest.record.generation == found.record.generation);
                let plan = if is_latest { chain.remove_latest() } else { chain.remove_older(found) };
                let is_marker = found.record.content.is_none();
                return Ok((Deleted { is_marker, version: Some(id.clone()) }, plan));
            }
            if bucket.versioning == Versioning::Off {
                return Ok((Deleted { is_marker: false, version: None }, chain.remove_latest()));
            }
            if bucket.versioning == Versioning::Suspended && older == Older::Unread {
                // It was suspended a moment ago; the client tries again.
                return Err(S3Error::operation_aborted());
            }
            let (marker, plan) = chain.put(bucket.versioning, marker_id.clone(), now_ms, None);
            Ok((Deleted { is_marker: true, version: Some(marker.shown_id().to_owned()) }, plan))
        });
        deleted.await
    }
}
