//! Adding statements to resource policies and removing them. Pure.

use hearth_api::ApiError;
use hearth_api::error::modelled::POLICY_LENGTH_EXCEEDED;
use hearth_types::RevisionId;
use hearth_types::limits::POLICY_BYTES;
use hearth_types::policy::{Policy, Statement};
use uuid::Uuid;

/// What a policy belongs to: the texts differ in the operation that shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Of {
    /// A function, a version or an alias, and the revision of this: it stands in for the policy's before the first
    /// statement.
    Function(RevisionId),
    /// A layer version.
    LayerVersion,
}

/// The policy with one more statement. `known` is the revision that the client gives, if it gives one.
///
/// # Errors
/// When the client does not know the latest revision, the statement's Sid is taken, or the document gets too long.
pub(crate) fn added(
    policy: Option<Policy>,
    statement: Statement,
    known: Option<&str>,
    of: Of,
) -> Result<Policy, ApiError> {
    check_revision(policy.as_ref(), known, of)?;
    let mut statements = policy.map(|policy| policy.statements).unwrap_or_default();
    if statements.iter().any(|other| other.sid == statement.sid) {
        return Err(ApiError::conflict(format!(
            "The statement id ({}) provided already exists. Please provide a new statement id, or remove the \
             existing statement.",
            statement.sid
        )));
    }
    statements.push(statement);
    let policy = Policy { revision: RevisionId(Uuid::new_v4()), statements };
    let bytes = policy.document().len();
    if bytes > POLICY_BYTES {
        let text = format!("The final policy size ({bytes}) is bigger than the limit ({POLICY_BYTES}).");
        return Err(ApiError::new(&POLICY_LENGTH_EXCEEDED, text));
    }
    Ok(policy)
}

/// The policy without one statement; none where it was the last.
///
/// # Errors
/// When there is no policy or no such statement, or the client does not know the latest revision.
pub(crate) fn removed(
    policy: Option<Policy>,
    sid: &str,
    known: Option<&str>,
    of: Of,
) -> Result<Option<Policy>, ApiError> {
    let Some(mut policy) = policy else {
        return Err(none());
    };
    check_revision(Some(&policy), known, of)?;
    let Some(at) = policy.statements.iter().position(|statement| statement.sid == sid) else {
        return Err(ApiError::not_found(format!("Statement {sid} is not found in resource policy.")));
    };
    policy.statements.remove(at);
    policy.revision = RevisionId(Uuid::new_v4());
    Ok((!policy.statements.is_empty()).then_some(policy))
}

/// 404 for a policy.
pub(crate) fn none() -> ApiError {
    ApiError::not_found("No policy is associated with the given resource.")
}

fn check_revision(policy: Option<&Policy>, known: Option<&str>, of: Of) -> Result<(), ApiError> {
    let (operation, first) = match of {
        Of::Function(revision) => ("GetPolicy", Some(revision)),
        Of::LayerVersion => ("GetLayerPolicy", None),
    };
    let latest = policy.map(|policy| policy.revision).or(first).map(|revision| revision.to_string());
    if known.is_none() || known == latest.as_deref() {
        return Ok(());
    }
    Err(ApiError::precondition_failed(format!(
        "The Revision Id provided does not match the latest Revision Id. Call the {operation} API to retrieve the \
         latest Revision Id"
    )))
}

#[cfg(test)]
mod tests {
    use hearth_types::policy::{Condition, Effect, Principal};

    use super::*;

    const FUNCTION: Of = Of::Function(RevisionId(Uuid::nil()));

    fn statement(sid: &str) -> Statement {
        Statement {
            sid: sid.to_owned(),
            effect: Effect::Allow,
            principal: Principal::Everyone,
            action: "lambda:InvokeFunction".to_owned(),
            resource: "arn:aws:lambda:us-east-1:000000000000:function:f".to_owned(),
            condition: Condition::default(),
        }
    }

    fn code(result: Result<impl std::fmt::Debug, ApiError>) -> &'static str {
        result.unwrap_err().kind.code
    }

    #[test]
    fn every_change_has_a_revision_that_guards_the_next() {
        let one = added(None, statement("one"), None, FUNCTION).unwrap();
        let known = one.revision.to_string();
        let two = added(Some(one.clone()), statement("two"), Some(&known), FUNCTION).unwrap();
        assert_ne!(one.revision, two.revision);
        let stale = added(Some(two.clone()), statement("three"), Some(&known), FUNCTION);
        assert!(stale.unwrap_err().to_string().contains("Call the GetPolicy API"));
        let stale = removed(Some(two.clone()), "two", Some(&known), Of::LayerVersion);
        assert!(stale.unwrap_err().to_string().contains("Call the GetLayerPolicy API"));
        let one_left = removed(Some(two.clone()), "one", None, FUNCTION).unwrap().unwrap();
        assert_ne!(one_left.revision, two.revision);
        assert_eq!(removed(Some(one_left), "two", None, FUNCTION).unwrap(), None);
        assert_eq!(code(added(None, statement("one"), Some(&known), FUNCTION)), "PreconditionFailedException");
        let of_function = Uuid::nil().to_string();
        assert!(added(None, statement("one"), Some(&of_function), FUNCTION).is_ok());
        assert!(added(Some(one), statement("two"), Some(&of_function), FUNCTION).is_err());
        assert!(added(None, statement("one"), Some(&of_function), Of::LayerVersion).is_err());
    }

    #[test]
    fn a_statement_id_is_there_once_and_only_what_is_there_goes() {
        let one = added(None, statement("one"), None, FUNCTION).unwrap();
        assert_eq!(code(added(Some(one.clone()), statement("one"), None, FUNCTION)), "ResourceConflictException");
        assert_eq!(code(removed(Some(one), "two", None, FUNCTION)), "ResourceNotFoundException");
        assert_eq!(code(removed(None, "one", None, FUNCTION)), "ResourceNotFoundException");
    }

    #[test]
    fn a_document_ends_at_its_limit() {
        let mut policy = added(None, statement("0"), None, FUNCTION).unwrap();
        let mut refused = None;
        for number in 1..1000 {
            match added(Some(policy.clone()), statement(&number.to_string()), None, FUNCTION) {
                Ok(longer) => policy = longer,
                Err(cause) => {
                    refused = Some(cause);
                    break;
                }
            }
        }
        assert_eq!(refused.unwrap().kind.code, "PolicyLengthExceededException");
        let one_more = statement("0").document().len() + 10;
        assert!((POLICY_BYTES - one_more..=POLICY_BYTES).contains(&policy.document().len()));
    }
}
