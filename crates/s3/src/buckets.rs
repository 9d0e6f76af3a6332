//! Buckets themselves: made, found, listed, deleted.

use std::fmt::Display;

use bytes::Bytes;
use hearth_store::{Precondition, Write};
use hearth_types::limits::{S3_BUCKETS, S3_PAGE, S3_XML_BYTES};
use http::StatusCode;
use http_body::Body;
use serde::Deserialize;

use crate::S3;
use crate::address::check_bucket_name;
use crate::error::S3Error;
use crate::headers::{iso_date, refuse_unsupported, set, text};
use crate::receive::collect;
use crate::records::{self, Bucket, Ownership, PublicAccessBlock, Upload, Versioning};
use crate::route::{Answer, Call, document, empty};
use crate::state::put;
use crate::xml::{self, Xml};

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct CreateBucketConfiguration {
    location_constraint: Option<String>,
    location: Option<serde::de::IgnoredAny>,
    bucket: Option<serde::de::IgnoredAny>,
}

impl S3 {
    pub(crate) async fn list_buckets(&self, call: &Call) -> Answer {
        let prefix = format!("{}{}", records::BUCKETS, call.query.get("prefix").unwrap_or_default());
        let most = call.query.given("max-buckets").and_then(|most| most.parse().ok()).unwrap_or(S3_BUCKETS);
        let most = most.clamp(1, S3_BUCKETS);
        let after = call.query.given("continuation-token").map(records::bucket);
        let mut found = self.page::<Bucket>(&prefix, after.as_deref(), most + 1).await?;
        let is_truncated = found.len() > most;
        found.truncate(most);
        let given = call.query.get("prefix").unwrap_or_default();
        let mut xml = Xml::new();
        xml.root("ListAllMyBucketsResult").open("Owner").text("ID", &self.owner()).close("Owner").open("Buckets");
        for (rest, bucket) in &found {
            xml.open("Bucket")
                .text("Name", &format!("{given}{rest}"))
                .text("CreationDate", &iso_date(bucket.record.created_ms))
                .text("BucketRegion", self.region())
                .close("Bucket");
        }
        xml.close("Buckets");
        if let Some((rest, _)) = found.last().filter(|_| is_truncated) {
            xml.text("ContinuationToken", &format!("{given}{rest}"));
        }
        xml.maybe("Prefix", call.query.given("prefix")).close("ListAllMyBucketsResult");
        Ok(document(xml))
    }

    pub(crate) async fn create_bucket<B>(&self, call: &Call, name: &str, body: B) -> Answer
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Display,
    {
        check_bucket_name(name)?;
        refuse_unsupported(&call.headers)?;
        if let Some(other) = text(&call.headers, "x-amz-object-ownership")?
            && other != "BucketOwnerEnforced"
        {
            return Err(S3Error::not_implemented(&format!("The object ownership {other}")));
        }
        let body = collect(call, body, S3_XML_BYTES).await?;
        let asked = match body.is_empty() {
            true => CreateBucketConfiguration::default(),
            false => xml::read(&body)?,
        };
        self.check_location(&asked)?;
        if self.page::<Bucket>(records::BUCKETS, None, S3_BUCKETS).await?.len() == S3_BUCKETS {
            let message = "You have attempted to create more buckets than allowed";
            return Err(S3Error::bad("TooManyBuckets", message));
        }
        let every = true;
        let bucket = Bucket {
            created_ms: self.now_ms(),
            versioning: Versioning::Off,
            tags: Default::default(),
            public_access_block: Some(PublicAccessBlock {
                block_public_acls: every,
                ignore_public_acls: every,
                block_public_policy: every,
                restrict_public_buckets: every,
            }),
            ownership: Some(Ownership::BucketOwnerEnforced),
            notifications: Default::default(),
            is_going: false,
        };
        let is_made = self.commit(vec![put(records::bucket(name), &bucket, Precondition::Absent)?]).await?;
        // us-east-1 has always answered a second time as the first.
        if !is_made && self.region() != "us-east-1" {
            let message = "Your previous request to create the named bucket succeeded and you already own it.";
            return Err(S3Error::new(StatusCode::CONFLICT, "BucketAlreadyOwnedByYou", message).with("BucketName", name));
        }
        let mut response = empty(StatusCode::OK);
        set(response.headers_mut(), "location", &format!("/{name}"));
        Ok(response)
    }

    /// A bucket is in this server's region; elsewhere than in us-east-1 a client has to say so.
    fn check_location(&self, asked: &CreateBucketConfiguration) -> Result<(), S3Error> {
        if asked.location.is_some() || asked.bucket.is_some() {
            return Err(S3Error::not_implemented("A directory bucket"));
        }
        let region = self.region();
        let constraint = asked.location_constraint.as_deref().filter(|region| !region.is_empty());
        if constraint.unwrap_or("us-east-1") == region {
            return Ok(());
        }
        let shown = constraint.unwrap_or("unspecified");
        let message = format!(
            "The {shown} location constraint is incompatible for the region specific endpoint this request was sent to."
        );
        Err(S3Error::bad("IllegalLocationConstraintException", message))
    }

    pub(crate) async fn head_bucket(&self, name: &str) -> Answer {
        self.bucket(name).await?;
        let mut response = empty(StatusCode::OK);
        set(response.headers_mut(), "x-amz-bucket-region", self.region());
        set(response.headers_mut(), "x-amz-access-point-alias", "false");
        Ok(response)
    }

    /// Deletes a bucket that is empty: first nothing may be put into it any more, then it is looked at once again, then
    /// it goes. Whoever put something in before keeps it.
    pub(crate) async fn delete_bucket(&self, name: &str) -> Answer {
        self.bucket(name).await?;
        self.check_empty(name).await?;
        self.change_bucket(name, |bucket| bucket.is_going = true).await?;
        if let Err(error) = self.check_empty(name).await {
            self.change_bucket(name, |bucket| bucket.is_going = false).await?;
            return Err(error);
        }
        for (rest, _) in self.all::<Upload>(&records::uploads(name)).await? {
            if let Some((key, id)) = rest.rsplit_once('\0') {
                self.discard_upload(name, key, id).await?;
            }
        }
        let found = self.bucket(name).await?;
        let gone = Write::delete(records::bucket(name), Precondition::Version(found.version));
        if !found.record.is_going || !self.commit(vec![gone]).await? {
            return Err(S3Error::operation_aborted());
        }
        Ok(empty(StatusCode::NO_CONTENT))
    }

    async fn check_empty(&self, name: &str) -> Result<(), S3Error> {
        for (prefix, message) in [
            (records::objects(name), "The bucket you tried to delete is not empty"),
            (
                records::all_older(name),
                "The bucket you tried to delete is not empty. You must delete all versions in the bucket.",
            ),
        ] {
            if self.is_any(&prefix).await? {
                return Err(S3Error::new(StatusCode::CONFLICT, "BucketNotEmpty", message).with("BucketName", name));
            }
        }
        Ok(())
    }
}

/// Entries on a page, from a parameter.
pub(crate) fn page_size(call: &Call, parameter: &'static str) -> Result<usize, S3Error> {
    let Some(given) = call.query.given(parameter) else { return Ok(S3_PAGE) };
    let invalid = || {
        S3Error::invalid_argument(
            format!("Provided {parameter} not an integer or within integer range"),
            parameter,
            given,
        )
    };
    let size: i32 = given.parse().map_err(|_| invalid())?;
    usize::try_from(size).map(|size| size.min(S3_PAGE)).map_err(|_| invalid())
}
