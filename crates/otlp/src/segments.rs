//! Spans of what functions sent themselves. They are untrusted: taken is what names the trace of an invoke that ran where it
//! was sent, and is new in it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use hearth_types::invoke::VersionSpec;
use hearth_worker::{Segments, Traced};
use serde_json::{Map, Value as Json};

use crate::document::{Document, head};
use crate::members::{describe, kind};
use crate::span::Span;

/// Characters of a name: X-Ray's own bound.
const NAME: usize = 200;

/// What one environment sent, as spans with their traces.
#[derive(Debug)]
pub(crate) struct Read<'s> {
    pub(crate) spec: &'s VersionSpec,
    pub(crate) spans: Vec<(u128, Span)>,
    /// Documents that were taken, and such that are none or nobody's.
    pub(crate) taken: u64,
    pub(crate) refused: u64,
}

/// Reads all of them. Of one that was sent before it was over and then again, the latter counts.
pub(crate) fn read(segments: &Segments) -> Read<'_> {
    let mut reading = Reading { segments, spans: Vec::new(), known: HashMap::new() };
    let taken = segments.documents.iter().filter(|datagram| reading.take(datagram)).count() as u64;
    let refused = segments.documents.len() as u64 - taken;
    let spans = reading.spans.into_iter().map(|(trace, span, _)| (trace, span)).collect();
    Read { spec: &segments.spec, spans, taken, refused }
}

struct Reading<'s> {
    segments: &'s Segments,
    /// Whether it is over stands beside each.
    spans: Vec<(u128, Span, bool)>,
    /// Where they are, by their ids.
    known: HashMap<u64, usize>,
}

impl Reading<'_> {
    fn take(&mut self, datagram: &[u8]) -> bool {
        let Some(document) = Document::read(datagram) else { return false };
        let trace = document.trace();
        let Some(traced) = self.segments.of.iter().find(|traced| Some(traced.trace) == trace).copied() else {
            return false;
        };
        self.add(traced, document.parent().unwrap_or(traced.function), document.members())
    }

    /// It and all below it. False where it is none, or has an id that another one has.
    fn add(&mut self, traced: Traced, parent: u64, members: &Map<String, Json>) -> bool {
        let Some(head) = head(members) else { return false };
        if self.segments.of.iter().any(|own| [own.service, own.function].contains(&head.id)) {
            return false;
        }
        let (attributes, events, failed) = describe(members, head.ended_ns.is_none());
        let span = Span {
            id: head.id,
            parent: Some(parent),
            name: head.name.chars().take(NAME).collect(),
            kind: kind(members),
            began_ns: head.began_ns,
            ended_ns: head.ended_ns.unwrap_or_else(|| self.segments.until_ns.max(head.began_ns)),
            failed,
            attributes,
            events,
        };
        let entry = (traced.trace, span, head.ended_ns.is_some());
        match self.known.entry(head.id) {
            Entry::Vacant(place) => {
                place.insert(self.spans.len());
                self.spans.push(entry);
            }
            Entry::Occupied(place) => match self.spans.get_mut(*place.get()) {
                Some(before) if !before.2 => *before = entry,
                _ => return false,
            },
        }
        let below = members.get("subsegments").and_then(Json::as_array);
        for members in below.into_iter().flatten().filter_map(Json::as_object) {
            self.add(traced, head.id, members);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use hearth_types::test_support::version;
    use proptest::prelude::*;

    use super::*;
    use crate::span::Kind;

    const FIRST: Traced = Traced { trace: 1 << 96 | 1, parent: None, service: 2, function: 3 };
    const BEFORE: Traced = Traced { trace: 1 << 96 | 2, parent: None, service: 4, function: 5 };

    fn datagram(body: &str) -> Bytes {
        format!("{{\"format\":\"json\",\"version\":1}}\n{body}").into()
    }

    fn segments(documents: Vec<Bytes>) -> Segments {
        Segments::new(Arc::new(version("f", "python3.12")), vec![FIRST, BEFORE], 9_000_000_000, documents, 0)
    }

    fn one(id: u64, trace: u8, more: &str) -> Bytes {
        datagram(&format!(
            r#"{{"id":"{id:016x}","name":"n{id}","trace_id":"1-00000001-{trace:024x}","start_time":5,{more}}}"#
        ))
    }

    /// Trace, id and parent of each.
    fn told(documents: Vec<Bytes>) -> (Vec<(u128, u64, u64)>, u64, u64) {
        let segments = segments(documents);
        let Read { spans, taken, refused, .. } = read(&segments);
        let spans = spans.into_iter().map(|(trace, span)| (trace & 0xff, span.id, span.parent.unwrap_or(0)));
        (spans.collect(), taken, refused)
    }

    #[test]
    fn those_of_both_invokes_hang_where_they_belong() {
        let below = r#""end_time":6,"subsegments":[{"id":"0000000000000011","name":"b","start_time":5,"end_time":6}]"#;
        let documents = vec![
            one(0x10, 1, below),
            one(0x12, 2, r#""end_time":6"#),
            one(0x13, 1, r#""end_time":6,"parent_id":"0000000000000010""#),
            one(0x14, 3, r#""end_time":6"#),
        ];
        let spans = vec![(1, 0x10, 3), (1, 0x11, 0x10), (2, 0x12, 5), (1, 0x13, 0x10)];
        assert_eq!(told(documents), (spans, 3, 1));
    }

    #[test]
    fn an_id_is_taken_once_and_never_one_of_the_platforms() {
        let documents = vec![
            one(0x10, 1, r#""end_time":6"#),
            one(0x10, 2, r#""end_time":7"#),
            one(FIRST.function, 1, r#""end_time":6"#),
            one(BEFORE.service, 1, r#""end_time":6"#),
        ];
        assert_eq!(told(documents), (vec![(1, 0x10, 3)], 1, 3));
    }

    #[test]
    fn what_is_over_takes_the_place_of_what_was_not() {
        let documents = vec![
            one(0x10, 1, r#""in_progress":true,"error":true"#),
            one(0x10, 1, r#""end_time":6"#),
            one(0x10, 1, r#""in_progress":true"#),
            one(0x11, 1, r#""in_progress":true"#),
        ];
        let segments = segments(documents);
        let spans: Vec<_> = read(&segments).spans.into_iter().map(|(_, span)| span).collect();
        let times: Vec<_> = spans.iter().map(|span| (span.id, span.ended_ns / 1_000_000_000)).collect();
        assert_eq!(times, [(0x10, 6), (0x11, 9)]);
        assert!(spans[0].failed.is_none() && spans[0].attributes.is_empty());
        assert_eq!(spans[0].kind, Kind::Internal);
    }

    fn json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<f64>().prop_map(Json::from),
            ".{0,12}".prop_map(Json::from),
            (1..4_u64).prop_map(|id| Json::from(format!("{id:016x}"))),
            Just(Json::Null),
        ];
        let keys = prop_oneof![
            "[a-z.]{0,6}".boxed(),
            prop::sample::select(vec![
                "id",
                "name",
                "start_time",
                "end_time",
                "parent_id",
                "subsegments",
                "annotations",
                "metadata",
                "http",
                "request",
                "response",
                "aws",
                "sql",
                "cause",
                "exceptions",
                "stack",
                "message",
                "type",
                "fault",
                "url",
                "connection_string",
                "namespace",
            ])
            .prop_map(str::to_owned)
            .boxed(),
        ];
        leaf.prop_recursive(5, 64, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
                prop::collection::vec((keys.clone(), inner), 0..6)
                    .prop_map(|members| members.into_iter().collect::<Map<_, _>>().into()),
            ]
        })
    }

    /// A segment in which anything may be anything.
    fn document() -> impl Strategy<Value = Bytes> {
        (prop::collection::vec(("[a-z_]{1,5}", json()), 0..4), json(), json(), json(), 0..8_u64, 1..4_u8).prop_map(
            |(more, aws, cause, below, id, trace)| {
                let mut members: Map<String, Json> = more.into_iter().collect();
                for (key, value) in [("aws", aws), ("cause", cause), ("annotations", below.clone())] {
                    members.insert(key.to_owned(), value);
                }
                members.insert("subsegments".to_owned(), Json::from(vec![below]));
                let head = serde_json::json!({
                    "id": format!("{id:016x}"), "name": "n", "start_time": 1.5,
                    "trace_id": format!("1-00000001-{trace:024x}"),
                });
                members.extend(head.as_object().cloned().unwrap_or_default());
                datagram(&Json::from(members).to_string())
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn whatever_comes_adds_to_its_own_traces_alone(
            documents in prop::collection::vec(document(), 0..6),
            junk in prop::collection::vec(any::<u8>(), 0..64),
            cut: prop::sample::Index,
        ) {
            let mut documents = documents;
            documents.push(junk.into());
            let half = documents[0].slice(..cut.index(documents[0].len() + 1));
            documents.push(half);
            let count = documents.len() as u64;
            let segments = segments(documents);
            let Read { spans, taken, refused, .. } = read(&segments);
            prop_assert_eq!(taken + refused, count);
            let mut ids: Vec<u64> = spans.iter().map(|(_, span)| span.id).collect();
            ids.sort_unstable();
            prop_assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "an id is there twice");
            for (trace, span) in &spans {
                let own = [FIRST, BEFORE].map(|traced| traced.trace);
                prop_assert!(own.contains(trace) && ![0, 2, 3, 4, 5].contains(&span.id), "{:?}", span);
                prop_assert!(span.parent.is_some() && span.began_ns <= span.ended_ns);
                for attributes in span.events.iter().map(|event| &event.attributes).chain([&span.attributes]) {
                    let keys: std::collections::HashSet<_> = attributes.iter().map(|(key, _)| key).collect();
                    prop_assert!(keys.len() == attributes.len() && keys.len() <= 128);
                }
            }
        }
    }
}
