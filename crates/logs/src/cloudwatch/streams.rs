//! Log streams.

use hearth_api::logs::Operation;
use hearth_api::logs::types::{
    CreateLogStreamRequest, DeleteLogStreamRequest, DescribeLogStreamsRequest, DescribeLogStreamsResponse, LogStream,
    OrderBy,
};
use hearth_api::{ApiError, Page};
use hearth_identity::Caller;

use super::token::SEQUENCE_TOKEN;
use super::{CloudWatchLogs, invalid, page};
use crate::group::StreamInfo;

impl CloudWatchLogs {
    /// Makes a stream.
    ///
    /// # Errors
    /// Where there is one, or no such group.
    pub async fn create_log_stream(&self, caller: &Caller, input: CreateLogStreamRequest) -> Result<(), ApiError> {
        let CreateLogStreamRequest { log_group_name: group, log_stream_name: stream } = input;
        self.allow_stream(caller, Operation::CreateLogStream, &group, &stream)?;
        self.flushed(move |store| store.create_stream(&group, &stream)).await
    }

    /// Deletes a stream with its lines.
    ///
    /// # Errors
    /// Where there is none.
    pub async fn delete_log_stream(&self, caller: &Caller, input: DeleteLogStreamRequest) -> Result<(), ApiError> {
        let DeleteLogStreamRequest { log_group_name: group, log_stream_name: stream } = input;
        self.allow_stream(caller, Operation::DeleteLogStream, &group, &stream)?;
        self.flushed(move |store| store.delete_stream(&group, &stream)).await
    }

    /// A group's streams, by name or by the time of the last event.
    ///
    /// # Errors
    /// Where there is no such group; members that exclude each other; a token that is none of this list's.
    pub async fn describe_log_streams(
        &self,
        caller: &Caller,
        input: DescribeLogStreamsRequest,
    ) -> Result<DescribeLogStreamsResponse, ApiError> {
        let group = self.group_named(input.log_group_name.clone(), input.log_group_identifier.as_deref())?;
        self.allow(caller, Operation::DescribeLogStreams, &group)?;
        let order = Order::of(&input)?;
        let page = page(order.list(), input.next_token.as_deref(), input.limit)?;
        let prefix = input.log_stream_name_prefix.unwrap_or_default();
        let name = group.clone();
        let streams = self.flushed(move |store| store.streams(&name)).await?;
        let streams = streams.into_iter().filter(|stream| stream.name.starts_with(&prefix));
        let (found, next_token) = order.cut(streams, &page);
        let log_streams = Some(found.iter().map(|stream| self.shown_stream(&group, stream)).collect());
        Ok(DescribeLogStreamsResponse { log_streams, next_token })
    }

    fn shown_stream(&self, group: &str, stream: &StreamInfo) -> LogStream {
        LogStream {
            log_stream_name: Some(stream.name.clone()),
            creation_time: Some(stream.created_ms),
            first_event_timestamp: stream.events.map(|events| events.first_ms),
            last_event_timestamp: stream.events.map(|events| events.last_ms),
            last_ingestion_time: stream.events.map(|events| events.ingested_ms),
            upload_sequence_token: Some(SEQUENCE_TOKEN.to_owned()),
            arn: Some(self.stream_arn(group, &stream.name)),
            // As the service has it: it no longer counts them.
            stored_bytes: Some(0),
        }
    }
}

/// In what order streams are listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Order {
    by_time: bool,
    descending: bool,
}

impl Order {
    fn of(input: &DescribeLogStreamsRequest) -> Result<Self, ApiError> {
        let by_time = matches!(input.order_by, Some(OrderBy::LastEventTime));
        if by_time && input.log_stream_name_prefix.is_some() {
            return Err(invalid("Cannot order by LastEventTime with a logStreamNamePrefix."));
        }
        Ok(Self { by_time, descending: input.descending.unwrap_or(false) })
    }

    /// Tells tokens of one order from those of another.
    fn list(self) -> &'static str {
        match (self.by_time, self.descending) {
            (false, false) => "log-streams",
            (false, true) => "log-streams-down",
            (true, false) => "log-streams-by-time",
            (true, true) => "log-streams-by-time-down",
        }
    }

    /// What streams are sorted by. Those without events are the oldest.
    fn key(self, stream: &StreamInfo) -> String {
        let last_ms = stream.events.map_or(0, |events| events.last_ms.max(0));
        if self.by_time { format!("{last_ms:020}/{}", stream.name) } else { stream.name.clone() }
    }

    fn cut(self, streams: impl Iterator<Item = StreamInfo>, page: &Page) -> (Vec<StreamInfo>, Option<String>) {
        let mut keyed: Vec<(String, StreamInfo)> = streams.map(|stream| (self.key(&stream), stream)).collect();
        keyed.sort_by(|(one, _), (other, _)| if self.descending { other.cmp(one) } else { one.cmp(other) });
        let is_behind = |key: &str| match &page.after {
            None => true,
            Some(after) if self.descending => key < after.as_str(),
            Some(after) => key > after.as_str(),
        };
        keyed.retain(|(key, _)| is_behind(key));
        keyed.truncate(page.read());
        let next = page.cut(&mut keyed, |(key, _)| key);
        (keyed.into_iter().map(|(_, stream)| stream).collect(), next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::Events;

    #[test]
    fn pages_follow_the_order() {
        let stream = |name: &str, last_ms: Option<i64>| StreamInfo {
            name: name.to_owned(),
            created_ms: 0,
            events: last_ms.map(|last_ms| Events { first_ms: 0, last_ms, ingested_ms: 0 }),
        };
        let streams = [stream("a", Some(9)), stream("b", None), stream("c", Some(100)), stream("d", Some(9))];
        for (by_time, descending, expected) in [
            (false, false, ["a", "b", "c", "d"]),
            (false, true, ["d", "c", "b", "a"]),
            (true, false, ["b", "a", "d", "c"]),
            (true, true, ["c", "d", "a", "b"]),
        ] {
            let order = Order { by_time, descending };
            let (mut names, mut token) = (Vec::new(), None);
            loop {
                let page = page(order.list(), token.as_deref(), Some(3)).unwrap();
                let (found, next) = order.cut(streams.iter().cloned(), &page);
                names.extend(found.into_iter().map(|stream| stream.name));
                token = next;
                if token.is_none() {
                    break;
                }
            }
            assert_eq!(names, expected, "{order:?}");
        }
    }
}
