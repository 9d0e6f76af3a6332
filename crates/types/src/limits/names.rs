//! Of questions about names from environments.

use std::time::Duration;

/// Connections with questions about names that wait to be accepted, of one environment.
pub const NAMES_BACKLOG: i32 = 16;
/// Questions about names in work at a time, of one environment; more are not answered.
pub const NAME_QUESTIONS_EACH: usize = 32;
/// The same of all environments.
pub const NAME_QUESTIONS_ALL: usize = 1024;
/// Questions about names that an environment may ask in a second; more are not answered (Lambda: 1,024 packets).
pub const NAME_QUESTIONS_PER_SECOND: u32 = 1024;
/// How long one of the machine's name servers may take to answer.
pub const NAME_SERVER_PATIENCE: Duration = Duration::from_secs(2);
/// How often each of them is asked until there is no answer.
pub const NAME_SERVER_ATTEMPTS: usize = 2;
/// How long a connection with questions about names may be idle.
pub const NAMES_CONNECTION_IDLE: Duration = Duration::from_secs(10);
