//! The log store: lines of log groups, kept in files of bounded size, read back and followed.
//!
//! A line on its way in costs an invoke a push onto a queue; one thread writes the queue out in batches. What the queue
//! has no room for is dropped and counted, and the log says so. Lines are not synced: a crash of the machine may take
//! the last ones, a crash of the server those that were still queued.

mod escape;
mod follow;
mod group;
mod queue;
mod record;
mod store;

pub use escape::escape_for_terminal;
pub use follow::{Follower, Missed};
pub use record::LogLine;
pub use store::LogStore;
