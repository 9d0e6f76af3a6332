//! Mappings as Lambda shows them. Pure.

use hearth_api::types as api;
use hearth_types::Place;
use hearth_types::mapping::{Mapping, Position, Progress, Settings, Source};

use crate::mappings::source::reason;

pub(super) fn configuration(
    place: &Place,
    uuid: &str,
    mapping: &Mapping,
    progress: &Progress,
) -> api::EventSourceMappingConfiguration {
    let Mapping { source, settings, .. } = mapping;
    let mut view = api::EventSourceMappingConfiguration {
        uuid: Some(uuid.to_owned()),
        event_source_mapping_arn: Some(arn(place, uuid)),
        event_source_arn: source.arn().map(str::to_owned),
        function_arn: Some(place.arn_as_asked(&mapping.target()).to_string()),
        last_modified: Some(api_time(mapping.last_modified_ms)),
        state: Some(mapping.phase.name().to_owned()),
        state_transition_reason: Some(mapping.reason.clone().unwrap_or_else(|| reason(source).to_owned())),
        last_processing_result: progress.result.clone(),
        batch_size: Some(settings.batch_size),
        maximum_batching_window_in_seconds: Some(settings.window_s),
        function_response_types: Some(response_types(settings)),
        filter_criteria: (!settings.filters.is_empty())
            .then(|| api::FilterCriteria { filters: Some(filters(settings)) }),
        source_access_configurations: (!settings.access.is_empty()).then(|| access(settings)),
        scaling_config: settings.concurrency.map(|most| api::ScalingConfig { maximum_concurrency: Some(most) }),
        metrics_config: settings.counts_events.then(|| api::EventSourceMappingMetricsConfig {
            metrics: Some(vec![api::EventSourceMappingMetric::EventCount]),
        }),
        ..Default::default()
    };
    show_position(&mut view, source);
    if source.from().is_some() {
        show_log(&mut view, settings);
    }
    if source.is_stream() {
        view.parallelization_factor = Some(settings.parallelization);
        view.tumbling_window_in_seconds = Some(settings.tumbling_s);
        view.last_processing_result.get_or_insert_with(|| "No records processed".to_owned());
    }
    match source {
        Source::Kafka { brokers, topic, .. } => {
            let endpoints = [("KAFKA_BOOTSTRAP_SERVERS".to_owned(), brokers.clone())];
            view.self_managed_event_source =
                Some(api::SelfManagedEventSource { endpoints: Some(endpoints.into_iter().collect()) });
            view.topics = Some(vec![topic.clone()]);
            view.self_managed_kafka_event_source_config = Some(api::SelfManagedKafkaEventSourceConfig {
                consumer_group_id: Some(settings.consumer_group.clone().unwrap_or_else(|| uuid.to_owned())),
                ..Default::default()
            });
        }
        Source::Mq { queue, .. } => view.queues = Some(vec![queue.clone()]),
        Source::Sqs { .. } | Source::Kinesis { .. } | Source::DynamoDb { .. } => {}
    }
    view
}

/// The ARN of a mapping.
pub(super) fn arn(place: &Place, uuid: &str) -> String {
    format!("arn:aws:lambda:{}:{}:event-source-mapping:{uuid}", place.region, place.account)
}

fn show_position(view: &mut api::EventSourceMappingConfiguration, source: &Source) {
    let Some(from) = source.from() else { return };
    view.starting_position = Some(match from {
        Position::TrimHorizon => api::EventSourcePosition::TrimHorizon,
        Position::Latest => api::EventSourcePosition::Latest,
        Position::At(_) => api::EventSourcePosition::AtTimestamp,
    });
    if let Position::At(ms) = from {
        view.starting_position_timestamp = Some(api_time(ms));
    }
}

/// What sources have whose records stay after they are read.
fn show_log(view: &mut api::EventSourceMappingConfiguration, settings: &Settings) {
    view.maximum_record_age_in_seconds = Some(settings.age_s);
    view.maximum_retry_attempts = Some(settings.retries);
    view.bisect_batch_on_function_error = Some(settings.bisect);
    view.destination_config = Some(api::DestinationConfig {
        on_failure: Some(api::OnFailure { destination: settings.on_failure.clone() }),
        ..Default::default()
    });
}

fn response_types(settings: &Settings) -> Vec<api::FunctionResponseType> {
    if settings.report_failures { vec![api::FunctionResponseType::ReportBatchItemFailures] } else { Vec::new() }
}

fn filters(settings: &Settings) -> Vec<api::Filter> {
    settings.filters.iter().map(|pattern| api::Filter { pattern: Some(pattern.clone()) }).collect()
}

fn access(settings: &Settings) -> Vec<api::SourceAccessConfiguration> {
    let shown = |(kind, uri): &(String, String)| api::SourceAccessConfiguration {
        r#type: api::SourceAccessType::from_text(kind),
        uri: Some(uri.clone()),
    };
    settings.access.iter().map(shown).collect()
}

fn api_time(ms: i64) -> hearth_api::Timestamp {
    hearth_api::Timestamp(ms)
}
