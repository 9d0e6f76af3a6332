//! How a source is polled: defaults, merging, rules. Pure; the texts are those of the real service where it is said so.

use hearth_api::ApiError;
use hearth_api::types as api;
use hearth_types::limits::MAPPING_FILTERS;
use hearth_types::mapping::{Settings, Source};

use crate::mappings::change::Change;
use crate::mappings::filter;
use crate::mappings::source::{batch_size, unsupported};
use crate::{invalid, refused};

/// Those of a new mapping.
///
/// # Errors
/// See [`changed`].
pub(super) fn new(source: &Source, change: &Change<'_>) -> Result<Settings, ApiError> {
    let defaults = Settings {
        batch_size: batch_size(source),
        window_s: 0,
        filters: Vec::new(),
        report_failures: false,
        on_failure: None,
        age_s: -1,
        retries: -1,
        bisect: false,
        parallelization: 1,
        tumbling_s: 0,
        access: Vec::new(),
        concurrency: None,
        consumer_group: None,
        counts_events: false,
    };
    changed(defaults, source, change)
}

/// What they become.
///
/// # Errors
/// Members that a source of this kind does not have or that have no effect here, and values that contradict each
/// other.
pub(super) fn changed(mut settings: Settings, source: &Source, change: &Change<'_>) -> Result<Settings, ApiError> {
    if let Some(member) = change.without_effect {
        return Err(refused(member, "it has no effect here yet"));
    }
    foreign(source, change)?;
    settings.batch_size = change.batch_size.unwrap_or(settings.batch_size);
    settings.window_s = change.window_s.unwrap_or(settings.window_s);
    settings.retries = change.retries.unwrap_or(settings.retries);
    settings.bisect = change.bisect.unwrap_or(settings.bisect);
    settings.parallelization = change.parallelization.unwrap_or(settings.parallelization);
    settings.tumbling_s = change.tumbling_s.unwrap_or(settings.tumbling_s);
    settings.age_s = change.age_s.map_or(Ok(settings.age_s), age)?;
    if let Some(criteria) = change.filters {
        settings.filters = filters(criteria)?;
    }
    if let Some(types) = change.response_types {
        settings.report_failures = !types.is_empty();
    }
    if let Some(destinations) = change.destinations {
        settings.on_failure = on_failure(destinations)?;
    }
    if let Some(access) = change.access {
        settings.access = access.iter().map(pair).collect::<Result<_, _>>()?;
    }
    if let Some(scaling) = change.scaling {
        settings.concurrency = scaling.maximum_concurrency;
    }
    if let Some(kafka) = change.kafka {
        settings.consumer_group.clone_from(&kafka.consumer_group_id);
    }
    if let Some(metrics) = change.metrics {
        settings.counts_events = counts_events(metrics)?;
    }
    fits_its_queue(&settings, source)?;
    Ok(settings)
}

/// Queues give ten messages at a time; more are gathered over a while, which order forbids.
fn fits_its_queue(settings: &Settings, source: &Source) -> Result<(), ApiError> {
    match source {
        Source::Sqs { .. } if source.is_fifo() && settings.window_s > 0 => {
            Err(invalid("Batching window is not supported for FIFO queues"))
        }
        Source::Sqs { .. } if source.is_fifo() && settings.batch_size > 10 => Err(invalid(format!(
            "A batch of a FIFO queue has at most 10 messages: BatchSize is {}.",
            settings.batch_size
        ))),
        Source::Sqs { .. } if settings.batch_size > 10 && settings.window_s == 0 => Err(invalid(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10",
        )),
        _ => Ok(()),
    }
}

/// Members that would have no effect on a source of this kind.
fn foreign(source: &Source, change: &Change<'_>) -> Result<(), ApiError> {
    let stream = source.is_stream();
    let kafka = matches!(source, Source::Kafka { .. });
    let (log, mq) = (stream || kafka, matches!(source, Source::Mq { .. }));
    let members = [
        ("DestinationConfig", change.destinations.is_some_and(|given| names_any(given) && !log)),
        ("ParallelizationFactor", change.parallelization.is_some() && !stream),
        ("TumblingWindowInSeconds", change.tumbling_s.is_some() && !stream),
        ("MaximumRecordAgeInSeconds", change.age_s.is_some() && !log),
        ("BisectBatchOnFunctionError", change.bisect.is_some() && !log),
        ("MaximumRetryAttempts", change.retries.is_some() && !log),
        ("ScalingConfig", change.scaling.is_some() && !matches!(source, Source::Sqs { .. })),
        ("SelfManagedKafkaEventSourceConfig", change.kafka.is_some() && !kafka),
        ("SourceAccessConfigurations", change.access.is_some_and(|all| !all.is_empty()) && !(kafka || mq)),
        ("MetricsConfig", change.metrics.is_some_and(asks_for_metrics) && mq),
        ("FunctionResponseTypes", change.response_types.is_some_and(|types| !types.is_empty()) && mq),
    ];
    members.into_iter().find(|(_, given)| *given).map_or(Ok(()), |(member, _)| Err(unsupported(member)))
}

fn asks_for_metrics(given: &api::EventSourceMappingMetricsConfig) -> bool {
    given.metrics.as_ref().is_some_and(|metrics| !metrics.is_empty())
}

/// Those of Kafka alone are not there.
fn counts_events(given: &api::EventSourceMappingMetricsConfig) -> Result<bool, ApiError> {
    let metrics = given.metrics.as_deref().unwrap_or_default();
    match metrics.iter().find(|metric| **metric != api::EventSourceMappingMetric::EventCount) {
        Some(other) => {
            Err(refused(&format!("MetricsConfig with the metric {}", other.as_str()), "it has no effect here yet"))
        }
        None => Ok(!metrics.is_empty()),
    }
}

fn names_any(given: &api::DestinationConfig) -> bool {
    let success = given.on_success.as_ref().is_some_and(|to| to.destination.is_some());
    success || given.on_failure.as_ref().is_some_and(|to| to.destination.is_some())
}

fn on_failure(given: &api::DestinationConfig) -> Result<Option<String>, ApiError> {
    if given.on_success.as_ref().is_some_and(|to| to.destination.is_some()) {
        return Err(unsupported("DestinationConfig"));
    }
    let to = given.on_failure.as_ref().and_then(|to| to.destination.clone()).filter(|arn| !arn.is_empty());
    match &to {
        Some(arn) if !["sqs", "sns", "s3"].contains(&arn.split(':').nth(2).unwrap_or_default()) => {
            Err(invalid(format!("The destination ARN {arn} is invalid.")))
        }
        _ => Ok(to),
    }
}

/// The model takes -1 to 604,800; between 0 and 59 there is nothing to mean.
fn age(seconds: i32) -> Result<i32, ApiError> {
    match seconds {
        0..60 => Err(invalid(format!("MaximumRecordAgeInSeconds is -1 or 60 to 604800, not {seconds}."))),
        _ => Ok(seconds),
    }
}

fn filters(criteria: &api::FilterCriteria) -> Result<Vec<String>, ApiError> {
    let given = criteria.filters.as_deref().unwrap_or_default();
    if given.len() > MAPPING_FILTERS {
        return Err(invalid(format!(
            "An event source mapping has at most {MAPPING_FILTERS} filters, not {}.",
            given.len()
        )));
    }
    let checked = given.iter().map(|one| {
        filter::check(one.pattern.as_deref())?;
        Ok(one.pattern.clone().unwrap_or_default())
    });
    checked.collect()
}

fn pair(given: &api::SourceAccessConfiguration) -> Result<(String, String), ApiError> {
    match (given.r#type, &given.uri) {
        (Some(kind), Some(uri)) => Ok((kind.as_str().to_owned(), uri.clone())),
        _ => Err(invalid("SourceAccessConfigurations have a Type and a URI each.")),
    }
}
