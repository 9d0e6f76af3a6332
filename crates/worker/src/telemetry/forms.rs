//! The platform's events in the form of the Logs API.

use hearth_types::RequestId;
use serde::Serialize;

use super::event::{LogsRecord, envelope};
use super::subscription::Api;
use crate::records::{ExtensionBody, Metrics, Record, SubscriptionBody};
use crate::text::Failed;

impl Api {
    /// The event that tells of a subscription.
    pub(crate) fn subscription(self) -> &'static str {
        match self {
            Self::Telemetry => "platform.telemetrySubscription",
            Self::Logs => "platform.logsSubscription",
        }
    }
}

impl Record<'_> {
    /// None where the Logs API has no such event. `wall_ms` is milliseconds since 1970.
    pub(crate) fn logs(self, wall_ms: i64) -> Option<LogsRecord> {
        let write = |kind, record: Body<'_>| LogsRecord { event: envelope(wall_ms, kind, record), is_later: false };
        let of = |request_id| Body { request_id: Some(request_id), ..Body::default() };
        Some(match self {
            Self::InitStart { .. } | Self::InitRuntimeDone { .. } | Self::InitReport { .. } => return None,
            Self::Start { request_id, .. } => write("platform.start", of(request_id)),
            Self::End { request_id } => write("platform.end", of(request_id)),
            Self::Extension(extension) => {
                let extension = Some(ExtensionBody::new(extension));
                write("platform.extension", Body { extension, ..Body::default() })
            }
            Self::RuntimeDone(report) => {
                let status = match report.went_wrong() {
                    None => "success",
                    Some(Failed::Timeout) => "timeout",
                    Some(Failed::Error(_)) => "failure",
                };
                let record = Body { status: Some(status), ..of(report.request_id) };
                LogsRecord { is_later: true, ..write("platform.runtimeDone", record) }
            }
            Self::Report(report) => {
                write("platform.report", Body { metrics: Some(Metrics::of(report)), ..of(report.request_id) })
            }
            Self::Subscription { api: Api::Logs, name, kinds } => {
                let subscription = Some(SubscriptionBody::new(name, kinds));
                write(Api::Logs.subscription(), Body { subscription, ..Body::default() })
            }
            Self::Subscription { api: Api::Telemetry, .. } => return None,
        })
    }
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<RequestId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<Metrics>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    extension: Option<ExtensionBody<'a>>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    subscription: Option<SubscriptionBody<'a>>,
}
