//! A queue of another service, where queues are sent on: asked as any client would, with the upstream's credentials.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hearth_client::{Api, CallError, JsonVersion, Service};
use hearth_sqs::{Attribute, Pick, Received, Value as Given};
use hearth_types::limits::{SQS_BATCH, SQS_UPSTREAM_BYTES, SQS_UPSTREAM_WAIT, UPSTREAM_ANSWER};
use serde_json::{Value, json};

const SERVICE: Service = Service { signing_name: "sqs", target: "AmazonSQS", json: JsonVersion::V1_0 };

/// A queue at an upstream.
#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) api: Api,
    pub(crate) arn: Arc<str>,
}

impl Upstream {
    async fn call(&self, operation: &str, mut input: Value, time: Duration) -> Result<Value, CallError> {
        if operation != "GetQueueUrl" {
            input["QueueUrl"] = Value::from(self.url().await?);
        }
        self.api.call(SERVICE, operation, &input, SQS_UPSTREAM_BYTES, time).await
    }

    /// Asked for each time: a queue that was made anew may have another one.
    async fn url(&self) -> Result<String, CallError> {
        let mut parts = self.arn.rsplit(':');
        let (name, account) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let input = json!({"QueueName": name, "QueueOwnerAWSAccountId": account});
        let found = self.api.call(SERVICE, "GetQueueUrl", &input, SQS_UPSTREAM_BYTES, UPSTREAM_ANSWER).await?;
        let url = found["QueueUrl"].as_str();
        url.map(str::to_owned).ok_or_else(|| CallError::Unfit("the answer to GetQueueUrl has no QueueUrl".to_owned()))
    }

    /// Seconds that a message is hidden once it was received.
    pub(crate) async fn visibility_s(&self) -> Result<i64, CallError> {
        let asked = json!({"AttributeNames": ["VisibilityTimeout"]});
        let found = self.call("GetQueueAttributes", asked, UPSTREAM_ANSWER).await?;
        let text = found["Attributes"]["VisibilityTimeout"].as_str();
        Ok(text.and_then(|text| text.parse().ok()).unwrap_or(30))
    }

    /// Messages as `pick` has them, as far as one receive gives so many. What has been asked for is waited for: dropped, its
    /// messages would stay hidden.
    pub(crate) async fn receive(&self, pick: &Pick) -> Result<Vec<Received>, CallError> {
        let wait = pick.wait.min(SQS_UPSTREAM_WAIT);
        let mut asked = json!({
            "MaxNumberOfMessages": pick.limit.clamp(1, SQS_BATCH),
            "WaitTimeSeconds": wait.as_secs(),
            "AttributeNames": ["All"],
            "MessageAttributeNames": ["All"],
        });
        if let Some(seconds) = pick.visibility_s {
            asked["VisibilityTimeout"] = Value::from(seconds);
        }
        let found = self.call("ReceiveMessage", asked, wait + UPSTREAM_ANSWER).await?;
        let messages = found["Messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let unfit = || CallError::Unfit("the answer to ReceiveMessage has messages without their members".to_owned());
        messages.iter().map(|message| received(message).ok_or_else(unfit)).collect()
    }

    /// Deletes messages; gives the handles of those that it could not, with why.
    pub(crate) async fn delete(&self, handles: Vec<String>) -> Result<(), (Vec<String>, CallError)> {
        let (mut left, mut why) = (Vec::new(), None);
        for part in handles.chunks(SQS_BATCH) {
            let entry = |(place, handle): (usize, &String)| json!({"Id": place.to_string(), "ReceiptHandle": handle});
            let asked = json!({"Entries": part.iter().enumerate().map(entry).collect::<Vec<_>>()});
            match self.call("DeleteMessageBatch", asked, UPSTREAM_ANSWER).await {
                Err(cause) => {
                    left.extend_from_slice(part);
                    why = Some(cause);
                }
                Ok(answer) => {
                    for failed in answer["Failed"].as_array().into_iter().flatten() {
                        let place: Option<usize> = failed["Id"].as_str().and_then(|id| id.parse().ok());
                        left.extend(place.and_then(|place| part.get(place)).cloned());
                        why = Some(refused(failed));
                    }
                }
            }
        }
        why.map_or(Ok(()), |why| Err((left, why)))
    }
}

fn refused(failed: &Value) -> CallError {
    let text = |name: &str| failed[name].as_str().unwrap_or_default().to_owned();
    let status = if failed["SenderFault"].as_bool() == Some(false) { 500 } else { 400 };
    CallError::Refused { status, code: text("Code"), message: text("Message") }
}

/// A message as the service writes it; none where it lacks what every message has.
fn received(message: &Value) -> Option<Received> {
    let text = |name: &str| message[name].as_str().map(str::to_owned);
    let attributes: BTreeMap<String, String> = pairs(&message["Attributes"])
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect();
    let attribute = |(name, given): (&String, &Value)| {
        let kind = given["DataType"].as_str()?.to_owned();
        let value = match (given["StringValue"].as_str(), given["BinaryValue"].as_str()) {
            (_, Some(binary)) => Given::Binary(binary.to_owned()),
            (text, None) => Given::Text(text?.to_owned()),
        };
        Some((name.clone(), Attribute { kind, value }))
    };
    Some(Received {
        message_id: text("MessageId")?,
        handle: text("ReceiptHandle")?,
        body: text("Body")?.into(),
        message_attributes: pairs(&message["MessageAttributes"]).filter_map(attribute).collect(),
        md5_of_body: text("MD5OfBody")?,
        md5_of_attributes: text("MD5OfMessageAttributes"),
        sent_ms: attributes.get("SentTimestamp").and_then(|text| text.parse().ok()).unwrap_or(0),
        group: attributes.get("MessageGroupId").cloned(),
        attributes,
    })
}

fn pairs(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_as_the_service_writes_them() {
        let message = json!({
            "MessageId": "id", "ReceiptHandle": "h", "Body": "b", "MD5OfBody": "5", "MD5OfMessageAttributes": "6",
            "Attributes": {"SentTimestamp": "7", "MessageGroupId": "g"},
            "MessageAttributes": {
                "n": {"DataType": "Number", "StringValue": "1"}, "x": {"DataType": "Binary", "BinaryValue": "AAE="},
            },
        });
        let read = received(&message).unwrap();
        assert_eq!((&*read.message_id, &*read.handle, &read.body[..]), ("id", "h", &b"b"[..]));
        assert_eq!((read.sent_ms, read.group.as_deref(), read.md5_of_attributes.as_deref()), (7, Some("g"), Some("6")));
        assert_eq!(read.message_attributes["n"], Attribute::text("Number", "1"));
        assert_eq!(read.message_attributes["x"], Attribute::binary("Binary", b"\0\x01"));
        for missing in ["MessageId", "ReceiptHandle", "Body", "MD5OfBody"] {
            let mut message = message.clone();
            message.as_object_mut().unwrap().remove(missing);
            assert_eq!(received(&message), None, "{missing}");
        }
    }
}
