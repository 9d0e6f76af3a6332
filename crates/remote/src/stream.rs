//! Answers in parts, by credit: a part is asked for when who waits has room for it.

use std::collections::VecDeque;

use bytes::Bytes;
use hearth_types::limits::STREAM_PARTS;
use hearth_worker::{End, Feed, Part, Parts};
use tokio::sync::{Semaphore, mpsc};

use crate::message::{FromEnvironment, ToEnvironment};

/// What comes of an answer.
pub(crate) enum Flowing {
    Part(Bytes),
    End(End),
}

/// The server's side: asks for as many parts as there is room for, and passes them on.
pub(crate) async fn flow(
    number: u64,
    feed: Feed,
    mut incoming: mpsc::Receiver<Flowing>,
    credits: mpsc::Sender<ToEnvironment>,
) {
    let Feed { parts, end } = feed;
    let mut places = VecDeque::new();
    loop {
        tokio::select! {
            place = parts.clone().reserve_owned(), if places.len() < STREAM_PARTS => match place {
                Ok(place) => {
                    places.push_back(place);
                    if credits.send(ToEnvironment::More(number)).await.is_err() {
                        return;
                    }
                }
                Err(_) => {
                    // Who waited has gone away.
                    let _ = credits.send(ToEnvironment::Abandon(number)).await;
                    return;
                }
            },
            flowing = incoming.recv() => match flowing {
                Some(Flowing::Part(bytes)) => {
                    // One that nobody asked for has no place.
                    let Some(place) = places.pop_front() else { return };
                    place.send(bytes);
                }
                Some(Flowing::End(how)) => {
                    drop((places, parts));
                    let _ = end.send(how);
                    return;
                }
                // Lost: said by the end that never comes.
                None => return,
            },
        }
    }
}

/// The worker's side: sends a part for each credit, then the end; that alone where the credits are closed.
pub(crate) async fn send_parts(
    number: u64,
    mut parts: Parts,
    credits: &Semaphore,
    answers: &mpsc::Sender<(FromEnvironment, Vec<Bytes>)>,
) {
    while let Ok(credit) = credits.acquire().await {
        credit.forget();
        let (message, body) = match parts.next().await {
            Some(Part::Bytes(bytes)) => (FromEnvironment::Part { number }, vec![bytes]),
            Some(Part::End(end)) => {
                // No credit comes after it.
                let _ = answers.send(FromEnvironment::end(number, end)).await;
                return;
            }
            None => return,
        };
        if answers.send((message, body)).await.is_err() {
            return;
        }
    }
    // Nobody wants it any more, but that it is over is to be known.
    let _ = answers.send(FromEnvironment::end(number, End::default())).await;
}

#[cfg(test)]
mod tests {
    use hearth_types::EnvironmentId;

    use super::*;

    const ROOM: usize = 64;

    #[tokio::test]
    async fn no_more_parts_are_asked_for_than_there_is_room() {
        let (feed, mut parts) = Parts::fed(EnvironmentId(1));
        let (stream, incoming) = mpsc::channel(STREAM_PARTS + 1);
        let (credits, mut asked) = mpsc::channel(ROOM);
        let flowing = tokio::spawn(flow(7, feed, incoming, credits));
        for _ in 0..STREAM_PARTS {
            assert!(matches!(asked.recv().await, Some(ToEnvironment::More(7))));
        }
        for _ in 0..STREAM_PARTS {
            stream.send(Flowing::Part("x".into())).await.unwrap();
        }
        stream.send(Flowing::End(End::default())).await.unwrap();
        flowing.await.unwrap();
        assert!(asked.recv().await.is_none(), "nobody has taken a part yet");
        for _ in 0..STREAM_PARTS {
            assert_eq!(parts.next().await, Some(Part::Bytes("x".into())));
        }
        assert_eq!(parts.next().await, Some(Part::End(End::default())));
    }

    #[tokio::test]
    async fn who_goes_away_is_told_of() {
        let (feed, parts) = Parts::fed(EnvironmentId(1));
        let (_stream, incoming) = mpsc::channel(STREAM_PARTS + 1);
        let (credits, mut asked) = mpsc::channel(ROOM);
        drop(parts);
        flow(7, feed, incoming, credits).await;
        assert!(matches!(asked.recv().await, Some(ToEnvironment::Abandon(7))));
    }

    #[tokio::test]
    async fn each_credit_is_one_part() {
        let (Feed { parts: sink, end }, parts) = Parts::fed(EnvironmentId(1));
        for part in ["a", "b"] {
            sink.send(part.into()).await.unwrap();
        }
        drop(sink);
        end.send(End::default()).unwrap();
        let (answers, mut sent) = mpsc::channel(ROOM);
        let credits = Semaphore::new(1);
        let sending = send_parts(7, parts, &credits, &answers);
        tokio::pin!(sending);
        assert!(futures_pending(sending.as_mut()).await, "waits for the second credit");
        assert!(matches!(sent.try_recv(), Ok((FromEnvironment::Part { number: 7 }, body)) if body == ["a"]));
        assert!(sent.try_recv().is_err());
        credits.add_permits(2);
        sending.await;
        assert!(matches!(sent.try_recv(), Ok((FromEnvironment::Part { .. }, body)) if body == ["b"]));
        assert!(matches!(sent.try_recv(), Ok((FromEnvironment::End { number: 7, .. }, _))));
    }

    #[tokio::test]
    async fn what_nobody_wants_any_more_has_an_end_all_the_same() {
        let (_feed, parts) = Parts::fed(EnvironmentId(1));
        let (answers, mut sent) = mpsc::channel(ROOM);
        let credits = Semaphore::new(0);
        credits.close();
        send_parts(7, parts, &credits, &answers).await;
        assert!(matches!(sent.try_recv(), Ok((FromEnvironment::End { number: 7, .. }, _))));
    }

    /// Whether it waits.
    async fn futures_pending(mut future: std::pin::Pin<&mut impl Future<Output = ()>>) -> bool {
        std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_pending())).await
    }
}
