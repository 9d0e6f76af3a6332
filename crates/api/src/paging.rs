//! Pages of lists, stable under concurrent writes: a marker names the key that a page ended with, whatever became of it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::ApiError;

/// One page that a client asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    list: &'static str,
    /// The key to go on behind.
    pub after: Option<String>,
    /// Entries at most.
    pub size: usize,
}

impl Page {
    /// From the members Marker and MaxItems. `list` tells a list's markers from those of others; the service gives at
    /// most `most` entries, whatever is asked for.
    ///
    /// # Errors
    /// A marker that is none of this list's.
    pub fn new(
        list: &'static str,
        marker: Option<&str>,
        max_items: Option<i32>,
        most: usize,
    ) -> Result<Self, ApiError> {
        let marker = marker.filter(|marker| !marker.is_empty());
        let after = marker.map(|marker| key_of(list, marker)).transpose()?;
        let size = max_items.and_then(|wanted| usize::try_from(wanted).ok()).unwrap_or(most).min(most);
        Ok(Self { list, after, size })
    }

    /// How many entries to read: one more than the page has tells whether there is a next page.
    #[must_use]
    pub fn read(&self) -> usize {
        self.size + 1
    }

    /// Cuts what was read to the page; the marker of the next one, where there is one.
    pub fn cut<T>(&self, found: &mut Vec<T>, key: impl Fn(&T) -> &str) -> Option<String> {
        let more = found.len() > self.size;
        found.truncate(self.size);
        let last = found.last().filter(|_| more)?;
        Some(URL_SAFE_NO_PAD.encode(format!("{}/{}", self.list, key(last))))
    }
}

fn key_of(list: &str, marker: &str) -> Result<String, ApiError> {
    URL_SAFE_NO_PAD
        .decode(marker)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| text.strip_prefix(list)?.strip_prefix('/').map(str::to_owned))
        .ok_or_else(|| ApiError::invalid_parameter("Invalid marker: take it from NextMarker of the page before."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_leads_to_the_next_page_of_its_own_list() {
        let page = Page::new("functions", None, Some(2), 50).unwrap();
        let mut found = vec!["a", "b", "c"];
        let marker = page.cut(&mut found, |name| name).unwrap();
        assert_eq!(found, ["a", "b"]);
        let next = Page::new("functions", Some(&marker), None, 50).unwrap();
        assert_eq!((next.after.as_deref(), next.size), (Some("b"), 50));
        assert_eq!(next.cut(&mut vec!["c"], |name| name), None);
        assert!(Page::new("layers", Some(&marker), None, 50).is_err());
        assert!(Page::new("functions", Some("!"), None, 50).is_err());
        assert_eq!(Page::new("functions", Some(""), Some(10_000), 50).unwrap().size, 50);
    }
}
