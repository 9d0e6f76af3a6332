//! Packages: from the bytes of a zip to the read-only tree that an environment sees at /var/task.
//!
//! `Archive` reads the zip strictly, `Plan` turns its entries into paths that stay inside, and [`Unpacker`] writes
//! them aside and gives the tree its name when it is whole.

mod archive;
mod content;
mod durable;
mod error;
mod path;
mod plan;
mod tree;
mod unpacker;

pub(crate) use archive::Archive;
pub use error::PackageError;
pub(crate) use plan::Plan;
pub use unpacker::{Unpacked, Unpacker};
