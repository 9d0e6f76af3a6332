//! The Invoke operation.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hearth_api::ApiError;
use hearth_scheduler::Throttle;
use hearth_types::Place;
use hearth_worker::{Invocation, WorkerError};
use tracing::error;

use crate::dispatcher::{Dispatcher, Refused};
use crate::environments::Environments;
use crate::request::{Asked, InvokeRequest, TRACE_ID};
use crate::response::InvokeResponse;
use crate::snapshot::{EntryState, FunctionEntry, Ready};
use crate::trace::trace_id;

/// The event of an invoke without a payload.
const EMPTY_EVENT: Bytes = Bytes::from_static(b"{}");

impl<W: Environments> Dispatcher<W> {
    /// Runs a function and waits for its answer. A caller that drops the future does not stop the invoke.
    ///
    /// # Errors
    /// As the service model has them for Invoke: validation, a function that does not exist or is not ready, a payload
    /// that is too large or no JSON, throttles, and `ServiceException` where the platform failed.
    pub async fn invoke(&self, request: InvokeRequest<'_>) -> Result<InvokeResponse, ApiError> {
        let asked = request.read(self.functions(), self.place())?;
        let ready = self.ready(&asked)?;
        if asked.dry_run {
            return Ok(InvokeResponse::DryRun);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let trace_id = trace_id(request.header(&TRACE_ID), request.request_id, now.as_secs());
        let invoked_arn = if asked.qualifier.is_some() { &ready.qualified_arn } else { &ready.spec.function_arn };
        let executed_version = Arc::clone(&ready.spec.version);
        let invoked_arn = Arc::clone(invoked_arn);
        let outcome = self
            .run(ready, |reply| Invocation {
                request_id: request.request_id,
                payload: if request.payload.is_empty() { EMPTY_EVENT } else { request.payload },
                content_type: None,
                invoked_arn,
                client_context: asked.client_context,
                cognito_identity: None,
                trace_id: Arc::clone(&trace_id),
                tail: asked.tail,
                reply,
            })
            .await
            .map_err(|refused| self.refusal(refused, &asked.name))?;
        Ok(InvokeResponse::Executed {
            payload: outcome.payload,
            executed_version,
            function_error: outcome.function_error,
            log_tail: outcome.log_tail,
            trace_id,
        })
    }

    /// The generation that serves what was asked for.
    fn ready(&self, asked: &Asked<'_>) -> Result<Arc<Ready>, ApiError> {
        let qualifier = asked.qualifier.as_deref().unwrap_or("$LATEST");
        let entry = match &asked.entry {
            Some(entry) => Some(Arc::clone(entry)),
            None => self.functions().get(&asked.name).filter(|_| qualifier == "$LATEST"),
        };
        let entry = entry.ok_or_else(|| not_found(self.place(), &asked.name, qualifier))?;
        invocable(&entry).cloned()
    }

    /// The error that a client sees.
    fn refusal(&self, refused: Refused, name: &str) -> ApiError {
        match refused {
            Refused::Gone => not_found(self.place(), name, "$LATEST"),
            Refused::NotReady(error) => error,
            Refused::Overtaken => ApiError::conflict(format!("{name} is being deployed too often to be invoked.")),
            Refused::Draining => ApiError::service("The server is stopping."),
            Refused::Throttled(reason) => throttled(reason, name),
            Refused::Platform(WorkerError::Ended(_)) => {
                ApiError::service("The execution environment ended before the invoke was over.")
            }
            Refused::Platform(cause) => {
                error!("{name}: {cause}");
                ApiError::service("No execution environment could be made. The server's log says why.")
            }
            Refused::Lost => {
                error!("{name}: an invoke was dropped without an answer");
                ApiError::service("The invoke was lost inside the server.")
            }
        }
    }
}

/// The serving generation of a function, or why it cannot be invoked.
pub(crate) fn invocable(entry: &FunctionEntry) -> Result<&Arc<Ready>, ApiError> {
    let state = |state: &str| {
        format!(
            "The operation cannot be performed at this time. The function is currently in the following state: {state}"
        )
    };
    match &entry.state {
        EntryState::Ready(ready) => Ok(ready),
        EntryState::Pending => Err(ApiError::conflict(state("Pending"))),
        EntryState::Failed { text } if text.is_empty() => Err(ApiError::conflict(state("Failed"))),
        EntryState::Failed { text } => Err(ApiError::conflict(format!("{}. {text}", state("Failed")))),
    }
}

fn not_found(place: &Place, name: &str, qualifier: &str) -> ApiError {
    ApiError::not_found(format!("Function not found: {}:{qualifier}", place.arn(name)))
}

fn throttled(reason: Throttle, name: &str) -> ApiError {
    match reason {
        Throttle::ReservedConcurrency => {
            ApiError::too_many_requests("ReservedFunctionConcurrentInvocationLimitExceeded")
        }
        Throttle::AccountConcurrency | Throttle::Memory | Throttle::Environments => {
            ApiError::too_many_requests("ConcurrentInvocationLimitExceeded")
        }
        // Trying again would not help, so this is no throttle to the client.
        Throttle::NeverFits { needed_mb, budget_mb } => ApiError::invalid_parameter(format!(
            "{name} needs {needed_mb} MB of memory, but this server gives all functions together {budget_mb} MB: lower the \
             function's MemorySize or raise the server's --memory-budget."
        )),
    }
}
