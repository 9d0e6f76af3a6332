//! Followers of a group.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use hearth_types::limits::LOG_FOLLOW_LINES;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::record::LogLine;

/// So many lines came faster than the follower took them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Missed(pub u64);

/// Gets a group's lines as they are put on file.
#[derive(Debug)]
pub struct Follower(broadcast::Receiver<LogLine>);

impl Follower {
    /// The next line; none once the store is closed. Can be dropped while it waits without losing a line.
    pub async fn next(&mut self) -> Option<Result<LogLine, Missed>> {
        match self.0.recv().await {
            Ok(line) => Some(Ok(line)),
            Err(RecvError::Lagged(lines)) => Some(Err(Missed(lines))),
            Err(RecvError::Closed) => None,
        }
    }
}

/// Who follows which group.
#[derive(Debug, Default)]
pub(crate) struct Followers(Mutex<Option<HashMap<Arc<str>, broadcast::Sender<LogLine>>>>);

impl Followers {
    pub(crate) fn open() -> Self {
        Self(Mutex::new(Some(HashMap::new())))
    }

    pub(crate) fn follow(&self, group: &Arc<str>) -> Follower {
        let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(groups) = groups.as_mut() else { return Follower(broadcast::channel(1).1) };
        // Of a group that is silent nobody else notices that its followers have gone.
        groups.retain(|_, sender| sender.receiver_count() > 0);
        let sender = groups.entry(Arc::clone(group)).or_insert_with(|| broadcast::channel(LOG_FOLLOW_LINES).0);
        Follower(sender.subscribe())
    }

    pub(crate) fn tell(&self, group: &Arc<str>, line: LogLine) {
        let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(groups) = groups.as_mut()
            && let Some(sender) = groups.get(group)
            // Nobody listens any more.
            && sender.send(line).is_err()
        {
            groups.remove(group);
        }
    }

    pub(crate) fn close(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
