//! What a runtime says of an error for its trace, in a header beside the error itself, as it would to X-Ray. It is untrusted: what is
//! malformed or has no room is left out, and nothing of it changes what the invoke comes to.

use std::sync::Arc;

use hearth_types::limits::{ERROR_CAUSE_BYTES, ERROR_CAUSE_EXCEPTIONS, ERROR_CAUSE_HEADER_BYTES};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use tokio::sync::OwnedSemaphorePermit;

use crate::segments::SegmentRoom;

type Members = Map<String, Json>;

/// The exceptions that led to an error, at least one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErrorCause {
    exceptions: Vec<Members>,
    #[serde(skip)]
    _room: Option<Arc<OwnedSemaphorePermit>>,
}

/// How much of a long one is kept.
#[derive(Clone, Copy)]
struct Crop {
    /// Of each stack, the first ones.
    frames: usize,
    /// Characters of a text.
    letters: usize,
}

impl ErrorCause {
    /// What the header says; none where it is malformed, has no exception, or there is no room for it.
    pub(crate) fn read(header: &[u8], room: &SegmentRoom) -> Option<Self> {
        let exceptions = exceptions(header)?;
        let room = room.take(bytes(&exceptions))?;
        Some(Self { exceptions, _room: Some(Arc::new(room)) })
    }

    /// One that came from elsewhere, if there is room here.
    #[must_use]
    pub fn received(self, room: &SegmentRoom) -> Option<Self> {
        let room = room.take(self.bytes())?;
        Some(Self { _room: Some(Arc::new(room)), ..self })
    }

    /// Without room of its own; none where the header is malformed or has no exception.
    #[must_use]
    pub fn new(header: &[u8]) -> Option<Self> {
        exceptions(header).map(|exceptions| Self { exceptions, _room: None })
    }

    /// Each with those of `type`, `message` and `stack` that it has, which may be of any type but for the last: a list of objects
    /// with `path`, `line` and `label`.
    #[must_use]
    pub fn exceptions(&self) -> &[Members] {
        &self.exceptions
    }

    /// As JSON, [`ERROR_CAUSE_BYTES`] at most.
    #[must_use]
    pub fn bytes(&self) -> usize {
        bytes(&self.exceptions)
    }
}

impl PartialEq for ErrorCause {
    fn eq(&self, other: &Self) -> bool {
        self.exceptions == other.exceptions
    }
}

/// Cropped until they fit.
fn exceptions(header: &[u8]) -> Option<Vec<Members>> {
    let header = Some(header).filter(|header| header.len() <= ERROR_CAUSE_HEADER_BYTES)?;
    let cause: Members = serde_json::from_slice(header).ok()?;
    let all = cause.get("exceptions")?.as_array()?;
    let all: Vec<_> = all.iter().filter_map(Json::as_object).take(ERROR_CAUSE_EXCEPTIONS).collect();
    let crops = (0..=10).rev().map(|power| Crop { frames: 1 << power, letters: 32 << power });
    let cropped = crops.map(|crop| all.iter().map(|one| crop.exception(one)).collect::<Vec<_>>());
    let mut fitting = cropped.filter(|all| bytes(all) <= ERROR_CAUSE_BYTES);
    fitting.next().filter(|exceptions| !exceptions.is_empty())
}

fn bytes(exceptions: &[Members]) -> usize {
    serde_json::to_vec(exceptions).map_or(usize::MAX, |written| written.len())
}

impl Crop {
    fn exception(self, members: &Members) -> Members {
        let mut kept = self.plain(members, &["type", "message"]);
        if let Some(stack) = members.get("stack").and_then(Json::as_array) {
            let frames = stack.iter().filter_map(Json::as_object).take(self.frames);
            let frames = frames.map(|frame| Json::Object(self.plain(frame, &["path", "line", "label"])));
            kept.insert("stack".to_owned(), frames.collect());
        }
        kept
    }

    /// Those of these members that are text or a number.
    fn plain(self, members: &Members, names: &[&str]) -> Members {
        let known = |name: &&str| Some(((*name).to_owned(), self.value(members.get(*name)?)?));
        names.iter().filter_map(known).collect()
    }

    fn value(self, value: &Json) -> Option<Json> {
        match value {
            Json::String(text) => Some(text.chars().take(self.letters).collect::<String>().into()),
            Json::Number(_) => Some(value.clone()),
            Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(cause: &Json) -> Option<Json> {
        ErrorCause::new(cause.to_string().as_bytes()).map(|cause| serde_json::to_value(cause.exceptions).unwrap())
    }

    #[test]
    fn what_x_ray_shows_of_an_exception_is_kept() {
        let frame = json!({"path": "app.py", "line": 7, "label": "handler"});
        let kept = json!([{"type": "ValueError", "message": "no", "stack": [frame]}]);
        let mut sent = kept.clone();
        sent[0]["id"] = "x".into();
        sent[0]["stack"][0]["code"] = "raise".into();
        let cause = json!({"working_directory": "/var/task", "exceptions": sent, "paths": ["app.py"]});
        assert_eq!(read(&cause), Some(kept));
    }

    #[test]
    fn what_is_malformed_is_none() {
        let exceptions =
            [json!({}), json!({"exceptions": []}), json!({"exceptions": 7}), json!({"exceptions": [7]}), json!([])];
        exceptions.iter().for_each(|cause| assert_eq!(read(cause), None, "{cause}"));
        for header in ["", "{", "null", "\"x\"", "{\"exceptions\":[{}]} x"] {
            assert_eq!(ErrorCause::new(header.as_bytes()), None, "{header}");
        }
        assert_eq!(ErrorCause::new(&[0xff]), None);
        assert_eq!(
            read(&json!({"exceptions": [{"type": ["x"], "stack": [7, {"line": {}}]}]})),
            Some(json!([{"stack": [{}]}]))
        );
    }

    #[test]
    fn what_is_long_is_cropped_and_what_is_longer_than_lambda_reads_is_none() {
        let deep = |frames| {
            let frame = json!({"path": "p".repeat(100), "line": 1, "label": "l".repeat(100)});
            json!({"exceptions": [{"type": "RecursionError", "message": "m".repeat(100), "stack": vec![frame; frames]}]})
        };
        let kept = read(&deep(2000)).unwrap();
        assert_eq!((&kept[0]["type"], &kept[0]["message"]), (&json!("RecursionError"), &json!("m".repeat(100))));
        assert_eq!(kept[0]["stack"].as_array().unwrap().len(), 256);
        assert_eq!(read(&deep(5000)), None);
        let many = vec![json!({"message": "m"}); 100];
        assert_eq!(read(&json!({"exceptions": many})).unwrap().as_array().unwrap().len(), ERROR_CAUSE_EXCEPTIONS);
    }

    #[test]
    fn what_takes_the_most_room_still_fits() {
        let text = "\u{1}".repeat(200);
        let one = json!({"type": text, "message": text, "stack": [{"path": text, "label": text, "line": text}]});
        let kept = read(&json!({"exceptions": vec![one; 40]})).unwrap();
        assert_eq!(kept.as_array().unwrap().len(), ERROR_CAUSE_EXCEPTIONS);
    }

    #[test]
    fn one_without_room_is_none_and_gives_its_room_back() {
        let room = SegmentRoom::of(1000);
        let header = json!({"exceptions": [{"message": "m".repeat(700)}]}).to_string();
        let first = ErrorCause::read(header.as_bytes(), &room).unwrap();
        assert_eq!(ErrorCause::read(header.as_bytes(), &room), None);
        assert_eq!(first.clone().received(&room), None);
        drop(first);
        assert!(ErrorCause::read(header.as_bytes(), &room).is_some());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn whatever_comes_is_bounded(header in prop::collection::vec(any::<u8>(), 0..200), frames in 0..900_usize, text in ".{0,300}") {
            prop_assert!(ErrorCause::new(&header).is_none_or(|cause| cause.bytes() <= ERROR_CAUSE_BYTES));
            let stack = vec![json!({"path": text, "line": 1, "label": text}); frames];
            let header = json!({"exceptions": [{"message": text, "stack": stack}]}).to_string();
            match ErrorCause::new(header.as_bytes()) {
                Some(cause) => prop_assert!(cause.bytes() <= ERROR_CAUSE_BYTES),
                None => prop_assert!(header.len() > ERROR_CAUSE_HEADER_BYTES),
            }
        }
    }
}
