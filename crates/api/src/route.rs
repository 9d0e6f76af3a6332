//! From method, path and query to an operation.

use std::borrow::Cow;
use std::str::Split;

use crate::error::ApiError;
use crate::generated::lambda::Operation;
use crate::operation::{Part, Route, ServiceOperation};
use crate::uri::{percent_decode, query_pairs};

/// A request's operation, and what its path and query say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Matched<O = Operation> {
    /// The operation.
    pub operation: O,
    pub(crate) labels: Vec<(&'static str, String)>,
    pub(crate) query: String,
}

impl<O> Matched<O> {
    /// The decoded value of a path label, for instance `FunctionName`.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str())
    }

    /// What the query gives under this name; the last one counts. None also where it cannot be read, which decoding
    /// refuses.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<Cow<'_, str>> {
        self.parameters(name).next_back()
    }

    /// All that the query gives under this name.
    pub fn parameters<'a>(&'a self, name: &str) -> impl DoubleEndedIterator<Item = Cow<'a, str>> {
        let all: Vec<_> = query_pairs(&self.query).flatten().filter(|(known, _)| known == name).collect();
        all.into_iter().map(|(_, value)| value)
    }

    /// Whether the request has a query at all.
    #[must_use]
    pub fn has_query(&self) -> bool {
        !self.query.is_empty()
    }
}

/// Finds the operation of a request to the Lambda API.
///
/// # Errors
/// `UnknownOperationException` (404) where [`route_of`] finds none.
pub fn route(method: &str, raw_path: &str, raw_query: Option<&str>) -> Result<Matched, ApiError> {
    route_of(method, raw_path, raw_query).ok_or_else(|| ApiError::unknown_operation(method, raw_path))
}

/// Finds the operation of a request to a service whose paths name operations. The path is matched as it came and each
/// label decoded afterwards, so that an encoded slash never leads to another route. One slash at the end is accepted.
/// None for what no route fits, for labels that are empty, `.` or `..`, and for percent codes that are broken or make no
/// text.
#[must_use]
pub fn route_of<O: ServiceOperation>(method: &str, raw_path: &str, raw_query: Option<&str>) -> Option<Matched<O>> {
    let query = raw_query.unwrap_or_default();
    let path = raw_path.strip_prefix('/')?;
    let mut parts = path.strip_suffix('/').unwrap_or(path).split('/');
    let first = parts.next()?;
    let (_, routes) = O::table().routes.iter().find(|(known, _)| *known == first)?;
    let route = routes.iter().find(|route| route.method == method && fits(route, parts.clone(), query))?;
    let labels = labels(route, parts)?;
    Some(Matched { operation: route.operation, labels, query: query.to_owned() })
}

/// Whether a path begins as those of the service do.
#[must_use]
pub(crate) fn begins_as<O: ServiceOperation>(raw_path: &str) -> bool {
    let first = raw_path.strip_prefix('/').and_then(|path| path.split('/').next());
    O::table().routes.iter().any(|(known, _)| Some(*known) == first)
}

fn fits<O>(route: &Route<O>, mut given: Split<'_, char>, query: &str) -> bool {
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

fn labels<O>(route: &Route<O>, given: Split<'_, char>) -> Option<Vec<(&'static str, String)>> {
    let pairs = route.parts.iter().zip(given);
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
