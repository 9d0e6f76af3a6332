//! Segments of traces that the processes of an environment send, as they would to X-Ray's daemon. They are kept as they came
//! until their invoke is over, and given to who sends spans: nothing in them is read here.
//!
//! What is taken of an invoke is bounded, and nobody waits for it. Beyond the bound nothing is read any more until the next
//! traced invoke: the rest falls into a socket that is full, which costs the sender alone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hearth_types::invoke::VersionSpec;
use hearth_types::limits::{
    SEGMENT_BYTES, SEGMENT_BYTES_OF_INVOKE, SEGMENT_BYTES_WAITING, SEGMENT_LATE_LETTERS, SEGMENT_OVERHEAD_BYTES,
    SEGMENTS_OF_INVOKE,
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
    #[cfg(test)]
    pub(crate) fn of(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes)))
    }

    pub(crate) fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
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
    late_left: usize,
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
        if inner.present.is_some() {
            inner.lost += inner.documents.len() as u64;
            inner.documents.clear();
            inner.held = None;
        }
        inner.present = traced;
        // What came late and still waits is of this one's bounds, too.
        inner.datagrams_left = SEGMENTS_OF_INVOKE.saturating_sub(inner.documents.len());
        let waiting: usize = inner.documents.iter().map(Bytes::len).sum();
        inner.bytes_left = SEGMENT_BYTES_OF_INVOKE.saturating_sub(waiting);
        inner.late_left = SEGMENT_LATE_LETTERS;
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
        if inner.present.is_some() || inner.late_left == 0 {
            return None;
        }
        let of = vec![inner.before?];
        let late = inner.hand_over(spec, of)?;
        inner.late_left -= 1;
        Some(late)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support;

    fn traced(trace: u128) -> Traced {
        Traced { trace, parent: None, service: 1, function: 2 }
    }

    struct Inside {
        mailbox: Mailbox,
        socket: Arc<UdpSocket>,
        sender: std::net::UdpSocket,
        spec: Arc<VersionSpec>,
    }

    impl Inside {
        async fn new(first: Option<Traced>) -> Self {
            let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
            let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            sender.connect(socket.local_addr().unwrap()).unwrap();
            let mailbox = Mailbox::new(SegmentRoom::default(), first);
            mailbox.attach(Arc::clone(&socket));
            Self { mailbox, socket, sender, spec: Arc::new(test_support::spec()) }
        }

        fn send(&self, documents: &[&str]) {
            documents.iter().for_each(|document| assert!(self.sender.send(document.as_bytes()).is_ok()));
        }

        /// Sends until the reader stops; how many that takes.
        fn send_until_full(&self, document: &str) -> u64 {
            let mut sent = 0;
            while self.mailbox.wants() {
                self.send(&[document]);
                sent += 1;
                self.mailbox.take(&mut self.mailbox.lock(), |buffer| {
                    Ok(rustix::net::recv(&*self.socket, buffer, RecvFlags::DONTWAIT)?.0)
                });
            }
            sent
        }

        /// Traces, documents, and how many are lost.
        fn ends(&self) -> Option<(Vec<u128>, Vec<Bytes>, u64)> {
            self.mailbox.ends(&self.spec).map(shown)
        }
    }

    fn shown(segments: Segments) -> (Vec<u128>, Vec<Bytes>, u64) {
        (segments.of.iter().map(|traced| traced.trace).collect(), segments.documents, segments.lost)
    }

    #[tokio::test]
    async fn what_was_sent_before_the_end_is_there_unheard() {
        let inside = Inside::new(Some(traced(7))).await;
        inside.send(&["a", "", "b"]);
        assert_eq!(inside.ends(), Some((vec![7], vec!["a".into(), "".into(), "b".into()], 0)));
        inside.mailbox.begins(Some(traced(8)));
        assert_eq!(inside.ends(), None);
        inside.mailbox.begins(Some(traced(9)));
        inside.send(&["c"]);
        assert_eq!(inside.ends(), Some((vec![9, 8], vec!["c".into()], 0)));
    }

    #[tokio::test]
    async fn what_comes_late_is_of_the_one_before() {
        let inside = Inside::new(Some(traced(7))).await;
        inside.send(&["a"]);
        inside.socket.readable().await.unwrap();
        assert!(inside.mailbox.hear(&inside.socket, &inside.spec).is_none(), "its invoke is under way");
        assert_eq!(inside.ends(), Some((vec![7], vec!["a".into()], 0)));
        inside.send(&["late"]);
        inside.socket.readable().await.unwrap();
        let late = loop {
            if let Some(late) = inside.mailbox.hear(&inside.socket, &inside.spec) {
                break late;
            }
        };
        assert_eq!(shown(late), (vec![7], vec!["late".into()], 0));
        inside.mailbox.begins(None);
        inside.send(&["later"]);
        let later = loop {
            inside.socket.readable().await.unwrap();
            if let Some(later) = inside.mailbox.hear(&inside.socket, &inside.spec) {
                break later;
            }
        };
        assert_eq!(shown(later).0, [7]);
    }

    #[tokio::test]
    async fn many_that_come_late_wait_for_the_end_of_the_next() {
        let inside = Inside::new(Some(traced(7))).await;
        assert!(inside.ends().is_none());
        let mut letters = 0;
        for _ in 0..SEGMENT_LATE_LETTERS {
            inside.send(&["late"]);
            while inside.mailbox.hear(&inside.socket, &inside.spec).is_none() {
                inside.socket.readable().await.unwrap();
            }
            letters += 1;
        }
        inside.send(&["too late"]);
        while inside.mailbox.lock().documents.is_empty() {
            inside.socket.readable().await.unwrap();
            assert!(inside.mailbox.hear(&inside.socket, &inside.spec).is_none(), "after {letters}");
        }
        inside.mailbox.begins(Some(traced(8)));
        inside.send(&["in time"]);
        assert_eq!(inside.ends(), Some((vec![8, 7], vec!["too late".into(), "in time".into()], 0)));
    }

    #[tokio::test]
    async fn nothing_is_read_before_something_is_traced() {
        let inside = Inside::new(None).await;
        inside.send(&["a", "b"]);
        assert!(!inside.mailbox.wants() && inside.ends().is_none());
        inside.mailbox.begins(Some(traced(7)));
        inside.send(&["c"]);
        assert!(inside.mailbox.wants());
        assert_eq!(inside.ends(), Some((vec![7], vec!["c".into()], 2)), "what was there is lost, and counted");
    }

    #[tokio::test]
    async fn what_is_too_much_is_lost_to_the_last_one() {
        let inside = Inside::new(Some(traced(7))).await;
        let sent = inside.send_until_full("x");
        inside.send(&["x"; 2000]);
        let (_, documents, lost) = inside.ends().unwrap();
        assert_eq!((documents.len(), sent), (SEGMENTS_OF_INVOKE, SEGMENTS_OF_INVOKE as u64));
        assert!(!inside.mailbox.wants());
        inside.mailbox.begins(Some(traced(8)));
        inside.send(&["y"]);
        let (_, taken, more) = inside.ends().unwrap();
        assert_eq!(taken, ["y"]);
        assert_eq!(lost + more, 2000, "what the kernel had no room for, and what was left in it");
    }

    #[tokio::test]
    async fn bytes_are_bounded_of_one_invoke_and_of_all() {
        let inside = Inside::new(Some(traced(7))).await;
        let sent = inside.send_until_full(&"x".repeat(60_000));
        let segments = inside.mailbox.ends(&inside.spec).unwrap();
        assert_eq!((segments.documents.len(), segments.lost), (SEGMENT_BYTES_OF_INVOKE / 60_000, 1));
        assert_eq!(sent, segments.documents.len() as u64 + 1);
        let room = &inside.mailbox.room;
        assert!(room.0.available_permits() < SEGMENT_BYTES_WAITING - SEGMENT_BYTES_OF_INVOKE / 2);
        let all = room.take(room.0.available_permits() - SEGMENT_OVERHEAD_BYTES).unwrap();
        inside.mailbox.begins(Some(traced(8)));
        inside.send(&["a"]);
        assert_eq!(inside.ends(), Some((vec![8, 7], vec![], 1)), "there is no room in this process");
        drop((all, segments));
        assert_eq!(room.0.available_permits(), SEGMENT_BYTES_WAITING);
    }

    #[test]
    fn what_comes_from_elsewhere_needs_room_too() {
        let (spec, room) = (Arc::new(test_support::spec()), SegmentRoom::default());
        let come = |bytes: usize| {
            Segments::new(Arc::clone(&spec), vec![traced(7)], 0, vec![vec![0; bytes].into()], 3).received(&room)
        };
        let kept = come(SEGMENT_BYTES_WAITING - SEGMENT_OVERHEAD_BYTES * 2);
        assert_eq!((kept.documents.len(), kept.lost), (1, 3));
        let lost = come(SEGMENT_OVERHEAD_BYTES);
        assert_eq!((lost.documents.len(), lost.lost), (0, 4));
        drop(kept);
        assert_eq!(come(SEGMENT_OVERHEAD_BYTES).documents.len(), 1);
    }
}
