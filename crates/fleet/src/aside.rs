//! Messages that cannot be read.

use hearth_store::{Message, Step};
use hearth_types::limits::QUEUE_NAME_BYTES;

/// Before the name of the queue that a message was in.
const UNREADABLE: &str = "unreadable/";

/// What puts a message that cannot be read, which no version of this server can have written whole, where nobody works on
/// it and it stays to be looked at: it must not stand in the way of others, and nothing that was accepted vanishes.
#[must_use]
pub fn put_aside(queue: &str, message: Message) -> Vec<Step> {
    let name = format!("{UNREADABLE}{queue}");
    let queue = name[..name.floor_char_boundary(QUEUE_NAME_BYTES)].to_owned();
    vec![Step::Put { queue, due_ms: i64::MAX, head: message.head, body: message.body }, Step::Delete(message.found)]
}
