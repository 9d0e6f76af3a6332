//! Rules: made, shown, switched, deleted.

use hearth_api::ApiError;
use hearth_api::events::Operation;
use hearth_api::events::types as api;
use hearth_cron::Expression;
use hearth_identity::Caller;
use hearth_pattern::Pattern;
use hearth_store::typed::{Loaded, as_found};
use hearth_store::{Precondition, Write};
use hearth_types::keys;
use hearth_types::limits::{RULE_PATTERN_CHARS, RULES as RULES_MAX};
use serde_json::Value;

use crate::bus::{self, DEFAULT};
use crate::errors::{invalid, no_pattern, too_many, unsupported};
use crate::rule::RuleRecord;
use crate::{Asked, Rules, allow, page};
use hearth_records::put;

impl Rules {
    /// PutRule: makes it, or changes it and leaves its targets and tags.
    ///
    /// # Errors
    /// InvalidEventPatternException, ValidationException, ResourceNotFoundException, LimitExceededException.
    pub async fn put_rule(
        &self,
        caller: &Caller,
        input: api::PutRuleRequest,
    ) -> Result<api::PutRuleResponse, ApiError> {
        let bus = self.bus_name(input.event_bus_name.as_deref())?;
        let arn = self.rule_arn(&bus, &input.name);
        allow(caller, Operation::PutRule, &arn, None)?;
        check(&input, &bus)?;
        let tags = bus::tags(input.tags.clone())?;
        let (name, input, tags) = (bus.as_str(), &input, &tags);
        self.records
            .until_written(|| async move {
                // The bus is written with its rule, so that no deletion comes between.
                let (record, bus) = self.bus(name).await?;
                let found = self.records.read::<RuleRecord>(&keys::rule(name, &input.name)).await?;
                if found.is_none() && self.names(name).await?.len() >= RULES_MAX {
                    return Err(too_many());
                }
                let rule = self.changed_rule(name, input, found.as_ref().map(|found| &found.record), tags);
                let writes = vec![
                    put(keys::rule(name, &input.name), &rule, as_found(found.as_ref()))?,
                    put(keys::event_bus(name), &record, as_found(bus.as_ref()))?,
                ];
                Ok(self.records.commit(writes).await?.then_some(()))
            })
            .await?;
        self.rules_changed(&bus);
        Ok(api::PutRuleResponse { rule_arn: Some(arn) })
    }

    fn changed_rule(
        &self,
        bus: &str,
        input: &api::PutRuleRequest,
        before: Option<&RuleRecord>,
        tags: &std::collections::BTreeMap<String, String>,
    ) -> RuleRecord {
        let schedule = input.schedule_expression.clone().filter(|text| !text.is_empty());
        let enabled = input.state.is_none_or(|state| state != api::RuleState::Disabled);
        let goes_on = |rule: &&RuleRecord| rule.schedule == schedule && rule.enabled && enabled;
        RuleRecord {
            bus: bus.to_owned(),
            name: input.name.clone(),
            pattern: input.event_pattern.clone().filter(|text| !text.is_empty()),
            enabled,
            description: input.description.clone(),
            role: input.role_arn.clone(),
            // Those of a rule that is there are changed by TagResource alone.
            tags: before.map_or_else(|| tags.clone(), |rule| rule.tags.clone()),
            targets: before.map(|rule| rule.targets.clone()).unwrap_or_default(),
            start_ms: before.filter(goes_on).map_or_else(|| self.now_ms(), |rule| rule.start_ms),
            schedule,
        }
    }

    /// DescribeRule.
    ///
    /// # Errors
    /// ResourceNotFoundException.
    pub async fn describe_rule(
        &self,
        caller: &Caller,
        input: api::DescribeRuleRequest,
    ) -> Result<api::DescribeRuleResponse, ApiError> {
        let (bus, rule) =
            self.asked_rule(caller, Operation::DescribeRule, input.event_bus_name.as_deref(), &input.name).await?;
        let rule = rule.record;
        Ok(api::DescribeRuleResponse {
            arn: Some(self.rule_arn(&bus, &rule.name)),
            state: Some(rule.state()),
            name: Some(rule.name),
            event_pattern: rule.pattern,
            schedule_expression: rule.schedule,
            description: rule.description,
            role_arn: rule.role,
            managed_by: None,
            event_bus_name: Some(bus),
            created_by: Some(self.parts.place.account.to_string()),
        })
    }

    /// ListRules.
    ///
    /// # Errors
    /// ResourceNotFoundException.
    pub async fn list_rules(
        &self,
        caller: &Caller,
        input: api::ListRulesRequest,
    ) -> Result<api::ListRulesResponse, ApiError> {
        let bus = self.bus_name(input.event_bus_name.as_deref())?;
        allow(caller, Operation::ListRules, &self.rule_arn(&bus, "*"), None)?;
        self.bus(&bus).await?;
        let page = page("rules", input.next_token.as_deref(), input.limit)?;
        let after = page.after.as_deref().map(|name| keys::rule(&bus, name));
        let prefix = keys::rule(&bus, input.name_prefix.as_deref().unwrap_or_default());
        let found = self.records.read_matching::<RuleRecord>(&prefix, after.as_deref(), page.read(), |_| true).await?;
        let mut rules: Vec<RuleRecord> = found.into_iter().map(|(_, found)| found.record).collect();
        let next_token = page.cut(&mut rules, |rule| &rule.name);
        let shown = |rule: RuleRecord| api::Rule {
            arn: Some(self.rule_arn(&bus, &rule.name)),
            state: Some(rule.state()),
            name: Some(rule.name),
            event_pattern: rule.pattern,
            description: rule.description,
            schedule_expression: rule.schedule,
            role_arn: rule.role,
            managed_by: None,
            event_bus_name: Some(rule.bus),
        };
        Ok(api::ListRulesResponse { rules: Some(rules.into_iter().map(shown).collect()), next_token })
    }

    /// EnableRule.
    ///
    /// # Errors
    /// ResourceNotFoundException.
    pub async fn enable_rule(&self, caller: &Caller, input: api::EnableRuleRequest) -> Result<(), ApiError> {
        self.switch(caller, Operation::EnableRule, input.event_bus_name.as_deref(), &input.name, true).await
    }

    /// DisableRule.
    ///
    /// # Errors
    /// ResourceNotFoundException.
    pub async fn disable_rule(&self, caller: &Caller, input: api::DisableRuleRequest) -> Result<(), ApiError> {
        self.switch(caller, Operation::DisableRule, input.event_bus_name.as_deref(), &input.name, false).await
    }

    async fn switch(
        &self,
        caller: &Caller,
        operation: Asked,
        bus: Option<&str>,
        name: &str,
        on: bool,
    ) -> Result<(), ApiError> {
        let (bus, _) = self.asked_rule(caller, operation, bus, name).await?;
        let now_ms = self.now_ms();
        self.change_rule(&bus, name, |rule| {
            if on && !rule.enabled {
                rule.start_ms = now_ms;
            }
            rule.enabled = on;
            Ok(())
        })
        .await
    }

    /// DeleteRule. One that is not there is no error.
    ///
    /// # Errors
    /// ValidationException where it has targets.
    pub async fn delete_rule(&self, caller: &Caller, input: api::DeleteRuleRequest) -> Result<(), ApiError> {
        let bus = self.bus_name(input.event_bus_name.as_deref())?;
        allow(caller, Operation::DeleteRule, &self.rule_arn(&bus, &input.name), None)?;
        self.bus(&bus).await?;
        let (bus, name) = (bus.as_str(), input.name.as_str());
        self.records
            .until_written(|| async move {
                let Some(found) = self.records.read::<RuleRecord>(&keys::rule(bus, name)).await? else {
                    return Ok(Some(()));
                };
                if !found.record.targets.is_empty() {
                    return Err(invalid("Rule can't be deleted since it has targets."));
                }
                let writes = vec![
                    Write::delete(keys::rule(bus, name), found.unchanged()),
                    Write::delete(keys::rule_time(bus, name), Precondition::Any),
                ];
                Ok(self.records.commit(writes).await?.then_some(()))
            })
            .await?;
        self.rules_changed(bus);
        Ok(())
    }

    /// TestEventPattern.
    ///
    /// # Errors
    /// InvalidEventPatternException, and ValidationException for what is no event.
    // With the operations of the others, which wait for the store.
    #[allow(clippy::unused_async)]
    pub async fn test_event_pattern(
        &self,
        caller: &Caller,
        input: api::TestEventPatternRequest,
    ) -> Result<api::TestEventPatternResponse, ApiError> {
        allow(caller, Operation::TestEventPattern, "*", None)?;
        let pattern = pattern(&input.event_pattern)?;
        let event: Value = serde_json::from_str(&input.event).unwrap_or_default();
        let missing = ["id", "account", "source", "time", "region", "resources", "detail-type"]
            .into_iter()
            .find(|name| event.get(name).is_none());
        if let Some(missing) = missing {
            return Err(invalid(format!("Parameter Event is not valid: it has no {missing}.")));
        }
        Ok(api::TestEventPatternResponse { result: Some(pattern.matches(&event)) })
    }

    /// The names of all rules of a bus.
    async fn names(&self, bus: &str) -> Result<Vec<String>, ApiError> {
        let found = self.records.read_matching::<RuleRecord>(&keys::rules_of(bus), None, RULES_MAX, |_| true).await?;
        Ok(found.into_iter().map(|(name, _)| name).collect())
    }

    /// The rule that a client named, and the name of its bus, where the caller may do this to it.
    pub(crate) async fn asked_rule(
        &self,
        caller: &Caller,
        operation: Asked,
        bus: Option<&str>,
        name: &str,
    ) -> Result<(String, Loaded<RuleRecord>), ApiError> {
        let bus = self.bus_name(bus)?;
        allow(caller, operation, &self.rule_arn(&bus, name), None)?;
        self.bus(&bus).await?;
        let rule = self.rule(&bus, name).await?;
        Ok((bus, rule))
    }

    /// Changes the record of a rule.
    pub(crate) async fn change_rule(
        &self,
        bus: &str,
        name: &str,
        change: impl Fn(&mut RuleRecord) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        let change = &change;
        self.records
            .until_written(|| async move {
                let found = self.rule(bus, name).await?;
                let mut rule = found.record.clone();
                change(&mut rule)?;
                let write = put(keys::rule(bus, name), &rule, found.unchanged())?;
                Ok(self.records.commit(vec![write]).await?.then_some(()))
            })
            .await?;
        self.rules_changed(bus);
        Ok(())
    }

    /// Events and times see what was written, before it is acknowledged.
    pub(crate) fn rules_changed(&self, bus: &str) {
        self.compiled.forget(bus);
        self.changed.notify_one();
    }
}

fn check(input: &api::PutRuleRequest, bus: &str) -> Result<(), ApiError> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let (schedule, pattern_text) = (given(&input.schedule_expression), given(&input.event_pattern));
    if schedule.is_none() && pattern_text.is_none() {
        return Err(invalid("Parameter(s) EventPattern or ScheduleExpression must be specified."));
    }
    if schedule.is_some() && bus != DEFAULT {
        return Err(invalid("ScheduleExpression is supported only on the default event bus."));
    }
    if schedule.is_some_and(|text| Expression::of_rule(&text).is_none()) {
        return Err(invalid("Parameter ScheduleExpression is not valid."));
    }
    if input.state == Some(api::RuleState::EnabledWithAllCloudtrailManagementEvents) {
        return Err(unsupported("CloudTrail, and so no rules on its events (State)"));
    }
    pattern_text.map_or(Ok(()), |text| pattern(&text).map(drop))
}

fn pattern(text: &str) -> Result<Pattern, ApiError> {
    if text.chars().count() > RULE_PATTERN_CHARS {
        return Err(no_pattern(&format!("The event pattern has more than {RULE_PATTERN_CHARS} characters")));
    }
    Pattern::parse(text).map_err(|reason| no_pattern(&reason.to_string()))
}
