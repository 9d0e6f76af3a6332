//! Log groups and how long they keep lines.

use std::collections::HashSet;

use hearth_api::ApiError;
use hearth_api::logs::Operation;
use hearth_api::logs::types::{
    CreateLogGroupRequest, DeleteLogGroupRequest, DeleteRetentionPolicyRequest, DescribeLogGroupsRequest,
    DescribeLogGroupsResponse, LogGroup, LogGroupClass, PutRetentionPolicyRequest,
};
use hearth_identity::Caller;

use super::{CloudWatchLogs, invalid, page};
use crate::store::GroupInfo;

/// Days that a group can keep lines (CloudWatch).
const RETENTIONS: [i32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

impl CloudWatchLogs {
    /// Makes a group.
    ///
    /// # Errors
    /// Where there is one; members that would have no effect.
    pub async fn create_log_group(&self, caller: &Caller, input: CreateLogGroupRequest) -> Result<(), ApiError> {
        self.allow(caller, Operation::CreateLogGroup, &input.log_group_name)?;
        refuse_unsupported(&input)?;
        let name = input.log_group_name;
        let tags = input.tags.unwrap_or_default().into_iter().collect();
        self.flushed(move |store| store.create_group(&name, tags)).await
    }

    /// Groups by name.
    ///
    /// # Errors
    /// Members that exclude each other; a token that is none of this list's.
    pub async fn describe_log_groups(
        &self,
        caller: &Caller,
        input: DescribeLogGroupsRequest,
    ) -> Result<DescribeLogGroupsResponse, ApiError> {
        self.allow(caller, Operation::DescribeLogGroups, "")?;
        let is_wanted = self.wanted(&input)?;
        let page = page("log-groups", input.next_token.as_deref(), input.limit)?;
        let (after, most) = (page.after.clone(), page.read());
        let mut found = self.flushed(move |store| Ok(store.groups(after.as_deref(), most, is_wanted))).await?;
        let next_token = page.cut(&mut found, |group| &group.name);
        let log_groups = Some(found.iter().map(|group| self.shown(group)).collect());
        Ok(DescribeLogGroupsResponse { log_groups, next_token })
    }

    /// Which names the members of a request are about.
    fn wanted(&self, input: &DescribeLogGroupsRequest) -> Result<impl Fn(&str) -> bool + Send + 'static, ApiError> {
        let others = |accounts: &Vec<String>| accounts.iter().any(|account| **account != *self.place.account);
        if input.include_linked_accounts == Some(true) || input.account_identifiers.as_ref().is_some_and(others) {
            return Err(ApiError::unsupported_member(Operation::DescribeLogGroups, "accounts beside its own"));
        }
        let prefix = input.log_group_name_prefix.clone();
        let part = input.log_group_name_pattern.clone().filter(|part| !part.is_empty()).map(|part| part.to_lowercase());
        if prefix.is_some() && part.is_some() {
            return Err(invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."));
        }
        let identifiers = input.log_group_identifiers.iter().flatten();
        let names: HashSet<String> = identifiers.map(|one| self.group_of(one)).collect::<Result<_, _>>()?;
        if !names.is_empty() && (prefix.is_some() || part.is_some()) {
            return Err(invalid("LogGroup identifiers exclude a LogGroup name prefix and a LogGroup name pattern."));
        }
        let has_class = input.log_group_class.as_ref().is_none_or(|class| *class == LogGroupClass::Standard);
        Ok(move |name: &str| {
            has_class
                && prefix.as_deref().is_none_or(|prefix| name.starts_with(prefix))
                && part.as_deref().is_none_or(|part| name.to_lowercase().contains(part))
                && (names.is_empty() || names.contains(name))
        })
    }

    fn shown(&self, group: &GroupInfo) -> LogGroup {
        let arn = self.group_arn(&group.name);
        LogGroup {
            log_group_name: Some(group.name.to_string()),
            creation_time: Some(group.created_ms),
            retention_in_days: group.retention_days.and_then(|days| i32::try_from(days).ok()),
            metric_filter_count: Some(0),
            arn: Some(format!("{arn}:*")),
            stored_bytes: i64::try_from(group.bytes).ok(),
            log_group_class: Some(LogGroupClass::Standard),
            log_group_arn: Some(arn),
            deletion_protection_enabled: Some(false),
            ..LogGroup::default()
        }
    }

    /// Deletes a group with all its lines.
    ///
    /// # Errors
    /// Where there is none.
    pub async fn delete_log_group(&self, caller: &Caller, input: DeleteLogGroupRequest) -> Result<(), ApiError> {
        self.allow(caller, Operation::DeleteLogGroup, &input.log_group_name)?;
        // What is still on its way must not make it anew.
        self.flushed(move |store| store.delete_group(&input.log_group_name)).await
    }

    /// Keeps a group's lines for so many days; older ones are gone at once.
    ///
    /// # Errors
    /// Where there is no such group; a number of days that the service does not have.
    pub async fn put_retention_policy(
        &self,
        caller: &Caller,
        input: PutRetentionPolicyRequest,
    ) -> Result<(), ApiError> {
        self.allow(caller, Operation::PutRetentionPolicy, &input.log_group_name)?;
        let days = input.retention_in_days;
        let Some(kept) = u32::try_from(days).ok().filter(|_| RETENTIONS.contains(&days)) else {
            return Err(invalid(format!(
                "1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: Member \
                 must satisfy enum value set: {RETENTIONS:?}"
            )));
        };
        self.flushed(move |store| store.set_retention(&input.log_group_name, Some(kept))).await
    }

    /// Keeps a group's lines for ever.
    ///
    /// # Errors
    /// Where there is no such group.
    pub async fn delete_retention_policy(
        &self,
        caller: &Caller,
        input: DeleteRetentionPolicyRequest,
    ) -> Result<(), ApiError> {
        self.allow(caller, Operation::DeleteRetentionPolicy, &input.log_group_name)?;
        self.flushed(move |store| store.set_retention(&input.log_group_name, None)).await
    }
}

fn refuse_unsupported(input: &CreateLogGroupRequest) -> Result<(), ApiError> {
    let unsupported = |member| Err(ApiError::unsupported_member(Operation::CreateLogGroup, member));
    if input.kms_key_id.is_some() {
        return unsupported("kmsKeyId");
    }
    if input.log_group_class.as_ref().is_some_and(|class| *class != LogGroupClass::Standard) {
        return unsupported("logGroupClass other than STANDARD");
    }
    if input.deletion_protection_enabled == Some(true) {
        return unsupported("deletionProtectionEnabled");
    }
    Ok(())
}
