//! What a bucket is to tell, and to whom: NotificationConfiguration, read, checked and shown.

use serde::{Deserialize, Serialize};

use crate::error::S3Error;
use crate::xml::{self, Xml};

/// All that a bucket tells.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Notifications {
    pub(crate) rules: Vec<Rule>,
    pub(crate) event_bridge: bool,
}

/// Who hears of what.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) hearer: Hearer,
    /// `s3:ObjectCreated:*`, ...
    pub(crate) events: Vec<String>,
    pub(crate) prefix: Option<String>,
    pub(crate) suffix: Option<String>,
}

/// By its ARN.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Hearer {
    Function(String),
    Queue(String),
    Topic(String),
}

impl Hearer {
    pub(crate) fn arn(&self) -> &str {
        match self {
            Self::Function(arn) | Self::Queue(arn) | Self::Topic(arn) => arn,
        }
    }

    /// Its service, and its elements in the document.
    fn names(&self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Function(_) => ("lambda", "CloudFunctionConfiguration", "CloudFunction"),
            Self::Queue(_) => ("sqs", "QueueConfiguration", "Queue"),
            Self::Topic(_) => ("sns", "TopicConfiguration", "Topic"),
        }
    }
}

/// What happens here.
const EVENTS: &[&str] = &[
    "s3:ObjectCreated:*",
    "s3:ObjectCreated:Put",
    "s3:ObjectCreated:Copy",
    "s3:ObjectCreated:CompleteMultipartUpload",
    "s3:ObjectRemoved:*",
    "s3:ObjectRemoved:Delete",
    "s3:ObjectRemoved:DeleteMarkerCreated",
    "s3:ObjectTagging:*",
    "s3:ObjectTagging:Put",
    "s3:ObjectTagging:Delete",
];

/// What S3 has besides. Who asks for it is told that it never happens here, but for POST, which comes with the others.
const OTHERS: &[&str] = &[
    "s3:ObjectRestore",
    "s3:Replication",
    "s3:ReducedRedundancyLostObject",
    "s3:LifecycleExpiration",
    "s3:LifecycleTransition",
    "s3:IntelligentTiering",
    "s3:ObjectAcl",
    "s3:ObjectCreated:Post",
];

impl Rule {
    /// Whether it wants to hear of this event, `s3:ObjectCreated:Put`, on this key.
    pub(crate) fn wants(&self, event: &str, key: &str) -> bool {
        self.events.iter().any(|wanted| covers(wanted, event))
            && key.starts_with(self.prefix.as_deref().unwrap_or_default())
            && key.ends_with(self.suffix.as_deref().unwrap_or_default())
    }

    fn overlaps(&self, other: &Self) -> bool {
        let one_of = |a: &Option<String>, b: &Option<String>, of: fn(&str, &str) -> bool| {
            let (a, b) = (a.as_deref().unwrap_or_default(), b.as_deref().unwrap_or_default());
            of(a, b) || of(b, a)
        };
        let same_event = self.events.iter().any(|a| other.events.iter().any(|b| covers(a, b) || covers(b, a)));
        same_event
            && one_of(&self.prefix, &other.prefix, |a, b| a.starts_with(b))
            && one_of(&self.suffix, &other.suffix, |a, b| a.ends_with(b))
    }
}

fn covers(wanted: &str, event: &str) -> bool {
    wanted == event || wanted.strip_suffix('*').is_some_and(|start| event.starts_with(start))
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct Document {
    #[serde(default)]
    topic_configuration: Vec<Given>,
    #[serde(default)]
    queue_configuration: Vec<Given>,
    #[serde(default)]
    cloud_function_configuration: Vec<Given>,
    event_bridge_configuration: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Given {
    id: Option<String>,
    topic: Option<String>,
    queue: Option<String>,
    cloud_function: Option<String>,
    #[serde(default)]
    event: Vec<String>,
    filter: Option<Filter>,
}

#[derive(Deserialize)]
struct Filter {
    #[serde(rename = "S3Key", default)]
    key: KeyFilter,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct KeyFilter {
    #[serde(default)]
    filter_rule: Vec<FilterRule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FilterRule {
    name: String,
    #[serde(default)]
    value: String,
}

impl Notifications {
    /// Reads a document, and checks what can be without asking who is to hear.
    pub(crate) fn read(body: &[u8]) -> Result<Self, S3Error> {
        let document: Document = xml::read(body)?;
        let functions = document.cloud_function_configuration.into_iter().map(|given| {
            let arn = given.cloud_function.clone();
            (given, arn.map(Hearer::Function))
        });
        let queues = document.queue_configuration.into_iter().map(|given| {
            let arn = given.queue.clone();
            (given, arn.map(Hearer::Queue))
        });
        let topics = document.topic_configuration.into_iter().map(|given| {
            let arn = given.topic.clone();
            (given, arn.map(Hearer::Topic))
        });
        let all = functions.chain(queues).chain(topics);
        let rules: Vec<Rule> = all
            .map(|(given, hearer)| rule(given, hearer.ok_or_else(S3Error::malformed_xml)?))
            .collect::<Result<_, _>>()?;
        for (index, rule) in rules.iter().enumerate() {
            let earlier = &rules[..index];
            if earlier.iter().any(|other| other.id == rule.id) {
                return Err(S3Error::bad(
                    "InvalidArgument",
                    "Same ID used for multiple configurations. IDs must be unique",
                ));
            }
            if earlier.iter().any(|other| other.overlaps(rule)) {
                let message = "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the prefixes are overlapping for the same event type.";
                return Err(S3Error::bad("InvalidArgument", message));
            }
        }
        Ok(Self { rules, event_bridge: document.event_bridge_configuration.is_some() })
    }

    pub(crate) fn show(&self, xml: &mut Xml) {
        xml.root("NotificationConfiguration");
        for rule in &self.rules {
            let (_, outer, inner) = rule.hearer.names();
            xml.open(outer).text("Id", &rule.id).text(inner, rule.hearer.arn());
            for event in &rule.events {
                xml.text("Event", event);
            }
            if rule.prefix.is_some() || rule.suffix.is_some() {
                xml.open("Filter").open("S3Key");
                for (name, value) in [("Prefix", &rule.prefix), ("Suffix", &rule.suffix)] {
                    if let Some(value) = value {
                        xml.open("FilterRule").text("Name", name).text("Value", value).close("FilterRule");
                    }
                }
                xml.close("S3Key").close("Filter");
            }
            xml.close(outer);
        }
        if self.event_bridge {
            xml.open("EventBridgeConfiguration").close("EventBridgeConfiguration");
        }
        xml.close("NotificationConfiguration");
    }
}

fn rule(given: Given, hearer: Hearer) -> Result<Rule, S3Error> {
    let invalid = |message: &str| S3Error::bad("InvalidArgument", message);
    if given.event.is_empty() {
        return Err(S3Error::malformed_xml());
    }
    for event in &given.event {
        if EVENTS.contains(&event.as_str()) {
            continue;
        }
        if OTHERS.iter().any(|other| event.starts_with(other)) {
            return Err(S3Error::not_implemented(&format!("The event {event}")));
        }
        return Err(invalid("The event is not supported for notifications"));
    }
    let arn = hearer.arn();
    if !arn.starts_with("arn:") || arn.split(':').nth(2) != Some(hearer.names().0) {
        return Err(invalid("The ARN could not be parsed"));
    }
    if arn.ends_with(".fifo") {
        return Err(invalid("FIFO queues and topics are not supported as destinations"));
    }
    let (mut prefix, mut suffix) = (None, None);
    for FilterRule { name, value } in given.filter.map(|filter| filter.key.filter_rule).unwrap_or_default() {
        let (place, twice) = match name.to_ascii_lowercase().as_str() {
            "prefix" => (&mut prefix, "Cannot specify more than one prefix rule in a filter."),
            "suffix" => (&mut suffix, "Cannot specify more than one suffix rule in a filter."),
            _ => return Err(invalid("filter rule name must be either prefix or suffix")),
        };
        if place.replace(value).is_some() {
            return Err(invalid(twice));
        }
    }
    let id = given.id.filter(|id| !id.is_empty()).unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    Ok(Rule { id, hearer, events: given.event, prefix, suffix })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(rules: &[(&str, &str, &str)]) -> String {
        let one = |(event, prefix, suffix): &(&str, &str, &str)| {
            format!(
                "<QueueConfiguration><Queue>arn:aws:sqs:us-east-1:000000000000:q</Queue><Event>{event}</Event><Filter><S3Key><FilterRule><Name>prefix</Name><Value>{prefix}</Value></FilterRule><FilterRule><Name>Suffix</Name><Value>{suffix}</Value></FilterRule></S3Key></Filter></QueueConfiguration>"
            )
        };
        format!("<NotificationConfiguration>{}</NotificationConfiguration>", rules.iter().map(one).collect::<String>())
    }

    fn read(rules: &[(&str, &str, &str)]) -> Result<Notifications, String> {
        Notifications::read(document(rules).as_bytes()).map_err(|error| error.message)
    }

    #[test]
    fn a_rule_wants_events_by_name_or_kind_and_keys_by_both_ends() {
        let rules = read(&[("s3:ObjectCreated:*", "in/", ".png")]).unwrap().rules;
        assert!(rules[0].wants("s3:ObjectCreated:Put", "in/a.png"));
        assert!(!rules[0].wants("s3:ObjectRemoved:Delete", "in/a.png"));
        assert!(
            !rules[0].wants("s3:ObjectCreated:Put", "out/a.png") && !rules[0].wants("s3:ObjectCreated:Put", "in/a.jpg")
        );
    }

    #[test]
    fn rules_that_would_tell_twice_are_refused() {
        let put = "s3:ObjectCreated:Put";
        assert!(
            read(&[("s3:ObjectCreated:*", "a", ".png"), (put, "ab", "x.png")]).unwrap_err().contains("ambiguously")
        );
        assert!(read(&[("s3:ObjectCreated:*", "a", ".png"), (put, "ab", ".jpg")]).is_ok());
        assert!(read(&[("s3:ObjectCreated:*", "a", ""), (put, "b", "")]).is_ok());
        assert!(read(&[("s3:ObjectRemoved:*", "a", ""), (put, "a", "")]).is_ok());
    }

    #[test]
    fn what_does_not_happen_here_is_refused_by_name() {
        assert!(read(&[("s3:Replication:*", "", "")]).unwrap_err().contains("s3:Replication:*"));
        assert!(read(&[("s3:Nothing", "", "")]).unwrap_err().contains("not supported"));
    }

    #[test]
    fn it_is_shown_as_it_was_read() {
        let notifications = read(&[("s3:ObjectTagging:Put", "a", "b")]).unwrap();
        let mut xml = Xml::new();
        notifications.show(&mut xml);
        assert_eq!(Notifications::read(xml.finish().as_bytes()).ok().unwrap(), notifications);
    }
}
