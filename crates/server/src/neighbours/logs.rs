//! CloudWatch Logs: which operation is answered by what.

use bytes::Bytes;
use hearth_api::ApiError;
use hearth_api::event_stream::CONTENT_TYPE;
use hearth_api::logs::{Operation, ops};
use hearth_http::ResponseBody;
use hearth_types::limits::LOG_TAIL_FRAMES;
use http::{HeaderValue, Response, header};
use tokio::sync::mpsc;

use super::{Asked, answer};
use crate::gateway::Gateway;

impl Gateway {
    pub(super) async fn logs(&self, asked: Asked<'_, Operation>) -> Result<Response<ResponseBody>, ApiError> {
        match asked.operation {
            Operation::StartLiveTail => self.live_tail(asked).await,
            _ => self.log_operation(asked).await.map(|response| response.map(ResponseBody::from)),
        }
    }

    /// Answers with a stream of events that ends when the client goes, the server does, or the session is over.
    async fn live_tail(&self, asked: Asked<'_, Operation>) -> Result<Response<ResponseBody>, ApiError> {
        let input = asked.call.input::<ops::StartLiveTail>()?;
        let tail = self.cloudwatch_logs.start_live_tail(asked.caller, input, &asked.id.to_string()).await?;
        let (frames, body) = mpsc::channel(LOG_TAIL_FRAMES);
        tokio::spawn(tail.run(frames));
        let mut response = Response::new(ResponseBody::Pieces(body));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        Ok(response)
    }

    async fn log_operation(&self, asked: Asked<'_, Operation>) -> Result<Response<Bytes>, ApiError> {
        let (logs, caller) = (&self.cloudwatch_logs, asked.caller);
        answer! { json asked;
            CreateLogGroup(input) => logs.create_log_group(caller, input),
            DescribeLogGroups(input) => logs.describe_log_groups(caller, input),
            DeleteLogGroup(input) => logs.delete_log_group(caller, input),
            PutRetentionPolicy(input) => logs.put_retention_policy(caller, input),
            DeleteRetentionPolicy(input) => logs.delete_retention_policy(caller, input),

            CreateLogStream(input) => logs.create_log_stream(caller, input),
            DescribeLogStreams(input) => logs.describe_log_streams(caller, input),
            DeleteLogStream(input) => logs.delete_log_stream(caller, input),
            PutLogEvents(input) => logs.put_log_events(caller, input),
            GetLogEvents(input) => logs.get_log_events(caller, input),
            FilterLogEvents(input) => logs.filter_log_events(caller, input),

            TagResource(input) => logs.tag_resource(caller, input),
            UntagResource(input) => logs.untag_resource(caller, input),
            ListTagsForResource(input) => logs.list_tags_for_resource(caller, input),
            TagLogGroup(input) => logs.tag_log_group(caller, input),
            UntagLogGroup(input) => logs.untag_log_group(caller, input),
            ListTagsLogGroup(input) => logs.list_tags_log_group(caller, input),

            ; other => ApiError::not_implemented(other)
        }
    }
}
