//! Of extensions and of how environments end.

use std::time::Duration;

/// Extensions of an environment (Lambda).
pub const EXTENSIONS: usize = 10;
/// Files in /opt/extensions that are started: one more than may register, so that it hears why it may not.
pub const EXTENSION_PROGRAMS: usize = EXTENSIONS + 1;
/// How long an environment with extensions of the runtime's process alone may take to end (Lambda).
pub const SHUTDOWN_INTERNAL: Duration = Duration::from_millis(500);
/// How long an environment may take to end where extensions have processes of their own (Lambda).
pub const SHUTDOWN_EXTERNAL: Duration = Duration::from_millis(2000);
/// The part of [`SHUTDOWN_INTERNAL`] or [`SHUTDOWN_EXTERNAL`] that the runtime has, in percent (Lambda).
pub const SHUTDOWN_RUNTIME_PERCENT: u32 = 30;
/// Bytes of an extension's name: what a file's may have.
pub const EXTENSION_NAME_BYTES: usize = 255;
/// Bytes of what an extension sends with one call. Ours: the largest are error reports with their stack traces.
pub const EXTENSION_BODY_BYTES: usize = 256 * 1024;
