//! Load on one function: closed loop, or open loop at a stated rate.

use std::fmt;
use std::io::{ErrorKind, Read as _, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::event::epoll;

use crate::client::{Answer, Connection, Target};
use crate::stats::Samples;

/// What came of a load.
#[derive(Debug)]
pub(crate) struct Load {
    /// `closed loop, 16 connections` or `open loop, 200/s`.
    pub(crate) kind: String,
    pub(crate) latency: Samples,
    pub(crate) elapsed: Duration,
    /// Answers that were not 200, or were function errors.
    pub(crate) failed: usize,
}

impl Load {
    pub(crate) fn per_second(&self) -> f64 {
        self.latency.count() as f64 / self.elapsed.as_secs_f64()
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut latency = self.latency.clone();
        let (count, rate) = (latency.count(), self.per_second());
        let mut of = |part| latency.quantile_us(part);
        let (p50, p99, p999) = (of(0.5), of(0.99), of(0.999));
        let (kind, failed) = (&self.kind, self.failed);
        write!(
            f,
            "{kind}: {count} invokes, {rate:.0}/s, {failed} failed, {p50:.0} / {p99:.0} / {p999:.0} us p50/p99/p99.9"
        )
    }
}

/// One connection, `count` invokes one after the other. Any failure ends it.
pub(crate) fn sequential(target: &Target, count: usize) -> Result<Load> {
    let mut connection = Connection::open(&target.host)?;
    let mut latency = Samples::default();
    let start = Instant::now();
    for _ in 0..count {
        let sent = Instant::now();
        connection.exchange_well(&target.request)?;
        latency.push(sent.elapsed());
    }
    Ok(Load { kind: "closed loop, 1 connection".into(), latency, elapsed: start.elapsed(), failed: 0 })
}

/// Closed loop: each of `connections` sends when its last invoke is answered. One thread serves them all, so that the
/// generator takes as little of the machine as it can.
pub(crate) fn closed(target: &Target, connections: usize, duration: Duration) -> Result<Load> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut lanes = Vec::with_capacity(connections);
    for index in 0..connections {
        let connection = Connection::open(&target.host)?;
        connection.stream.set_nonblocking(true)?;
        let data = epoll::EventData::new_u64(index as u64);
        epoll::add(&poll, &connection.stream, data, epoll::EventFlags::IN)?;
        lanes.push(Lane { connection, answer: Vec::with_capacity(4096), sent: Instant::now() });
    }
    let mut load = Load {
        kind: format!("closed loop, {connections} connections"),
        latency: Samples::default(),
        elapsed: Duration::ZERO,
        failed: 0,
    };
    let start = Instant::now();
    for lane in &mut lanes {
        lane.send(target)?;
    }
    let mut in_flight = connections;
    let mut events = Vec::with_capacity(connections);
    while in_flight > 0 {
        events.clear();
        epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), None)?;
        for event in &events {
            let lane = lanes.get_mut(event.data.u64() as usize).context("an event of nobody")?;
            let Some(answer) = lane.receive()? else { continue };
            load.latency.push(lane.sent.elapsed());
            load.failed += usize::from(!answer.is_good());
            if start.elapsed() < duration {
                lane.send(target)?;
            } else {
                in_flight -= 1;
            }
        }
    }
    load.elapsed = start.elapsed();
    Ok(load)
}

/// One connection of a closed loop.
struct Lane {
    connection: Connection,
    answer: Vec<u8>,
    sent: Instant,
}

impl Lane {
    fn send(&mut self, target: &Target) -> Result<()> {
        self.answer.clear();
        self.sent = Instant::now();
        // Requests are small and the last one has been answered: the socket's buffer is empty.
        self.connection.stream.write_all(&target.request).context("a request did not fit the socket's buffer")
    }

    fn receive(&mut self) -> Result<Option<Answer>> {
        let mut piece = [0; 16 * 1024];
        match self.connection.stream.read(&mut piece) {
            Ok(0) => bail!("the server closed a connection"),
            Ok(read) => self.answer.extend_from_slice(&piece[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        Answer::read(&self.answer)
    }
}

/// Open loop: `rate` invokes a second start at even distances whether or not earlier ones are answered, as long as one
/// of `connections` is free; latency counts from when an invoke should have started, so a wait for a connection, or for
/// this generator, is in it.
pub(crate) fn open(target: &Target, rate: f64, connections: usize, duration: Duration) -> Result<Load> {
    let gap = Duration::from_secs_f64(1.0 / rate);
    let total = (duration.as_secs_f64() * rate) as usize;
    let next = AtomicUsize::new(0);
    let lanes = (0..connections).map(|_| Connection::open(&target.host)).collect::<Result<Vec<_>>>()?;
    let start = Instant::now() + Duration::from_millis(5);
    let run = |mut connection: Connection| -> Result<(Samples, usize)> {
        let (mut latency, mut failed) = (Samples::default(), 0);
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= total {
                return Ok((latency, failed));
            }
            let due = start + gap.mul_f64(index as f64);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            failed += usize::from(!connection.exchange(&target.request)?.is_good());
            latency.push(due.elapsed());
        }
    };
    let parts = thread::scope(|scope| {
        let threads: Vec<_> = lanes.into_iter().map(|connection| scope.spawn(|| run(connection))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| bail!("a sender panicked")))
            .collect::<Vec<_>>()
    });
    let kind = format!("open loop, {rate:.0}/s, {connections} connections");
    let mut load = Load { kind, latency: Samples::default(), elapsed: start.elapsed(), failed: 0 };
    for part in parts {
        let (latency, failed) = part?;
        load.latency.append(latency);
        load.failed += failed;
    }
    Ok(load)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// Answers everything with `{}`, every tenth request of a connection with 429.
    fn serve(stream: TcpStream) {
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        let mut count = 0;
        loop {
            let mut line = String::new();
            while line != "\r\n" {
                line.clear();
                if lines.read_line(&mut line).unwrap_or(0) == 0 {
                    return;
                }
            }
            lines.consume(2);
            count += 1;
            let status = if count % 10 == 0 { "429 Too Many Requests" } else { "200 OK" };
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\n{{}}");
            (&stream).write_all(answer.as_bytes()).unwrap();
        }
    }

    fn target() -> Target {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            for stream in listener.incoming() {
                thread::spawn(|| serve(stream.unwrap()));
            }
        });
        Target::invoke(&host, "f", b"{}")
    }

    #[test]
    fn a_closed_loop_counts_each_answer_and_each_failure() {
        let load = closed(&target(), 3, Duration::from_millis(50)).unwrap();
        let (count, failed) = (load.latency.count(), load.failed);
        assert!(count >= 3 && failed <= count / 10 && count / 10 - failed <= 3, "{count} {failed}");
    }

    #[test]
    fn an_open_loop_sends_as_many_as_its_rate_says() {
        let load = open(&target(), 500.0, 2, Duration::from_millis(200)).unwrap();
        assert_eq!(load.latency.count(), 100);
        assert!((9..=10).contains(&load.failed), "{}", load.failed);
    }

    #[test]
    fn one_after_the_other_stops_at_the_first_failure() {
        assert_eq!(sequential(&target(), 9).unwrap().latency.count(), 9);
        assert!(sequential(&target(), 10).is_err());
    }
}
