//! From method, path and query to an operation.

use crate::error::ApiError;
use crate::generated::operations::{Operation, ROUTES};
use crate::operation::{Part, Route};
use crate::uri::{percent_decode, query_pairs};

/// A request's operation, and what its path and query say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Matched {
    /// The operation.
    pub operation: Operation,
    pub(crate) labels: Vec<(&'static str, String)>,
    pub(crate) query: String,
}

impl Matched {
    /// The decoded value of a path label, for instance `FunctionName`.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str())
    }

    /// Whether the request has a query at all.
    #[must_use]
    pub fn has_query(&self) -> bool {
        !self.query.is_empty()
    }
}

/// Finds the operation of a request. The path is matched as it came and each label decoded afterwards, so that an
/// encoded slash never leads to another route. One slash at the end is accepted.
///
/// # Errors
/// `UnknownOperationException` (404) for what no route fits, for labels that are empty, `.` or `..`, and for percent
/// codes that are broken or make no text.
pub fn route(method: &str, raw_path: &str, raw_query: Option<&str>) -> Result<Matched, ApiError> {
    find(method, raw_path, raw_query.unwrap_or_default()).ok_or_else(|| ApiError::unknown_operation(method, raw_path))
}

fn find(method: &str, path: &str, query: &str) -> Option<Matched> {
    let path = path.strip_prefix('/')?;
    let path = path.strip_suffix('/').unwrap_or(path);
    let (date, rest) = path.split_once('/')?;
    let (_, routes) = ROUTES.iter().find(|(d, _)| *d == date)?;
    let route = routes.iter().find(|route| route.method == method && fits(route, rest, query))?;
    let labels = labels(route, rest)?;
    Some(Matched { operation: route.operation, labels, query: query.to_owned() })
}

fn fits(route: &Route, rest: &str, query: &str) -> bool {
    let mut given = rest.split('/');
    let parts_fit = route.parts.iter().all(|part| match (part, given.next()) {
        (Part::Text(text), Some(given)) => *text == given,
        (Part::Label(_), Some(given)) => !given.is_empty(),
        (_, None) => false,
    });
    parts_fit && given.next().is_none() && route.query.is_none_or(|wanted| has_parameter(query, wanted))
}

fn has_parameter(query: &str, wanted: (&str, &str)) -> bool {
    query_pairs(query).flatten().any(|(name, value)| (name.as_ref(), value.as_ref()) == wanted)
}

fn labels(route: &Route, rest: &str) -> Option<Vec<(&'static str, String)>> {
    let pairs = route.parts.iter().zip(rest.split('/'));
    pairs
        .filter_map(|(part, given)| match part {
            Part::Text(_) => None,
            Part::Label(name) => Some(label(given).map(|value| (*name, value))),
        })
        .collect()
}

fn label(raw: &str) -> Option<String> {
    let decoded = percent_decode(raw)?;
    (!matches!(decoded.as_ref(), "" | "." | "..")).then(|| decoded.into_owned())
}
