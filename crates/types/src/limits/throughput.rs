//! How fast an environment may be.

/// Megabits a second that an environment's network carries, in each direction, unless told otherwise. Lambda's as
/// measured from inside; it states none.
pub const NETWORK_MBIT: u32 = 625;
/// The most that can be set. Ours: the kernel counts bytes a second in 32 bits.
pub const NETWORK_MBIT_MAX: u32 = 34_000;
/// MB a second that an environment reads from, and writes to, the disk behind its /tmp, unless told otherwise. Ours: twice
/// of what a usual cloud disk gives, so that one environment cannot have all of a fast one.
pub const TMP_THROUGHPUT_MB: u32 = 256;
