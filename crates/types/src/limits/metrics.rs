//! Of what is counted.

/// Functions that are counted each by itself in the metrics; those beyond together. Ours: Prometheus keeps each of their
/// numbers as a series.
pub const METRIC_FUNCTIONS: usize = 1000;
/// Queues whose depths are in the metrics. Ours.
pub const METRIC_QUEUES: usize = 1000;
