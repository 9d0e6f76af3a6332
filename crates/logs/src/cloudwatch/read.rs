//! Reading lines: of one stream page by page in both directions, and of a group through a filter.

use hearth_api::ApiError;
use hearth_api::logs::Operation;
use hearth_api::logs::types::{
    FilterLogEventsRequest, FilterLogEventsResponse, FilteredLogEvent, GetLogEventsRequest, GetLogEventsResponse,
    OutputLogEvent,
};
use hearth_identity::Caller;
use hearth_types::limits::{LOG_PAGE_BYTES, LOG_PAGE_EVENTS};

use super::token::Owner;
use super::{CloudWatchLogs, invalid};
use crate::pattern::Pattern;
use crate::record::LogLine;
use crate::search::{Direction, Position, Query, Streams};
use crate::store::{LogStore, Refused};

impl CloudWatchLogs {
    /// A page of a stream's events.
    ///
    /// # Errors
    /// Where there is no such stream; a token of another one.
    pub async fn get_log_events(
        &self,
        caller: &Caller,
        input: GetLogEventsRequest,
    ) -> Result<GetLogEventsResponse, ApiError> {
        let group = self.group_named(input.log_group_name, input.log_group_identifier.as_deref())?;
        let stream = input.log_stream_name;
        self.allow_stream(caller, Operation::GetLogEvents, &group, &stream)?;
        let owner = Owner::of([group.as_str(), &stream]);
        let is_forward = input.start_from_head.unwrap_or(false);
        let direction = match input.next_token.as_deref() {
            Some(token) => direction_of(owner, token)?,
            None if is_forward => Direction::Forward(None),
            None => Direction::Backward(None),
        };
        let from_ms = input.start_time.unwrap_or(0);
        let query = Query {
            streams: Streams::Named([stream.clone()].into()),
            from_ms,
            // The end is not in it.
            to_ms: input.end_time.map_or(i64::MAX, |end_ms| end_ms.saturating_sub(1)),
            direction,
            lines: lines(input.limit),
            bytes: LOG_PAGE_BYTES,
        };
        let search = move |store: &LogStore| {
            if store.has_stream(&group, &stream)? {
                store.search(&group, &query, |_| true)
            } else {
                Err(Refused::NoStream)
            }
        };
        let found = self.flushed(search).await?.lines;
        let (before, behind) = edges(&found, direction, from_ms);
        Ok(GetLogEventsResponse {
            events: Some(found.iter().map(output).collect()),
            next_forward_token: Some(format!("f/{}/s", owner.token(behind))),
            next_backward_token: Some(format!("b/{}/s", owner.token(before))),
        })
    }

    /// A page of a group's events that fit a pattern.
    ///
    /// # Errors
    /// Where there is no such group, or one of the streams named is not there; a malformed pattern; a token of another
    /// search.
    pub async fn filter_log_events(
        &self,
        caller: &Caller,
        input: FilterLogEventsRequest,
    ) -> Result<FilterLogEventsResponse, ApiError> {
        let group = self.group_named(input.log_group_name.clone(), input.log_group_identifier.as_deref())?;
        self.allow(caller, Operation::FilterLogEvents, &group)?;
        let pattern_text = input.filter_pattern.as_deref().unwrap_or_default();
        let pattern = Pattern::parse(pattern_text).map_err(|malformed| invalid(malformed.to_string()))?;
        let streams = streams_of(&input)?;
        let (from_ms, to_ms) = (input.start_time.unwrap_or(0), input.end_time.unwrap_or(i64::MAX));
        if from_ms > to_ms {
            return Err(invalid("startTime must not be greater than endTime."));
        }
        let searched = Owner::of([group.as_str(), pattern_text, &format!("{:?}", input.log_stream_names)]);
        let start = input.next_token.as_deref().map(|token| searched.position(token).ok_or_else(invalid_token));
        let query = Query {
            streams,
            from_ms,
            to_ms,
            direction: Direction::Forward(start.transpose()?),
            lines: lines(input.limit),
            bytes: LOG_PAGE_BYTES,
        };
        let name = group.clone();
        let search = move |store: &LogStore| {
            if let Streams::Named(names) = &query.streams {
                for stream in names {
                    if !store.has_stream(&name, stream)? {
                        return Err(Refused::NoStream);
                    }
                }
            }
            store.search(&name, &query, |message| pattern.matches(message))
        };
        let found = self.flushed(search).await?;
        let of_group = Owner::of([group.as_str()]);
        let next = found.lines.last().filter(|_| found.more).map(|last| searched.token(position(last)));
        Ok(FilterLogEventsResponse {
            events: Some(found.lines.iter().map(|line| filtered(of_group, line)).collect()),
            // As the service has it by now.
            searched_log_streams: Some(Vec::new()),
            next_token: next,
        })
    }
}

fn lines(limit: Option<i32>) -> usize {
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(LOG_PAGE_EVENTS).clamp(1, LOG_PAGE_EVENTS)
}

fn invalid_token() -> ApiError {
    invalid("The specified nextToken is invalid.")
}

/// `f/DIGITS/s` leads forward, `b/DIGITS/s` back.
fn direction_of(owner: Owner, token: &str) -> Result<Direction, ApiError> {
    let position = |token: &str| owner.position(token.strip_suffix("/s")?);
    let forward = token.strip_prefix("f/").and_then(position).map(|start| Direction::Forward(Some(start)));
    let backward = || token.strip_prefix("b/").and_then(position).map(|start| Direction::Backward(Some(start)));
    forward.or_else(backward).ok_or_else(invalid_token)
}

/// Where the way back and the way forward go on from a page. From an empty page they lead from where it was looked for,
/// so that its own direction's token stays the same.
fn edges(found: &[LogLine], direction: Direction, from_ms: i64) -> (Position, Position) {
    let from = Position { timestamp_ms: from_ms, sequence: 0 };
    match (found.first(), found.last(), direction) {
        (Some(first), Some(last), _) => (position(first), position(last)),
        (_, _, Direction::Forward(Some(start))) => {
            (Position { sequence: start.sequence.saturating_add(1), ..start }, start)
        }
        (_, _, Direction::Backward(Some(start))) => {
            (start, Position { sequence: start.sequence.saturating_sub(1), ..start })
        }
        (_, _, Direction::Forward(None) | Direction::Backward(None)) => (from, from),
    }
}

fn streams_of(input: &FilterLogEventsRequest) -> Result<Streams, ApiError> {
    match (&input.log_stream_names, &input.log_stream_name_prefix) {
        (Some(_), Some(_)) => Err(invalid("logStreamNames and logStreamNamePrefix exclude each other.")),
        (Some(names), None) => Ok(Streams::Named(names.iter().cloned().collect())),
        (None, Some(prefix)) => Ok(Streams::Prefix(prefix.clone())),
        (None, None) => Ok(Streams::All),
    }
}

fn position(line: &LogLine) -> Position {
    Position { timestamp_ms: line.timestamp_ms, sequence: line.sequence }
}

fn output(line: &LogLine) -> OutputLogEvent {
    OutputLogEvent {
        timestamp: Some(line.timestamp_ms),
        message: Some(String::from_utf8_lossy(&line.message).into_owned()),
        ingestion_time: Some(line.ingested_ms),
    }
}

fn filtered(group: Owner, line: &LogLine) -> FilteredLogEvent {
    FilteredLogEvent {
        log_stream_name: Some(line.stream.to_string()),
        timestamp: Some(line.timestamp_ms),
        message: Some(String::from_utf8_lossy(&line.message).into_owned()),
        ingestion_time: Some(line.ingested_ms),
        event_id: Some(group.token(position(line))),
    }
}
