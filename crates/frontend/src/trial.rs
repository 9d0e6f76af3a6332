//! A version with another memory, to see what that does: nothing but its trial can invoke it, nothing of it is stored, and
//! it ends with the trial.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hearth_api::ApiError;
use hearth_metrics::PHASES;
use hearth_scheduler::{Event, Generation, Origin};
use hearth_types::RequestId;
use hearth_types::invoke::VersionSpec;
use hearth_worker::Invocation;

use crate::dispatcher::Dispatcher;
use crate::environments::Environments;
use crate::invoke::now_s;
use crate::request::{Asked, Kind, unresolved};
use crate::snapshot::Ready;

/// Runs of a version with a memory of its own.
pub struct Trial<W: Environments> {
    dispatcher: Arc<Dispatcher<W>>,
    ready: Arc<Ready>,
    asked: Asked<'static>,
    invoked_arn: Arc<str>,
}

/// What a run came to.
#[derive(Clone, PartialEq, Debug)]
pub struct Tried {
    /// The function's answer, or its error.
    pub payload: Bytes,
    /// Whether it is an error.
    pub function_error: bool,
    /// Without init.
    pub duration: Duration,
    /// Of a cold start: what is billed of it.
    pub init: Option<Duration>,
}

impl<W: Environments> Dispatcher<W> {
    /// Begins a trial of what a function's name and qualifier stand for now, with this memory in MB.
    ///
    /// # Errors
    /// Those of Invoke for a function that is not there or not ready.
    pub fn try_with(
        self: &Arc<Self>,
        function: &str,
        qualifier: Option<&str>,
        memory_mb: u32,
    ) -> Result<Trial<W>, ApiError> {
        let target = self.place().resolve(function, qualifier).map_err(unresolved)?;
        let asked = Asked {
            name: target.name.into(),
            qualifier: target.qualifier.map(Into::into),
            entry: None,
            kind: Kind::Now,
            tail: false,
            client_context: None,
            tenant: None,
        };
        let (of, invoked_arn) = self.wanted(&asked)?;
        let generation = self.generations.next();
        let spec = VersionSpec { generation, memory_mb, ..VersionSpec::clone(&of.spec) };
        let ready = Arc::new(of.made_as(spec));
        self.turn(Event::Deploy { generation: Generation(generation), function: ready.key, memory_mb });
        Ok(Trial { dispatcher: Arc::clone(self), ready, asked, invoked_arn })
    }
}

impl<W: Environments> Trial<W> {
    /// Runs it once.
    ///
    /// # Errors
    /// Those of Invoke.
    pub async fn run(&self, request_id: RequestId, payload: Bytes) -> Result<Tried, ApiError> {
        let trace_id = self.ready.trace_id(None, request_id, now_s());
        let (traced, trace_id) = self.dispatcher.enter(&self.ready, &trace_id)?;
        let invocation = |reply| Invocation {
            request_id,
            payload,
            content_type: None,
            invoked_arn: Arc::clone(&self.invoked_arn),
            client_context: None,
            cognito_identity: None,
            trace_id,
            traced,
            arrived: Instant::now(),
            tail: false,
            metrics: None,
            reply,
        };
        let ran = self.dispatcher.run(Origin::Client, Arc::clone(&self.ready), invocation).await;
        let outcome = ran.map_err(|refused| self.dispatcher.refusal(refused, &self.asked))?;
        let billed = |(phase, took): (&str, Duration)| if phase == "sandbox" { Duration::ZERO } else { took };
        Ok(Tried {
            payload: outcome.payload,
            function_error: outcome.function_error,
            duration: outcome.duration,
            init: outcome.phases.map(|phases| PHASES.into_iter().zip(phases.in_order()).map(billed).sum()),
        })
    }
}

impl<W: Environments> Drop for Trial<W> {
    /// However it ends: its environment goes as soon as it is free.
    fn drop(&mut self) {
        self.dispatcher.turn(Event::Retire(self.ready.generation()));
    }
}
