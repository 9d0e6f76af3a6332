//! The members that create and update share.

use hearth_api::types as api;

/// What a client says of how a source is polled. An absent member is a default, or unchanged.
pub(super) struct Change<'a> {
    pub(super) batch_size: Option<i32>,
    pub(super) filters: Option<&'a api::FilterCriteria>,
    pub(super) window_s: Option<i32>,
    pub(super) parallelization: Option<i32>,
    pub(super) destinations: Option<&'a api::DestinationConfig>,
    pub(super) age_s: Option<i32>,
    pub(super) bisect: Option<bool>,
    pub(super) retries: Option<i32>,
    pub(super) tumbling_s: Option<i32>,
    pub(super) access: Option<&'a [api::SourceAccessConfiguration]>,
    pub(super) response_types: Option<&'a [api::FunctionResponseType]>,
    pub(super) scaling: Option<&'a api::ScalingConfig>,
    pub(super) metrics: Option<&'a api::EventSourceMappingMetricsConfig>,
    pub(super) kafka: Option<&'a api::SelfManagedKafkaEventSourceConfig>,
    /// Members that have no effect here, where one is given.
    pub(super) without_effect: Option<&'static str>,
}

macro_rules! change {
    ($input:ident) => {
        Change {
            batch_size: $input.batch_size,
            filters: $input.filter_criteria.as_ref(),
            window_s: $input.maximum_batching_window_in_seconds,
            parallelization: $input.parallelization_factor,
            destinations: $input.destination_config.as_ref(),
            age_s: $input.maximum_record_age_in_seconds,
            bisect: $input.bisect_batch_on_function_error,
            retries: $input.maximum_retry_attempts,
            tumbling_s: $input.tumbling_window_in_seconds,
            access: $input.source_access_configurations.as_deref(),
            response_types: $input.function_response_types.as_deref(),
            scaling: $input.scaling_config.as_ref(),
            metrics: $input.metrics_config.as_ref(),
            kafka: $input.self_managed_kafka_event_source_config.as_ref(),
            without_effect: first(&[
                ("AmazonManagedKafkaEventSourceConfig", $input.amazon_managed_kafka_event_source_config.is_some()),
                ("DocumentDBEventSourceConfig", $input.document_db_event_source_config.is_some()),
                ("KMSKeyArn", $input.kms_key_arn.as_deref().is_some_and(|arn| !arn.is_empty())),
                ("LoggingConfig", $input.logging_config.is_some()),
                ("ProvisionedPollerConfig", $input.provisioned_poller_config.is_some()),
                (
                    "SelfManagedKafkaEventSourceConfig.SchemaRegistryConfig",
                    $input
                        .self_managed_kafka_event_source_config
                        .as_ref()
                        .is_some_and(|config| config.schema_registry_config.is_some()),
                ),
            ]),
        }
    };
}

impl<'a> From<&'a api::CreateEventSourceMappingRequest> for Change<'a> {
    fn from(input: &'a api::CreateEventSourceMappingRequest) -> Self {
        change!(input)
    }
}

impl<'a> From<&'a api::UpdateEventSourceMappingRequest> for Change<'a> {
    fn from(input: &'a api::UpdateEventSourceMappingRequest) -> Self {
        change!(input)
    }
}

fn first(members: &[(&'static str, bool)]) -> Option<&'static str> {
    members.iter().find(|(_, given)| *given).map(|(member, _)| *member)
}
