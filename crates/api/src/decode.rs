//! From a matched request to an operation's typed input.

use std::borrow::Cow;

use bytes::Bytes;
use http::HeaderMap;

use crate::error::ApiError;
use crate::json;
use crate::operation::{InTable as _, OperationType, ServiceOperation};
use crate::route::Matched;
use crate::schema::{Kind, Member, Place, Shape};
use crate::uri::query_pairs;
use crate::validate::validate;
use crate::value::{FromValue, Members, Timestamp, Value};

/// Binds label, query, header and body members, checks the model's constraints, and gives the typed input. A payload
/// (Invoke) is handed on as it came.
///
/// # Errors
/// `SerializationException` for a body that is no JSON or has wrong types; `ValidationException`, naming all broken
/// constraints; `ServiceException` where `matched` is of another operation.
pub fn decode<Op: OperationType>(
    matched: &Matched<Op::Operation>,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Op::Input, ApiError> {
    let confused = || ApiError::service(format!("{} was decoded as another operation.", matched.operation.name()));
    if matched.operation != Op::OPERATION {
        return Err(confused());
    }
    Op::Input::from_value(bind(matched, headers, body)?).ok_or_else(confused)
}

/// Checks a request as [`decode`] does, for an operation that has no handler.
///
/// # Errors
/// Those of [`decode`].
pub fn check<O: ServiceOperation>(matched: &Matched<O>, headers: &HeaderMap, body: Bytes) -> Result<(), ApiError> {
    bind(matched, headers, body).map(drop)
}

/// All members of the input, valid.
pub(crate) fn bind<O: ServiceOperation>(
    matched: &Matched<O>,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Value, ApiError> {
    let Some(shape) = matched.operation.row().input else { return Ok(Value::Structure(Members(Vec::new()))) };
    let Kind::Structure { members, .. } = shape.kind else {
        return Err(ApiError::service(format!("The input of {} is no structure.", matched.operation.name())));
    };
    let query = read_query(&matched.query)?;
    let mut values = read_body(shape, members, body)?;
    for (member, value) in members.iter().zip(&mut values.0) {
        match member.place {
            Place::Label => *value = matched.label(member.wire).map(|text| from_text(member.shape, text)),
            Place::Query => *value = from_query(member, &query),
            Place::Header => *value = from_header(member, headers),
            Place::Body | Place::Payload => {}
        }
    }
    validate(members, &values)?;
    Ok(Value::Structure(values))
}

/// The members that the body carries; places for the others.
pub(crate) fn read_body(shape: &'static Shape, members: &'static [Member], body: Bytes) -> Result<Members, ApiError> {
    let mut values = Members(vec![None; members.len()]);
    if let Some(index) = members.iter().position(|member| member.place == Place::Payload) {
        let payload = members[index].shape;
        values.0[index] = match payload.kind {
            _ if body.is_empty() => None,
            Kind::Blob { .. } => Some(Value::Blob(body)),
            _ => json::read(payload, &body)?,
        };
        return Ok(values);
    }
    if !members.iter().any(|member| member.place == Place::Body) {
        return Ok(values);
    }
    if body.is_empty() {
        let needed = members.iter().any(|member| member.place == Place::Body && member.required);
        return if needed { Err(ApiError::serialization("The request has no body")) } else { Ok(values) };
    }
    Ok(json::read(shape, &body)?.and_then(Value::structure).unwrap_or(values))
}

/// A value from a place that has only text.
pub(crate) fn from_text(shape: &Shape, text: &str) -> Value {
    let read = match shape.kind {
        Kind::Text { .. } => Some(Value::Text(text.to_owned())),
        Kind::Integer { .. } => text.parse::<i32>().ok().map(|number| Value::Integer(number.into())),
        Kind::Long { .. } => text.parse().ok().map(Value::Integer),
        Kind::Double { .. } => text.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Double),
        Kind::Boolean => match text {
            "true" => Some(Value::Boolean(true)),
            "false" => Some(Value::Boolean(false)),
            _ => None,
        },
        Kind::Timestamp => Timestamp::from_text(text).map(Value::Timestamp),
        Kind::Blob { .. } | Kind::List { .. } | Kind::Map { .. } | Kind::Structure { .. } => None,
    };
    read.unwrap_or_else(|| Value::Unreadable(text.to_owned()))
}

/// A parameter's name and value.
type Parameter<'a> = (Cow<'a, str>, Cow<'a, str>);

/// A parameter that cannot be read must not count as absent: it may be the one that names a version.
fn read_query(query: &str) -> Result<Vec<Parameter<'_>>, ApiError> {
    let pairs: Option<Vec<_>> = query_pairs(query).collect();
    pairs.ok_or_else(|| ApiError::serialization("The query has a percent code that makes no text"))
}

/// A list takes each parameter of its name, anything else the last one.
fn from_query(member: &Member, query: &[Parameter<'_>]) -> Option<Value> {
    let mut given = query.iter().filter(|(name, _)| name == member.wire).map(|(_, value)| value.as_ref());
    match member.shape.kind {
        Kind::List { member, .. } => {
            let items: Vec<_> = given.map(|text| Some(from_text(member, text))).collect();
            (!items.is_empty()).then_some(Value::List(items))
        }
        _ => given.next_back().map(|text| from_text(member.shape, text)),
    }
}

fn from_header(member: &Member, headers: &HeaderMap) -> Option<Value> {
    let value = headers.get(member.wire)?;
    let text: Cow<'_, str> = String::from_utf8_lossy(value.as_bytes());
    Some(from_text(member.shape, &text))
}
