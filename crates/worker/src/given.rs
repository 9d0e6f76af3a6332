//! What a runtime answers, and what that means for the invoke.

use std::sync::MutexGuard;
use std::time::Instant;

use bytes::Bytes;
use hearth_types::invoke::FunctionFailure;

use crate::api::Outcome;
use crate::clock::Moment;
use crate::current::Current;
use crate::environment::{Aftermath, Environment, Inner, Refused};
use crate::error_cause::ErrorCause;
use crate::text::{self, AnswerTimes};

/// What the log says of an answer.
pub(crate) struct Answered {
    pub(crate) times: AnswerTimes,
    pub(crate) produced_bytes: u64,
    /// The type, where it is an error.
    pub(crate) error: Option<String>,
}

/// What a runtime answers.
pub(crate) struct Given {
    /// The whole of it; of an answer in parts the error that it ended with, if any.
    pub(crate) payload: Bytes,
    /// The type, where it is an error.
    pub(crate) error: Option<String>,
    /// What that came from, for the trace.
    pub(crate) cause: Option<ErrorCause>,
    /// When its first bytes came.
    pub(crate) since: Instant,
    /// How many bytes it was.
    pub(crate) produced: u64,
}

impl Given {
    /// An answer that was collected before anybody had some of it.
    pub(crate) fn whole(payload: Bytes, error: Option<String>, since: Instant) -> Self {
        let produced = payload.len() as u64;
        Self { payload, error, cause: None, since, produced }
    }

    /// One that the platform gives in the runtime's place.
    pub(crate) fn failure(failure: FunctionFailure, since: Instant) -> Self {
        Self::whole(text::payload(&failure).into(), Some(failure.error_type), since)
    }
}

/// Lambda's names of the states that an answer leads to.
pub(crate) const ANSWERING: &str = "RuntimeInvocationResponse";
pub(crate) const ANSWERING_ERROR: &str = "RuntimeInvocationErrorResponse";

impl Environment {
    /// The runtime's answer. `to` names what it wants to do.
    pub(crate) fn answer(&self, request_id: &str, to: &'static str, given: Given) -> Result<(), Refused> {
        let inner = self.lock();
        inner.may_answer(request_id, to)?;
        self.answered(inner, given);
        Ok(())
    }

    /// The invoke's answer is there, or the end of one in parts.
    pub(crate) fn answered(&self, mut inner: MutexGuard<'_, Inner>, given: Given) {
        let now = Moment::now();
        let Some(duration) = inner.life.answered(now.at) else { return };
        let phases = inner.cold_phases();
        let Given { payload, error, cause, since, produced } = given;
        let times = AnswerTimes { began: duration.saturating_sub(now.at - since), ended: duration };
        let queued = inner.current.as_ref().map(Current::queued).unwrap_or_default();
        let outcome = Outcome { payload, function_error: error.is_some(), log_tail: None, queued, phases, duration };
        let mut aftermath = Aftermath::default();
        if let Some(current) = &mut inner.current {
            current.cause = cause;
            current.answered = Some(Answered { times, produced_bytes: produced, error });
            if current.tail {
                current.outcome = Some(outcome);
            } else if let Some(reply) = current.reply.take() {
                aftermath.answered = true;
                aftermath.reply = Some((reply, Ok(outcome)));
            }
        }
        drop(inner);
        self.say(aftermath);
    }
}
