//! Application Auto Scaling: which operation is answered by what.

use bytes::Bytes;
use hearth_api::ApiError;
use hearth_api::application_autoscaling::{Operation, ops};
use http::Response;

use super::{Asked, answer};
use crate::gateway::Gateway;

impl Gateway {
    pub(super) async fn autoscaling(&self, asked: Asked<'_, Operation>) -> Result<Response<Bytes>, ApiError> {
        let (control, caller) = (&self.control, asked.caller);
        answer! { json asked;
            RegisterScalableTarget(input) => control.register_scalable_target(caller, input),
            DescribeScalableTargets(input) => control.describe_scalable_targets(caller, input),
            DeregisterScalableTarget(input) => control.deregister_scalable_target(caller, input),

            PutScheduledAction(input) => control.put_scheduled_action(caller, input),
            DescribeScheduledActions(input) => control.describe_scheduled_actions(caller, input),
            DeleteScheduledAction(input) => control.delete_scheduled_action(caller, input),

            PutScalingPolicy(input) => control.put_scaling_policy(caller, input),
        }
    }
}
