//! Kinds of sources: which are polled, and by what.

use std::sync::Arc;

use hearth_types::mapping::{Mapping, Source};

use crate::Parts;
use crate::broker::Protocol;
use crate::job::Job;
#[cfg(feature = "kafka")]
use crate::kafka;
use crate::mq;
use crate::sqs;
use crate::stream::{self, Kind};

const NO_KINESIS: &str =
    "Streams are polled at the upstream of their service: start the server with --upstream kinesis=URL";
const NO_DYNAMODB: &str =
    "Streams are polled at the upstream of their service: start the server with --upstream dynamodb=URL";

const NO_MQ: &str = "RabbitMQ is not in this build of Hearth: build it with --features mq";
const NO_BROKER: &str = "Brokers are polled where the server knows them: start it with --broker NAME=amqp://HOST:PORT, or stomp:// for ActiveMQ, for the ARN's name";
const NO_SECRETS: &str = "BASIC_AUTH is read from Secrets Manager: start the server with --upstream secretsmanager=URL";

const NO_KAFKA: &str = "Kafka is not in this build of Hearth: build it with --features kafka";
const NO_KAFKA_ACCESS: &str = "Kafka's brokers are reached without authentication and encryption: these SourceAccessConfigurations are not supported";

/// Why a mapping's source is not polled here; none where it is.
pub(crate) fn not_polled(mapping: &Mapping, parts: &Parts) -> Option<&'static str> {
    match &mapping.source {
        Source::Sqs { .. } => None,
        Source::Kinesis { .. } => parts.kinesis.is_none().then_some(NO_KINESIS),
        Source::DynamoDb { .. } => parts.dynamodb.is_none().then_some(NO_DYNAMODB),
        Source::Kafka { .. } if !cfg!(feature = "kafka") => Some(NO_KAFKA),
        Source::Kafka { .. } => {
            mapping.settings.access.iter().any(|(kind, _)| is_secret(kind)).then_some(NO_KAFKA_ACCESS)
        }
        Source::Mq { arn, .. } => match parts.brokers.iter().find(|broker| broker.is(arn)) {
            None => Some(NO_BROKER),
            Some(broker) if broker.protocol == Protocol::RabbitMq && !cfg!(feature = "mq") => Some(NO_MQ),
            Some(_) => parts.secrets.is_none().then_some(NO_SECRETS),
        },
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
        Source::Kinesis { arn, .. } => stream::check(parts, Kind::Kinesis, &parts.kinesis, arn, function, role).await,
        Source::DynamoDb { arn, .. } => {
            stream::check(parts, Kind::DynamoDb, &parts.dynamodb, arn, function, role).await
        }
        Source::Kafka { .. } | Source::Mq { .. } => Ok(()),
    }
}

/// Polls a source until the job is to stop, and until nothing of it is in flight any more.
pub(crate) async fn poll(job: Arc<Job>) {
    let parts = Arc::clone(&job.parts);
    match (&job.mapping.source, &parts.kinesis, &parts.dynamodb) {
        (Source::Sqs { .. }, ..) => sqs::poll(job).await,
        (Source::Kinesis { .. }, Some(api), _) => stream::poll(job, Kind::Kinesis, api.clone()).await,
        (Source::DynamoDb { .. }, _, Some(api)) => stream::poll(job, Kind::DynamoDb, api.clone()).await,
        #[cfg(feature = "kafka")]
        (Source::Kafka { .. }, ..) => kafka::poll(job).await,
        (Source::Mq { .. }, ..) => mq::poll(job).await,
        _ => job.stopped().await,
    }
}

/// Not where brokers are, but who asks them: subnets and security groups have no meaning here.
fn is_secret(kind: &str) -> bool {
    !matches!(kind, "VPC_SUBNET" | "VPC_SECURITY_GROUP")
}
