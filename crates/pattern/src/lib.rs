//! The language of event patterns: what a rule, a mapping's filter or a subscription's filter policy asks of an event.
//!
//! A pattern has the shape of the events it matches: objects down to lists of alternatives. All keys must match, of a
//! list one alternative. An event's arrays stand for each of their elements; what is asked of one object must be found in
//! one element. Pure; what matching costs is bounded by the sizes of pattern and event, whatever they say.

mod alternative;
mod cidr;
mod compile;
mod glob;
mod matching;
mod number;
mod operator;
mod policy;
mod tree;

use serde_json::Value;

pub use policy::{FilterPolicy, Scope, attribute};

use crate::tree::Node;

/// A pattern that was read.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// What its `$or`s come to: one of these has to be found whole.
    conjunctions: Vec<Node>,
}

/// Why a text is no pattern, in the services' words, which put their own before it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(pub(crate) String);

/// Who reads the pattern: not every service takes every operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dialect {
    /// Rules and filter policies: all operators.
    Whole,
    /// Event source mappings: without `wildcard` and `cidr`.
    Mapping,
}

impl Pattern {
    /// As EventBridge's rules have it.
    ///
    /// # Errors
    /// With EventBridge's reason.
    pub fn parse(text: &str) -> Result<Pattern, PatternError> {
        Pattern::read(&json(text)?, Dialect::Whole)
    }

    /// As event source mappings have it: `wildcard` and `cidr` are no operators there.
    ///
    /// # Errors
    /// As [`Pattern::parse`]. Lambda does not tell the reason.
    pub fn parse_mapping(text: &str) -> Result<Pattern, PatternError> {
        Pattern::read(&json(text)?, Dialect::Mapping)
    }

    pub(crate) fn read(value: &Value, dialect: Dialect) -> Result<Pattern, PatternError> {
        let conjunctions = compile::compile(value, dialect)?;
        Ok(Pattern { conjunctions })
    }

    /// Whether the event has what is asked.
    #[must_use]
    pub fn matches(&self, event: &Value) -> bool {
        self.conjunctions.iter().any(|all| matching::matches(all, event))
    }
}

impl PatternError {
    pub(crate) fn new(reason: impl Into<String>) -> PatternError {
        PatternError(reason.into())
    }
}

pub(crate) fn json(text: &str) -> Result<Value, PatternError> {
    serde_json::from_str(text).map_err(|error| PatternError(format!("The text is not JSON: {error}")))
}
