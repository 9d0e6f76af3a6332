//! Asynchronous invokes: keeping them, and running them on the dispatcher.

use std::sync::Arc;

use hearth_api::ApiError;
use hearth_api::error::modelled;
use hearth_events::{Attempt, Events, Functions};
use hearth_frontend::InvokeResponse;
use hearth_remote::Dispatcher;
use hearth_store::BoxFuture;
use hearth_types::invoke::EventInvoke;

/// Keeps an event before it is acknowledged.
pub(crate) async fn keep(events: &Events, event: &EventInvoke) -> Result<(), ApiError> {
    events.accept(event.clone()).await.map_err(|cause| {
        tracing::error!("{}: {cause}", event.function);
        ApiError::service("The event was not taken. The server's log says why.")
    })
}

/// The functions of this server.
pub(crate) struct OfDispatcher(pub(crate) Arc<Dispatcher>);

impl Functions for OfDispatcher {
    fn run(&self, event: EventInvoke) -> BoxFuture<'_, Attempt> {
        Box::pin(async move {
            let known = self.0.functions().log_group(&event.function).is_some();
            match self.0.run_event(event).await {
                Ok(InvokeResponse::Executed { payload, function_error, executed_version, trace_id, .. }) => {
                    Attempt::Ran { payload, function_error, version: executed_version, trace_id }
                }
                Ok(_) => Attempt::Failed("nothing ran".into()),
                Err(error) => attempt_of(&error, known),
            }
        })
    }
}

fn attempt_of(error: &ApiError, function_is_known: bool) -> Attempt {
    match error.kind.code {
        code if code == modelled::TOO_MANY_REQUESTS.code => Attempt::Throttled,
        code if code == modelled::RECURSIVE_INVOCATION.code => Attempt::Looped,
        code if code == modelled::RESOURCE_NOT_FOUND.code && function_is_known => Attempt::NoQualifier,
        code if code == modelled::RESOURCE_NOT_FOUND.code => Attempt::Gone,
        _ => Attempt::Failed(error.to_string()),
    }
}
