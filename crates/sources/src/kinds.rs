//! Kinds of sources: which are polled, and by what.

use std::sync::Arc;

use hearth_types::mapping::Source;

use crate::Parts;
use crate::job::Job;
use crate::sqs;
use crate::stream::{self, Kind};

const NOT_POLLED: &str =
    "This version of Hearth does not poll event sources of this kind: the mapping is kept, and nothing is invoked";
const NO_KINESIS: &str =
    "Streams are polled at the upstream of their service: start the server with --upstream kinesis=URL";
const NO_DYNAMODB: &str =
    "Streams are polled at the upstream of their service: start the server with --upstream dynamodb=URL";

/// Why a source is not polled here; none where it is.
pub(crate) fn not_polled(source: &Source, parts: &Parts) -> Option<&'static str> {
    match source {
        Source::Sqs { .. } => None,
        Source::Kinesis { .. } => parts.kinesis.is_none().then_some(NO_KINESIS),
        Source::DynamoDb { .. } => parts.dynamodb.is_none().then_some(NO_DYNAMODB),
        Source::Kafka { .. } | Source::Mq { .. } => Some(NOT_POLLED),
    }
}

/// Whether a source is there, and may be polled for a function with this role that may take so many seconds.
///
/// # Errors
/// With what Lambda says to who makes a mapping.
pub(crate) async fn check(
    parts: &Parts,
    source: &Source,
    function: &str,
    role: &str,
    timeout_s: u32,
) -> Result<(), String> {
    match source {
        Source::Sqs { arn } => sqs::check(parts, arn, function, role, timeout_s).await,
        Source::Kinesis { .. } | Source::DynamoDb { .. } | Source::Kafka { .. } | Source::Mq { .. } => Ok(()),
    }
}

/// Polls a source until the job is to stop, and until nothing of it is in flight any more.
pub(crate) async fn poll(job: Arc<Job>) {
    let parts = Arc::clone(&job.parts);
    match (&job.mapping.source, &parts.kinesis, &parts.dynamodb) {
        (Source::Sqs { .. }, ..) => sqs::poll(job).await,
        (Source::Kinesis { .. }, Some(api), _) => stream::poll(job, Kind::Kinesis, api.clone()).await,
        (Source::DynamoDb { .. }, _, Some(api)) => stream::poll(job, Kind::DynamoDb, api.clone()).await,
        _ => job.stopped().await,
    }
}
