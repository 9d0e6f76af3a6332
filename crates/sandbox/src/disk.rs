//! How it stands with the disk behind all /tmps, as the spawner tells it.

/// Of that disk, or of none where /tmp is in memory.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Disk {
    /// Whether less of it is free than has to stay free for the platform.
    pub short: bool,
    /// Environments that were ended for that since the spawner's start.
    pub ended: u64,
}
