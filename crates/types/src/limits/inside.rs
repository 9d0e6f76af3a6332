//! Of the server's own API as functions reach it.

/// Connections to the server's API that wait to be accepted, of one environment.
pub const INSIDE_BACKLOG: i32 = 64;
/// Connections of one environment to the server's API; more wait. Ours: clients keep up to 50.
pub const INSIDE_CONNECTIONS: usize = 64;
/// Bytes of requests of one environment that the server holds in memory at a time; more wait.
pub const INSIDE_BODIES_BYTES: usize = 64 * 1024 * 1024;
/// The same of what functions send, all together: apart from those of clients outside.
pub const INSIDE_PACKAGES_IN_WORK: usize = 2;
