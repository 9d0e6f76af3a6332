//! The server's side of a jail for an archive.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use hearth_types::limits::READER_TIME;
use rustix::net::RecvFlags;
use tokio::io::Interest;

use crate::error::{During, Failure, SandboxError};
use crate::frame::Request;
use crate::jail::{self, MESSAGE_BYTES};
use crate::{Spawner, args, channel};

impl Spawner {
    /// Has the reader that the program was started with read an archive in a jail of its own, and returns what it reports:
    /// at most [`hearth_types::limits::READER_REPORT_BYTES`], and no more to be believed than the archive. With `staging`
    /// it writes to that folder, see [`hearth_types::package`]; without, nowhere. Copies the archive: to be awaited where
    /// blocking for so long does no harm.
    ///
    /// # Errors
    /// What failed; that the reader ended on the way, for instance because it did something that no reader does; or that
    /// it took longer than [`READER_TIME`].
    pub async fn read_archive(
        &self,
        archive: &[u8],
        order: u32,
        staging: Option<u64>,
    ) -> Result<Vec<u8>, SandboxError> {
        let what = "handing an archive to its reader";
        let archive = args::sealed("hearth-archive", archive).during(what)?;
        let (ours, readers) = channel::pair().during(what)?;
        rustix::io::ioctl_fionbio(&ours, true).during(what)?;
        let ours = channel::register(ours).during(what)?;
        self.send(&Request::Read { order, staging }, &[archive.as_fd(), readers.as_fd()]).await?;
        drop((archive, readers));
        let mut message = [0; MESSAGE_BYTES + 1];
        let receive = |socket: &OwnedFd| match rustix::net::recv(socket, &mut message, RecvFlags::empty()) {
            // It closed without having read, which it never does.
            Err(rustix::io::Errno::CONNRESET) => Ok(0),
            other => other.map(|(length, _)| length).map_err(io::Error::from),
        };
        // Our end closes with this; then the spawner ends the reader.
        let length = tokio::time::timeout(READER_TIME, ours.async_io(Interest::READABLE, receive)).await;
        let late = |_| Failure::new(libc::ETIMEDOUT, "reading an archive");
        let length = length.map_err(late)?.during("hearing from the reader of an archive")?;
        Ok(jail::parse(&message[..length.min(message.len())])?)
    }
}
