//! Outputs as the XML of the query protocol.

use std::fmt::{Display, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Response};

use crate::operation::{OperationType, ServiceOperation as _};
use crate::value::{Map, Timestamp};

/// Writes an output of the query protocol: `OPResponse`, in it `OPResult` where there is an output, and the request's id.
#[must_use]
pub fn encode_xml<Op: OperationType>(output: &Op::Output, request_id: impl Display) -> Response<Bytes>
where
    Op::Output: ToXml,
{
    let name = Op::OPERATION.name();
    let namespace = Op::Operation::service().xml_namespace.unwrap_or_default();
    let mut xml = XmlWriter::default();
    xml.open_in(&format!("{name}Response"), namespace);
    if output.has_members() {
        xml.member(&format!("{name}Result"), output);
    }
    xml.member("ResponseMetadata", &RequestId(request_id.to_string()));
    xml.close(&format!("{name}Response"));
    xml.into_response()
}

struct RequestId(String);

impl ToXml for RequestId {
    fn write(&self, xml: &mut XmlWriter) {
        xml.member("RequestId", &self.0);
    }
}

/// What can stand in an XML body.
pub trait ToXml {
    /// Writes what stands between its tags.
    fn write(&self, xml: &mut XmlWriter);

    /// Whether the model has members for it.
    fn has_members(&self) -> bool {
        true
    }
}

/// The answer of an operation that has no members.
impl ToXml for () {
    fn write(&self, _xml: &mut XmlWriter) {}

    fn has_members(&self) -> bool {
        false
    }
}

/// Writes XML without an intermediate tree.
#[derive(Default, Debug)]
pub struct XmlWriter {
    out: String,
}

impl XmlWriter {
    /// Begins an element that has a namespace.
    pub fn open_in(&mut self, name: &str, namespace: &str) {
        // Writing to memory cannot fail.
        let _ = write!(self.out, "<{name} xmlns=\"{namespace}\">");
    }

    /// Begins an element.
    pub fn open(&mut self, name: &str) {
        self.out.push('<');
        self.out.push_str(name);
        self.out.push('>');
    }

    /// Ends an element.
    pub fn close(&mut self, name: &str) {
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }

    /// An element with its content.
    pub fn member<T: ToXml + ?Sized>(&mut self, name: &str, value: &T) {
        self.open(name);
        value.write(self);
        self.close(name);
    }

    /// An element that is left out when absent.
    pub fn maybe<T: ToXml>(&mut self, name: &str, value: &Option<T>) {
        if let Some(value) = value {
            self.member(name, value);
        }
    }

    /// Text. What XML cannot say, most control characters, becomes U+FFFD.
    pub fn text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '"' => self.out.push_str("&quot;"),
                // A parser would make a line feed of it.
                '\r' => self.out.push_str("&#xD;"),
                '\t' | '\n' => self.out.push(c),
                '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => self.out.push('\u{fffd}'),
                _ => self.out.push(c),
            }
        }
    }

    /// The written document.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.out.into()
    }

    /// The written document as an answer.
    #[must_use]
    pub fn into_response(self) -> Response<Bytes> {
        let mut response = Response::new(self.into_bytes());
        response.headers_mut().insert("content-type", HeaderValue::from_static("text/xml"));
        response
    }
}

macro_rules! scalars {
    ($($type:ty),*) => {$(
        impl ToXml for $type {
            fn write(&self, xml: &mut XmlWriter) {
                let _ = write!(xml.out, "{self}");
            }
        }
    )*};
}

scalars!(bool, i32, i64, f64);

impl ToXml for str {
    fn write(&self, xml: &mut XmlWriter) {
        xml.text(self);
    }
}

impl ToXml for String {
    fn write(&self, xml: &mut XmlWriter) {
        xml.text(self);
    }
}

impl ToXml for Bytes {
    fn write(&self, xml: &mut XmlWriter) {
        xml.text(&STANDARD.encode(self));
    }
}

/// ISO 8601 in UTC; whole seconds without a fraction.
impl ToXml for Timestamp {
    fn write(&self, xml: &mut XmlWriter) {
        let time = jiff::Timestamp::from_millisecond(self.0).unwrap_or_default();
        let _ = write!(xml.out, "{time}");
    }
}

impl<T: ToXml> ToXml for Vec<T> {
    fn write(&self, xml: &mut XmlWriter) {
        for item in self {
            xml.member("member", item);
        }
    }
}

impl<T: ToXml> ToXml for Map<T> {
    fn write(&self, xml: &mut XmlWriter) {
        for (key, value) in self.iter() {
            xml.open("entry");
            xml.member("key", key);
            xml.member("value", value);
            xml.close("entry");
        }
    }
}
