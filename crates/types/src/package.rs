//! Names in the code folder, which the server writes and the spawner mounts from.

/// What the name of a tree begins with until it is whole, and again while it is removed.
pub const STAGING: &str = ".staging-";

/// The name of such a tree.
#[must_use]
pub fn staging(number: u64) -> String {
    format!("{STAGING}{number}")
}
