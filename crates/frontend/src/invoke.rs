//! The operations that run a function: Invoke and InvokeWithResponseStream.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hearth_api::ApiError;
use hearth_api::error::NOT_IMPLEMENTED;
use hearth_api::generated::lambda::errors::{SNAP_START, SNAP_START_NOT_READY, SNAP_START_TIMEOUT};
use hearth_scheduler::{Origin, Throttle};
use hearth_types::Qualifier;
use hearth_types::function::VersionId;
use hearth_worker::{Invocation, Reply, Traced, WorkerError};
use tracing::error;

use crate::alias::Alias;
use crate::dispatcher::{Dispatcher, Refused};
use crate::environments::Environments;
use crate::request::{Asked, InvokeRequest, Kind, TRACE_ID};
use crate::response::InvokeResponse;
use crate::snapshot::{EntryState, Ready, Unfit};
use crate::streamed::StreamedResponse;
use crate::tenants;
use crate::timing::{self, Timing};
use crate::trace::enter;

/// The event of an invoke; without a payload it is an empty object.
pub(crate) fn event_of(payload: Bytes) -> Bytes {
    if payload.is_empty() { Bytes::from_static(b"{}") } else { payload }
}

impl<W: Environments> Dispatcher<W> {
    /// Runs a function and waits for its answer. A caller that drops the future does not stop the invoke.
    ///
    /// # Errors
    /// As the service model has them for Invoke: validation, a function that does not exist or is not ready, a payload
    /// that is too large or no JSON, throttles, and `ServiceException` where the platform failed.
    pub async fn invoke(&self, request: InvokeRequest<'_>) -> Result<InvokeResponse, ApiError> {
        let since = timing::wanted(request.headers);
        let mut asked = request.read(self.functions(), self.place())?;
        let (ready, invoked_arn) = self.wanted(&asked)?;
        if asked.kind == Kind::DryRun {
            return Ok(InvokeResponse::DryRun);
        }
        let executed_version = Arc::clone(&ready.spec.version);
        let trace_id = ready.trace_id(request.header(&TRACE_ID), request.request_id, now_s());
        if asked.kind == Kind::Later {
            return Ok(InvokeResponse::Event(asked.event(request, trace_id)));
        }
        let (traced, trace_id) = self.enter(&ready, &trace_id)?;
        let invocation = invocation(request, &mut asked, invoked_arn, (traced, &trace_id));
        let outcome =
            self.run(Origin::Client, ready, invocation).await.map_err(|refused| self.refusal(refused, &asked))?;
        Ok(InvokeResponse::Executed {
            timing: since.map(|since| Timing::of(&outcome, since)),
            payload: outcome.payload,
            executed_version,
            function_error: outcome.function_error,
            log_tail: outcome.log_tail,
            trace_id,
        })
    }

    /// Runs a function until its answer begins, where it streams it; otherwise to its end. A caller that drops the
    /// future, or the parts of the answer, does not stop the invoke.
    ///
    /// # Errors
    /// As those of [`Dispatcher::invoke`].
    pub async fn invoke_streamed(&self, request: InvokeRequest<'_>) -> Result<StreamedResponse, ApiError> {
        let mut asked = request.read(self.functions(), self.place())?;
        let (ready, invoked_arn) = self.wanted(&asked)?;
        if asked.kind == Kind::DryRun {
            return Ok(StreamedResponse::DryRun);
        }
        let executed_version = Arc::clone(&ready.spec.version);
        let trace_id = ready.trace_id(request.header(&TRACE_ID), request.request_id, now_s());
        let (traced, trace_id) = self.enter(&ready, &trace_id)?;
        let invocation = invocation(request, &mut asked, invoked_arn, (traced, &trace_id));
        let answer = self.run_streamed(ready, invocation).await.map_err(|refused| self.refusal(refused, &asked))?;
        Ok(StreamedResponse::Executed { answer, executed_version, trace_id })
    }

    /// The trace in which the function runs, and what the function sees of it.
    ///
    /// # Errors
    /// Where the function is in a loop, and such are to be ended.
    pub(crate) fn enter(&self, ready: &Ready, trace_id: &str) -> Result<(Option<Traced>, Arc<str>), ApiError> {
        let trace_id = self.in_line(&ready.spec.function, trace_id)?;
        Ok(match enter(&trace_id) {
            Some((traced, trace_id)) => (Some(traced), trace_id),
            None => (None, trace_id),
        })
    }

    /// The generation that serves what was asked for, and the ARN as it was asked for.
    pub(crate) fn wanted(&self, asked: &Asked<'_>) -> Result<(Arc<Ready>, Arc<str>), ApiError> {
        let (ready, arn) = self.named(asked)?;
        tenants::fits(&ready, asked.tenant.as_deref())?;
        match &asked.tenant {
            Some(tenant) if asked.kind == Kind::Now => Ok((self.of_tenant(&ready, tenant)?, arn)),
            _ => Ok((ready, arn)),
        }
    }

    /// What serves the name and the qualifier that were asked for, whoever asks.
    fn named(&self, asked: &Asked<'_>) -> Result<(Arc<Ready>, Arc<str>), ApiError> {
        if let (Some(entry), None) = (&asked.entry, &asked.qualifier) {
            let ready = invocable(&entry.latest, &asked.name)?;
            return Ok((Arc::clone(ready), Arc::clone(&ready.spec.function_arn)));
        }
        let entry = self.functions().get(&asked.name).ok_or_else(|| self.not_found(asked))?;
        let (id, alias) = match asked.qualifier.as_deref().map(Qualifier::from) {
            None | Some(Qualifier::Latest) => (VersionId::Latest, None),
            Some(Qualifier::Version(number)) => (VersionId::Number(number), None),
            Some(Qualifier::Alias(name)) => {
                let alias = entry.aliases.get(&name).ok_or_else(|| self.not_found(asked))?;
                (alias.choose(chance(alias)?), Some(alias))
            }
        };
        let state = entry.version(id).ok_or_else(|| self.not_found(asked))?;
        let ready = invocable(state, &asked.name)?;
        let arn = match (alias, &asked.qualifier) {
            (Some(alias), _) => &alias.arn,
            (None, Some(_)) => &ready.qualified_arn,
            (None, None) => &ready.spec.function_arn,
        };
        Ok((Arc::clone(ready), Arc::clone(arn)))
    }

    fn not_found(&self, asked: &Asked<'_>) -> ApiError {
        let qualifier = asked.qualifier.as_deref().unwrap_or("$LATEST");
        ApiError::not_found(format!("Function not found: {}:{qualifier}", self.place().arn(&asked.name)))
    }

    /// The error that a client sees.
    pub(crate) fn refusal(&self, refused: Refused, asked: &Asked<'_>) -> ApiError {
        let name = &asked.name;
        match refused {
            Refused::Gone => self.not_found(asked),
            Refused::NotReady(error) => error,
            Refused::Overtaken => ApiError::conflict(format!("{name} is being deployed too often to be invoked.")),
            Refused::Draining => ApiError::service("The server is stopping."),
            Refused::Throttled(reason) => throttled(reason, name),
            Refused::Platform(WorkerError::Ended(_)) => {
                ApiError::service("The execution environment ended before the invoke was over.")
            }
            Refused::Platform(WorkerError::RestoreTimedOut) => ApiError::new(
                &SNAP_START_TIMEOUT,
                "The function did not restore within the timeout limit of 10 seconds.",
            ),
            Refused::Platform(WorkerError::NotRestored(cause)) => ApiError::new(&SNAP_START, cause),
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

/// Seconds since 1970.
pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn invocation(
    request: InvokeRequest<'_>,
    asked: &mut Asked<'_>,
    invoked_arn: Arc<str>,
    (traced, trace_id): (Option<Traced>, &Arc<str>),
) -> impl FnOnce(Reply) -> Invocation + use<> {
    let (tail, client_context, trace_id) = (asked.tail, asked.client_context.take(), Arc::clone(trace_id));
    let InvokeRequest { payload, request_id, .. } = request;
    let payload = event_of(payload);
    move |reply| Invocation {
        request_id,
        payload,
        content_type: None,
        invoked_arn,
        client_context,
        cognito_identity: None,
        trace_id,
        traced,
        arrived: Instant::now(),
        tail,
        metrics: None,
        reply,
    }
}

/// A random number where it decides.
fn chance(alias: &Alias) -> Result<u64, ApiError> {
    if !alias.is_split() {
        return Ok(0);
    }
    getrandom::u64().map_err(|cause| {
        error!("the machine gives no random bytes: {cause}");
        ApiError::service("The alias' weights could not be applied.")
    })
}

/// The serving generation of a version of this function, or why it cannot be invoked.
pub(crate) fn invocable<'a>(version: &'a EntryState, name: &str) -> Result<&'a Arc<Ready>, ApiError> {
    let state = |state: &str| {
        format!(
            "The operation cannot be performed at this time. The function is currently in the following state: {state}"
        )
    };
    match version {
        EntryState::Ready(ready) => Ok(ready),
        EntryState::Pending => Err(ApiError::conflict(state("Pending"))),
        EntryState::Optimizing(_) => Err(ApiError::new(
            &SNAP_START_NOT_READY,
            "Lambda is initializing your function. It will be ready to invoke once your function state becomes ACTIVE.",
        )),
        EntryState::Failed { text } if text.is_empty() => Err(ApiError::conflict(state("Failed"))),
        EntryState::Failed { text } => Err(ApiError::conflict(format!("{}. {text}", state("Failed")))),
        EntryState::Unfit(Unfit::Image) => Err(ApiError::new(
            &NOT_IMPLEMENTED,
            format!("{name} is a container image, and this version of Hearth runs functions of PackageType Zip only."),
        )),
        EntryState::Unfit(Unfit::Architecture { of_version, of_machine }) => Err(ApiError::invalid_parameter(format!(
            "{name} is built for the architecture {of_version}, but this machine is {of_machine}."
        ))),
    }
}

pub(crate) fn throttled(reason: Throttle, name: &str) -> ApiError {
    match reason {
        Throttle::ReservedConcurrency => {
            ApiError::too_many_requests("ReservedFunctionConcurrentInvocationLimitExceeded")
        }
        Throttle::AccountConcurrency | Throttle::ScalingRate | Throttle::Memory | Throttle::Environments => {
            ApiError::too_many_requests("ConcurrentInvocationLimitExceeded")
        }
        // No limit of the client's is reached: the service cannot, and may in a moment.
        Throttle::NoWorker => ApiError::service("No worker takes new environments at the moment. Try again."),
        Throttle::RequestRate => ApiError::too_many_requests("FunctionInvocationRateLimitExceeded"),
        Throttle::ReservedRequestRate => ApiError::too_many_requests("ReservedFunctionInvocationRateLimitExceeded"),
        // Trying again would not help, so this is no throttle to the client.
        Throttle::NeverFits { needed_mb, budget_mb } => ApiError::invalid_parameter(format!(
            "{name} needs {needed_mb} MB of memory, but this server gives all functions together {budget_mb} MB: lower the \
             function's MemorySize or raise the server's --memory-budget."
        )),
    }
}
