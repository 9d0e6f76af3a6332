//! The log store: lines of log groups, kept in files of bounded size, read back and followed; and what CloudWatch Logs
//! answers from it.
//!
//! A line on its way in costs an invoke a push onto a queue; one thread writes the queue out in batches. What the queue
//! has no room for, and what comes faster than a group may write for long, is dropped and counted, and the log says so.
//! Lines of functions are not synced: a crash of the machine may take the last ones, a crash of the server those that
//! were still queued. A group that a line makes is cheap at first: it settles in a folder of its own only when it has more
//! lines, or somebody asks for them. What clients do (groups, streams, events they put) is on stable storage before it is answered.

mod about;
mod allowance;
mod cloudwatch;
mod escape;
mod follow;
mod group;
mod groups;
mod pattern;
mod queue;
mod record;
mod search;
mod segment;
mod store;
mod writer;
mod young;

pub use cloudwatch::{CloudWatchLogs, LiveTail};
pub use escape::escape_for_terminal;
pub use follow::{Follower, Missed};
pub use group::{Events, StreamInfo};
pub use pattern::{Malformed, Pattern};
pub use record::LogLine;
pub use search::{Direction, Found, Position, Query, Streams};
pub use store::{GroupInfo, LogStore, Refused};
