//! Segments of traces that the processes of an environment send, as they would to X-Ray's daemon. They are kept as they came
//! until their invoke is over, and given to who sends spans: nothing in them is read here.
//!
//! What is taken of an invoke is bounded, and nobody waits for it. Beyond the bound nothing is read any more until the next
//! traced invoke: the rest falls into a socket that is full, which costs the sender alone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hearth_types::invoke::VersionSpec;
use hearth_types::limits::{
    SEGMENT_BYTES, SEGMENT_BYTES_OF_INVOKE, SEGMENT_BYTES_WAITING, SEGMENT_OVERHEAD_BYTES, SEGMENTS_OF_INVOKE,
};
use rustix::net::RecvFlags;
use tokio::net::UdpSocket;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::environment::Environment;
use crate::span::{Anchor, Traced};

/// What an environment sent, for who tells a collector.
#[derive(Debug)]
pub struct Segments {
    /// What ran.
    pub spec: Arc<VersionSpec>,
    /// The invokes that they may be of, the latest first.
    pub of: Vec<Traced>,
    /// When they were taken last, in nanoseconds since 1970.
    pub until_ns: u64,
    /// As they came.
    pub documents: Vec<Bytes>,
    /// How many there were beside them that had no room.
    pub lost: u64,
    /// Of the documents.
    _room: Option<OwnedSemaphorePermit>,
}

/// Room for what waits in this process.
#[derive(Clone, Debug)]
pub struct SegmentRoom(Arc<Semaphore>);

impl Default for SegmentRoom {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(SEGMENT_BYTES_WAITING)))
    }
}

impl SegmentRoom {
    fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes.saturating_add(SEGMENT_OVERHEAD_BYTES)).ok()?;
        Arc::clone(&self.0).try_acquire_many_owned(bytes).ok()
    }
}

impl Segments {
    /// Those that came from elsewhere, as far as there is room here.
    #[must_use]
    pub fn received(self, room: &SegmentRoom) -> Self {
        let count = self.documents.len();
        let bytes = self.documents.iter().map(|document| document.len() + SEGMENT_OVERHEAD_BYTES).sum();
        match room.take(bytes) {
            Some(room) => Self { _room: Some(room), ..self },
            None => Self { documents: Vec::new(), lost: self.lost + count as u64, ..self },
        }
    }

    /// Without room of their own yet.
    #[must_use]
    pub fn new(spec: Arc<VersionSpec>, of: Vec<Traced>, until_ns: u64, documents: Vec<Bytes>, lost: u64) -> Self {
        Self { spec, of, until_ns, documents, lost, _room: None }
    }

    /// Bytes of all documents.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.documents.iter().map(Bytes::len).sum()
    }
}

/// Where an environment's segments come.
pub(crate) struct Mailbox {
    inner: Mutex<Inner>,
    room: SegmentRoom,
    /// There is room again for the reader.
    wanted: Notify,
}

#[derive(Default)]
struct Inner {
    socket: Option<Arc<UdpSocket>>,
    /// Of the invoke in progress, and of the one that was traced before it.
    present: Option<Traced>,
    before: Option<Traced>,
    /// What may still be taken.
    datagrams_left: usize,
    bytes_left: usize,
    documents: Vec<Bytes>,
    held: Option<OwnedSemaphorePermit>,
    lost: u64,
    /// What the kernel has said of the socket's own losses.
    dropped: u32,
    /// The reader has stopped before all was read.
    stopped: bool,
}

impl Mailbox {
    pub(crate) fn new(room: SegmentRoom, first: Option<Traced>) -> Self {
        let mailbox = Self { inner: Mutex::default(), room, wanted: Notify::new() };
        mailbox.begins(first);
        mailbox
    }

    /// New processes send here.
    pub(crate) fn attach(&self, socket: Arc<UdpSocket>) {
        let mut inner = self.lock();
        inner.dropped = 0;
        inner.socket = Some(socket);
    }

    /// There are no processes any more.
    pub(crate) fn detach(&self) {
        self.lock().socket = None;
    }

    /// An invoke begins; nothing of it runs yet.
    pub(crate) fn begins(&self, traced: Option<Traced>) {
        if traced.is_none() {
            return;
        }
        let mut inner = self.lock();
        if std::mem::take(&mut inner.stopped) {
            inner.discard();
        }
        // Of one that ended without spans.
        inner.lost += inner.documents.len() as u64;
        inner.documents.clear();
        inner.held = None;
        inner.present = traced;
        (inner.datagrams_left, inner.bytes_left) = (SEGMENTS_OF_INVOKE, SEGMENT_BYTES_OF_INVOKE);
        drop(inner);
        self.wanted.notify_one();
    }

    /// A traced invoke is over: what was sent until now.
    pub(crate) fn ends(&self, spec: &Arc<VersionSpec>) -> Option<Segments> {
        let mut inner = self.lock();
        if let Some(socket) = inner.socket.clone() {
            // The kernel is asked: tokio may not have heard yet of what is there.
            self.take(&mut inner, |buffer| Ok(rustix::net::recv(&*socket, buffer, RecvFlags::DONTWAIT)?.0));
            inner.note_dropped(&socket);
        }
        let of = inner.present.into_iter().chain(inner.before).collect();
        inner.before = inner.present.take().or(inner.before);
        inner.hand_over(spec, of)
    }

    /// Takes what there is, once the socket is said to be readable. What came after the end of its invoke.
    fn hear(&self, socket: &UdpSocket, spec: &Arc<VersionSpec>) -> Option<Segments> {
        let mut inner = self.lock();
        self.take(&mut inner, |buffer| socket.try_recv(buffer));
        let late = inner.present.is_none().then_some(inner.before)?;
        inner.hand_over(spec, late.into_iter().collect())
    }

    /// Whether the reader is to read on.
    fn wants(&self) -> bool {
        let mut inner = self.lock();
        inner.stopped = inner.datagrams_left == 0;
        !inner.stopped
    }

    fn take(&self, inner: &mut Inner, mut receive: impl FnMut(&mut [u8]) -> std::io::Result<usize>) {
        let mut buffer = [0; SEGMENT_BYTES];
        while inner.datagrams_left > 0
            && let Ok(length) = receive(&mut buffer)
        {
            self.keep(inner, &buffer[..length]);
        }
    }

    fn keep(&self, inner: &mut Inner, document: &[u8]) {
        inner.datagrams_left -= 1;
        let Some(left) = inner.bytes_left.checked_sub(document.len()) else {
            // Nor is there for what follows.
            inner.datagrams_left = 0;
            inner.lost += 1;
            return;
        };
        let Some(room) = self.room.take(document.len()) else {
            inner.lost += 1;
            return;
        };
        inner.bytes_left = left;
        inner.documents.push(Bytes::copy_from_slice(document));
        match &mut inner.held {
            Some(held) => held.merge(room),
            none => *none = Some(room),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn hand_over(&mut self, spec: &Arc<VersionSpec>, of: Vec<Traced>) -> Option<Segments> {
        if self.documents.is_empty() && self.lost == 0 {
            return None;
        }
        Some(Segments {
            spec: Arc::clone(spec),
            of,
            until_ns: Anchor::now().ns(),
            documents: std::mem::take(&mut self.documents),
            lost: std::mem::take(&mut self.lost),
            _room: self.held.take(),
        })
    }

    /// What is left of an invoke that sent too much is not the next one's. There is no more of it than the kernel keeps.
    fn discard(&mut self) {
        let Some(socket) = &self.socket else { return };
        while rustix::net::recv(socket, &mut [0; 0], RecvFlags::DONTWAIT | RecvFlags::TRUNC).is_ok() {
            self.lost += 1;
        }
    }

    fn note_dropped(&mut self, socket: &UdpSocket) {
        if let Ok(dropped) = hearth_sandbox::datagrams_dropped(socket) {
            self.lost += u64::from(dropped.wrapping_sub(self.dropped));
            self.dropped = dropped;
        }
    }
}

/// Reads what the processes of an environment send for as long as it is polled.
pub(crate) async fn read(environment: Arc<Environment>, socket: Arc<UdpSocket>) {
    let mailbox = &environment.segments;
    loop {
        if !mailbox.wants() {
            mailbox.wanted.notified().await;
            continue;
        }
        if socket.readable().await.is_err() {
            return;
        }
        if let Some(late) = mailbox.hear(&socket, &environment.spec) {
            environment.shared.spans.segments(late);
        }
    }
}
