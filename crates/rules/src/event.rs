//! An event as buses carry it. Pure.

use hearth_types::Place;
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

/// An event.
#[derive(Clone, Debug)]
pub struct Event {
    /// A UUID.
    pub id: String,
    /// Who sends it: `my.shop`, `aws.s3`.
    pub source: String,
    /// What it is about.
    pub detail_type: String,
    /// Seconds since 1970.
    pub time_s: i64,
    /// ARNs.
    pub resources: Vec<String>,
    /// A JSON object, as text.
    pub detail: String,
    /// X-Ray's header of what led to it.
    pub trace: Option<String>,
}

impl Event {
    /// With an id of its own.
    #[must_use]
    pub fn new(source: impl Into<String>, detail_type: impl Into<String>, time_s: i64, detail: String) -> Event {
        Event {
            id: Uuid::new_v4().to_string(),
            source: source.into(),
            detail_type: detail_type.into(),
            time_s,
            resources: vec![],
            detail,
            trace: None,
        }
    }

    /// As targets get it: the members in the service's order, the detail as it was given.
    pub(crate) fn text(&self, place: &Place) -> String {
        let quoted = |text: &str| Value::from(text).to_string();
        format!(
            r#"{{"version":"0","id":{},"detail-type":{},"source":{},"account":{},"time":"{}","region":{},"resources":{},"detail":{}}}"#,
            quoted(&self.id),
            quoted(&self.detail_type),
            quoted(&self.source),
            quoted(&place.account),
            time(self.time_s),
            quoted(&place.region),
            Value::from(self.resources.clone()),
            self.detail.trim(),
        )
    }
}

/// `2024-03-05T12:00:00Z`.
pub(crate) fn time(seconds: i64) -> String {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

/// Whether a text is a JSON object.
pub(crate) fn is_object(text: &str) -> bool {
    matches!(serde_json::from_str(text), Ok(Value::Object(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_members_come_in_the_services_order() {
        let place = Place { region: "us-east-1".into(), account: "000000000000".into() };
        let event = Event {
            id: "i".into(),
            source: "a\"b".into(),
            detail_type: "t".into(),
            time_s: 1_709_640_000,
            resources: vec!["r".into()],
            detail: r#" {"z":1,"a":1.0} "#.into(),
            trace: None,
        };
        let text = event.text(&place);
        assert_eq!(
            text,
            r#"{"version":"0","id":"i","detail-type":"t","source":"a\"b","account":"000000000000","time":"2024-03-05T12:00:00Z","region":"us-east-1","resources":["r"],"detail":{"z":1,"a":1.0}}"#
        );
        assert!(is_object(&text) && !is_object("[]") && !is_object("{") && !is_object("{}x"));
    }
}
