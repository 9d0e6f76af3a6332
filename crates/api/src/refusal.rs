//! Errors as each protocol writes them.

use std::fmt::Display;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};

use crate::addressed::Style;
use crate::call::json_type;
use crate::encode::JsonWriter;
use crate::error::{self, ApiError, Fault, Spelling};
use crate::older_code::older_code;
use crate::older_query;
use crate::operation::{Protocol, Service};
use crate::xml::XmlWriter;

/// How documents of S3 begin.
const DECLARATION: &[u8] = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// Who S3's errors say that they are from.
const HOST_ID: &str = "hearth";

/// In what an error is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorFormat {
    /// JSON; the code is in `x-amzn-ErrorType`.
    RestJson,
    /// JSON with `__type`.
    Json(Protocol),
    /// The query protocol's `ErrorResponse`.
    Query(&'static str),
    /// An `Error` as S3 writes it.
    S3,
    /// `__type` and `message` in CBOR.
    Cbor,
}

impl ErrorFormat {
    /// Of a service that this crate reads.
    #[must_use]
    pub fn of_service(service: &Service) -> Self {
        match service.protocol {
            Protocol::RestJson => Self::RestJson,
            json @ (Protocol::Json10 | Protocol::Json11) => Self::Json(json),
            Protocol::Query => Self::Query(service.xml_namespace.unwrap_or_default()),
        }
    }

    /// The same for a request that came as a form: of a service that has another protocol by now, the older one.
    #[must_use]
    pub fn of_form(service: &Service) -> Self {
        match service.protocol {
            Protocol::Query => Self::of_service(service),
            _ => Self::Query(older_query::NAMESPACE),
        }
    }

    /// Of any other service.
    #[must_use]
    pub fn of_style(style: Style, service: &str) -> Self {
        match style {
            Style::Target(json) => Self::Json(json),
            Style::Form => Self::Query(""),
            Style::Cbor => Self::Cbor,
            Style::Path if matches!(service, "s3" | "s3express" | "s3-outposts") => Self::S3,
            Style::Path => Self::RestJson,
        }
    }
}

impl ApiError {
    /// The code as the service's older clients know it, where it has an older one.
    #[must_use]
    pub fn older_code(&self) -> String {
        let older = older_code(self.kind.code);
        let older = older.as_ref().and_then(|text| text.to_str().ok()?.split(';').next());
        older.unwrap_or(self.kind.code).to_owned()
    }

    /// The same with the code that `service` has for broken constraints.
    #[must_use]
    pub fn of(mut self, service: &Service) -> Self {
        if self.kind == error::VALIDATION {
            self.kind.code = service.validation;
        }
        self
    }

    /// Status, headers and body in a protocol.
    #[must_use]
    pub fn response_in(&self, format: ErrorFormat, request_id: impl Display) -> Response<Bytes> {
        let (body, content_type) = match format {
            ErrorFormat::RestJson => return self.response(),
            ErrorFormat::Json(protocol) => (self.json(), json_type(protocol)),
            ErrorFormat::Query(namespace) => (self.query(namespace, &request_id.to_string()), "text/xml"),
            ErrorFormat::S3 => (self.s3(&request_id.to_string()), "application/xml"),
            ErrorFormat::Cbor => (self.cbor(), "application/cbor"),
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert("content-type", HeaderValue::from_static(content_type));
        if let Some(code) = older_code(self.kind.code).filter(|_| matches!(format, ErrorFormat::Json(_))) {
            response.headers_mut().insert("x-amzn-query-error", code);
        }
        if format == ErrorFormat::Cbor {
            response.headers_mut().insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
        }
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert("retry-after", seconds.into());
        }
        response
    }

    fn text(&self) -> &str {
        self.message.as_deref().unwrap_or_default()
    }

    fn json(&self) -> Bytes {
        let mut json = JsonWriter::default();
        json.open('{');
        json.member("__type", short_code(self.kind.code));
        for (member, value) in &self.extra {
            json.member(member, value);
        }
        let member = match self.kind.spelling {
            Spelling::Lower => "message",
            Spelling::Upper => "Message",
        };
        json.maybe(member, &self.message);
        json.close('}');
        json.into_bytes()
    }

    fn query(&self, namespace: &str, request_id: &str) -> Bytes {
        let is_ours = self.kind.fault == Some(Fault::Service);
        let mut xml = XmlWriter::default();
        match namespace {
            "" => xml.open("ErrorResponse"),
            namespace => xml.open_in("ErrorResponse", namespace),
        }
        xml.open("Error");
        xml.member("Type", if is_ours { "Receiver" } else { "Sender" });
        let older = (namespace == older_query::NAMESPACE).then(|| self.older_code());
        let older = older.filter(|older| older != self.kind.code);
        xml.member("Code", older.as_deref().unwrap_or_else(|| query_code(self.kind.code)));
        xml.member("Message", self.text());
        xml.close("Error");
        xml.member("RequestId", request_id);
        xml.close("ErrorResponse");
        xml.into_bytes()
    }

    fn s3(&self, request_id: &str) -> Bytes {
        let mut xml = XmlWriter::default();
        xml.open("Error");
        xml.member("Code", query_code(self.kind.code));
        xml.member("Message", self.text());
        xml.member("RequestId", request_id);
        xml.member("HostId", HOST_ID);
        xml.close("Error");
        [DECLARATION, &*xml.into_bytes()].concat().into()
    }

    /// A map of two texts.
    fn cbor(&self) -> Bytes {
        let mut out = vec![0xa2];
        for text in ["__type", short_code(self.kind.code), "message", self.text()] {
            // Major type 3 with a length of four bytes: longer texts are cut to none.
            let length = u32::try_from(text.len()).unwrap_or(0);
            out.push(0x7a);
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(text.as_bytes().get(..length as usize).unwrap_or_default());
        }
        out.into()
    }
}

/// Codes that all services of the JSON protocols have under another name than Lambda.
fn short_code(code: &str) -> &str {
    match code {
        "ServiceException" => "InternalFailure",
        other => other,
    }
}

/// Codes as the query protocol has them.
fn query_code(code: &'static str) -> &'static str {
    match code {
        "ServiceException" => "InternalFailure",
        "InvalidSignatureException" => "SignatureDoesNotMatch",
        "UnrecognizedClientException" => "InvalidClientTokenId",
        "UnknownOperationException" => "InvalidAction",
        "SerializationException" => "MalformedInput",
        "MissingAuthenticationTokenException" => "MissingAuthenticationToken",
        "ExpiredTokenException" => "ExpiredToken",
        "AccessDeniedException" => "AccessDenied",
        "ThrottlingException" => "Throttling",
        "NotImplementedException" => "NotImplemented",
        other => other,
    }
}
