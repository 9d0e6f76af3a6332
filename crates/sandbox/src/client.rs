//! The server's side of the control socket.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearth_types::limits::SPAWNER_REQUESTS;
use rustix::net::{RecvFlags, SendFlags, Shutdown};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::AbortHandle;

use crate::SpawnerConnection;
use crate::channel::{self, Received};
use crate::disk::Disk;
use crate::error::{During, SandboxError};
use crate::frame::{Answer, Request};

/// A spawner to talk with. Clones talk with the same one; it ends, and every environment with it, when the last clone
/// and the last thing made by it are dropped.
#[derive(Clone)]
pub struct Spawner {
    link: Arc<Link>,
}

/// Ends the reader with the last clone; the reader holds the socket, too.
struct Link {
    shared: Arc<Shared>,
    reader: AbortHandle,
}

struct Shared {
    socket: AsyncFd<OwnedFd>,
    cgroup_v2: bool,
    next_id: AtomicU64,
    /// Who waits for which answer; none once the spawner has died.
    waiting: Mutex<Option<HashMap<u64, oneshot::Sender<Reply>>>>,
    room: Semaphore,
    /// It was told to end.
    stopping: AtomicBool,
    closed: watch::Receiver<bool>,
    disk: watch::Sender<Disk>,
}

type Reply = Result<(Answer, Vec<OwnedFd>), SandboxError>;

impl Spawner {
    /// Begins to talk with a started spawner. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// The system's, where the socket cannot be registered with the runtime.
    pub fn new(connection: SpawnerConnection) -> io::Result<Self> {
        let SpawnerConnection { control, process, cgroup_v2, .. } = connection;
        rustix::io::ioctl_fionbio(&control, true)?;
        let (closing, closed) = watch::channel(false);
        let shared = Arc::new(Shared {
            socket: channel::register(control)?,
            cgroup_v2,
            next_id: AtomicU64::new(1),
            waiting: Mutex::new(Some(HashMap::new())),
            room: Semaphore::new(SPAWNER_REQUESTS),
            stopping: AtomicBool::new(false),
            closed,
            disk: watch::Sender::default(),
        });
        let reader = tokio::spawn(read_answers(shared.clone(), process, closing)).abort_handle();
        Ok(Self { link: Arc::new(Link { shared, reader }) })
    }

    /// Returns once the spawner has died.
    pub async fn closed(&self) {
        let mut closed = self.shared().closed.clone();
        // An error means that the sender, and so the reader, is gone.
        let _ = closed.wait_for(|closed| *closed).await;
    }

    /// How it stands with the disk behind all /tmps.
    #[must_use]
    pub fn disk(&self) -> Disk {
        *self.shared().disk.borrow()
    }

    /// Ends the spawner with everything it made, and returns once nothing of it is left.
    pub async fn stop(&self) {
        self.shared().stopping.store(true, Ordering::Release);
        let _ = rustix::net::shutdown(self.shared().socket.get_ref(), Shutdown::Write);
        self.closed().await;
    }

    /// Whether it was told to end: what it made ends with it.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.shared().stopping.load(Ordering::Acquire)
    }

    pub(crate) fn cgroup_v2(&self) -> bool {
        self.shared().cgroup_v2
    }

    fn shared(&self) -> &Shared {
        &self.link.shared
    }

    /// Sends a request, which `build` makes from its id, and waits for the answer.
    pub(crate) async fn ask(&self, build: impl FnOnce(u64) -> Request) -> Reply {
        let shared = self.shared();
        let _room = shared.room.acquire().await.map_err(|_| SandboxError::SpawnerGone)?;
        let id = shared.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        match shared.waiting().as_mut() {
            Some(waiting) => waiting.insert(id, sender),
            None => return Err(SandboxError::SpawnerGone),
        };
        if let Err(error) = self.send(&build(id), &[]).await {
            shared.waiting().as_mut().and_then(|waiting| waiting.remove(&id));
            return Err(error);
        }
        answer.await.unwrap_or(Err(SandboxError::SpawnerGone))
    }

    /// Sends a request that is answered elsewhere, or not at all.
    pub(crate) async fn send(&self, request: &Request, fds: &[BorrowedFd<'_>]) -> Result<(), SandboxError> {
        let send = |socket: &OwnedFd| channel::send(socket, request, fds, SendFlags::DONTWAIT);
        match self.shared().socket.async_io(Interest::WRITABLE, send).await {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(SandboxError::SpawnerGone),
            other => Ok(other.during("sending a request to the spawner")?),
        }
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Option<HashMap<u64, oneshot::Sender<Reply>>>> {
        // Nothing can panic while it is held.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deliver(&self, answer: Answer, fds: Vec<OwnedFd>) {
        let (id, reply) = match answer {
            Answer::Failed { id, failure } => (id, Err(failure.into())),
            Answer::Made { id, .. }
            | Answer::Destroyed { id, .. }
            | Answer::Socket { id }
            | Answer::Answered { id } => (id, Ok((answer, fds))),
            Answer::Disk(disk) => {
                self.disk.send_replace(disk);
                return;
            }
            Answer::Hello { .. } | Answer::Unkept { .. } => return,
        };
        let sender = self.waiting().as_mut().and_then(|waiting| waiting.remove(&id));
        if let Some(sender) = sender {
            // Nobody waits any more: closing the descriptors tells the spawner.
            let _ = sender.send(reply);
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Hands answers to who waits for them, until the spawner's end.
async fn read_answers(shared: Arc<Shared>, mut process: Child, closing: watch::Sender<bool>) {
    loop {
        let receive = |socket: &OwnedFd| channel::receive::<Answer>(socket.as_fd(), RecvFlags::DONTWAIT);
        match shared.socket.async_io(Interest::READABLE, receive).await {
            Ok(Received::Frame(answer, fds)) => shared.deliver(answer, fds),
            Ok(Received::Closed) => break,
            Err(error) => {
                tracing::error!(%error, "the spawner's socket failed");
                break;
            }
        }
    }
    *shared.waiting() = None;
    match tokio::task::spawn_blocking(move || process.wait()).await {
        Ok(Ok(status)) if status.success() => tracing::debug!("the spawner has ended"),
        outcome => tracing::error!(?outcome, "the spawner has died"),
    }
    let _ = closing.send(true);
}
