//! What happened to an object, and the events that tell of it. Pure.

use serde_json::{Value, json};

use crate::notifications::{Notifications, Rule};
use crate::records::Version;
use crate::versions::{Chain, Plan, Step};

/// What a request does to an object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Doing {
    Put,
    Copy,
    CompleteUpload,
    /// With the version that is asked for.
    Delete(Option<String>),
    SetTags,
    RemoveTags,
}

/// A request that may lead to an event.
#[derive(Clone, Debug)]
pub(crate) struct Occasion {
    pub(crate) doing: Doing,
    /// Who sent it.
    pub(crate) principal: String,
    /// From where.
    pub(crate) address: String,
    pub(crate) request_id: String,
    /// X-Ray's header.
    pub(crate) trace: Option<String>,
}

/// What happened.
#[derive(Clone, Debug)]
pub(crate) struct Happening<'a> {
    /// `ObjectCreated:Put`, ...
    pub(crate) name: &'static str,
    occasion: &'a Occasion,
    key: &'a str,
    version: Option<String>,
    /// Size and ETag.
    content: Option<(u64, String)>,
    sequencer: String,
}

/// Where it happened.
pub(crate) struct Scene<'a> {
    pub(crate) region: &'a str,
    pub(crate) account: &'a str,
    pub(crate) owner: &'a str,
    pub(crate) bucket: &'a str,
    /// Milliseconds since 1970.
    pub(crate) now_ms: i64,
}

impl<'a> Happening<'a> {
    /// None where nothing happens.
    pub(crate) fn of(occasion: &'a Occasion, key: &'a str, chain: &Chain, plan: &Plan, now_ms: i64) -> Option<Self> {
        if plan.steps.is_empty() {
            return None;
        }
        let set = plan.steps.iter().find_map(|step| match step {
            Step::SetLatest(version, _) | Step::SetOlder(version, _) => Some(version),
            _ => None,
        });
        let (name, version) = match &occasion.doing {
            Doing::Put => ("ObjectCreated:Put", set),
            Doing::Copy => ("ObjectCreated:Copy", set),
            Doing::CompleteUpload => ("ObjectCreated:CompleteMultipartUpload", set),
            Doing::SetTags => ("ObjectTagging:Put", set),
            Doing::RemoveTags => ("ObjectTagging:Delete", set),
            Doing::Delete(None) if set.is_some() => ("ObjectRemoved:DeleteMarkerCreated", set),
            Doing::Delete(_) => ("ObjectRemoved:Delete", None),
        };
        let asked = if let Doing::Delete(asked) = &occasion.doing { asked.clone() } else { None };
        let of = |version: &Version| version.content.as_ref().map(|content| (content.size, content.etag.clone()));
        let last = chain.latest.as_ref().map_or(0, |latest| latest.record.generation);
        Some(Self {
            name,
            occasion,
            key,
            version: version.and_then(|version| version.id.clone()).or(asked),
            content: version.and_then(of),
            sequencer: format!("{:014X}{:04X}", now_ms.max(0), (last + 1) & 0xffff),
        })
    }

    /// The rules that want to hear of it.
    pub(crate) fn heard_by<'n>(&self, notifications: &'n Notifications) -> impl Iterator<Item = &'n Rule> {
        let (name, key) = (format!("s3:{}", self.name), self.key.to_owned());
        notifications.rules.iter().filter(move |rule| rule.wants(&name, &key))
    }

    /// The event as functions, queues and topics get it.
    pub(crate) fn event(&self, scene: &Scene<'_>, rule: &Rule) -> Value {
        let mut object = json!({"key": encoded(self.key)});
        if let Some((size, etag)) = &self.content {
            (object["size"], object["eTag"]) = ((*size).into(), etag.as_str().into());
        } else if self.name == "ObjectRemoved:DeleteMarkerCreated" {
            // Of no bytes.
            object["eTag"] = "d41d8cd98f00b204e9800998ecf8427e".into();
        }
        if let Some(version) = &self.version {
            object["versionId"] = version.as_str().into();
        }
        object["sequencer"] = self.sequencer.as_str().into();
        let Occasion { principal, address, request_id, .. } = self.occasion;
        let time = jiff::Timestamp::from_millisecond(scene.now_ms).unwrap_or_default();
        json!({"Records": [{
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": scene.region,
            "eventTime": format!("{time:.3}"),
            "eventName": self.name,
            "userIdentity": {"principalId": format!("AWS:{principal}")},
            "requestParameters": {"sourceIPAddress": address},
            "responseElements": {"x-amz-request-id": request_id, "x-amz-id-2": "hearth"},
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": rule.id,
                "bucket": {
                    "name": scene.bucket,
                    "ownerIdentity": {"principalId": scene.owner},
                    "arn": crate::access::bucket_arn(scene.bucket),
                },
                "object": object,
            },
        }]})
    }

    /// The detail-type and the detail of the event that EventBridge gets.
    pub(crate) fn detail(&self, scene: &Scene<'_>) -> (&'static str, Value) {
        let (kind, reason) = match self.occasion.doing {
            Doing::Put => ("Object Created", Some("PutObject")),
            Doing::Copy => ("Object Created", Some("CopyObject")),
            Doing::CompleteUpload => ("Object Created", Some("CompleteMultipartUpload")),
            Doing::Delete(_) => ("Object Deleted", Some("DeleteObject")),
            Doing::SetTags => ("Object Tags Added", None),
            Doing::RemoveTags => ("Object Tags Deleted", None),
        };
        let mut object = json!({"key": self.key});
        if let Some((size, etag)) = &self.content {
            (object["size"], object["etag"]) = ((*size).into(), etag.as_str().into());
        }
        if let Some(version) = &self.version {
            object["version-id"] = version.as_str().into();
        }
        object["sequencer"] = self.sequencer.as_str().into();
        let mut detail = json!({
            "version": "0",
            "bucket": {"name": scene.bucket},
            "object": object,
            "request-id": self.occasion.request_id,
            "requester": scene.account,
            "source-ip-address": self.occasion.address,
        });
        if let Some(reason) = reason {
            detail["reason"] = reason.into();
        }
        if kind == "Object Deleted" {
            let is_marker = self.name == "ObjectRemoved:DeleteMarkerCreated";
            detail["deletion-type"] = if is_marker { "Delete Marker Created" } else { "Permanently Deleted" }.into();
        }
        (kind, detail)
    }
}

/// A key as events have it: as in a form, but for its slashes.
fn encoded(key: &str) -> String {
    let mut text = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_' | b'.' | b'*' | b'/' => text.push(char::from(byte)),
            b' ' => text.push('+'),
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Versioning;

    #[test]
    fn keys_are_encoded_as_in_a_form() {
        assert_eq!(encoded("in/a b+\u{e4}(1).png"), "in/a+b%2B%C3%A4%281%29.png");
    }

    #[test]
    fn a_marker_and_a_removal_are_told_apart_and_nothing_is_nothing() {
        let occasion = Occasion {
            doing: Doing::Delete(None),
            principal: "p".into(),
            address: "127.0.0.1".into(),
            request_id: "r".into(),
            trace: None,
        };
        let chain = Chain::default();
        let named = |plan: &Plan| Happening::of(&occasion, "k", &chain, plan, 1).map(|happening| happening.name);
        let (_, marker) = chain.put(Versioning::Enabled, "v".into(), 1, None);
        assert_eq!(named(&marker), Some("ObjectRemoved:DeleteMarkerCreated"));
        assert_eq!(named(&Plan::default()), None);
        let gone = Plan { steps: vec![Step::RemoveLatest(hearth_store::Precondition::Any)], freed: Vec::new() };
        assert_eq!(named(&gone), Some("ObjectRemoved:Delete"));
    }
}
