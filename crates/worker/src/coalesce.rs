//! Joins two messages to a runtime into one where it cannot tell the difference.
//!
//! Our bootstraps send an answer and the wish for the next invoke in one piece. What says that the answer was taken then
//! need not go out at once: it goes with the next invoke, in one write, and the runtime wakes once instead of twice. A
//! send over loopback costs more than all else that the platform does for an invoke.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How our bootstraps ask for the next invoke, to the byte. Others' requests are answered one by one.
pub(crate) const NEXT: &[u8] = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: runtime\r\n\r\n";
/// How the answer that may wait begins. Nothing else waits.
const ACCEPTED: &[u8] = b"HTTP/1.1 202 ";

/// A connection whose 202 waits for the message after it while the request after it has come already.
#[derive(Debug)]
pub(crate) struct Coalesce<S> {
    stream: S,
    /// What has come before, still to be read.
    come: Bytes,
    /// Whether messages are joined at all: only for our own bootstraps.
    enabled: bool,
    /// What was read last ended with a request for the next invoke that came with something before it.
    next_has_come: bool,
    held: Vec<u8>,
}

impl<S> Coalesce<S> {
    /// A connection on which this has come already.
    pub(crate) fn new(stream: S, come: impl Into<Bytes>, enabled: bool) -> Self {
        Self { stream, come: come.into(), enabled, next_has_come: false, held: Vec::new() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Coalesce<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if self.come.is_empty() {
            ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        } else {
            let now = self.come.len().min(buffer.remaining());
            buffer.put_slice(&self.come.split_to(now));
        }
        let read = &buffer.filled()[before..];
        self.next_has_come = self.enabled && read.len() > NEXT.len() && read.ends_with(NEXT);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Coalesce<S> {
    /// Whether this message is to wait; then it is held.
    fn hold(&mut self, parts: &[IoSlice<'_>]) -> bool {
        let waits =
            self.next_has_come && self.held.is_empty() && parts.first().is_some_and(|p| p.starts_with(ACCEPTED));
        if waits {
            self.next_has_come = false;
            parts.iter().for_each(|part| self.held.extend_from_slice(part));
        }
        waits
    }

    /// Writes what is held, then as much of `parts` as goes: how many bytes of `parts` are written, at least one.
    fn write_all_held(&mut self, context: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        while !self.held.is_empty() {
            let mut all = Vec::with_capacity(parts.len() + 1);
            all.push(IoSlice::new(&self.held));
            all.extend(parts.iter().map(|part| IoSlice::new(part)));
            let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, &all))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_held = written.min(self.held.len());
            self.held.drain(..of_held);
            if written > of_held {
                return Poll::Ready(Ok(written - of_held));
            }
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Coalesce<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.hold(parts) {
            return Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()));
        }
        self.write_all_held(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What is held stays: that is its purpose.
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.held.is_empty() {
            ready!(self.write_all_held(context, &[]))?;
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const ANSWER: &[u8] = b"POST /x HTTP/1.1\r\ncontent-length: 1\r\n\r\n1";
    const TAKEN: &[u8] = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";
    const EVENT: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

    /// What has arrived at the runtime's end after each of the messages, when these requests came in these pieces.
    async fn arrivals(pieces: &[&[u8]], messages: &[&[u8]], room: usize) -> Vec<Vec<u8>> {
        let (mut runtime, ours) = tokio::io::duplex(room);
        let mut ours = Coalesce::new(ours, Bytes::new(), true);
        for piece in pieces {
            runtime.write_all(piece).await.unwrap();
            let mut buffer = vec![0; piece.len()];
            ours.read_exact(&mut buffer).await.unwrap();
        }
        let mut seen = Vec::new();
        for message in messages {
            let mut arrived = Vec::new();
            let write = async {
                ours.write_all(message).await.unwrap();
                ours.flush().await.unwrap();
            };
            tokio::pin!(write);
            loop {
                let mut buffer = [0; 64];
                tokio::select! {
                    biased;
                    count = runtime.read(&mut buffer) => arrived.extend_from_slice(&buffer[..count.unwrap()]),
                    () = &mut write => break,
                }
            }
            let mut rest = [0; 4096];
            while let Ok(count) = tokio::time::timeout(std::time::Duration::ZERO, runtime.read(&mut rest)).await {
                arrived.extend_from_slice(&rest[..count.unwrap()]);
            }
            seen.push(arrived);
        }
        seen
    }

    #[tokio::test]
    async fn the_202_goes_with_the_next_invoke() {
        let both = [ANSWER, NEXT].concat();
        let joined = [TAKEN, EVENT].concat();
        assert_eq!(arrivals(&[&both], &[TAKEN, EVENT], 4096).await, [b"".to_vec(), joined.clone()]);
        // However little goes out at a time, nothing is lost.
        assert_eq!(arrivals(&[&both], &[TAKEN, EVENT], 4096).await.concat(), joined);
        for room in [NEXT.len() + ANSWER.len(), 200] {
            assert_eq!(arrivals(&[&both], &[TAKEN, EVENT], room).await.concat(), joined);
        }
    }

    #[tokio::test]
    async fn without_the_next_request_nothing_waits() {
        let apart = [TAKEN.to_vec(), EVENT.to_vec()];
        assert_eq!(arrivals(&[ANSWER], &[TAKEN, EVENT], 4096).await, apart);
        assert_eq!(arrivals(&[ANSWER, NEXT], &[TAKEN, EVENT], 4096).await, apart);
        let other = [ANSWER, b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n"].concat();
        assert_eq!(arrivals(&[&other], &[TAKEN, EVENT], 4096).await, apart);
    }

    #[tokio::test]
    async fn what_has_come_before_is_read_first() {
        let (mut runtime, ours) = tokio::io::duplex(4096);
        let mut ours = Coalesce::new(ours, ANSWER, true);
        runtime.write_all(NEXT).await.unwrap();
        drop(runtime);
        let mut all = Vec::new();
        let first = ours.read(&mut [0; 3]).await.unwrap();
        ours.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, [&ANSWER[first..], NEXT].concat());
    }

    #[tokio::test]
    async fn only_a_202_waits() {
        let both = [ANSWER, NEXT].concat();
        assert_eq!(arrivals(&[&both], &[EVENT], 4096).await, [EVENT.to_vec()]);
        let refused = b"HTTP/1.1 413 Payload Too Large\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(arrivals(&[&both], &[refused, EVENT], 4096).await, [refused.to_vec(), EVENT.to_vec()]);
    }

    #[tokio::test]
    async fn what_is_held_goes_out_at_the_end() {
        let (mut runtime, ours) = tokio::io::duplex(4096);
        let mut ours = Coalesce::new(ours, Bytes::new(), true);
        runtime.write_all(&[ANSWER, NEXT].concat()).await.unwrap();
        let mut buffer = vec![0; ANSWER.len() + NEXT.len()];
        ours.read_exact(&mut buffer).await.unwrap();
        ours.write_all(TAKEN).await.unwrap();
        ours.shutdown().await.unwrap();
        let mut all = Vec::new();
        runtime.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, TAKEN);
    }
}
