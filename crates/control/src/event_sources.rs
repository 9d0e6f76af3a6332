//! What mappings poll, as far as making one asks for it.

use hearth_store::BoxFuture;
use hearth_types::mapping::Source;

/// Looks at event sources.
pub trait EventSources: Send + Sync + 'static {
    /// Whether a function may poll a source, which must be there.
    ///
    /// # Errors
    /// With what the client is told.
    fn check<'a>(&'a self, source: &'a Source, poller: Poller<'a>) -> BoxFuture<'a, Result<(), String>>;
}

/// The function that a source is to be polled for.
#[derive(Clone, Copy, Debug)]
pub struct Poller<'a> {
    /// Its name.
    pub function: &'a str,
    /// The ARN of its role.
    pub role: &'a str,
    /// Seconds that it may take.
    pub timeout_s: u32,
}
