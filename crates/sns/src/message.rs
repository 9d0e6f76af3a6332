//! How messages look to subscribers. Pure.
//!
//! Their signatures are none: nobody has AWS's keys. The members are there, because consumers read them, and say
//! `unsigned`; who verifies refuses them, and rightly.

use std::collections::BTreeMap;

use hearth_sqs::{Attributes, Value};
use serde::Serialize;
use serde_json::value::RawValue;

/// `unsigned`, in base64 as signatures are.
const SIGNATURE: &str = "dW5zaWduZWQ=";

/// What every kind of message says.
pub(crate) struct Notice<'a> {
    /// Of the topic.
    pub(crate) arn: &'a str,
    pub(crate) message_id: &'a str,
    /// Milliseconds since 1970.
    pub(crate) now_ms: i64,
    /// Where this server is reached.
    pub(crate) endpoint: &'a str,
    pub(crate) signature_version: &'a str,
}

/// What is published.
pub(crate) struct Content<'a> {
    pub(crate) subject: Option<&'a str>,
    pub(crate) message: &'a str,
    pub(crate) attributes: &'a Attributes,
    /// Of FIFO topics.
    pub(crate) sequence: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Attribute<'a> {
    r#type: &'a str,
    value: &'a str,
}

impl Notice<'_> {
    fn timestamp(&self) -> String {
        let time = jiff::Timestamp::from_millisecond(self.now_ms).unwrap_or_default();
        format!("{time:.3}")
    }

    fn certificate(&self) -> String {
        format!("{}/SimpleNotificationService-unsigned.pem", self.endpoint)
    }

    fn unsubscribe(&self, subscription: &str) -> String {
        format!("{}/?Action=Unsubscribe&SubscriptionArn={subscription}&Version=2010-03-31", self.endpoint)
    }
}

fn attributes(given: &Attributes) -> BTreeMap<&str, Attribute<'_>> {
    given
        .iter()
        .map(|(name, attribute)| (name.as_str(), Attribute { r#type: &attribute.kind, value: shown(&attribute.value) }))
        .collect()
}

fn shown(value: &Value) -> &str {
    match value {
        Value::Text(text) | Value::Binary(text) => text,
    }
}

fn json(value: &impl Serialize) -> String {
    // Text, and maps with keys of text, can always be written.
    serde_json::to_string(value).unwrap_or_default()
}

/// Members as the service writes them: each in a line of its own, with a space on both sides of the colon.
fn lines(members: &[(&str, String)]) -> String {
    let lines: Vec<String> = members.iter().map(|(name, value)| format!("  \"{name}\" : {value}")).collect();
    format!("{{\n{}\n}}", lines.join(",\n"))
}

/// The message as queues and HTTP endpoints get it.
pub(crate) fn envelope(notice: &Notice<'_>, subscription: &str, content: &Content<'_>) -> String {
    let mut members = vec![("Type", json(&"Notification")), ("MessageId", json(&notice.message_id))];
    members.extend(content.sequence.map(|sequence| ("SequenceNumber", json(&sequence))));
    members.push(("TopicArn", json(&notice.arn)));
    members.extend(content.subject.map(|subject| ("Subject", json(&subject))));
    members.push(("Message", json(&content.message)));
    members.push(("Timestamp", json(&notice.timestamp())));
    // Messages of FIFO topics are not signed.
    if content.sequence.is_none() {
        members.push(("SignatureVersion", json(&notice.signature_version)));
        members.push(("Signature", json(&SIGNATURE)));
        members.push(("SigningCertURL", json(&notice.certificate())));
    }
    members.push(("UnsubscribeURL", json(&notice.unsubscribe(subscription))));
    if !content.attributes.is_empty() {
        let of = attributes(content.attributes);
        let named: Vec<String> =
            of.iter().map(|(name, value)| format!("    {} : {}", json(name), json(value))).collect();
        members.push(("MessageAttributes", format!("{{\n{}\n  }}", named.join(",\n"))));
    }
    lines(&members)
}

/// The message that asks an HTTP endpoint to confirm.
pub(crate) fn confirmation(notice: &Notice<'_>, token: &str) -> String {
    let Notice { arn, endpoint, .. } = notice;
    let text = format!(
        "You have chosen to subscribe to the topic {arn}.\nTo confirm the subscription, visit the SubscribeURL included in this message."
    );
    let url = format!("{endpoint}/?Action=ConfirmSubscription&TopicArn={arn}&Token={token}&Version=2010-03-31");
    lines(&[
        ("Type", json(&"SubscriptionConfirmation")),
        ("MessageId", json(&notice.message_id)),
        ("Token", json(&token)),
        ("TopicArn", json(arn)),
        ("Message", json(&text)),
        ("SubscribeURL", json(&url)),
        ("Timestamp", json(&notice.timestamp())),
        ("SignatureVersion", json(&notice.signature_version)),
        ("Signature", json(&SIGNATURE)),
        ("SigningCertURL", json(&notice.certificate())),
    ])
}

/// The event that a function gets.
pub(crate) fn event(notice: &Notice<'_>, subscription: &str, content: &Content<'_>) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Sns<'a> {
        r#type: &'static str,
        message_id: &'a str,
        topic_arn: &'a str,
        subject: Option<&'a str>,
        message: &'a str,
        timestamp: String,
        signature_version: &'a str,
        signature: &'static str,
        signing_cert_url: String,
        unsubscribe_url: String,
        message_attributes: BTreeMap<&'a str, Attribute<'a>>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Record<'a> {
        event_source: &'static str,
        event_version: &'static str,
        event_subscription_arn: &'a str,
        sns: Sns<'a>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Event<'a> {
        records: [Record<'a>; 1],
    }
    let sns = Sns {
        r#type: "Notification",
        message_id: notice.message_id,
        topic_arn: notice.arn,
        subject: content.subject,
        message: content.message,
        timestamp: notice.timestamp(),
        signature_version: notice.signature_version,
        signature: SIGNATURE,
        signing_cert_url: notice.certificate(),
        unsubscribe_url: notice.unsubscribe(subscription),
        message_attributes: attributes(content.attributes),
    };
    let record = Record { event_source: "aws:sns", event_version: "1.0", event_subscription_arn: subscription, sns };
    json(&Event { records: [record] })
}

/// What one protocol's subscribers get of a message that says something to each.
pub(crate) struct Structured(BTreeMap<String, Box<RawValue>>);

impl Structured {
    /// Reads a message whose structure is `json`.
    pub(crate) fn parse(message: &str) -> Result<Self, &'static str> {
        let parsed: BTreeMap<String, Box<RawValue>> =
            serde_json::from_str(message).map_err(|_| "Message Structure - JSON message body failed to parse")?;
        let structured = Self(parsed);
        structured.of("default").ok_or("Message Structure - No default entry in JSON message body")?;
        Ok(structured)
    }

    /// For a protocol, or what is for all.
    pub(crate) fn of(&self, protocol: &str) -> Option<String> {
        let of = |name| serde_json::from_str::<String>(self.0.get(name)?.get()).ok();
        of(protocol).or_else(|| of("default"))
    }
}

#[cfg(test)]
mod tests {
    use hearth_sqs::Attribute as Given;

    use super::*;

    const ARN: &str = "arn:aws:sns:us-east-1:000000000000:t";
    const NOTICE: Notice<'_> = Notice {
        arn: ARN,
        message_id: "m",
        now_ms: 1_709_640_000_123,
        endpoint: "http://localhost:4566",
        signature_version: "1",
    };

    #[test]
    fn an_envelope_is_as_the_service_writes_it() {
        let attributes = Attributes::from([("n".to_owned(), Given::text("Number", "1"))]);
        let content = Content { subject: Some("s"), message: "a\"b", attributes: &attributes, sequence: None };
        assert_eq!(
            envelope(&NOTICE, "arn:aws:sns:us-east-1:000000000000:t:u", &content),
            "{\n  \"Type\" : \"Notification\",\n  \"MessageId\" : \"m\",\n  \"TopicArn\" : \"arn:aws:sns:us-east-1:000000000000:t\",\n  \"Subject\" : \"s\",\n  \"Message\" : \"a\\\"b\",\n  \"Timestamp\" : \"2024-03-05T12:00:00.123Z\",\n  \"SignatureVersion\" : \"1\",\n  \"Signature\" : \"dW5zaWduZWQ=\",\n  \"SigningCertURL\" : \"http://localhost:4566/SimpleNotificationService-unsigned.pem\",\n  \"UnsubscribeURL\" : \"http://localhost:4566/?Action=Unsubscribe&SubscriptionArn=arn:aws:sns:us-east-1:000000000000:t:u&Version=2010-03-31\",\n  \"MessageAttributes\" : {\n    \"n\" : {\"Type\":\"Number\",\"Value\":\"1\"}\n  }\n}"
        );
        let fifo = Content { sequence: Some("10000000000000000001"), ..content };
        let fifo: serde_json::Value = serde_json::from_str(&envelope(&NOTICE, "s", &fifo)).unwrap();
        assert_eq!(
            (&fifo["SequenceNumber"], &fifo["Signature"]),
            (&"10000000000000000001".into(), &serde_json::Value::Null)
        );
    }

    #[test]
    fn a_functions_event_has_one_record_with_all_members() {
        let attributes = Attributes::new();
        let content = Content { subject: None, message: "m", attributes: &attributes, sequence: None };
        let event: serde_json::Value = serde_json::from_str(&event(&NOTICE, "s", &content)).unwrap();
        let sns = &event["Records"][0]["Sns"];
        assert_eq!(event["Records"][0]["EventSource"], "aws:sns");
        assert_eq!((&sns["Subject"], &sns["MessageAttributes"]), (&serde_json::Value::Null, &serde_json::json!({})));
        assert!(sns["SigningCertUrl"].is_string() && sns["UnsubscribeUrl"].is_string());
    }

    #[test]
    fn a_structured_message_says_to_each_what_is_for_it() {
        let structured = Structured::parse(r#"{"default": "d", "sqs": "q", "lambda": {"no": "text"}}"#).ok().unwrap();
        assert_eq!(structured.of("sqs").unwrap(), "q");
        assert_eq!(structured.of("http").unwrap(), "d");
        assert_eq!(structured.of("lambda").unwrap(), "d");
        for (text, why) in
            [("{", "failed to parse"), (r#"{"sqs": "q"}"#, "No default"), (r#"{"default": 1}"#, "No default")]
        {
            assert!(Structured::parse(text).err().unwrap().contains(why), "{text}");
        }
    }
}
