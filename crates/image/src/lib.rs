//! Packages: from the bytes of a zip to the read-only tree that an environment sees at /var/task.
//!
//! `Archive` reads the zip strictly, `Plan` turns its entries into paths that stay inside, and `tree` writes them: all of
//! it in a process in a jail ([`read_in_jail`]). [`Unpacker`] is the server's side: it has packages read into a folder
//! aside and gives the tree its name when it is whole. What a small package holds is judged by [`judge`] before.

mod archive;
mod content;
mod durable;
mod error;
mod jailed;
mod path;
mod plan;
mod reading;
mod tree;
mod unpacker;

pub(crate) use archive::Archive;
pub use error::PackageError;
pub use jailed::{order, outcome, read_in_jail};
pub(crate) use plan::Plan;
pub use reading::{InProcess, Reader, Staging, Unpacked, Wanted, judge};
pub use unpacker::Unpacker;
