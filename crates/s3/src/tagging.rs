//! The tags of an object.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use bytes::Bytes;
use hearth_http::ResponseBody;
use hearth_types::limits::{S3_OBJECT_TAGS, S3_XML_BYTES};
use http::{Method, Response, StatusCode};
use http_body::Body;
use serde::Deserialize;

use crate::S3;
use crate::error::S3Error;
use crate::happening::{Doing, Occasion};
use crate::headers::{checked_tags, show_version};
use crate::receive::collect;
use crate::records::Version;
use crate::route::{Answer, Call, document, empty};
use crate::state::{Files, Older};
use crate::xml::{self, Xml};

/// A document of tags.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Tagging {
    tag_set: TagSet,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TagSet {
    #[serde(default)]
    tag: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: String,
    #[serde(default)]
    value: String,
}

impl Tagging {
    pub(crate) fn pairs(self) -> impl Iterator<Item = (String, String)> {
        self.tag_set.tag.into_iter().map(|tag| (tag.key, tag.value))
    }
}

pub(crate) fn tags_document(tags: &BTreeMap<String, String>) -> Response<ResponseBody> {
    let mut xml = Xml::new();
    xml.root("Tagging").open("TagSet");
    for (key, value) in tags {
        xml.open("Tag").text("Key", key).text("Value", value).close("Tag");
    }
    xml.close("TagSet").close("Tagging");
    document(xml)
}

impl S3 {
    pub(crate) async fn object_tagging<B>(self: &Arc<Self>, call: &Call, bucket: &str, key: &str, body: B) -> Answer
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Display,
    {
        let wanted = call.query.given("versionId");
        match call.method {
            Method::GET => {
                let found = self.bucket(bucket).await?;
                let (version, content) = self.version(bucket, key, wanted).await?;
                let mut response = tags_document(&content.described.tags);
                show_version(&version, found.record.versioning, response.headers_mut());
                Ok(response)
            }
            Method::PUT => {
                let body = collect(call, body, S3_XML_BYTES).await?;
                let tags = checked_tags(xml::read::<Tagging>(&body)?.pairs(), S3_OBJECT_TAGS)?;
                self.set_tags(call.occasion(Doing::SetTags), (bucket, key, wanted), tags, StatusCode::OK).await
            }
            Method::DELETE => {
                let occasion = call.occasion(Doing::RemoveTags);
                self.set_tags(occasion, (bucket, key, wanted), BTreeMap::new(), StatusCode::NO_CONTENT).await
            }
            _ => Err(S3Error::method_not_allowed(&call.method)),
        }
    }

    async fn set_tags(
        self: &Arc<Self>,
        occasion: Occasion,
        (bucket, key, wanted): (&str, &str, Option<&str>),
        tags: BTreeMap<String, String>,
        status: StatusCode,
    ) -> Answer {
        let (name, wanted) = (key.to_owned(), wanted.map(str::to_owned));
        let older = if wanted.is_some() { Older::Read } else { Older::Unread };
        let changed = self.change(bucket, key, older, Files::none(occasion), move |bucket, chain| {
            let mut found = chain.find(&name, wanted.as_deref())?.clone();
            let Some(content) = &mut found.record.content else {
                return Err(S3Error::method_not_allowed(&Method::PUT));
            };
            content.described.tags.clone_from(&tags);
            let plan = chain.replace(&found);
            Ok(((bucket.versioning, found.record), plan))
        });
        let (versioning, version): (_, Version) = changed.await?;
        let mut response = empty(status);
        show_version(&version, versioning, response.headers_mut());
        Ok(response)
    }
}
