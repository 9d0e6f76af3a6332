//! Mappings as Lambda shows them. Pure.

use hearth_api::types as api;
use hearth_types::Place;

use crate::mappings::Mapping;
use crate::mappings::settings::Settings;
use crate::mappings::source::{Position, Source};

/// Why a mapping that is wanted does nothing.
const NOT_POLLED: &str =
    "This version of Hearth does not poll event sources: the mapping is kept, and nothing is invoked";

/// What an operation's answer says of the state: that of the transition that it began, or the one there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shown {
    /// The answer of create.
    Creating,
    /// The answer of an update that leaves it as wanted as before.
    Updating,
    /// The answer of an update that wants it polled.
    Enabling,
    /// The answer of an update that wants it no more.
    Disabling,
    /// The answer of delete.
    Deleting,
    /// Any later look.
    Settled,
}

pub(super) fn configuration(
    place: &Place,
    uuid: &str,
    mapping: &Mapping,
    shown: Shown,
) -> api::EventSourceMappingConfiguration {
    let Mapping { source, settings, .. } = mapping;
    let (state, reason) = state(mapping, shown);
    let mut view = api::EventSourceMappingConfiguration {
        uuid: Some(uuid.to_owned()),
        event_source_mapping_arn: Some(arn(place, uuid)),
        event_source_arn: source.arn().map(str::to_owned),
        function_arn: Some(place.arn_as_asked(&mapping.target()).to_string()),
        last_modified: Some(api_time(mapping.last_modified_ms)),
        state: Some(state.to_owned()),
        state_transition_reason: Some(reason.to_owned()),
        batch_size: Some(settings.batch_size),
        maximum_batching_window_in_seconds: Some(settings.window_s),
        function_response_types: Some(response_types(settings)),
        filter_criteria: (!settings.filters.is_empty())
            .then(|| api::FilterCriteria { filters: Some(filters(settings)) }),
        source_access_configurations: (!settings.access.is_empty()).then(|| access(settings)),
        scaling_config: settings.concurrency.map(|most| api::ScalingConfig { maximum_concurrency: Some(most) }),
        ..Default::default()
    };
    show_position(&mut view, source);
    if source.from().is_some() {
        show_log(&mut view, settings);
    }
    if source.is_stream() {
        view.parallelization_factor = Some(settings.parallelization);
        view.tumbling_window_in_seconds = Some(settings.tumbling_s);
        view.last_processing_result = Some("No records processed".to_owned());
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

fn state(mapping: &Mapping, shown: Shown) -> (&'static str, &'static str) {
    let asked = mapping.source.reason();
    match shown {
        // Made disabled, it is so at once (observed).
        Shown::Creating if !mapping.wanted => ("Disabled", asked),
        Shown::Creating => ("Creating", asked),
        Shown::Updating => ("Updating", asked),
        Shown::Enabling => ("Enabling", asked),
        Shown::Disabling => ("Disabling", asked),
        Shown::Deleting => ("Deleting", asked),
        Shown::Settled if mapping.wanted => ("Disabled", NOT_POLLED),
        Shown::Settled => ("Disabled", asked),
    }
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
