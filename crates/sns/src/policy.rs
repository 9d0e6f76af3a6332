//! Who may: topics' policies, and AddPermission and RemovePermission, which write statements into them.

use hearth_api::ApiError;
use hearth_api::sns::{Operation, types as api};
use hearth_identity::Caller;
use hearth_identity::policy::{Document, Kind};
use hearth_types::Place;
use serde_json::{Value, json};

use crate::Sns;
use crate::errors::invalid;
use crate::record::Topic;

/// The policy of a topic that none was set for, as the service shows it.
pub(crate) fn default(place: &Place, arn: &str) -> Value {
    let actions = [
        "GetTopicAttributes",
        "SetTopicAttributes",
        "AddPermission",
        "RemovePermission",
        "DeleteTopic",
        "Subscribe",
        "ListSubscriptionsByTopic",
        "Publish",
    ];
    json!({
        "Version": "2008-10-17",
        "Id": "__default_policy_ID",
        "Statement": [{
            "Sid": "__default_statement_ID",
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": actions.map(|name| format!("SNS:{name}")),
            "Resource": arn,
            "Condition": {"StringEquals": {"AWS:SourceOwner": &*place.account}},
        }],
    })
}

impl Sns {
    /// Lets a caller on who may do this to that topic.
    pub(crate) fn allow(
        &self,
        caller: &Caller,
        operation: Operation,
        topic: Option<&Topic>,
        arn: &str,
    ) -> Result<(), ApiError> {
        let policy = topic.and_then(|topic| topic.attributes.get("Policy"));
        let policy = policy.and_then(|text| Document::parse(text, Kind::Resource).ok());
        caller
            .may(operation.iam_action(), arn, policy.as_ref(), &[])
            .map_err(|denied| ApiError::new(&hearth_api::sns::errors::AUTHORIZATION_ERROR, denied.to_string()))
    }

    /// The topic, where the caller may. Who may not does not learn whether it is there.
    pub(crate) async fn asked_for(
        &self,
        caller: &Caller,
        operation: Operation,
        arn: &str,
    ) -> Result<hearth_store::typed::Loaded<Topic>, ApiError> {
        if arn.splitn(6, ':').count() != 6 || !arn.starts_with("arn:") {
            return Err(invalid("TopicArn"));
        }
        match self.topic(arn).await {
            Ok(found) => self.allow(caller, operation, Some(&found.record), arn).map(|()| found),
            Err(gone) => self.allow(caller, operation, None, arn).and(Err(gone)),
        }
    }

    /// AddPermission.
    ///
    /// # Errors
    /// NotFound, InvalidParameter.
    pub async fn add_permission(&self, caller: &Caller, input: api::AddPermissionInput) -> Result<(), ApiError> {
        let arns: Vec<String> = input.aws_account_id.iter().map(|id| format!("arn:aws:iam::{id}:root")).collect();
        let actions: Vec<String> = input.action_name.iter().map(|name| format!("SNS:{name}")).collect();
        let (label, arn) = (&input.label, &input.topic_arn);
        self.change_policy(caller, Operation::AddPermission, arn, |statements| {
            if statements.iter().any(|statement| statement["Sid"] == **label) {
                return Err(invalid("Statement already exists"));
            }
            statements.push(json!({
                "Sid": label, "Effect": "Allow", "Principal": {"AWS": arns}, "Action": actions, "Resource": arn,
            }));
            Ok(())
        })
        .await
    }

    /// RemovePermission.
    ///
    /// # Errors
    /// NotFound, InvalidParameter.
    pub async fn remove_permission(&self, caller: &Caller, input: api::RemovePermissionInput) -> Result<(), ApiError> {
        self.change_policy(caller, Operation::RemovePermission, &input.topic_arn, |statements| {
            statements.retain(|statement| statement["Sid"] != *input.label);
            Ok(())
        })
        .await
    }

    async fn change_policy(
        &self,
        caller: &Caller,
        operation: Operation,
        arn: &str,
        change: impl Fn(&mut Vec<Value>) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        self.change_topic(caller, operation, arn, |topic| {
            let text = topic.attributes.get("Policy");
            let policy = text.and_then(|text| serde_json::from_str(text).ok());
            let mut policy = policy.unwrap_or_else(|| default(&self.parts.place, arn));
            let mut statements = match policy["Statement"].take() {
                Value::Array(statements) => statements,
                one => vec![one],
            };
            change(&mut statements)?;
            policy["Statement"] = statements.into();
            let text = policy.to_string();
            Document::parse(&text, Kind::Resource).map_err(|cause| invalid(format!("Policy: {cause}")))?;
            topic.attributes.insert("Policy".into(), text);
            Ok(())
        })
        .await
    }
}
