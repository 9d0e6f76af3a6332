//! Outputs as responses.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};

use crate::operation::{InTable as _, OperationType};
use crate::value::{Map, Timestamp};

/// What an operation answers.
pub trait Output: ToJson {
    /// Writes the members that stand in the head.
    fn head(&self, _head: &mut Head) {}

    /// The raw body, where one member is the body.
    fn payload(&self) -> Option<Bytes> {
        None
    }
}

/// The answer of an operation that has no members.
impl Output for () {}

impl ToJson for () {
    fn write(&self, json: &mut JsonWriter) {
        json.open('{');
        json.close('}');
    }
}

/// Status and headers of a response in the making.
#[derive(Debug)]
pub struct Head(Response<()>);

impl Head {
    /// Sets the status, where the output carries one.
    pub fn status(&mut self, status: Option<i32>) {
        let status = status.and_then(|s| u16::try_from(s).ok()).and_then(|s| StatusCode::from_u16(s).ok());
        if let Some(status) = status {
            *self.0.status_mut() = status;
        }
    }

    /// Sets a header. A value that no header can carry is left out.
    pub fn header(&mut self, name: &'static str, value: Option<&str>) {
        let name = http::HeaderName::from_bytes(name.as_bytes());
        let value = value.map(HeaderValue::from_str);
        if let (Ok(name), Some(Ok(value))) = (name, value) {
            self.0.headers_mut().insert(name, value);
        }
    }
}

/// Writes an output: status (the operation's, or the one that the output carries), headers, body.
#[must_use]
pub fn encode<Op: OperationType>(output: &Op::Output) -> Response<Bytes>
where
    Op::Output: Output,
{
    let head = encode_head::<Op>(output);
    let body = match output.payload() {
        _ if head.status() == StatusCode::NO_CONTENT => Bytes::new(),
        Some(payload) => payload,
        None => {
            let mut json = JsonWriter::default();
            output.write(&mut json);
            json.into_bytes()
        }
    };
    let mut response = head.map(|()| body);
    if !response.body().is_empty() && !response.headers().contains_key("content-type") {
        response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    }
    response
}

/// Only status and headers: for answers whose body is streamed.
#[must_use]
pub fn encode_head<Op: OperationType>(output: &Op::Output) -> Response<()>
where
    Op::Output: Output,
{
    let mut head = Head(Response::new(()));
    *head.0.status_mut() = StatusCode::from_u16(Op::OPERATION.row().status).unwrap_or_default();
    output.head(&mut head);
    head.0
}

/// What can stand in a JSON body.
pub trait ToJson {
    /// Writes itself.
    fn write(&self, json: &mut JsonWriter);
}

/// Writes JSON without an intermediate tree.
#[derive(Default, Debug)]
pub struct JsonWriter {
    out: Vec<u8>,
}

impl JsonWriter {
    /// Begins an object or array.
    pub fn open(&mut self, bracket: char) {
        self.out.push(bracket as u8);
    }

    /// Ends an object or array.
    pub fn close(&mut self, bracket: char) {
        self.out.push(bracket as u8);
    }

    /// A member of an object.
    pub fn member<T: ToJson + ?Sized>(&mut self, name: &str, value: &T) {
        self.separate();
        self.text(name);
        self.out.push(b':');
        value.write(self);
    }

    /// A member that is left out when absent.
    pub fn maybe<T: ToJson>(&mut self, name: &str, value: &Option<T>) {
        if let Some(value) = value {
            self.member(name, value);
        }
    }

    /// A member that is null when absent.
    pub fn nullable<T: ToJson>(&mut self, name: &str, value: &Option<T>) {
        match value {
            Some(value) => self.member(name, value),
            None => {
                self.separate();
                self.text(name);
                self.out.extend_from_slice(b":null");
            }
        }
    }

    /// An element of an array.
    pub fn element<T: ToJson>(&mut self, value: &T) {
        self.separate();
        value.write(self);
    }

    /// A string.
    pub fn text(&mut self, text: &str) {
        self.serialized(text);
    }

    /// The written bytes.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.out.into()
    }

    fn separate(&mut self) {
        if !matches!(self.out.last(), Some(b'{' | b'[')) {
            self.out.push(b',');
        }
    }

    /// A scalar. Writing one to memory cannot fail: a double that is no number becomes null.
    fn serialized<T: serde::Serialize + ?Sized>(&mut self, value: &T) {
        let written = serde_json::to_writer(&mut self.out, value);
        debug_assert!(written.is_ok());
    }
}

macro_rules! scalars {
    ($($type:ty),*) => {$(
        impl ToJson for $type {
            fn write(&self, json: &mut JsonWriter) {
                json.serialized(self);
            }
        }
    )*};
}

scalars!(bool, i32, i64, f64, String, str);

impl ToJson for Bytes {
    fn write(&self, json: &mut JsonWriter) {
        json.text(&STANDARD.encode(self));
    }
}

/// Seconds; whole ones without a fraction.
impl ToJson for Timestamp {
    fn write(&self, json: &mut JsonWriter) {
        if self.0 % 1000 == 0 {
            json.serialized(&(self.0 / 1000));
        } else {
            #[expect(clippy::cast_precision_loss, reason = "times of this age have 41 bits")]
            json.serialized(&(self.0 as f64 / 1000.0));
        }
    }
}

impl<T: ToJson> ToJson for Vec<T> {
    fn write(&self, json: &mut JsonWriter) {
        json.open('[');
        for item in self {
            json.element(item);
        }
        json.close(']');
    }
}

impl<T: ToJson> ToJson for Map<T> {
    fn write(&self, json: &mut JsonWriter) {
        json.open('{');
        for (key, value) in self.iter() {
            json.member(key, value);
        }
        json.close('}');
    }
}
