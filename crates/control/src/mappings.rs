//! Event source mappings: what a client may say of them, and what it sees.

mod change;
mod filter;
mod operations;
mod settings;
mod source;
mod view;

use uuid::Uuid;

/// A UUID as we write it, however a client does; none for what is no UUID.
pub(crate) fn one_form(uuid: &str) -> Option<String> {
    Uuid::try_parse(uuid).ok().map(|uuid| uuid.to_string())
}
