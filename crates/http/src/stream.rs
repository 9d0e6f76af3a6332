//! A client's connection with two bounds more: on how long an answer waits to be taken, and on how the connection ends.

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hearth_types::limits::{ANSWER_PATIENCE, ANSWER_STALL, LINGER, LINGER_BYTES};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};

use crate::unread::{Held, Unread};

/// Bytes that are read at a time to be thrown away.
const DISCARD: usize = 16 * 1024;

/// A stream that
/// - fails a write that the client does not take within [`ANSWER_STALL`]: who does not read must not hold an answer's
///   memory, nor the server's stop; where all such answers together are too much, within [`ANSWER_PATIENCE`];
/// - is closed in two steps: the end is sent, then what the client still sends is read and thrown away for at most
///   [`LINGER`]. Closed at once, a socket with unread bytes is reset, and a client that is still sending a body that was
///   refused would never see why.
pub(crate) struct ClientStream<S> {
    inner: S,
    /// A server that stops waits for nobody's rest.
    stop: watch::Receiver<bool>,
    unread: Arc<Unread>,
    /// Of what is being written in parts: its memory is held until the last of them.
    begun: usize,
    /// Some while a write waits.
    stalled: Option<Stalled>,
    closing: Closing,
}

/// A write that waits.
struct Stalled {
    since: Instant,
    look: Pin<Box<Sleep>>,
    _held: Held,
}

enum Closing {
    NotYet,
    /// The end is sent.
    Lingering {
        until: Pin<Box<Sleep>>,
        left: usize,
    },
    Done,
}

impl<S> ClientStream<S> {
    pub(crate) fn new(inner: S, stop: watch::Receiver<bool>, unread: Arc<Unread>) -> Self {
        Self { inner, stop, unread, begun: 0, stalled: None, closing: Closing::NotYet }
    }

    /// Passes on the outcome of a write of that many bytes.
    fn written(
        &mut self,
        outcome: Poll<io::Result<usize>>,
        bytes: usize,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let whole = self.begun.max(bytes);
        match outcome {
            Poll::Ready(Ok(written)) if written < bytes => self.begun = whole,
            Poll::Ready(_) => self.begun = 0,
            Poll::Pending => {}
        }
        self.bounded(outcome, whole, context)
    }

    /// Passes on an outcome; what has waited too long fails.
    fn bounded<T>(
        &mut self,
        outcome: Poll<io::Result<T>>,
        bytes: usize,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let stalled = match &mut self.stalled {
            Some(stalled) => stalled,
            none => {
                let Some(held) = self.unread.hold(bytes) else {
                    return Poll::Ready(Err(not_taken("and too much waits already")));
                };
                let look = Box::pin(tokio::time::sleep(ANSWER_PATIENCE));
                none.insert(Stalled { since: Instant::now(), look, _held: held })
            }
        };
        let why = loop {
            ready!(stalled.look.as_mut().poll(context));
            if stalled.since.elapsed() >= ANSWER_STALL {
                break "in time";
            }
            if self.unread.is_full() {
                break "and too much waits";
            }
            stalled.look.as_mut().reset(Instant::now() + ANSWER_PATIENCE);
        };
        self.stalled = None;
        Poll::Ready(Err(not_taken(why)))
    }
}

fn not_taken(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("the client does not take its answer {why}"))
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for ClientStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ClientStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.written(outcome, bytes.len(), context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        let bytes = slices.iter().map(|slice| slice.len()).sum();
        self.written(outcome, bytes, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.inner).poll_flush(context);
        self.bounded(outcome, 0, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match &mut this.closing {
                Closing::NotYet => {
                    ready!(Pin::new(&mut this.inner).poll_shutdown(context))?;
                    let until = Box::pin(tokio::time::sleep(LINGER));
                    this.closing = Closing::Lingering { until, left: LINGER_BYTES };
                }
                Closing::Lingering { until, left } => {
                    let done = *this.stop.borrow() || *left == 0 || until.as_mut().poll(context).is_ready();
                    if !done {
                        let discarded = ready!(poll_discard(&mut this.inner, context));
                        *left = left.saturating_sub(discarded);
                        if discarded > 0 {
                            continue;
                        }
                    }
                    this.closing = Closing::Done;
                }
                Closing::Done => return Poll::Ready(Ok(())),
            }
        }
    }
}

/// How many bytes were thrown away; none where the client has ended too, or the connection broke.
fn poll_discard<S: AsyncRead + Unpin>(stream: &mut S, context: &mut Context<'_>) -> Poll<usize> {
    let mut bytes = [std::mem::MaybeUninit::uninit(); DISCARD];
    let mut buffer = ReadBuf::uninit(&mut bytes);
    let read = ready!(Pin::new(stream).poll_read(context, &mut buffer));
    Poll::Ready(read.map_or(0, |()| buffer.filled().len()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::Instant;

    use super::*;

    type Pair = (ClientStream<tokio::io::DuplexStream>, tokio::io::DuplexStream, watch::Sender<bool>);

    fn pair() -> Pair {
        pair_of(Unread::new(1000))
    }

    fn pair_of(unread: Arc<Unread>) -> Pair {
        let (ours, theirs) = tokio::io::duplex(64);
        let (stop, stopped) = watch::channel(false);
        (ClientStream::new(ours, stopped, unread), theirs, stop)
    }

    #[tokio::test(start_paused = true)]
    async fn where_too_much_waits_it_waits_less() {
        let unread = Unread::new(100);
        let (mut first, _theirs, _stop) = pair_of(Arc::clone(&unread));
        let (mut second, _theirs, _stop) = pair_of(Arc::clone(&unread));
        let (mut third, _theirs, _stop) = pair_of(unread);
        let start = Instant::now();
        let failed = async |stream: &mut ClientStream<_>| {
            stream.write_all(&[0; 80]).await.unwrap_err();
            start.elapsed()
        };
        let first = async { failed(&mut first).await };
        let second = async {
            tokio::time::sleep(ANSWER_PATIENCE / 2).await;
            failed(&mut second).await
        };
        let third = async {
            tokio::time::sleep(ANSWER_PATIENCE * 3 / 4).await;
            failed(&mut third).await
        };
        let ends = tokio::join!(first, second, third);
        // The first goes for the second's sake, which then is alone; the third came when twice as much waited.
        assert_eq!(ends, (ANSWER_PATIENCE, ANSWER_PATIENCE / 2 + ANSWER_STALL, ANSWER_PATIENCE * 3 / 4));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_takes_fails() {
        let (mut ours, mut theirs, _stop) = pair();
        let start = Instant::now();
        let refused = ours.write_all(&[0; 65]).await.unwrap_err();
        assert_eq!((refused.kind(), start.elapsed()), (io::ErrorKind::TimedOut, ANSWER_STALL));
        theirs.read_exact(&mut [0; 64]).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_taken_slowly_does_not() {
        let (mut ours, mut theirs, _stop) = pair();
        let reader = tokio::spawn(async move {
            for _ in 0..8 {
                tokio::time::sleep(ANSWER_STALL - Duration::from_secs(1)).await;
                theirs.read_exact(&mut [0; 64]).await.unwrap();
            }
        });
        ours.write_all(&[0; 64 * 8]).await.unwrap();
        reader.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_after_the_end_is_read_until_the_client_ends() {
        let (mut ours, mut theirs, _stop) = pair();
        let closed = tokio::spawn(async move { ours.shutdown().await });
        theirs.write_all(&[0; 100 * DISCARD]).await.unwrap();
        assert_eq!(theirs.read(&mut [0; 1]).await.unwrap(), 0, "the end was sent first");
        let start = Instant::now();
        drop(theirs);
        closed.await.unwrap().unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_waited_for_longer_than_a_bound() {
        let (mut ours, theirs, _stop) = pair();
        let start = Instant::now();
        ours.shutdown().await.unwrap();
        assert_eq!(start.elapsed(), LINGER);
        drop(theirs);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_stops_does_not_linger() {
        let (mut ours, _theirs, stop) = pair();
        stop.send_replace(true);
        let start = Instant::now();
        ours.shutdown().await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
