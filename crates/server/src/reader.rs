//! Archives are read in a jail: what `hearth-image` has the spawner do, and what the spawner has `hearth-image` do.

use std::io;

use hearth_image::{PackageError, Reader, Unpacked, Wanted};
use hearth_sandbox::{Reading, SandboxError, Spawner};
use tokio::runtime::Handle;

/// The jail's side, which the spawner starts.
pub(crate) fn in_jail(reading: Reading<'_>) -> Vec<u8> {
    hearth_image::read_in_jail(reading.archive, reading.order, reading.folder)
}

/// The server's side.
pub(crate) struct JailedReader {
    spawner: Spawner,
    runtime: Handle,
}

impl JailedReader {
    /// To be called inside a tokio runtime.
    pub(crate) fn new(spawner: Spawner) -> Self {
        Self { spawner, runtime: Handle::current() }
    }
}

impl std::fmt::Debug for JailedReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JailedReader")
    }
}

impl Reader for JailedReader {
    fn read(&self, zip: &[u8], wanted: Wanted<'_>) -> Result<Unpacked, PackageError> {
        let staging = match wanted {
            Wanted::Tree(staging) => Some(staging.number()),
            Wanted::Plan | Wanted::Check => None,
        };
        let report = self.runtime.block_on(self.spawner.read_archive(zip, hearth_image::order(wanted), staging));
        hearth_image::outcome(&report.map_err(unread)?)
    }
}

/// Whatever stood in the way was not the package, as far as can be told.
fn unread(cause: SandboxError) -> PackageError {
    PackageError::Disk { what: "reading it in a jail".into(), cause: io::Error::other(cause) }
}
