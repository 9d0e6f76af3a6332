//! XML out and in.

use serde::de::DeserializeOwned;

use crate::error::S3Error;

/// The name space of S3's answers.
const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// Writes a document, element by element.
#[derive(Debug)]
pub(crate) struct Xml(String);

impl Xml {
    pub(crate) fn new() -> Self {
        Self("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned())
    }

    /// Opens the outermost element of an answer.
    pub(crate) fn root(&mut self, name: &str) -> &mut Self {
        self.0.extend(["<", name, " xmlns=\"", NAMESPACE, "\">"]);
        self
    }

    pub(crate) fn open(&mut self, name: &str) -> &mut Self {
        self.0.extend(["<", name, ">"]);
        self
    }

    pub(crate) fn close(&mut self, name: &str) -> &mut Self {
        self.0.extend(["</", name, ">"]);
        self
    }

    /// An element with a text.
    pub(crate) fn text(&mut self, name: &str, text: &str) -> &mut Self {
        self.open(name);
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                // As itself it would be read as a line feed.
                '\r' => self.0.push_str("&#13;"),
                // XML 1.0 has no way to write these; clients that have such keys ask for encoding-type=url.
                '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' => self.0.push('\u{fffd}'),
                other => self.0.push(other),
            }
        }
        self.close(name)
    }

    /// An element with a text, where there is one.
    pub(crate) fn maybe(&mut self, name: &str, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    /// Text that needs no escapes, or is an element already.
    pub(crate) fn raw(&mut self, text: &str) -> &mut Self {
        self.0.push_str(text);
        self
    }

    pub(crate) fn finish(self) -> String {
        self.0
    }
}

/// Reads a request's document.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, S3Error> {
    let text = std::str::from_utf8(body).map_err(|_| S3Error::malformed_xml())?;
    quick_xml::de::from_str(text).map_err(|_| S3Error::malformed_xml())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_as_they_were() {
        let mut xml = Xml::new();
        xml.root("R").text("A", "a<b>&\"'\r\n \u{e4}").maybe("B", None).text("C", "\u{1}").close("R");
        #[derive(serde::Deserialize)]
        struct R {
            #[serde(rename = "A")]
            a: String,
            #[serde(rename = "C")]
            c: String,
        }
        let read: R = read(xml.finish().as_bytes()).unwrap();
        assert_eq!((read.a.as_str(), read.c.as_str()), ("a<b>&\"'\r\n \u{e4}", "\u{fffd}"));
    }
}
