//! Application Auto Scaling of provisioned concurrency: scalable targets and scheduled actions. What is due moves a
//! target's bounds, and what is provisioned is brought within them, under the rules of
//! PutProvisionedConcurrencyConfig.

mod actions;
mod due;
mod records;
mod targets;

use std::sync::{Mutex, PoisonError};

use hearth_api::application_autoscaling::types as api;
use hearth_api::application_autoscaling::{Operation, errors};
use hearth_api::error::NOT_IMPLEMENTED;
use hearth_api::{ApiError, Page, ServiceOperation};
use hearth_clock::Busy;
use hearth_identity::Caller;
use hearth_types::limits::SCALING_PAGE;
use tokio::sync::Notify;

use crate::Control;

/// Tells the loop of scheduled actions that one was changed.
#[derive(Default)]
pub(crate) struct Changes {
    changed: Notify,
    /// Until the loop has seen it, a clock that is moved by hand stands still.
    unseen: Mutex<Option<Busy>>,
}

impl Control {
    /// An action or its target was changed: what is due may be another.
    fn scaling_changed(&self) {
        *self.scaling.unseen.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.parts.clock.busy());
        self.scaling.changed.notify_one();
    }

    /// Lets a caller on who may do this to a target.
    fn may_scale(&self, caller: &Caller, operation: impl ServiceOperation) -> Result<(), ApiError> {
        let place = &self.parts.place;
        let all = format!("arn:aws:application-autoscaling:{}:{}:scalable-target/*", place.region, place.account);
        caller
            .may(operation.iam_action(), &all, None, &[])
            .map_err(|denied| ApiError::access_denied(Some(denied.to_string())))
    }

    /// PutScalingPolicy: refused.
    ///
    /// # Errors
    /// Always: what is provisioned follows the time alone.
    pub async fn put_scaling_policy(
        &self,
        caller: &Caller,
        _input: api::PutScalingPolicyRequest,
    ) -> Result<api::PutScalingPolicyResponse, ApiError> {
        self.may_scale(caller, Operation::PutScalingPolicy)?;
        Err(unsupported("scaling policies (target tracking, step scaling); scheduled actions work"))
    }
}

/// That it is what can be scaled here: all else is refused by name.
fn is_ours(namespace: api::ServiceNamespace, dimension: Option<api::ScalableDimension>) -> Result<(), ApiError> {
    if namespace != api::ServiceNamespace::Lambda {
        return Err(unsupported(&format!("scaling of {}: it has that of lambda", namespace.as_str())));
    }
    match dimension {
        None | Some(api::ScalableDimension::LambdaFunctionProvisionedConcurrency) => Ok(()),
        Some(_) => Err(invalid("Unsupported service namespace, resource type or scalable dimension")),
    }
}

/// What is wanted of a page of a list, under the service's own error.
fn page(list: &'static str, token: Option<&str>, wanted: Option<i32>) -> Result<Page, ApiError> {
    Page::new(list, token, wanted, SCALING_PAGE)
        .map_err(|_| ApiError::new(&errors::INVALID_NEXT_TOKEN, "The next token is invalid."))
}

fn invalid(text: impl Into<String>) -> ApiError {
    ApiError::new(&errors::VALIDATION, text)
}

fn unsupported(what: &str) -> ApiError {
    ApiError::new(&NOT_IMPLEMENTED, format!("Hearth does not have {what}."))
}

/// Of a target that is not registered.
fn no_target(resource: &str) -> ApiError {
    ApiError::new(
        &errors::OBJECT_NOT_FOUND,
        format!(
            "No scalable target found for service namespace: lambda, resource ID: {resource}, scalable dimension: \
             lambda:function:ProvisionedConcurrency"
        ),
    )
}
