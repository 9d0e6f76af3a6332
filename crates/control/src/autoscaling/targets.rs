//! Scalable targets: RegisterScalableTarget, DescribeScalableTargets, DeregisterScalableTarget.

use hearth_api::application_autoscaling::types as api;
use hearth_api::application_autoscaling::{Operation, errors};
use hearth_api::{ApiError, Timestamp};
use hearth_identity::Caller;
use hearth_store::typed::Loaded;
use hearth_store::{Precondition, Write};
use hearth_types::Target;
use hearth_types::keys;
use hearth_types::limits::SCALABLE_TARGETS;
use uuid::Uuid;

use super::records::{ActionRecord, Bounds, Suspended, TargetRecord};
use super::{invalid, is_ours, no_target, page, unsupported};
use crate::Control;
use crate::records::put;

impl Control {
    /// RegisterScalableTarget: makes a target, or changes what is given of it. What is provisioned stays as it is until
    /// an action is due.
    ///
    /// # Errors
    /// ValidationException, LimitExceededException; and for what is not supported, by name.
    pub async fn register_scalable_target(
        &self,
        caller: &Caller,
        input: api::RegisterScalableTargetRequest,
    ) -> Result<api::RegisterScalableTargetResponse, ApiError> {
        self.may_scale(caller, Operation::RegisterScalableTarget)?;
        is_ours(input.service_namespace, Some(input.scalable_dimension))?;
        if input.tags.as_ref().is_some_and(|tags| !tags.is_empty()) {
            return Err(unsupported("tags of scalable targets (Tags)"));
        }
        if input.role_arn.as_ref().is_some_and(|role| *role != self.scaling_role()) {
            return Err(unsupported("roles of scalable targets (RoleARN): Lambda's have the service's own"));
        }
        let scaled = self.scaled(&input.resource_id)?;
        self.provisionable(&scaled).await.map_err(|cause| invalid(cause.to_string()))?;
        let (min, max) = (capacity(input.min_capacity)?, capacity(input.max_capacity)?);
        let suspended = input.suspended_state.as_ref();
        let (key, resource, id) = (&keys::scalable_target(&input.resource_id), &input.resource_id, &new_id());
        let id = self
            .records
            .until_written(|| async move {
                let found = self.records.read::<TargetRecord>(key).await?;
                let target = match found.as_ref().map(|found| &found.record) {
                    Some(before) => TargetRecord {
                        bounds: before.bounds.moved(min, max).ok_or_else(crossed)?,
                        suspended: changed(before.suspended, suspended),
                        ..before.clone()
                    },
                    None => {
                        let (Some(min), Some(max)) = (min, max) else {
                            return Err(invalid(
                                "Both MinCapacity and MaxCapacity are required for a new scalable target",
                            ));
                        };
                        self.may_have_more_targets().await?;
                        TargetRecord {
                            resource: resource.clone(),
                            id: id.clone(),
                            bounds: Bounds { min, max }.moved(None, None).ok_or_else(crossed)?,
                            suspended: changed(Suspended::default(), suspended),
                            created_ms: self.now_ms(),
                        }
                    }
                };
                let unchanged = found.as_ref().map_or(Precondition::Absent, Loaded::unchanged);
                let written = self.records.commit(vec![put(key.clone(), &target, unchanged)?]).await?;
                Ok(written.then_some(target.id))
            })
            .await?;
        self.scaling_changed();
        Ok(api::RegisterScalableTargetResponse { scalable_target_arn: Some(self.scalable_target_arn(&id)) })
    }

    /// DescribeScalableTargets, by their resources.
    ///
    /// # Errors
    /// InvalidNextTokenException.
    pub async fn describe_scalable_targets(
        &self,
        caller: &Caller,
        input: api::DescribeScalableTargetsRequest,
    ) -> Result<api::DescribeScalableTargetsResponse, ApiError> {
        self.may_scale(caller, Operation::DescribeScalableTargets)?;
        is_ours(input.service_namespace, input.scalable_dimension)?;
        let page = page("scalable targets", input.next_token.as_deref(), input.max_results)?;
        let wanted = input.resource_ids.unwrap_or_default();
        let kept = |target: &TargetRecord| wanted.is_empty() || wanted.contains(&target.resource);
        let after = page.after.as_deref().map(keys::scalable_target);
        let found = self.records.read_matching(keys::SCALABLE_TARGETS, after.as_deref(), page.read(), kept).await?;
        let mut found: Vec<(String, Loaded<TargetRecord>)> = found;
        let next_token = page.cut(&mut found, |(resource, _)| resource);
        let shown = found.into_iter().map(|(_, target)| self.target_shown(target.record)).collect();
        Ok(api::DescribeScalableTargetsResponse { scalable_targets: Some(shown), next_token })
    }

    /// DeregisterScalableTarget: its actions go with it; what is provisioned stays.
    ///
    /// # Errors
    /// ObjectNotFoundException.
    pub async fn deregister_scalable_target(
        &self,
        caller: &Caller,
        input: api::DeregisterScalableTargetRequest,
    ) -> Result<api::DeregisterScalableTargetResponse, ApiError> {
        self.may_scale(caller, Operation::DeregisterScalableTarget)?;
        is_ours(input.service_namespace, Some(input.scalable_dimension))?;
        let resource = input.resource_id.as_str();
        self.records
            .until_written(|| async move {
                let target = self.scalable_target(resource).await?;
                let mut writes = vec![Write::delete(keys::scalable_target(resource), target.unchanged())];
                for key in self.records.keys(&keys::scheduled_actions_of(resource), None, usize::MAX).await? {
                    writes.push(Write::delete(key, Precondition::Any));
                }
                Ok(self.records.commit(writes).await?.then_some(()))
            })
            .await?;
        self.scaling_changed();
        Ok(api::DeregisterScalableTargetResponse {})
    }

    pub(super) async fn scalable_target(&self, resource: &str) -> Result<Loaded<TargetRecord>, ApiError> {
        self.records.read(&keys::scalable_target(resource)).await?.ok_or_else(|| no_target(resource))
    }

    /// The function's version or alias that `function:NAME:QUALIFIER` names.
    pub(super) fn scaled(&self, resource: &str) -> Result<Target, ApiError> {
        let named = resource.strip_prefix("function:").and_then(|rest| rest.split_once(':'));
        let (name, qualifier) =
            named.ok_or_else(|| invalid("Unsupported service namespace, resource type or scalable dimension"))?;
        self.resolve_published(name, qualifier).map_err(|cause| invalid(cause.to_string()))
    }

    /// How many an action may move: all of them together are looked at whenever one is due.
    pub(super) async fn all_actions(&self) -> Result<Vec<ActionRecord>, ApiError> {
        self.records.all(keys::SCHEDULED_ACTIONS, |_| true).await
    }

    async fn may_have_more_targets(&self) -> Result<(), ApiError> {
        let there = self.records.keys(keys::SCALABLE_TARGETS, None, SCALABLE_TARGETS).await?.len();
        if there < SCALABLE_TARGETS {
            return Ok(());
        }
        let text = format!("There are {SCALABLE_TARGETS} scalable targets, which is as many as there may be.");
        Err(ApiError::new(&errors::LIMIT_EXCEEDED, text))
    }

    fn scalable_target_arn(&self, id: &str) -> String {
        let place = &self.parts.place;
        format!("arn:aws:application-autoscaling:{}:{}:scalable-target/{id}", place.region, place.account)
    }

    /// The role that the service makes for itself.
    fn scaling_role(&self) -> String {
        format!(
            "arn:aws:iam::{}:role/aws-service-role/lambda.application-autoscaling.amazonaws.com/\
             AWSServiceRoleForApplicationAutoScaling_LambdaConcurrency",
            self.parts.place.account
        )
    }

    fn target_shown(&self, target: TargetRecord) -> api::ScalableTarget {
        api::ScalableTarget {
            service_namespace: api::ServiceNamespace::Lambda,
            scalable_dimension: api::ScalableDimension::LambdaFunctionProvisionedConcurrency,
            resource_id: target.resource,
            min_capacity: shown(target.bounds.min),
            max_capacity: shown(target.bounds.max),
            predicted_capacity: None,
            role_arn: self.scaling_role(),
            creation_time: Timestamp(target.created_ms),
            suspended_state: Some(api::SuspendedState {
                dynamic_scaling_in_suspended: Some(target.suspended.scaling_in),
                dynamic_scaling_out_suspended: Some(target.suspended.scaling_out),
                scheduled_scaling_suspended: Some(target.suspended.scheduled),
            }),
            scalable_target_arn: Some(self.scalable_target_arn(&target.id)),
        }
    }
}

pub(super) fn new_id() -> String {
    Uuid::new_v4().simple().to_string()
}

/// A capacity that a client gives.
pub(super) fn capacity(given: Option<i32>) -> Result<Option<u32>, ApiError> {
    let negative = |_| invalid("A capacity must not be negative");
    given.map(u32::try_from).transpose().map_err(negative)
}

/// It came from an `i32`.
pub(super) fn shown(capacity: u32) -> i32 {
    i32::try_from(capacity).unwrap_or(i32::MAX)
}

pub(super) fn crossed() -> ApiError {
    invalid("Maximum capacity cannot be less than minimum capacity")
}

fn changed(before: Suspended, given: Option<&api::SuspendedState>) -> Suspended {
    let Some(given) = given else { return before };
    Suspended {
        scaling_in: given.dynamic_scaling_in_suspended.unwrap_or(before.scaling_in),
        scaling_out: given.dynamic_scaling_out_suspended.unwrap_or(before.scaling_out),
        scheduled: given.scheduled_scaling_suspended.unwrap_or(before.scheduled),
    }
}
