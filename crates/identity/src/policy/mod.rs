//! Policy documents: parsed strictly once, then evaluated as often as needed, without any I/O.
//!
//! What is not understood is refused when it is parsed: a statement that would be skipped could be the one that denies.

mod arn;
mod condition;
mod context;
mod evaluate;
mod parse;
mod pattern;
mod principal;

pub use context::Context;
pub use evaluate::{Asked, Decision, Denial, Granted, Policies, Source, evaluate};
pub use parse::{Kind, Malformed};
pub use principal::Principal;

use arn::ArnPattern;
use condition::Condition;
use pattern::Pattern;
use principal::PrincipalPattern;

/// A policy document, ready to be evaluated.
#[derive(Clone, Debug)]
pub struct Document {
    statements: Vec<Statement>,
    names_resource_tags: bool,
}

impl Document {
    /// Whether it speaks of the tags of resources: whoever asks has to find them out then.
    #[must_use]
    pub fn names_resource_tags(&self) -> bool {
        self.names_resource_tags
    }
}

#[derive(Clone, Debug)]
struct Statement {
    effect: Effect,
    /// None in policies of identities.
    principals: Option<Which<PrincipalPattern>>,
    actions: Which<Pattern>,
    /// None in trust policies.
    resources: Option<Which<ArnPattern>>,
    conditions: Vec<Condition>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Effect {
    Allow,
    Deny,
}

/// `Action` or `NotAction`, and the like.
#[derive(Clone, Debug)]
enum Which<T> {
    These(Vec<T>),
    AllBut(Vec<T>),
}
