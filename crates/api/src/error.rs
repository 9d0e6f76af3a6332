//! What an operation answers when it does not do what was asked.

use bytes::Bytes;
use http::{Response, StatusCode};

use crate::encode::JsonWriter;
pub use crate::generated::lambda::errors as modelled;
use crate::operation::ServiceOperation;

/// A kind of error: everything but its text. The modelled ones are constants in [`modelled`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kind {
    /// Value of `x-amzn-ErrorType`.
    pub code: &'static str,
    /// HTTP status.
    pub status: u16,
    /// How the body spells the text's member.
    pub spelling: Spelling,
    /// Value of the body's `Type`; some errors have none.
    pub fault: Option<Fault>,
}

/// The service spells the member of the text in two ways.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spelling {
    /// `message`
    Lower,
    /// `Message`
    Upper,
}

/// Whose fault it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// `User`
    User,
    /// `Service`
    Service,
}

const fn by_user(code: &'static str, status: u16, spelling: Spelling) -> Kind {
    Kind { code, status, spelling, fault: Some(Fault::User) }
}

/// A constraint of the model is broken.
pub static VALIDATION: Kind = by_user("ValidationException", 400, Spelling::Lower);
/// The body is no JSON, or has another type than the model's.
pub static SERIALIZATION: Kind = by_user("SerializationException", 400, Spelling::Lower);
/// No route fits.
pub static UNKNOWN_OPERATION: Kind = by_user("UnknownOperationException", 404, Spelling::Upper);
/// The body of a control-plane request, or the zip in it, is too large.
pub static REQUEST_ENTITY_TOO_LARGE: Kind = by_user("RequestEntityTooLargeException", 413, Spelling::Lower);
/// The caller may not do this.
pub static ACCESS_DENIED: Kind = by_user("AccessDeniedException", 403, Spelling::Upper);
/// No signature.
pub static MISSING_AUTHENTICATION_TOKEN: Kind = by_user("MissingAuthenticationTokenException", 403, Spelling::Lower);
/// A signature that does not fit.
pub static INVALID_SIGNATURE: Kind = by_user("InvalidSignatureException", 403, Spelling::Lower);
/// An unknown access key.
pub static UNRECOGNIZED_CLIENT: Kind = by_user("UnrecognizedClientException", 403, Spelling::Lower);
/// A session that is over.
pub static EXPIRED_TOKEN: Kind = by_user("ExpiredTokenException", 403, Spelling::Lower);
/// Too many control-plane calls.
pub static THROTTLING: Kind = by_user("ThrottlingException", 429, Spelling::Lower);
/// Hearth's own: the operation, or a member of its input, is not supported.
pub static NOT_IMPLEMENTED: Kind =
    Kind { code: "NotImplementedException", status: 501, spelling: Spelling::Lower, fault: Some(Fault::Service) };

/// An error that a client sees.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error("{}: {}", kind.code, message.as_deref().unwrap_or("(no text)"))]
pub struct ApiError {
    /// What kind it is.
    pub kind: Kind,
    /// The text; one recorded error has none.
    pub message: Option<String>,
    /// Further members of the body, for instance `Reason`.
    pub extra: Vec<(&'static str, String)>,
    /// Value of the header `Retry-After`, in seconds.
    pub retry_after_s: Option<u32>,
}

impl ApiError {
    /// An error of that kind.
    pub fn new(kind: &Kind, message: impl Into<String>) -> Self {
        Self { kind: *kind, message: Some(message.into()), extra: Vec::new(), retry_after_s: None }
    }

    /// The same with a further member in the body.
    #[must_use]
    pub fn with(mut self, member: &'static str, value: impl Into<String>) -> Self {
        self.extra.push((member, value.into()));
        self
    }

    /// The same without the body's `Type`, as some are observed.
    #[must_use]
    pub fn without_type(mut self) -> Self {
        self.kind.fault = None;
        self
    }

    /// `InvalidParameterValueException`, 400.
    pub fn invalid_parameter(message: impl Into<String>) -> Self {
        Self::new(&modelled::INVALID_PARAMETER_VALUE, message)
    }

    /// `ResourceNotFoundException`, 404.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(&modelled::RESOURCE_NOT_FOUND, message)
    }

    /// `ResourceConflictException`, 409.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(&modelled::RESOURCE_CONFLICT, message)
    }

    /// `PreconditionFailedException`, 412.
    pub fn precondition_failed(message: impl Into<String>) -> Self {
        Self::new(&modelled::PRECONDITION_FAILED, message)
    }

    /// `TooManyRequestsException`, 429, with the text and the `Reason` of a refused invoke.
    pub fn too_many_requests(reason: &str) -> Self {
        Self::new(&modelled::TOO_MANY_REQUESTS, "Rate Exceeded.").with("Reason", reason)
    }

    /// `ServiceException`, 500. The text must tell nothing of the inside.
    pub fn service(message: impl Into<String>) -> Self {
        Self::new(&modelled::SERVICE, message)
    }

    /// `InvalidRequestContentException`, 400.
    pub fn invalid_request_content(message: impl Into<String>) -> Self {
        Self::new(&modelled::INVALID_REQUEST_CONTENT, message)
    }

    /// `RequestTooLargeException`, 413: an invoke's payload.
    pub fn request_too_large(message: impl Into<String>) -> Self {
        Self::new(&modelled::REQUEST_TOO_LARGE, message)
    }

    /// `RequestEntityTooLargeException`, 413: a control-plane request.
    pub fn request_entity_too_large(message: impl Into<String>) -> Self {
        Self::new(&REQUEST_ENTITY_TOO_LARGE, message)
    }

    /// `ValidationException`, 400.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new(&VALIDATION, message)
    }

    /// `SerializationException`, 400.
    pub fn serialization(message: impl Into<String>) -> Self {
        Self::new(&SERIALIZATION, message)
    }

    /// `AccessDeniedException`, 403; without a text where none is observed.
    #[must_use]
    pub fn access_denied(message: Option<String>) -> Self {
        Self { kind: ACCESS_DENIED, message, extra: Vec::new(), retry_after_s: None }
    }

    /// Whether access is denied without a word of why.
    #[must_use]
    pub fn is_bare_denial(&self) -> bool {
        self.kind.code == ACCESS_DENIED.code && self.message.is_none()
    }

    /// `UnknownOperationException`, 404.
    #[must_use]
    pub fn unknown_operation(method: &str, path: &str) -> Self {
        let shown: String = path.chars().take(256).collect();
        Self::new(&UNKNOWN_OPERATION, format!("No operation of the Lambda API is at {method} {shown}"))
    }

    /// 501 for an operation that has no handler.
    #[must_use]
    pub fn not_implemented(operation: impl ServiceOperation) -> Self {
        Self::new(&NOT_IMPLEMENTED, format!("Hearth does not implement {} yet.", operation.name()))
    }

    /// 501 for a member of an input that would have no effect.
    #[must_use]
    pub fn unsupported_member(operation: impl ServiceOperation, member: &str) -> Self {
        let name = operation.name();
        Self::new(&NOT_IMPLEMENTED, format!("Hearth does not implement {member} of {name} yet: leave it out."))
    }

    /// Status, headers and body.
    #[must_use]
    pub fn response(&self) -> Response<Bytes> {
        let mut response = Response::new(self.body());
        *response.status_mut() = StatusCode::from_u16(self.kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert("content-type", http::HeaderValue::from_static("application/json"));
        headers.insert("x-amzn-errortype", http::HeaderValue::from_static(self.kind.code));
        if let Some(seconds) = self.retry_after_s {
            headers.insert("retry-after", seconds.into());
        }
        response
    }

    fn body(&self) -> Bytes {
        let mut json = JsonWriter::default();
        json.open('{');
        json.maybe(
            "Type",
            &self.kind.fault.map(|fault| match fault {
                Fault::User => "User".to_owned(),
                Fault::Service => "Service".to_owned(),
            }),
        );
        for (member, value) in &self.extra {
            json.member(member, value);
        }
        let member = match self.kind.spelling {
            Spelling::Lower => "message",
            Spelling::Upper => "Message",
        };
        // An error without a text says null, as recorded for functions of other accounts.
        json.nullable(member, &self.message);
        json.close('}');
        json.into_bytes()
    }
}
