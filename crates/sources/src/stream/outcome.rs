//! What came of an invoke, for the lane that asked for it.

use std::collections::VecDeque;

use hearth_events::Attempt;
use hearth_types::RequestId;
use serde_json::Value;

use super::failure::Last;
use super::lane::{Outcome, Record};
use crate::answer::{Failed, failed};
use crate::job::Job;

/// Says it in LastProcessingResult too. `last`: what is told of the function if it was the last attempt. `answered`: what a
/// good answer means.
pub(crate) fn of(
    job: &Job,
    request: RequestId,
    attempt: &Attempt,
    last: &mut Option<Last>,
    answered: impl FnOnce(&[u8]) -> Outcome,
) -> Outcome {
    let outcome = match attempt {
        Attempt::Ran { payload, function_error, version, .. } => {
            *last = Some(Last { request, version: version.to_string(), is_function_error: *function_error });
            if *function_error { Outcome::Failure } else { answered(payload) }
        }
        Attempt::Looped => Outcome::Failure,
        Attempt::Throttled => return Outcome::NotReached,
        Attempt::Failed(cause) => {
            job.problem(cause);
            return Outcome::NotReached;
        }
        Attempt::Gone | Attempt::NoQualifier => {
            job.problem("Function not found");
            return Outcome::NotReached;
        }
    };
    match outcome {
        Outcome::Success(_) => job.tell(Some("OK")),
        _ => job.problem("Function call failed"),
    }
    outcome
}

/// What an answer names among the first records of a lane (ReportBatchItemFailures).
pub(crate) fn reported(records: &VecDeque<Record>, answer: &[u8], state: Value) -> Outcome {
    let place = |id: &str| records.iter().position(|record| &*record.sequence.0 == id);
    match failed(answer, |id| place(id).is_some()) {
        Failed::Nothing => Outcome::Success(state),
        Failed::Items(items) => {
            let first = items.iter().filter_map(|id| place(id)).min();
            first.map_or(Outcome::Failure, |first| Outcome::From(first, state))
        }
        Failed::Everything => Outcome::From(0, Value::Null),
    }
}
