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
