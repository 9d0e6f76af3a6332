//! Frames: `u32` bytes of head, `u32` bytes of body (both little-endian), the head in JSON, the body as it is.

use std::io;

use bytes::{Bytes, BytesMut};
use hearth_types::limits::{WORKER_BODY_BYTES, WORKER_HEAD_BYTES};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Bodies up to this many bytes are written together with their head.
const TOGETHER: usize = 16 * 1024;

/// Writes one frame; its body is `parts`, one after another.
pub(crate) async fn write(
    to: &mut (impl AsyncWrite + Unpin),
    head: &impl Serialize,
    parts: &[Bytes],
) -> io::Result<()> {
    let body: usize = parts.iter().map(Bytes::len).sum();
    let mut begin = vec![0; 8];
    serde_json::to_writer(&mut begin, head)?;
    let head = begin.len() - 8;
    if head > WORKER_HEAD_BYTES || body > WORKER_BODY_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("a frame of {head} and {body} bytes")));
    }
    begin[..4].copy_from_slice(&(head as u32).to_le_bytes());
    begin[4..8].copy_from_slice(&(body as u32).to_le_bytes());
    if body <= TOGETHER {
        parts.iter().for_each(|part| begin.extend_from_slice(part));
        return to.write_all(&begin).await;
    }
    to.write_all(&begin).await?;
    for part in parts {
        to.write_all(part).await?;
    }
    Ok(())
}

/// The next frame; none where the other side has closed between two. Not to be dropped on the way: what was read of a
/// frame would be lost.
pub(crate) async fn read<T: DeserializeOwned>(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<(T, Bytes)>> {
    let mut lengths = [0; 8];
    match from.read_exact(&mut lengths[..1]).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    };
    from.read_exact(&mut lengths[1..]).await?;
    let length =
        |at: usize| u32::from_le_bytes([lengths[at], lengths[at + 1], lengths[at + 2], lengths[at + 3]]) as usize;
    let (head, body) = (length(0), length(4));
    if head > WORKER_HEAD_BYTES || body > WORKER_BODY_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a frame of {head} and {body} bytes")));
    }
    let mut bytes = BytesMut::zeroed(head);
    from.read_exact(&mut bytes).await?;
    let head = serde_json::from_slice(&bytes)?;
    let mut bytes = BytesMut::zeroed(body);
    from.read_exact(&mut bytes).await?;
    Ok(Some((head, bytes.freeze())))
}

/// Whether who is at the other end is this process's user, or root.
pub(crate) fn is_ours(stream: &tokio::net::UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(head: String, bodies in prop::collection::vec(any::<Vec<u8>>(), 0..4), big: bool) {
            let mut parts: Vec<Bytes> = bodies.into_iter().map(Bytes::from).collect();
            if big {
                parts.push(vec![7; TOGETHER].into());
            }
            let mut written = Vec::new();
            block_on(async {
                write(&mut written, &head, &parts).await.unwrap();
                write(&mut written, &1, &[]).await.unwrap();
                let mut from = written.as_slice();
                let (read_head, body): (String, Bytes) = read(&mut from).await.unwrap().unwrap();
                prop_assert_eq!((read_head, body), (head, Bytes::from(parts.concat())));
                prop_assert_eq!(read::<u8>(&mut from).await.unwrap().unwrap().0, 1);
                prop_assert!(read::<u8>(&mut from).await.unwrap().is_none());
                Ok(())
            })?;
        }

        #[test]
        fn nothing_that_comes_makes_it_panic_or_take_more_than_it_may(bytes: Vec<u8>) {
            let _ = block_on(read::<serde_json::Value>(&mut bytes.as_slice()));
        }
    }

    #[test]
    fn what_is_too_large_is_neither_sent_nor_taken() {
        let body = Bytes::from(vec![0; WORKER_BODY_BYTES + 1]);
        assert!(block_on(write(&mut Vec::new(), &1, &[body])).is_err());
        let mut lengths = vec![1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, b'1'];
        assert!(block_on(read::<u8>(&mut lengths.as_slice())).is_err());
        lengths.truncate(5);
        assert!(block_on(read::<u8>(&mut lengths.as_slice())).is_err(), "ended in the middle");
    }
}
