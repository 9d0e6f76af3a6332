//! `/_hearth/metrics`: what is counted, as Prometheus reads it. What each number is: docs/guide/metrics.md.

use std::sync::Arc;

use hearth_clock::Clock;
use hearth_delivery::Outbox;
use hearth_frontend::Overview;
use hearth_metering::{Cost, Meter};
use hearth_metrics::{Amounts, Kind, Metrics, Text};
use hearth_otlp::Exporter;
use hearth_remote::Dispatcher;
use hearth_store::{Depth, QueueError, QueueStore};
use hearth_types::limits::{METRIC_FUNCTIONS, METRIC_QUEUES};

use crate::awake::Awake;
use crate::lately::Remembered;

/// What the numbers are read from.
pub(crate) struct Numbers {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) remembered: Arc<Remembered>,
    /// Where spans go to a collector.
    pub(crate) exporter: Option<Arc<Exporter>>,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) queues: Arc<dyn QueueStore>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) clock: Clock,
    pub(crate) awake: Arc<Awake>,
}

/// The name of a family, what it is, and what it is of.
struct Queued {
    prefix: &'static str,
    label: &'static str,
    waiting: (&'static str, &'static str),
    overdue: (&'static str, &'static str),
}

const EVENTS: Queued = Queued {
    prefix: "event/",
    label: "function_name",
    waiting: ("hearth_async_events_waiting", "Asynchronous invokes that wait, or are being run."),
    overdue: ("hearth_async_events_overdue_seconds", "For how long the first of them has been due."),
};
const MESSAGES: Queued = Queued {
    prefix: "sqs/",
    label: "queue_name",
    waiting: ("hearth_sqs_messages", "Messages of a queue: visible, in flight and delayed."),
    overdue: ("hearth_sqs_overdue_seconds", "For how long the first of them has been visible."),
};

/// One number of what a function used, or of what that costs.
type ReadUse = fn(&Amounts, &Cost) -> f64;

impl Numbers {
    /// All numbers, as they are now.
    ///
    /// # Errors
    /// When the queues cannot be read.
    pub(crate) async fn text(&self) -> Result<String, QueueError> {
        let mut text = Text::default();
        self.metrics.write(&mut text);
        self.concurrency(&mut text);
        self.environments(&mut text);
        self.use_of_month(&mut text).await;
        self.spans(&mut text);
        self.awake(&mut text);
        crate::workers::write(&self.dispatcher, &mut text);
        for queued in [EVENTS, MESSAGES] {
            self.depths(&mut text, &queued, &self.queues.queues(queued.prefix).await?);
        }
        self.deliveries(&mut text, &self.outbox.waiting().await?);
        Ok(text.finish())
    }

    fn concurrency(&self, text: &mut Text) {
        let (each, unreserved) = self.dispatcher.concurrency();
        let name = "lambda_concurrent_executions";
        text.family(name, Kind::Gauge, "ConcurrentExecutions: invokes in flight; functions without any are left out.");
        for (function, count) in each {
            text.number(name, &[("function_name", &function)], count.into());
        }
        let name = "lambda_unreserved_concurrent_executions";
        text.family(name, Kind::Gauge, "UnreservedConcurrentExecutions: of functions that reserve nothing.");
        text.number(name, &[], unreserved.into());
        let provisioned = self.dispatcher.provisioned_by_function();
        let name = "lambda_provisioned_concurrent_executions";
        text.family(
            name,
            Kind::Gauge,
            "ProvisionedConcurrentExecutions: invokes in flight in provisioned environments.",
        );
        for (function, provision) in &provisioned {
            text.number(name, &[("function_name", function)], provision.in_use.into());
        }
        let name = "lambda_provisioned_concurrency_utilization";
        text.family(
            name,
            Kind::Gauge,
            "ProvisionedConcurrencyUtilization: the part of provisioned environments in use.",
        );
        for (function, provision) in provisioned.iter().filter(|(_, provision)| provision.allocated > 0) {
            let part = f64::from(provision.in_use) / f64::from(provision.allocated);
            text.sample(name, &[("function_name", function)], part);
        }
        let name = "hearth_provisioned_environments";
        text.family(name, Kind::Gauge, "Environments that are kept initialised: wanted, allocated and available ones.");
        for (function, provision) in &provisioned {
            let states =
                [("wanted", provision.wanted), ("allocated", provision.allocated), ("available", provision.available)];
            for (state, count) in states {
                text.number(name, &[("function_name", function), ("state", state)], count.into());
            }
        }
    }

    fn environments(&self, text: &mut Text) {
        let Overview { functions, memory_mb, stops } = self.dispatcher.overview();
        let name = "hearth_environments";
        text.family(name, Kind::Gauge, "Environments that live, by what they do; functions without any are left out.");
        for view in &functions {
            for (state, count) in [("init", view.init), ("busy", view.busy), ("idle", view.idle)] {
                text.number(name, &[("function_name", &view.name), ("state", state)], count.into());
            }
        }
        let name = "hearth_memory_promised_bytes";
        text.family(name, Kind::Gauge, "Memory that all environments together are promised.");
        text.number(name, &[], memory_mb * 1024 * 1024);
        let name = "hearth_environments_stopped_total";
        text.family(name, Kind::Counter, "Environments that were ended, by why.");
        for (reason, count) in stops {
            text.number(name, &[("reason", reason)], count);
        }
        let ahead = self.dispatcher.worker().started_ahead();
        let name = "hearth_runtimes_ahead";
        text.family(name, Kind::Gauge, "Runtimes that were started ahead, and wait for a function.");
        text.number(name, &[], ahead.waiting as u64);
        let name = "hearth_runtimes_ahead_wanted";
        text.family(name, Kind::Gauge, "How many are to wait, as far as the machine has memory and room for them.");
        text.number(name, &[], ahead.wanted as u64);
        let name = "hearth_runtimes_ahead_taken_total";
        text.family(name, Kind::Counter, "Runtimes that were started ahead, and became a function's.");
        text.number(name, &[], ahead.taken);
        let name = "hearth_versions_remembered";
        text.family(name, Kind::Gauge, "Versions in use lately, as written: for these runtimes wait after a restart.");
        text.number(name, &[], self.remembered.count() as u64);
    }

    async fn use_of_month(&self, text: &mut Text) {
        // The present month is in memory: there is nothing that could fail.
        let Ok(month) = self.meter.month(None).await else { return };
        let families: [(&str, &str, ReadUse); 4] = [
            ("hearth_month_requests", "Requests in this month, as they are billed.", |used, _| used.requests as f64),
            ("hearth_month_gb_seconds", "Memory over billed time in this month, made on demand.", |used, _| {
                Meter::gb_seconds(used.on_demand_mb_ms)
            }),
            ("hearth_month_provisioned_gb_seconds", "Provisioned concurrency over time in this month.", |used, _| {
                Meter::gb_seconds(used.allocated_mb_ms)
            }),
            ("hearth_month_cost", "What this month would cost, at the prices in force.", |_, cost| cost.total()),
        ];
        for (name, help, read) in families {
            text.family(name, Kind::Gauge, help);
            for (function, used, cost) in month.functions.iter().take(METRIC_FUNCTIONS) {
                text.sample(name, &[("function_name", function)], read(used, cost));
            }
        }
    }

    fn spans(&self, text: &mut Text) {
        let name = "hearth_traced_invokes_total";
        text.family(name, Kind::Counter, "Traced invokes, by what became of their spans.");
        for counted in self.exporter.iter().flat_map(|exporter| exporter.counted()) {
            text.number(name, &[("outcome", counted.outcome.name())], counted.count);
        }
        let name = "hearth_trace_segments_total";
        text.family(name, Kind::Counter, "Segments that functions sent, by what became of them.");
        for counted in self.exporter.iter().flat_map(|exporter| exporter.counted_segments()) {
            text.number(name, &[("outcome", counted.outcome.name())], counted.count);
        }
    }

    fn awake(&self, text: &mut Text) {
        let name = "hearth_processors_awake_seconds_total";
        text.family(name, Kind::Counter, "For how long idle processors were kept from halting.");
        text.sample(name, &[], self.awake.held_for().as_secs_f64());
    }

    fn depths(&self, text: &mut Text, queued: &Queued, depths: &[Depth]) {
        let depths = depths.iter().take(METRIC_QUEUES);
        let named = depths.map(|depth| (depth.queue.strip_prefix(queued.prefix).unwrap_or(&depth.queue), depth));
        let (name, help) = queued.waiting;
        text.family(name, Kind::Gauge, help);
        for (queue, depth) in named.clone() {
            text.number(name, &[(queued.label, queue)], depth.messages);
        }
        let (name, help) = queued.overdue;
        text.family(name, Kind::Gauge, help);
        for (queue, depth) in named {
            text.sample(name, &[(queued.label, queue)], self.overdue_s(depth));
        }
    }

    fn deliveries(&self, text: &mut Text, waiting: &[Depth]) {
        let name = "hearth_deliveries_total";
        text.family(name, Kind::Counter, "What became of what was sent, by what sent it; failed: it is tried again.");
        for counted in self.outbox.counted() {
            let labels = [("source", counted.kind.name()), ("outcome", counted.outcome.name())];
            text.number(name, &labels, counted.count);
        }
        let name = "hearth_deliveries_waiting";
        text.family(name, Kind::Gauge, "What is to be sent, or sent again.");
        text.number(name, &[], waiting.iter().map(|depth| depth.messages).sum());
        let name = "hearth_deliveries_overdue_seconds";
        text.family(name, Kind::Gauge, "For how long the first of it has been due.");
        text.sample(name, &[], waiting.iter().map(|depth| self.overdue_s(depth)).fold(0.0, f64::max));
    }

    fn overdue_s(&self, depth: &Depth) -> f64 {
        let late_ms = self.clock.now_ms().saturating_sub(depth.first_due_ms);
        std::time::Duration::from_millis(u64::try_from(late_ms).unwrap_or(0)).as_secs_f64()
    }
}
