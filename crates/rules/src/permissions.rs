//! Who besides the account may put events on a bus.

use hearth_api::ApiError;
use hearth_api::events::types as api;
use hearth_api::events::{Operation, errors};
use hearth_identity::Caller;
use hearth_identity::policy::{Document, Kind};
use hearth_types::limits::BUS_POLICY_BYTES;
use serde_json::{Value, json};

use crate::errors::invalid;
use crate::{Rules, allow};

impl Rules {
    /// PutPermission: a whole policy, or a statement of it.
    ///
    /// # Errors
    /// ResourceNotFoundException, PolicyLengthExceededException, ValidationException.
    pub async fn put_permission(&self, caller: &Caller, input: api::PutPermissionRequest) -> Result<(), ApiError> {
        let name = self.bus_name(input.event_bus_name.as_deref())?;
        let arn = self.bus_arn(&name);
        allow(caller, Operation::PutPermission, &arn, None)?;
        let statement = if input.policy.is_some() { None } else { Some(statement(&input, &arn)?) };
        self.change_bus(&name, |bus| {
            let policy = match (&input.policy, &statement) {
                (Some(whole), _) => whole.clone(),
                (None, Some(statement)) => with(bus.policy.as_deref(), statement),
                (None, None) => return Ok(()),
            };
            if policy.len() > BUS_POLICY_BYTES {
                let text = "The size of the policy exceeds the limit.";
                return Err(ApiError::new(&errors::POLICY_LENGTH_EXCEEDED, text));
            }
            Document::parse(&policy, Kind::Resource)
                .map_err(|cause| invalid(format!("The policy is not valid: {cause}")))?;
            bus.policy = Some(policy);
            Ok(())
        })
        .await
    }

    /// RemovePermission: a statement, or all.
    ///
    /// # Errors
    /// ResourceNotFoundException.
    pub async fn remove_permission(
        &self,
        caller: &Caller,
        input: api::RemovePermissionRequest,
    ) -> Result<(), ApiError> {
        let name = self.bus_name(input.event_bus_name.as_deref())?;
        allow(caller, Operation::RemovePermission, &self.bus_arn(&name), None)?;
        let all = input.remove_all_permissions.unwrap_or(false);
        let Some(id) = input.statement_id.or_else(|| all.then(String::new)) else {
            return Err(invalid("Parameter StatementId must be specified."));
        };
        self.change_bus(&name, |bus| {
            if all {
                bus.policy = None;
                return Ok(());
            }
            let not_found = |text: &str| ApiError::new(&errors::RESOURCE_NOT_FOUND, text);
            let policy = bus.policy.as_deref().ok_or_else(|| not_found("EventBus does not have a policy."))?;
            let mut statements = statements(policy);
            let before = statements.len();
            statements.retain(|statement| statement["Sid"] != id.as_str());
            if statements.len() == before {
                return Err(not_found("Statement with the provided id does not exist."));
            }
            bus.policy = (!statements.is_empty()).then(|| document(statements));
            Ok(())
        })
        .await
    }
}

fn statement(input: &api::PutPermissionRequest, arn: &str) -> Result<Value, ApiError> {
    let (Some(action), Some(principal), Some(id)) = (&input.action, &input.principal, &input.statement_id) else {
        return Err(invalid("Parameters Action, Principal and StatementId must be specified, or Policy alone."));
    };
    let principal = match principal.as_str() {
        "*" => json!("*"),
        account => json!({"AWS": format!("arn:aws:iam::{account}:root")}),
    };
    let mut statement =
        json!({"Sid": id, "Effect": "Allow", "Principal": principal, "Action": action, "Resource": arn});
    if let Some(condition) = &input.condition {
        statement["Condition"] = json!({ condition.r#type.as_str(): { condition.key.as_str(): condition.value } });
    }
    Ok(statement)
}

/// The policy with a statement more, or in the place of that of the same name.
fn with(policy: Option<&str>, statement: &Value) -> String {
    let mut all = policy.map(statements).unwrap_or_default();
    all.retain(|other| other["Sid"] != statement["Sid"]);
    all.push(statement.clone());
    document(all)
}

fn statements(policy: &str) -> Vec<Value> {
    let document: Value = serde_json::from_str(policy).unwrap_or_default();
    match &document["Statement"] {
        Value::Array(all) => all.clone(),
        Value::Null => vec![],
        one => vec![one.clone()],
    }
}

fn document(statements: Vec<Value>) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}
