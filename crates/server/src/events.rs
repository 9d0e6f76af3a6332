//! Asynchronous invokes: keeping them, and running them on the dispatcher.

use std::sync::Arc;

use bytes::Bytes;
use hearth_access::Access;
use hearth_api::ApiError;
use hearth_api::error::modelled;
use hearth_events::{Attempt, Events, Functions, NewEvent, Run, Sender, Targets, Wish};
use hearth_frontend::{Dispatcher, EventInvoke, InvokeResponse};
use hearth_identity::Caller;
use hearth_identity::policy::{Document, Kind};
use hearth_s3::S3;
use hearth_store::BoxFuture;
use http::{Request, header};
use http_body_util::Full;
use uuid::Uuid;

/// Keeps an event before it is acknowledged.
pub(crate) async fn keep(events: &Events, event: &EventInvoke) -> Result<(), ApiError> {
    let EventInvoke { function, qualifier, request_id, payload, trace_id } = event.clone();
    let kept = events.accept(NewEvent { function, qualifier, request_id, payload, trace_id }).await;
    kept.map_err(|cause| {
        tracing::error!("{}: {cause}", event.function);
        ApiError::service("The event was not taken. The server's log says why.")
    })
}

/// The functions of this server.
pub(crate) struct OfDispatcher(pub(crate) Arc<Dispatcher>);

impl Functions for OfDispatcher {
    fn run(&self, run: Run) -> BoxFuture<'_, Attempt> {
        Box::pin(async move {
            let Run { function, qualifier, request_id, payload, trace_id } = run;
            let known = self.0.functions().log_group(&function).is_some();
            let event = EventInvoke { function, qualifier, request_id, payload, trace_id };
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

/// Whose records take what: the buckets of this server.
pub(crate) struct OwnTargets {
    pub(crate) access: Arc<Access>,
    pub(crate) s3: Arc<S3>,
}

impl OwnTargets {
    /// What the role may do, as if the function did it.
    async fn caller(&self, role: &str, function: &str) -> Result<Arc<Caller>, String> {
        let caller = self.access.of_function(role, function).await;
        caller.map(Arc::new).map_err(|cause| format!("the role cannot be assumed: {cause}"))
    }

    async fn put(&self, sender: Sender<'_>, bucket: &str, key: &str, body: Bytes) -> Result<(), String> {
        let caller = self.caller(sender.role, sender.function).await?;
        let request = Request::put(format!("/{bucket}/{key}"))
            .header(header::HOST, "s3")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_LENGTH, body.len())
            .body(Full::new(body))
            .map_err(|cause| cause.to_string())?;
        let response = self.s3.handle(&Uuid::new_v4().to_string(), caller, request).await;
        if response.status().is_success() { Ok(()) } else { Err(format!("PutObject answers {}", response.status())) }
    }
}

impl Targets for OwnTargets {
    fn put_object<'a>(
        &'a self,
        sender: Sender<'a>,
        bucket: &'a str,
        key: &'a str,
        body: Bytes,
    ) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(self.put(sender, bucket, key, body))
    }

    fn may<'a>(&'a self, sender: Sender<'a>, wish: Wish<'a>) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let caller = self.caller(sender.role, sender.function).await?;
            let policy = wish.policy.and_then(|text| Document::parse(text, Kind::Resource).ok());
            caller.may(wish.action, wish.arn, policy.as_ref(), &[]).map_err(|denied| denied.to_string())
        })
    }
}
