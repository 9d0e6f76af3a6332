//! AddPermission and RemovePermission: statements of a queue's policy, by their labels.

use hearth_api::ApiError;
use hearth_api::sqs::types::QueueAttributeName as Name;
use hearth_api::sqs::{Operation, errors, types as api};
use hearth_identity::Caller;
use hearth_types::limits::SQS_PERMISSION_ACTIONS;
use serde_json::{Map, Value, json};

use crate::Sqs;
use crate::errors::{invalid_value, missing};
use crate::queue::QueueRecord;

/// What may be permitted in this way; all else is the owner's.
const ACTIONS: [&str; 7] = [
    "*",
    "SendMessage",
    "ReceiveMessage",
    "DeleteMessage",
    "ChangeMessageVisibility",
    "GetQueueAttributes",
    "GetQueueUrl",
];

impl Sqs {
    /// AddPermission.
    ///
    /// # Errors
    /// QueueDoesNotExist, OverLimit, InvalidParameterValue, MissingParameter.
    pub async fn add_permission(&self, caller: &Caller, input: api::AddPermissionRequest) -> Result<(), ApiError> {
        check(&input)?;
        self.change(caller, Operation::AddPermission, &input.queue_url, |queue| {
            let arn = self.arn(&queue.name);
            let (mut policy, mut statements) = policy_of(queue, &arn);
            if statements.iter().any(|statement| statement["Sid"] == input.label.as_str()) {
                return Err(invalid_value(&input.label, "Label", "Already exists."));
            }
            let principals: Vec<String> =
                input.aws_account_ids.iter().map(|account| format!("arn:aws:iam::{account}:root")).collect();
            let actions: Vec<String> = input.actions.iter().map(|action| format!("SQS:{action}")).collect();
            statements.push(json!({
                "Sid": input.label,
                "Effect": "Allow",
                "Principal": {"AWS": one_or_many(principals)},
                "Action": one_or_many(actions),
                "Resource": arn,
            }));
            policy.insert("Statement".to_owned(), Value::Array(statements));
            queue.attributes.insert(Name::Policy.as_str().to_owned(), Value::Object(policy).to_string());
            Ok(())
        })
        .await
        .map(drop)
    }

    /// RemovePermission.
    ///
    /// # Errors
    /// QueueDoesNotExist, InvalidParameterValue.
    pub async fn remove_permission(
        &self,
        caller: &Caller,
        input: api::RemovePermissionRequest,
    ) -> Result<(), ApiError> {
        self.change(caller, Operation::RemovePermission, &input.queue_url, |queue| {
            let (mut policy, mut statements) = policy_of(queue, &self.arn(&queue.name));
            let before = statements.len();
            statements.retain(|statement| statement["Sid"] != input.label.as_str());
            if statements.len() == before {
                return Err(invalid_value(&input.label, "Label", "can't find label on existing policy."));
            }
            let name = Name::Policy.as_str();
            if statements.is_empty() {
                queue.attributes.remove(name);
            } else {
                policy.insert("Statement".to_owned(), Value::Array(statements));
                queue.attributes.insert(name.to_owned(), Value::Object(policy).to_string());
            }
            Ok(())
        })
        .await
        .map(drop)
    }
}

fn check(input: &api::AddPermissionRequest) -> Result<(), ApiError> {
    let label = &input.label;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !(1..=80).contains(&label.len()) || !label.chars().all(allowed) {
        let reason = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length";
        return Err(invalid_value(label, "Label", reason));
    }
    if input.actions.is_empty() {
        return Err(missing("Actions"));
    }
    if input.aws_account_ids.is_empty() {
        return Err(missing("AWSAccountIds"));
    }
    if input.actions.len() > SQS_PERMISSION_ACTIONS {
        let text = format!("{} Actions were found, maximum allowed is {SQS_PERMISSION_ACTIONS}.", input.actions.len());
        return Err(ApiError::new(&errors::OVER_LIMIT, text));
    }
    if let Some(action) = input.actions.iter().find(|action| !ACTIONS.contains(&action.as_str())) {
        let reason = "Only the queue owner is allowed to invoke this action.";
        return Err(invalid_value(format!("SQS:{action}"), "ActionName", reason));
    }
    let is_account = |account: &str| account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    match input.aws_account_ids.iter().find(|account| !is_account(account)) {
        None => Ok(()),
        Some(account) => Err(invalid_value(format!("[{account}]"), "PrincipalId", "Unable to verify.")),
    }
}

/// The policy that a queue has, or one without statements; and its statements.
fn policy_of(queue: &QueueRecord, arn: &str) -> (Map<String, Value>, Vec<Value>) {
    let new = || {
        let id = Value::String(format!("{arn}/SQSDefaultPolicy"));
        Map::from_iter([("Version".to_owned(), Value::String("2008-10-17".to_owned())), ("Id".to_owned(), id)])
    };
    let mut policy = queue.policy().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_else(new);
    let statements = match policy.remove("Statement") {
        Some(Value::Array(statements)) => statements,
        // A single one may stand by itself.
        one => one.into_iter().collect(),
    };
    (policy, statements)
}

fn one_or_many(mut texts: Vec<String>) -> Value {
    if texts.len() == 1 { Value::String(texts.remove(0)) } else { json!(texts) }
}
