//! The least that stands between a client and a function in another process: one thread that hands requests on and answers
//! back, by the Runtime API, to real functions that run without any sandbox. It decides nothing, checks nothing, limits
//! nothing and writes nothing down. What it reaches is what the machine leaves for ours.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd as _, OwnedFd};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::event::epoll;
use rustix::time::{ClockId, clock_gettime};

use crate::args::RunArgs;
use crate::measure::bare::of_provided;

const CLIENTS: u64 = 0;
const RUNTIMES: u64 = 1;
const STOP: u64 = 2;
/// Of the first connection.
const FIRST: u64 = 3;

/// Lets `measure` use a relay in front of so many processes of the Rust function. With the CPU time of the
/// relay for each request.
pub(super) fn with_relay<T>(
    args: &RunArgs,
    processes: usize,
    measure: impl FnOnce(&str) -> Result<T>,
) -> Result<(T, Duration)> {
    let (clients, runtimes) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    let host = clients.local_addr()?.to_string();
    let api = runtimes.local_addr()?.to_string();
    let (stop, stopped) = std::io::pipe()?;
    let mut relay = Relay::new(clients, runtimes, stop.into())?;
    let relay = thread::spawn(move || -> Result<Duration> {
        relay.run()?;
        Ok(Duration::try_from(clock_gettime(ClockId::ThreadCPUTime))? / relay.answers.max(1))
    });
    let functions = (0..processes).map(|_| of_provided(&args.rust, &api)).collect::<Result<Vec<_>>>()?;
    let measured = measure(&host);
    drop(stopped);
    let spent = relay.join().map_err(|_| anyhow::anyhow!("the relay panicked"))?;
    drop(functions);
    Ok((measured?, spent?))
}

struct Relay {
    poll: OwnedFd,
    clients: TcpListener,
    runtimes: TcpListener,
    _stop: OwnedFd,
    connections: Vec<Peer>,
    /// Runtimes that wait for a request, the last to have come last.
    idle: Vec<usize>,
    /// Clients whose request no runtime has, with their events.
    waiting: VecDeque<(usize, Vec<u8>)>,
    answers: u32,
}

struct Peer {
    stream: TcpStream,
    is_client: bool,
    received: Vec<u8>,
}

impl Relay {
    fn new(clients: TcpListener, runtimes: TcpListener, stop: OwnedFd) -> Result<Self> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let watch = |of: std::os::fd::BorrowedFd<'_>, token| {
            epoll::add(&poll, of, epoll::EventData::new_u64(token), epoll::EventFlags::IN)
        };
        watch(clients.as_fd(), CLIENTS)?;
        watch(runtimes.as_fd(), RUNTIMES)?;
        watch(stop.as_fd(), STOP)?;
        let (connections, idle, waiting) = (Vec::new(), Vec::new(), VecDeque::new());
        Ok(Self { poll, clients, runtimes, _stop: stop, connections, idle, waiting, answers: 0 })
    }

    fn run(&mut self) -> Result<()> {
        let mut events = Vec::with_capacity(256);
        loop {
            events.clear();
            epoll::wait(&self.poll, rustix::buffer::spare_capacity(&mut events), None)?;
            for event in &events {
                match event.data.u64() {
                    CLIENTS => self.accept(true)?,
                    RUNTIMES => self.accept(false)?,
                    STOP => return Ok(()),
                    token => self.read((token - FIRST) as usize)?,
                }
            }
        }
    }

    fn accept(&mut self, is_client: bool) -> Result<()> {
        let (stream, _) = if is_client { self.clients.accept()? } else { self.runtimes.accept()? };
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let token = epoll::EventData::new_u64(self.connections.len() as u64 + FIRST);
        epoll::add(&self.poll, &stream, token, epoll::EventFlags::IN)?;
        self.connections.push(Peer { stream, is_client, received: Vec::with_capacity(4096) });
        Ok(())
    }

    fn read(&mut self, at: usize) -> Result<()> {
        let mut piece = [0; 4096];
        let peer = self.connections.get_mut(at).context("an event of nobody")?;
        match peer.stream.read(&mut piece) {
            Ok(0) => epoll::delete(&self.poll, &peer.stream)?,
            Ok(count) => peer.received.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            // Load generators and functions that were ended leave so.
            Err(_) => epoll::delete(&self.poll, &peer.stream)?,
        }
        while let Some((head, length)) = whole(&self.connections[at].received) {
            self.message(at, head, length)?;
            self.connections[at].received.drain(..head + length);
        }
        Ok(())
    }

    /// A whole request, of a head and a body of so many bytes.
    fn message(&mut self, at: usize, head: usize, length: usize) -> Result<()> {
        if self.connections[at].is_client {
            let event = self.connections[at].received[head..head + length].to_vec();
            self.waiting.push_back((at, event));
        } else if self.connections[at].received.starts_with(b"GET ") {
            self.idle.push(at);
        } else {
            let client = client_of(&self.connections[at].received[..head])?;
            let body = self.connections[at].received[head..head + length].to_vec();
            self.answers += 1;
            self.send(client, "200 OK", "", &body)?;
            self.send(at, "202 Accepted", "", b"")?;
        }
        while let Some(runtime) = self.idle.pop() {
            let Some((client, event)) = self.waiting.pop_front() else {
                self.idle.push(runtime);
                break;
            };
            let headers = format!(
                "Content-Type: application/json\r\n\
                 Lambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-{client:012}\r\n\
                 Lambda-Runtime-Deadline-Ms: 9999999999999\r\n\
                 Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:000000000000:function:bare\r\n"
            );
            self.send(runtime, "200 OK", &headers, &event)?;
        }
        Ok(())
    }

    fn send(&mut self, to: usize, status: &str, headers: &str, body: &[u8]) -> Result<()> {
        let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
        let message = [head.as_bytes(), body].concat();
        match self.connections[to].stream.write_all(&message) {
            // Who has gone away.
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => Ok(()),
            written => written.context("a message did not fit a socket's buffer"),
        }
    }
}

/// The client whose request an answer is for: the last part of the id in its path.
fn client_of(head: &[u8]) -> Result<usize> {
    let line = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    let path = std::str::from_utf8(line)?;
    let Some(id) = path.strip_suffix("/response") else { bail!("a function sends {path:?}") };
    let client = id.rsplit('-').next().unwrap_or_default();
    client.parse().with_context(|| format!("{path:?} is an answer to nobody"))
}

/// The lengths of head and body of the request at the start of this, where it is whole.
fn whole(bytes: &[u8]) -> Option<(usize, usize)> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let lines = bytes[..head].split(|byte| *byte == b'\n');
    let mut length = lines.filter_map(|line| {
        let (name, value) = line.split_at_checked("content-length:".len())?;
        name.eq_ignore_ascii_case(b"content-length:").then(|| std::str::from_utf8(value).ok()?.trim().parse().ok())?
    });
    let length = length.next_back().unwrap_or(0);
    (bytes.len() >= head + length).then_some((head, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_whole_or_not() {
        let text = b"POST /a HTTP/1.1\r\ncontent-length: 2\r\nx: y\r\n\r\n{}";
        assert_eq!(whole(text), Some((text.len() - 2, 2)));
        for cut in 0..text.len() {
            assert_eq!(whole(&text[..cut]), None);
        }
        assert_eq!(whole(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET"), Some((28, 0)));
    }

    #[test]
    fn an_answer_says_whose_it_is() {
        let head = b"POST /2018-06-01/runtime/invocation/8476a536-e9f4-11e8-9739-000000000012/response HTTP/1.1\r\n";
        assert_eq!(client_of(head).unwrap(), 12);
        assert!(client_of(b"POST /2018-06-01/runtime/init/error HTTP/1.1\r\n").is_err());
    }
}
