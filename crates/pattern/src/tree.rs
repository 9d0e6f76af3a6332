//! What one combination of a pattern's branches asks, as a tree in the shape of the event.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::PatternError;
use crate::alternative::Alternatives;

/// What is asked at a place and below it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    /// Of the value there.
    pub(crate) value: Option<Arc<Alternatives>>,
    /// Of an object's members there.
    pub(crate) members: BTreeMap<Arc<str>, Node>,
    /// Whether here or below something may be absent: then matching looks for that first.
    pub(crate) may_lack: bool,
}

impl Node {
    pub(crate) fn of_value(alternatives: Alternatives) -> Node {
        Node { may_lack: alternatives.absent, value: Some(Arc::new(alternatives)), members: BTreeMap::new() }
    }

    pub(crate) fn of_member(key: Arc<str>, member: Node) -> Node {
        Node { value: None, may_lack: member.may_lack, members: BTreeMap::from([(key, member)]) }
    }

    /// What both ask.
    ///
    /// # Errors
    /// Where both ask something of the same value.
    pub(crate) fn and(mut self, other: &Node) -> Result<Node, PatternError> {
        self.may_lack |= other.may_lack;
        match (&self.value, &other.value) {
            (Some(_), Some(_)) => return Err(PatternError::new("Path cannot be allowed multiple times")),
            (None, Some(value)) => self.value = Some(Arc::clone(value)),
            (_, None) => {}
        }
        for (key, theirs) in &other.members {
            let ours = self.members.remove(key).unwrap_or_default();
            self.members.insert(Arc::clone(key), ours.and(theirs)?);
        }
        Ok(self)
    }
}
