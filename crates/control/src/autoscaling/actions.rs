//! Scheduled actions: PutScheduledAction, DescribeScheduledActions, DeleteScheduledAction.

use hearth_api::application_autoscaling::types as api;
use hearth_api::application_autoscaling::{Operation, errors};
use hearth_api::{ApiError, Timestamp};
use hearth_cron::{Expression, Zone};
use hearth_identity::Caller;
use hearth_store::typed::Loaded;
use hearth_store::{Precondition, Write};
use hearth_types::keys;
use hearth_types::limits::SCHEDULED_ACTIONS;

use super::records::{ActionRecord, Bounds};
use super::targets::{capacity, crossed, new_id, shown};
use super::{invalid, is_ours, page};
use crate::Control;
use crate::records::put;

impl Control {
    /// PutScheduledAction: makes one, or changes what is given of it; a Schedule has its times count from now on.
    ///
    /// # Errors
    /// ObjectNotFoundException, ValidationException, LimitExceededException.
    pub async fn put_scheduled_action(
        &self,
        caller: &Caller,
        input: api::PutScheduledActionRequest,
    ) -> Result<api::PutScheduledActionResponse, ApiError> {
        self.may_scale(caller, Operation::PutScheduledAction)?;
        is_ours(input.service_namespace, Some(input.scalable_dimension))?;
        if input.schedule.as_deref().is_some_and(|schedule| Expression::of_schedule(schedule).is_none()) {
            return Err(invalid("Schedule must be an at expression, a rate expression or a cron expression"));
        }
        if input.timezone.as_deref().is_some_and(|zone| Zone::named(zone).is_none()) {
            return Err(invalid("Timezone must be the name of a time zone"));
        }
        let (min, max) = match &input.scalable_target_action {
            Some(action) => (capacity(action.min_capacity)?, capacity(action.max_capacity)?),
            None => (None, None),
        };
        let (input, id) = (&input, &new_id());
        let key = &keys::scheduled_action(&input.resource_id, &input.scheduled_action_name);
        self.records
            .until_written(|| async move {
                let target = self.scalable_target(&input.resource_id).await?;
                let found = self.records.read::<ActionRecord>(key).await?;
                let action = match found.as_ref() {
                    Some(before) => self.changed_action(&before.record, input, (min, max)),
                    None => {
                        self.may_have_more_actions().await?;
                        self.new_action(input, (min, max), id)?
                    }
                };
                checked(&action)?;
                let unchanged = found.as_ref().map_or(Precondition::Absent, Loaded::unchanged);
                let writes = vec![
                    put(key.clone(), &action, unchanged)?,
                    Write::check(keys::scalable_target(&input.resource_id), target.unchanged()),
                ];
                Ok(self.records.commit(writes).await?.then_some(()))
            })
            .await?;
        self.scaling_changed();
        Ok(api::PutScheduledActionResponse {})
    }

    fn new_action(
        &self,
        input: &api::PutScheduledActionRequest,
        (min, max): (Option<u32>, Option<u32>),
        id: &str,
    ) -> Result<ActionRecord, ApiError> {
        let schedule =
            input.schedule.clone().ok_or_else(|| invalid("Schedule is required for a new scheduled action"))?;
        let now_ms = self.now_ms();
        let from_ms = input.start_time.map(|time| time.0);
        Ok(ActionRecord {
            resource: input.resource_id.clone(),
            name: input.scheduled_action_name.clone(),
            id: id.to_owned(),
            schedule,
            zone: input.timezone.clone(),
            from_ms,
            until_ms: input.end_time.map(|time| time.0),
            min,
            max,
            start_ms: from_ms.map_or(now_ms, |from| from.max(now_ms)),
            seen_ms: from_ms.map_or(now_ms, |from| (from - 1).max(now_ms)),
            created_ms: now_ms,
        })
    }

    fn changed_action(
        &self,
        before: &ActionRecord,
        input: &api::PutScheduledActionRequest,
        (min, max): (Option<u32>, Option<u32>),
    ) -> ActionRecord {
        let now_ms = self.now_ms();
        let from_ms = input.start_time.map(|time| time.0).or(before.from_ms);
        let bounds = if input.scalable_target_action.is_some() { (min, max) } else { (before.min, before.max) };
        ActionRecord {
            schedule: input.schedule.clone().unwrap_or_else(|| before.schedule.clone()),
            zone: input.timezone.clone().or_else(|| before.zone.clone()),
            from_ms,
            until_ms: input.end_time.map(|time| time.0).or(before.until_ms),
            min: bounds.0,
            max: bounds.1,
            start_ms: from_ms.map_or(now_ms, |from| from.max(now_ms)),
            seen_ms: from_ms.map_or(now_ms, |from| (from - 1).max(now_ms)),
            ..before.clone()
        }
    }

    /// DescribeScheduledActions, by resource and name.
    ///
    /// # Errors
    /// InvalidNextTokenException, ValidationException.
    pub async fn describe_scheduled_actions(
        &self,
        caller: &Caller,
        input: api::DescribeScheduledActionsRequest,
    ) -> Result<api::DescribeScheduledActionsResponse, ApiError> {
        self.may_scale(caller, Operation::DescribeScheduledActions)?;
        is_ours(input.service_namespace, input.scalable_dimension)?;
        let page = page("scheduled actions", input.next_token.as_deref(), input.max_results)?;
        let names = input.scheduled_action_names.unwrap_or_default();
        let kept = |action: &ActionRecord| {
            (names.is_empty() || names.contains(&action.name))
                && input.resource_id.as_ref().is_none_or(|resource| *resource == action.resource)
        };
        let after = page.after.as_ref().map(|rest| format!("{}{rest}", keys::SCHEDULED_ACTIONS));
        let found = self.records.read_matching(keys::SCHEDULED_ACTIONS, after.as_deref(), page.read(), kept).await?;
        let mut found: Vec<(String, Loaded<ActionRecord>)> = found;
        let next_token = page.cut(&mut found, |(rest, _)| rest);
        let shown = found.into_iter().map(|(_, action)| self.action_shown(action.record)).collect();
        Ok(api::DescribeScheduledActionsResponse { scheduled_actions: Some(shown), next_token })
    }

    /// DeleteScheduledAction.
    ///
    /// # Errors
    /// ObjectNotFoundException.
    pub async fn delete_scheduled_action(
        &self,
        caller: &Caller,
        input: api::DeleteScheduledActionRequest,
    ) -> Result<api::DeleteScheduledActionResponse, ApiError> {
        self.may_scale(caller, Operation::DeleteScheduledAction)?;
        is_ours(input.service_namespace, Some(input.scalable_dimension))?;
        let (resource, name) = (input.resource_id.as_str(), input.scheduled_action_name.as_str());
        self.records
            .until_written(|| async move {
                let key = keys::scheduled_action(resource, name);
                let found = self.records.read::<ActionRecord>(&key).await?.ok_or_else(|| no_action(resource, name))?;
                Ok(self.records.commit(vec![Write::delete(key, found.unchanged())]).await?.then_some(()))
            })
            .await?;
        self.scaling_changed();
        Ok(api::DeleteScheduledActionResponse {})
    }

    async fn may_have_more_actions(&self) -> Result<(), ApiError> {
        let there = self.records.keys(keys::SCHEDULED_ACTIONS, None, SCHEDULED_ACTIONS).await?.len();
        if there < SCHEDULED_ACTIONS {
            return Ok(());
        }
        let text = format!("There are {SCHEDULED_ACTIONS} scheduled actions, which is as many as there may be.");
        Err(ApiError::new(&errors::LIMIT_EXCEEDED, text))
    }

    fn action_shown(&self, action: ActionRecord) -> api::ScheduledAction {
        let place = &self.parts.place;
        let arn = format!(
            "arn:aws:autoscaling:{}:{}:scheduledAction:{}:resource/lambda/{}:scheduledActionName/{}",
            place.region, place.account, action.id, action.resource, action.name
        );
        api::ScheduledAction {
            scheduled_action_name: action.name,
            scheduled_action_arn: arn,
            service_namespace: api::ServiceNamespace::Lambda,
            schedule: action.schedule,
            timezone: action.zone,
            resource_id: action.resource,
            scalable_dimension: Some(api::ScalableDimension::LambdaFunctionProvisionedConcurrency),
            start_time: action.from_ms.map(Timestamp),
            end_time: action.until_ms.map(Timestamp),
            scalable_target_action: Some(api::ScalableTargetAction {
                min_capacity: action.min.map(shown),
                max_capacity: action.max.map(shown),
            }),
            creation_time: Timestamp(action.created_ms),
        }
    }
}

/// What must be so of an action as a whole.
fn checked(action: &ActionRecord) -> Result<(), ApiError> {
    if action.min.is_none() && action.max.is_none() {
        return Err(invalid("ScalableTargetAction must have a MinCapacity or a MaxCapacity"));
    }
    if (action.min, action.max) != (None, None) {
        let widest = Bounds { min: 0, max: u32::MAX };
        widest.moved(action.min, action.max).ok_or_else(crossed)?;
    }
    match (action.from_ms, action.until_ms) {
        (Some(from), Some(until)) if until <= from => Err(invalid("EndTime must be after StartTime")),
        _ => Ok(()),
    }
}

fn no_action(resource: &str, name: &str) -> ApiError {
    ApiError::new(
        &errors::OBJECT_NOT_FOUND,
        format!(
            "No scheduled action found for service namespace: lambda, resource ID: {resource}, scalable dimension: \
             lambda:function:ProvisionedConcurrency, scheduled action name: {name}"
        ),
    )
}
