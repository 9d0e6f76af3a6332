//! The targets of a rule.

use hearth_api::ApiError;
use hearth_api::events::Operation;
use hearth_api::events::types as api;
use hearth_identity::Caller;
use hearth_types::keys;
use hearth_types::limits::{RULE_TARGETS, RULES as RULES_MAX};

use crate::errors::{invalid, too_many};
use crate::rule::RuleRecord;
use crate::target::TargetRecord;
use crate::{Rules, allow, page};

impl Rules {
    /// PutTargets: adds targets, and replaces those of the same ids.
    ///
    /// # Errors
    /// ResourceNotFoundException, ValidationException, LimitExceededException.
    pub async fn put_targets(
        &self,
        caller: &Caller,
        input: api::PutTargetsRequest,
    ) -> Result<api::PutTargetsResponse, ApiError> {
        let bus = input.event_bus_name.as_deref();
        let (bus, _) = self.asked_rule(caller, Operation::PutTargets, bus, &input.rule).await?;
        let targets: Vec<TargetRecord> =
            input.targets.into_iter().map(TargetRecord::of).collect::<Result<_, ApiError>>()?;
        if let Some(own) = targets.iter().find(|target| target.arn == self.bus_arn(&bus)) {
            return Err(invalid(format!("Target {} leads to the bus of its rule.", own.id)));
        }
        self.change_rule(&bus, &input.rule, |rule| {
            for target in &targets {
                rule.targets.retain(|other| other.id != target.id);
                rule.targets.push(target.clone());
            }
            if rule.targets.len() > RULE_TARGETS { Err(too_many()) } else { Ok(()) }
        })
        .await?;
        Ok(api::PutTargetsResponse { failed_entry_count: Some(0), failed_entries: Some(vec![]) })
    }

    /// RemoveTargets. An id that is not there is no error.
    ///
    /// # Errors
    /// ResourceNotFoundException.
    pub async fn remove_targets(
        &self,
        caller: &Caller,
        input: api::RemoveTargetsRequest,
    ) -> Result<api::RemoveTargetsResponse, ApiError> {
        let bus = input.event_bus_name.as_deref();
        let (bus, _) = self.asked_rule(caller, Operation::RemoveTargets, bus, &input.rule).await?;
        self.change_rule(&bus, &input.rule, |rule| {
            rule.targets.retain(|target| !input.ids.contains(&target.id));
            Ok(())
        })
        .await?;
        Ok(api::RemoveTargetsResponse { failed_entry_count: Some(0), failed_entries: Some(vec![]) })
    }

    /// ListTargetsByRule.
    ///
    /// # Errors
    /// ResourceNotFoundException.
    pub async fn list_targets_by_rule(
        &self,
        caller: &Caller,
        input: api::ListTargetsByRuleRequest,
    ) -> Result<api::ListTargetsByRuleResponse, ApiError> {
        let bus = input.event_bus_name.as_deref();
        let (_, rule) = self.asked_rule(caller, Operation::ListTargetsByRule, bus, &input.rule).await?;
        let page = page("targets", input.next_token.as_deref(), input.limit)?;
        let mut targets = rule.record.targets;
        targets.sort_by(|one, other| one.id.cmp(&other.id));
        targets.retain(|target| page.after.as_ref().is_none_or(|after| target.id > *after));
        targets.truncate(page.read());
        let next_token = page.cut(&mut targets, |target| &target.id);
        let targets = targets.iter().map(TargetRecord::shown).collect();
        Ok(api::ListTargetsByRuleResponse { targets: Some(targets), next_token })
    }

    /// ListRuleNamesByTarget.
    ///
    /// # Errors
    /// ResourceNotFoundException.
    pub async fn list_rule_names_by_target(
        &self,
        caller: &Caller,
        input: api::ListRuleNamesByTargetRequest,
    ) -> Result<api::ListRuleNamesByTargetResponse, ApiError> {
        let bus = self.bus_name(input.event_bus_name.as_deref())?;
        allow(caller, Operation::ListRuleNamesByTarget, &self.rule_arn(&bus, "*"), None)?;
        self.bus(&bus).await?;
        let page = page("rules-by-target", input.next_token.as_deref(), input.limit)?;
        let after = page.after.as_deref().map(|name| keys::rule(&bus, name));
        let leads = |rule: &RuleRecord| rule.targets.iter().any(|target| target.arn == input.target_arn);
        let found = self
            .records
            .read_matching(&keys::rules_of(&bus), after.as_deref(), page.read().min(RULES_MAX), leads)
            .await?;
        let mut names: Vec<String> = found.into_iter().map(|(name, _)| name).collect();
        let next_token = page.cut(&mut names, |name| name);
        Ok(api::ListRuleNamesByTargetResponse { rule_names: Some(names), next_token })
    }
}
