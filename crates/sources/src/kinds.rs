//! Kinds of sources: which are polled, and by what.

use std::sync::Arc;

use hearth_types::mapping::Source;

use crate::job::Job;
use crate::sqs;

/// Whether sources of this kind are polled here.
pub(crate) fn is_polled(source: &Source) -> bool {
    match source {
        Source::Sqs { .. } => true,
        Source::Kinesis { .. } | Source::DynamoDb { .. } | Source::Kafka { .. } | Source::Mq { .. } => false,
    }
}

/// Polls a source until the job is to stop, and until nothing of it is in flight any more.
pub(crate) async fn poll(job: Arc<Job>) {
    match &job.mapping.source {
        Source::Sqs { .. } => sqs::poll(job).await,
        Source::Kinesis { .. } | Source::DynamoDb { .. } | Source::Kafka { .. } | Source::Mq { .. } => {
            job.stopped().await;
        }
    }
}
