//! What the spawner leaves to the reaper, as frames.

use crate::frame::{Bytes, Frame, Reader, Writer};
use crate::tmp::Backing;

/// Something to be done without the spawner waiting for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Chore {
    /// Limit the disk that this slot's /tmp is on. Descriptor, on cgroup v2: the group's `io.max`.
    Limit { slot: u64, loop_number: u32 },
    /// Remove a slot's control groups.
    Cgroups { slot: u64 },
    /// Let a /tmp go. Descriptor: its mount.
    Volume { backing: Backing },
    /// At the end, have this link forward no packets any more.
    Forwarding { link: LinkName },
}

/// The name of one of the machine's links, with zeros up to the longest that there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LinkName([u8; 16]);

impl LinkName {
    /// None where it is too long for a link's name.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        bytes[..15].get_mut(..name.len())?.copy_from_slice(name.as_bytes());
        Some(Self(bytes))
    }

    pub(crate) fn as_str(&self) -> &str {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        std::str::from_utf8(&self.0[..end]).unwrap_or_default()
    }
}

impl Frame for Chore {
    fn encode(&self) -> Bytes {
        match self {
            Self::Cgroups { slot } => Writer::new(1).u64(*slot).done(),
            Self::Volume { backing: Backing::Disk { loop_number } } => Writer::new(2).u32(*loop_number).done(),
            Self::Volume { backing: Backing::Memory { number } } => Writer::new(4).u64(*number).done(),
            Self::Forwarding { link } => Writer::new(3).bytes(&link.0).done(),
            Self::Limit { slot, loop_number } => Writer::new(5).u64(*slot).u32(*loop_number).done(),
        }
    }

    fn decode(bytes: &Bytes) -> Option<Self> {
        let (kind, mut r) = Reader::new(bytes);
        let chore = match kind {
            1 => Self::Cgroups { slot: r.u64() },
            2 => Self::Volume { backing: Backing::Disk { loop_number: r.u32() } },
            4 => Self::Volume { backing: Backing::Memory { number: r.u64() } },
            3 => Self::Forwarding { link: LinkName(r.array()) },
            5 => Self::Limit { slot: r.u64(), loop_number: r.u32() },
            _ => return None,
        };
        r.only_zeros_left().then_some(chore)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::tests::survives;

    #[test]
    fn every_chore_survives_the_wire() {
        survives(Chore::Limit { slot: u64::MAX, loop_number: 9 });
        survives(Chore::Cgroups { slot: u64::MAX });
        survives(Chore::Volume { backing: Backing::Disk { loop_number: 9 } });
        survives(Chore::Volume { backing: Backing::Memory { number: u64::MAX } });
        let link = LinkName::new("fifteen-letters").unwrap();
        survives(Chore::Forwarding { link });
        assert_eq!(link.as_str(), "fifteen-letters");
        assert_eq!(LinkName::new("sixteen-letters."), None);
    }
}
