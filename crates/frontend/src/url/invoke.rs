//! The invoke behind a URL.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hearth_api::ApiError;
use hearth_scheduler::Origin;
use hearth_types::RequestId;
use hearth_types::limits::SYNC_PAYLOAD_BYTES;
use hearth_types::settings::UrlInvokeMode;
use hearth_worker::{Answer, Invocation};
use http::HeaderMap;

use crate::dispatcher::Dispatcher;
use crate::environments::Environments;
use crate::request::{Asked, TRACE_ID, payload_too_large};
use crate::trace;
use crate::url::FunctionUrl;

impl<W: Environments> Dispatcher<W> {
    /// The trace id of a request to a URL: the sender's where it is well-formed, a new one otherwise. `now`: since 1970.
    #[must_use]
    pub fn trace_id_of_url(
        &self,
        url: &FunctionUrl,
        headers: &HeaderMap,
        request_id: RequestId,
        now: Duration,
    ) -> Arc<str> {
        let given = headers.get(&TRACE_ID).map(http::HeaderValue::as_bytes);
        match self.wanted(&asked(url)) {
            Ok((ready, _)) => ready.trace_id(given, request_id, now.as_secs()),
            Err(_) => trace::trace_id(given, request_id, now.as_secs(), || false),
        }
    }

    /// Runs the function of a URL with this event, and waits for its answer, or for the beginning of one where the URL
    /// passes answers on as they come.
    ///
    /// # Errors
    /// Those of Invoke.
    pub async fn invoke_url(
        &self,
        url: &FunctionUrl,
        event: Bytes,
        request_id: RequestId,
        trace_id: &Arc<str>,
    ) -> Result<Answer, ApiError> {
        if event.len() > SYNC_PAYLOAD_BYTES {
            return Err(payload_too_large());
        }
        let asked = asked(url);
        let (ready, invoked_arn) = self.wanted(&asked)?;
        let (traced, trace_id) = match trace::enter(trace_id) {
            Some((traced, trace_id)) => (Some(traced), trace_id),
            None => (None, Arc::clone(trace_id)),
        };
        let invocation = |reply| Invocation {
            request_id,
            payload: event,
            content_type: None,
            invoked_arn,
            client_context: None,
            cognito_identity: None,
            trace_id,
            traced,
            arrived: Instant::now(),
            tail: false,
            metrics: None,
            reply,
        };
        let answer = match url.config.invoke_mode {
            UrlInvokeMode::Buffered => self.run(Origin::Client, ready, invocation).await.map(Answer::Whole),
            UrlInvokeMode::ResponseStream => self.run_streamed(ready, invocation).await,
        };
        answer.map_err(|refused| self.refusal(refused, &asked))
    }
}

/// The trace id of an event: what led to it goes on in it, where that is well-formed; a new one otherwise. Whether it is
/// traced is decided when it runs, unless it was before. `now`: since 1970.
#[must_use]
pub fn trace_id_of_event(given: Option<&str>, request_id: RequestId, now: Duration) -> Arc<str> {
    trace::open_trace_id(given.map(str::as_bytes), request_id, now.as_secs())
}

fn asked(url: &FunctionUrl) -> Asked<'_> {
    Asked {
        name: Cow::Borrowed(&url.function),
        qualifier: url.qualifier.as_deref().map(Cow::Borrowed),
        entry: None,
        kind: crate::request::Kind::Now,
        tail: false,
        client_context: None,
        tenant: None,
    }
}

/// A trace id as responses show it: `root=...;parent=...;sampled=...`.
#[must_use]
pub fn shown_trace_id(trace_id: &str) -> String {
    let parts = trace_id.split(';').map(|part| match part.split_once('=') {
        Some((name, value)) => format!("{}={value}", name.to_ascii_lowercase()),
        None => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_show_trace_ids_in_lower_case() {
        let shown = shown_trace_id("Root=1-65f0A1b2-0;Parent=0;Sampled=1;Lineage=A:1");
        assert_eq!(shown, "root=1-65f0A1b2-0;parent=0;sampled=1;lineage=A:1");
    }
}
