//! A span, as far as ours need OpenTelemetry's.

use std::borrow::Cow;

/// One span.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Span {
    pub(crate) id: u64,
    pub(crate) parent: Option<u64>,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Nanoseconds since 1970.
    pub(crate) began_ns: u64,
    pub(crate) ended_ns: u64,
    pub(crate) failed: Option<Failed>,
    /// Each key once.
    pub(crate) attributes: Attributes,
    pub(crate) events: Vec<Event>,
}

/// Whose work it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// The function's own.
    Internal,
    /// Where a request came in.
    Server,
    /// Somebody else's, who was asked for it.
    Client,
}

/// That it went wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Failed {
    pub(crate) error_type: Option<String>,
    pub(crate) message: String,
}

/// Something that happened at its end.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Event {
    pub(crate) name: &'static str,
    pub(crate) attributes: Attributes,
}

pub(crate) type Attributes = Vec<(Cow<'static, str>, Value)>;

/// What an attribute says.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Value {
    Text(String),
    Number(u64),
    Signed(i64),
    Real(f64),
    Bool(bool),
    Texts(Vec<String>),
}
