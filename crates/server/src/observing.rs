//! What is told of functions' work: spans to a collector, use to a book; and the pages about it.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use hearth_client::{Client, Endpoint};
use hearth_frontend::Overview;
use hearth_http::ResponseBody;
use hearth_metering::{Meter, Month, Prices};
use hearth_metrics::{Amounts, Metrics};
use hearth_otlp::Exporter;
use hearth_remote::Dispatcher;
use hearth_types::limits::SPAN_PATIENCE;
use hearth_worker::SpanSink;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::admin::{json_body, text};
use crate::prepare::Refused;

/// Sends spans, where there is a collector.
pub(crate) fn exporter(collector: Option<&Endpoint>) -> Option<Arc<Exporter>> {
    collector.map(|collector| Exporter::open(collector.clone(), Client::new()))
}

/// Where the worker's spans go.
pub(crate) fn sink(exporter: Option<&Arc<Exporter>>) -> Arc<dyn SpanSink> {
    match exporter {
        Some(exporter) => Arc::clone(exporter) as _,
        None => Arc::new(()),
    }
}

/// The public ones, or those of a file.
pub(crate) fn prices(file: Option<&Path>) -> Result<Prices> {
    let Some(file) = file else { return Ok(Prices::default()) };
    let shown = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("--prices {shown}"))?;
    Prices::read(&text).map_err(|why| Refused(format!("--prices {shown}: {why}")).into())
}

/// At a stop: what is not written or sent yet.
pub(crate) async fn end(meter: &Meter, exporter: Option<&Exporter>) {
    if let Err(cause) = meter.write().await {
        tracing::warn!("what was metered last is not written: {cause}");
    }
    if let Some(exporter) = exporter {
        exporter.flush(SPAN_PATIENCE).await;
    }
}

/// `GET /_hearth/usage?month=2026-11`
pub(crate) async fn usage(meter: &Meter, month: Option<&str>) -> Response<ResponseBody> {
    let wanted = match month.map(str::parse::<Month>).transpose() {
        Ok(wanted) => wanted,
        Err(why) => return text(StatusCode::BAD_REQUEST, format!("{why}\n")),
    };
    let month = match meter.month(wanted).await {
        Ok(month) => month,
        Err(cause) => {
            tracing::error!("what was metered cannot be read: {cause}");
            return text(StatusCode::INTERNAL_SERVER_ERROR, "what was metered cannot be read\n");
        }
    };
    let prices = meter.prices();
    let functions = month.functions.iter().map(|(name, amounts, _)| told(prices, name, amounts));
    let total = month.total();
    let body = json!({
        "month": month.month.to_string(),
        "functions": functions.collect::<Vec<_>>(),
        "total": told(prices, "", &total),
        "free": prices.free_of(&total),
        "prices": prices,
        "unwritten": meter.unwritten(),
    });
    json_body(StatusCode::OK, &body)
}

fn told(prices: &Prices, name: &str, amounts: &Amounts) -> Value {
    let cost = prices.cost(amounts);
    json!({
        "function": name,
        "requests": amounts.requests,
        "gbSeconds": Meter::gb_seconds(amounts.on_demand_mb_ms),
        "provisionedGbSeconds": Meter::gb_seconds(amounts.provisioned_mb_ms),
        "allocatedGbHours": Meter::gb_seconds(amounts.allocated_mb_ms) / 3600.0,
        "ephemeralGbSeconds": Meter::gb_seconds(amounts.ephemeral_mb_ms),
        "streamedBytes": amounts.streamed_bytes,
        "cost": cost,
        "total": cost.total(),
    })
}

/// `GET /_hearth/functions`: what is under way, and what was counted since the start.
pub(crate) fn functions(dispatcher: &Dispatcher, metrics: &Metrics) -> Response<ResponseBody> {
    let budget_mb: u64 = dispatcher.workers().iter().map(|worker| worker.capacity.memory_mb).sum();
    let Overview { functions, memory_mb, .. } = dispatcher.overview();
    let views: std::collections::HashMap<_, _> = functions.iter().map(|view| (&*view.name, view)).collect();
    let counted = metrics.functions();
    let all = counted.iter().filter(|(name, of)| views.contains_key(&**name) || of.invocations.get() > 0);
    let functions = all.map(|(name, of)| {
        let view = views.get(&**name);
        let now = |of: fn(&hearth_frontend::FunctionView) -> u64| view.map_or(0, |view| of(view));
        json!({
            "function": &**name,
            "inFlight": now(|view| view.in_flight.into()),
            "init": now(|view| view.init.into()),
            "busy": now(|view| view.busy.into()),
            "idle": now(|view| view.idle.into()),
            "memoryMb": now(|view| view.memory_mb),
            "invocations": of.invocations.get(),
            "errors": of.errors.get(),
            "throttles": of.throttles.get(),
            "coldStarts": of.cold_starts.get(),
            "durationsUs": of.durations.read(),
        })
    });
    let body = json!({
        "functions": functions.collect::<Vec<_>>(),
        "memoryMb": memory_mb,
        "memoryBudgetMb": budget_mb,
    });
    json_body(StatusCode::OK, &body)
}
