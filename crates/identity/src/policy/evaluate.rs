//! The decision: what denies wins, and what nothing allows is denied.

use super::pattern::Unresolved;
use super::principal::Meant;
use super::{Context, Document, Effect, Principal, Statement, Which};

/// What somebody asks for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// `lambda:InvokeFunction`, ...
    pub action: &'a str,
    /// An ARN, or `*` for actions that are on none.
    pub resource: &'a str,
    /// Everything else that conditions look at.
    pub context: &'a Context,
}

/// The documents that bear on a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Policies<'a> {
    /// Of the user or the role.
    pub identity: &'a [&'a Document],
    /// Of the session: what it may do is cut down to this.
    pub session: Option<&'a Document>,
    /// Of the resource.
    pub resource: Option<&'a Document>,
}

/// The outcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// Go ahead.
    Allowed,
    /// No.
    Denied(Denial),
}

/// Why it is denied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Denial {
    /// A statement says so.
    Explicit(Source),
    /// No statement allows it where one would have to.
    Nothing(Source),
}

/// Whose document it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// Of the user or the role.
    Identity,
    /// Of the session.
    Session,
    /// Of the resource.
    Resource,
    /// Of a role that is to be assumed.
    Trust,
}

/// How much a document gives somebody.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Granted {
    /// Nothing.
    No,
    /// To the account, whose own policies must give it on.
    ToAccount,
    /// To whoever asks.
    Directly,
    /// It denies.
    Denied,
}

/// Decides. The account itself may do everything that no policy of a resource denies it.
#[must_use]
pub fn evaluate(principal: &Principal, asked: Asked<'_>, policies: Policies<'_>) -> Decision {
    let identity =
        policies.identity.iter().map(|document| document.grants(principal, asked)).max().unwrap_or(Granted::No);
    let session = policies.session.map(|document| document.grants(principal, asked));
    let resource = policies.resource.map_or(Granted::No, |document| document.grants(principal, asked));
    let all =
        [(Source::Identity, identity), (Source::Resource, resource), (Source::Session, session.unwrap_or(Granted::No))];
    if let Some((source, _)) = all.iter().find(|(_, granted)| *granted == Granted::Denied) {
        return Decision::Denied(Denial::Explicit(*source));
    }
    let is_allowed = match principal {
        Principal::Root { .. } => true,
        Principal::User { .. } | Principal::Session { .. } => {
            identity == Granted::Directly || resource == Granted::Directly
        }
        Principal::Service(_) | Principal::Anonymous => resource == Granted::Directly,
    };
    if !is_allowed {
        let source = match principal {
            Principal::Service(_) | Principal::Anonymous => Source::Resource,
            _ => Source::Identity,
        };
        return Decision::Denied(Denial::Nothing(source));
    }
    match session {
        Some(Granted::No | Granted::ToAccount) => Decision::Denied(Denial::Nothing(Source::Session)),
        _ => Decision::Allowed,
    }
}

impl Denial {
    /// The text of AccessDenied.
    #[must_use]
    pub fn message(self, principal: &Principal, action: &str, resource: &str) -> String {
        let who = principal.shown();
        let start = format!("User: {who} is not authorized to perform: {action} on resource: {resource}");
        let of = |source| match source {
            Source::Identity => "identity-based",
            Source::Session => "session",
            Source::Resource => "resource-based",
            Source::Trust => "role trust",
        };
        match self {
            Self::Explicit(source @ Source::Identity) => {
                format!("{start} with an explicit deny in an {} policy", of(source))
            }
            Self::Explicit(source @ Source::Trust) => {
                format!("{start} with an explicit deny in the {} policy", of(source))
            }
            Self::Explicit(source) => format!("{start} with an explicit deny in a {} policy", of(source)),
            Self::Nothing(source) => format!("{start} because no {} policy allows the {action} action", of(source)),
        }
    }
}

impl Document {
    /// What this document alone gives. A variable without a value matches nothing; where that would make a statement
    /// wider (`NotResource`, `StringNotEquals`), one that allows is void, and one that denies counts.
    #[must_use]
    pub fn grants(&self, principal: &Principal, asked: Asked<'_>) -> Granted {
        let granted = |statement: &Statement| match (statement.meant(principal, asked), statement.effect) {
            (Ok(Meant::No), _) | (Err(Unresolved), Effect::Allow) => Granted::No,
            (_, Effect::Deny) => Granted::Denied,
            (Ok(Meant::Account), Effect::Allow) => Granted::ToAccount,
            (Ok(Meant::Directly), Effect::Allow) => Granted::Directly,
        };
        self.statements.iter().map(granted).max().unwrap_or(Granted::No)
    }

    /// Whether a trust policy lets a service assume the role by itself.
    #[must_use]
    pub fn trusts_service(&self, service: &str) -> bool {
        let asked = Asked { action: "sts:AssumeRole", resource: "*", context: &Context::default() };
        self.grants(&Principal::Service(service.to_owned()), asked) == Granted::Directly
    }
}

impl Statement {
    /// Whether it is about this, and how much it means this principal.
    fn meant(&self, principal: &Principal, asked: Asked<'_>) -> Result<Meant, Unresolved> {
        let meant = match &self.principals {
            None => Meant::Directly,
            Some(Which::These(all)) => all.iter().map(|one| one.means(principal)).max().unwrap_or(Meant::No),
            Some(Which::AllBut(all)) if all.iter().any(|one| one.means(principal) != Meant::No) => Meant::No,
            Some(Which::AllBut(_)) => Meant::Directly,
        };
        let context = asked.context;
        let action = self.actions.is_meant(|pattern| pattern.matches(asked.action, context));
        let resource = self
            .resources
            .as_ref()
            .map_or(Ok(true), |resources| resources.is_meant(|pattern| pattern.matches(asked.resource, context)));
        let conditions = self.conditions.iter().map(|condition| condition.holds(context));
        let all: Vec<Result<bool, Unresolved>> = [action, resource].into_iter().chain(conditions).collect();
        if meant == Meant::No || all.contains(&Ok(false)) {
            return Ok(Meant::No);
        }
        if all.contains(&Err(Unresolved)) { Err(Unresolved) } else { Ok(meant) }
    }
}

impl<T> Which<T> {
    fn is_meant(&self, matches: impl Fn(&T) -> Result<bool, Unresolved>) -> Result<bool, Unresolved> {
        match self {
            Self::These(all) => Ok(all.iter().any(|one| matches(one) == Ok(true))),
            Self::AllBut(all) => {
                let found: Result<Vec<bool>, Unresolved> = all.iter().map(matches).collect();
                found.map(|found| !found.contains(&true))
            }
        }
    }
}
