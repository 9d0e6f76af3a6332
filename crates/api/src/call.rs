//! Requests of services whose operations share one path: the operation is named in a header or in a form.

use bytes::Bytes;
use http::{HeaderValue, Response};

use crate::decode::{bind, read_body};
use crate::encode::{JsonWriter, ToJson};
use crate::error::{self, ApiError};
use crate::form::Form;
use crate::operation::{InTable as _, OperationType, Protocol, ServiceOperation};
use crate::route::route_of;
use crate::schema::Kind;
use crate::validate::validate;
use crate::value::{FromValue as _, Members, Value};

/// A request taken apart: its operation, and its input, valid.
#[derive(Debug)]
pub struct Call<O> {
    /// The operation.
    pub operation: O,
    input: Value,
}

impl<O: ServiceOperation> Call<O> {
    /// Reads the JSON input of the operation of that name.
    ///
    /// # Errors
    /// `NotImplementedException` where there is no such operation here; `SerializationException` for a body that is no
    /// JSON or has wrong types; the service's validation error, naming all broken constraints.
    pub fn from_json(operation: &str, body: Bytes) -> Result<Self, ApiError> {
        let operation: O = find(operation)?;
        let input = match operation.row().input {
            Some(shape) => match &shape.kind {
                Kind::Structure { members, .. } => Value::Structure(read_body(shape, members, body)?),
                _ => return Err(no_structure(operation)),
            },
            None => nothing(),
        };
        Self { operation, input }.checked()
    }

    /// Reads the form of an operation.
    ///
    /// # Errors
    /// As [`Call::from_json`], and where the form names no operation or another version of the service.
    pub fn from_form(form: &Form) -> Result<Self, ApiError> {
        let name = form.parameter("Action").unwrap_or_default();
        let (wanted, ours) = (form.parameter("Version").unwrap_or_default(), O::service().version);
        if name.is_empty() || wanted != ours {
            let text = format!("Could not find operation {name} for version {wanted}: the version here is {ours}");
            return Err(ApiError::new(&error::UNKNOWN_OPERATION, text));
        }
        let operation: O = find(name)?;
        let input = match operation.row().input {
            Some(shape) => {
                let is_older = O::service().protocol != Protocol::Query;
                let input = if is_older { form.read_older(shape)? } else { form.read(shape)? };
                input.ok_or_else(|| no_structure(operation))?
            }
            None => nothing(),
        };
        Self { operation, input }.checked()
    }

    /// Reads a request of a service whose paths name operations.
    ///
    /// # Errors
    /// `UnknownOperationException` where no route fits; else as [`crate::decode()`].
    pub fn from_path(head: &http::request::Parts, body: Bytes) -> Result<Self, ApiError> {
        let (method, path) = (head.method.as_str(), head.uri.path());
        let matched = route_of::<O>(method, path, head.uri.query());
        let matched = matched.ok_or_else(|| {
            let shown: String = path.chars().take(256).collect();
            let text = format!("No operation of {} that Hearth implements is at {method} {shown}", O::service().id);
            ApiError::new(&error::UNKNOWN_OPERATION, text)
        })?;
        let input = bind(&matched, &head.headers, body)?;
        Ok(Self { operation: matched.operation, input })
    }

    fn checked(self) -> Result<Self, ApiError> {
        if let (Some(shape), Value::Structure(values)) = (self.operation.row().input, &self.input)
            && let Kind::Structure { members, .. } = &shape.kind
        {
            validate(members, values)?;
        }
        Ok(self)
    }

    /// The typed input.
    ///
    /// # Errors
    /// `ServiceException` where the call is of another operation.
    pub fn input<Op: OperationType<Operation = O>>(self) -> Result<Op::Input, ApiError> {
        let name = self.operation.name();
        let same = self.operation == Op::OPERATION;
        let input = same.then(|| Op::Input::from_value(self.input)).flatten();
        input.ok_or_else(|| ApiError::service(format!("{name} was read as another operation.")))
    }
}

/// Writes an output of the protocols JSON 1.0 and 1.1, and of rest-json where all of it is in the body.
#[must_use]
pub fn encode_json<Op: OperationType>(output: &Op::Output) -> Response<Bytes>
where
    Op::Output: ToJson,
{
    let mut json = JsonWriter::default();
    output.write(&mut json);
    let mut response = Response::new(json.into_bytes());
    let content_type = json_type(Op::Operation::service().protocol);
    response.headers_mut().insert("content-type", HeaderValue::from_static(content_type));
    response
}

/// The type of JSON bodies in a protocol.
pub(crate) fn json_type(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Json10 => "application/x-amz-json-1.0",
        Protocol::Json11 => "application/x-amz-json-1.1",
        Protocol::RestJson | Protocol::Query => "application/json",
    }
}

fn find<O: ServiceOperation>(name: &str) -> Result<O, ApiError> {
    let found = O::table().all.iter().find(|operation| operation.name() == name);
    found.copied().ok_or_else(|| {
        let shown: String = name.chars().take(128).collect();
        let text = format!("Hearth does not implement {shown} of {}.", O::service().id);
        ApiError::new(&error::NOT_IMPLEMENTED, text)
    })
}

fn nothing() -> Value {
    Value::Structure(Members(Vec::new()))
}

fn no_structure(operation: impl ServiceOperation) -> ApiError {
    ApiError::service(format!("The input of {} is no structure.", operation.name()))
}
