//! Of what is counted.

use std::time::Duration;

/// Functions that are counted each by itself in the metrics; those beyond together. Ours: Prometheus keeps each of their
/// numbers as a series.
pub const METRIC_FUNCTIONS: usize = 1000;
/// Queues whose depths are in the metrics. Ours.
pub const METRIC_QUEUES: usize = 1000;
/// Functions whose use is metered each by itself; those beyond together. Ours: each is a record in every month.
pub const METERED_FUNCTIONS: usize = 10_000;
/// How often what was metered is written down: so much of it a crash may lose. Ours.
pub const METER_WRITE: Duration = Duration::from_secs(2);
/// Months, the present one among them, whose use is kept. Ours.
pub const METERED_MONTHS: usize = 13;
