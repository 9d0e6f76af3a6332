//! IAM, as far as roles of functions go: roles with their policies, managed policies with their versions. What it says
//! about users comes from the access keys that there are.

mod attached;
mod inline;
mod policies;
mod roles;
mod tags;
mod users;
mod versions;

use hearth_api::iam::errors;
use hearth_api::iam::types::Tag;
use hearth_api::{ApiError, Page};
use hearth_identity::policy::{Document, Kind};
use hearth_identity::sigv4::percent_encode;
use hearth_types::limits::{IAM_PAGE, IAM_PAGE_MAX};

/// Reads a document only to know that it is one.
fn check_document(text: &str, kind: Kind) -> Result<(), ApiError> {
    let malformed = |cause| ApiError::new(&errors::MALFORMED_POLICY_DOCUMENT, format!("{cause}"));
    Document::parse(text, kind).map(drop).map_err(malformed)
}

/// Documents are percent-encoded in answers, so that they survive XML.
fn shown_document(text: &str) -> String {
    percent_encode(text)
}

/// What quotas count of a document.
fn chars(document: &str) -> usize {
    document.chars().filter(|char| !char.is_whitespace()).count()
}

fn no_such(text: String) -> ApiError {
    ApiError::new(&errors::NO_SUCH_ENTITY, text)
}

fn limit_exceeded(text: impl Into<String>) -> ApiError {
    ApiError::new(&errors::LIMIT_EXCEEDED, text)
}

/// A page of one of IAM's lists.
fn page(list: &'static str, marker: Option<&str>, max_items: Option<i32>) -> Result<Page, ApiError> {
    Page::new(list, marker, max_items.or(Some(IAM_PAGE)), IAM_PAGE_MAX)
        .map_err(|_| ApiError::validation("Invalid Marker."))
}

/// One page of entries that are all at hand, in the order of their keys.
fn page_of<T>(page: &Page, all: Vec<T>, key: impl Fn(&T) -> &str) -> (Vec<T>, Option<String>) {
    let behind = |entry: &T| page.after.as_deref().is_none_or(|after| key(entry) > after);
    let mut found: Vec<T> = all.into_iter().filter(behind).take(page.read()).collect();
    let marker = page.cut(&mut found, key);
    (found, marker)
}

fn shown_tags(tags: &std::collections::BTreeMap<String, String>) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag { key: key.clone(), value: value.clone() }).collect()
}

/// Tags are left out where there are none.
fn shown_tags_if_any(tags: &std::collections::BTreeMap<String, String>) -> Option<Vec<Tag>> {
    (!tags.is_empty()).then(|| shown_tags(tags))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_go_on_where_the_last_one_ended() {
        let all = || vec!["a", "b", "c", "d", "e"];
        let first = page("l", None, Some(2)).unwrap();
        let (found, marker) = page_of(&first, all(), |entry| entry);
        assert_eq!(found, ["a", "b"]);
        let next = page("l", marker.as_deref(), Some(3)).unwrap();
        let (found, marker) = page_of(&next, all(), |entry| entry);
        assert_eq!((found, marker), (vec!["c", "d", "e"], None));
        let text = page("l", Some("?"), None).unwrap_err().to_string();
        assert_eq!(text, "ValidationException: Invalid Marker.");
    }

    #[test]
    fn documents_are_measured_without_their_white_space() {
        assert_eq!(chars("{ \"a\":\n 1 }"), 7);
        assert_eq!(shown_document("{\"a b\": 1}"), "%7B%22a%20b%22%3A%201%7D");
    }
}
