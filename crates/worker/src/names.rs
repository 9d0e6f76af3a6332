//! Names for functions that reach the outside: what they ask at 127.0.0.1:53 inside is passed on to the machine's own
//! name servers, and the answer back. What the answers name is no matter here: where packets may go is the network's to say.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hearth_sandbox::NameSockets;
use hearth_types::limits::{
    NAME_QUESTIONS_ALL, NAME_QUESTIONS_EACH, NAME_QUESTIONS_PER_SECOND, NAME_SERVER_ATTEMPTS, NAME_SERVER_PATIENCE,
    NAMES_CONNECTION_IDLE,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::question::{Question, Refusal};

/// Bytes of the longest datagram that is passed on; a longer answer is asked for by a connection.
const DATAGRAM: usize = 4096;
/// For how long the machine's name servers are taken to be the same.
const FRESH: Duration = Duration::from_secs(1);

/// Passes questions of all environments on.
pub(crate) struct Resolver {
    room: Semaphore,
    /// Where questions go.
    find: Box<dyn Fn() -> Vec<SocketAddr> + Send + Sync>,
    known: Mutex<Option<(Instant, Vec<SocketAddr>)>>,
}

/// The questions of one environment.
struct Asker {
    resolver: Arc<Resolver>,
    room: Semaphore,
    rate: Mutex<Rate>,
}

/// Questions of the second that began then.
struct Rate {
    begin: Instant,
    count: u32,
}

impl Resolver {
    /// `find` says where questions go now.
    pub(crate) fn new(find: impl Fn() -> Vec<SocketAddr> + Send + Sync + 'static) -> Self {
        Self { room: Semaphore::new(NAME_QUESTIONS_ALL), find: Box::new(find), known: Mutex::new(None) }
    }

    /// Answers the questions of one environment for as long as it is polled.
    pub(crate) async fn serve(self: Arc<Self>, names: NameSockets) {
        let sockets = (UdpSocket::from_std(names.datagrams), TcpListener::from_std(names.streams));
        let (Ok(datagrams), Ok(streams)) = sockets else {
            tracing::error!("an environment's questions about names are not heard: no descriptors");
            return;
        };
        let rate = Mutex::new(Rate { begin: Instant::now(), count: 0 });
        let asker = Arc::new(Asker { resolver: self, room: Semaphore::new(NAME_QUESTIONS_EACH), rate });
        tokio::join!(Arc::clone(&asker).serve_datagrams(Arc::new(datagrams)), asker.serve_streams(streams));
    }

    fn servers(&self) -> Vec<SocketAddr> {
        let now = Instant::now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some((read, servers)) if now.duration_since(*read) < FRESH => servers.clone(),
            _ => known.insert((now, (self.find)())).1.clone(),
        }
    }

    /// The servers' answer, or that there is none: all are asked in turn, more than once.
    async fn ask(&self, question: Question<'_>, way: Way) -> Vec<u8> {
        for server in self.servers().repeat(NAME_SERVER_ATTEMPTS) {
            let asked = async {
                match way {
                    Way::Datagram => ask_by_datagram(server, question).await,
                    Way::Stream => ask_by_stream(server, question).await,
                }
            };
            match timeout(NAME_SERVER_PATIENCE, asked).await {
                Ok(Ok(answer)) => return answer,
                Ok(Err(error)) => tracing::debug!(%server, %error, "a name server did not answer"),
                Err(_) => tracing::debug!(%server, "a name server did not answer in time"),
            }
        }
        question.refuse(Refusal::Failed)
    }
}

/// How a question came, and goes on.
#[derive(Clone, Copy)]
enum Way {
    Datagram,
    Stream,
}

impl Asker {
    /// What there is no room for is not answered: who asks will ask again.
    async fn serve_datagrams(self: Arc<Self>, socket: Arc<UdpSocket>) {
        let mut answering = JoinSet::new();
        let mut buffer = [0; DATAGRAM];
        loop {
            while answering.try_join_next().is_some() {}
            // An error is that of an asker whose socket is gone.
            let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
            if !self.may_ask() || self.room.available_permits() == 0 {
                continue;
            }
            let (asker, socket, message) = (Arc::clone(&self), Arc::clone(&socket), buffer[..length].to_vec());
            answering.spawn(async move {
                let Some(_room) = asker.room() else { return };
                if let Some(answer) = asker.answer(&message, Way::Datagram).await {
                    let _ = socket.send_to(&answer, from).await; // It may be gone.
                }
            });
        }
    }

    async fn serve_streams(self: Arc<Self>, listener: TcpListener) {
        let mut answering = JoinSet::new();
        loop {
            while answering.try_join_next().is_some() {}
            match listener.accept().await {
                Ok((stream, _)) if answering.len() < NAME_QUESTIONS_EACH => {
                    let asker = Arc::clone(&self);
                    answering.spawn(async move { asker.serve_stream(stream).await });
                }
                Ok(_) => {}
                // Out of descriptors, for instance: not worth a busy loop.
                Err(_) => tokio::time::sleep(FRESH).await,
            }
        }
    }

    /// One question after the other, until either side has enough.
    async fn serve_stream(&self, mut stream: TcpStream) {
        loop {
            let Ok(Ok(message)) = timeout(NAMES_CONNECTION_IDLE, read_message(&mut stream)).await else { return };
            if !self.may_ask() {
                return;
            }
            let Some(_room) = self.room() else { return };
            let Some(answer) = self.answer(&message, Way::Stream).await else { return };
            let Ok(Ok(())) = timeout(NAMES_CONNECTION_IDLE, write_message(&mut stream, &answer)).await else { return };
        }
    }

    /// Room for one question, here and among all.
    fn room(&self) -> Option<(SemaphorePermit<'_>, SemaphorePermit<'_>)> {
        Some((self.room.try_acquire().ok()?, self.resolver.room.try_acquire().ok()?))
    }

    fn may_ask(&self) -> bool {
        self.rate.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now())
    }

    async fn answer(&self, message: &[u8], way: Way) -> Option<Vec<u8>> {
        match Question::read(message)? {
            Ok(question) => Some(self.resolver.ask(question, way).await),
            Err(refusal) => Some(refusal),
        }
    }
}

impl Rate {
    fn take(&mut self, now: Instant) -> bool {
        if now.duration_since(self.begin) >= Duration::from_secs(1) {
            *self = Self { begin: now, count: 0 };
        }
        self.count += 1;
        self.count <= NAME_QUESTIONS_PER_SECOND
    }
}

/// By a socket of its own, so that nobody can guess where an answer would be taken.
async fn ask_by_datagram(server: SocketAddr, question: Question<'_>) -> std::io::Result<Vec<u8>> {
    let any: SocketAddr =
        if server.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(question.message()).await?;
    let mut answer = vec![0; DATAGRAM + 1];
    loop {
        let length = socket.recv(&mut answer).await?;
        if question.is_answered_by(&answer[..length]) {
            return Ok(if length > DATAGRAM { question.truncated() } else { answer[..length].to_vec() });
        }
    }
}

async fn ask_by_stream(server: SocketAddr, question: Question<'_>) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    write_message(&mut stream, question.message()).await?;
    let answer = read_message(&mut stream).await?;
    let error = || std::io::Error::new(std::io::ErrorKind::InvalidData, "the answer to another question");
    if question.is_answered_by(&answer) { Ok(answer) } else { Err(error()) }
}

/// A message after its length in 2 bytes.
async fn read_message(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut message = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

async fn write_message(stream: &mut TcpStream, message: &[u8]) -> std::io::Result<()> {
    let length = u16::try_from(message.len()).map_err(|_| std::io::ErrorKind::InvalidData)?;
    stream.write_all(&[&length.to_be_bytes(), message].concat()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `example.org`, type A.
    const QUESTION: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03org\x00\x00\x01\x00\x01";

    fn answer_to(question: &[u8], rest: &[u8]) -> Vec<u8> {
        let mut answer = [question, rest].concat();
        answer[2] |= 0x80;
        answer
    }

    /// What an environment gets: both sockets, and their address.
    fn sockets() -> (NameSockets, SocketAddr) {
        loop {
            let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            let address = datagrams.local_addr().unwrap();
            let Ok(streams) = std::net::TcpListener::bind(address) else { continue };
            datagrams.set_nonblocking(true).unwrap();
            streams.set_nonblocking(true).unwrap();
            return (NameSockets { datagrams, streams }, address);
        }
    }

    /// Where no name server is.
    fn nobody() -> SocketAddr {
        sockets().1
    }

    /// A name server that answers datagrams with `datagram` and connections with `stream` behind the question.
    async fn server(datagram: &'static [u8], stream: &'static [u8]) -> SocketAddr {
        let (sockets, address) = sockets();
        let socket = UdpSocket::from_std(sockets.datagrams).unwrap();
        let listener = TcpListener::from_std(sockets.streams).unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                // Somebody else's answer comes first.
                socket.send_to(b"\x99\x99\x80\x00", from).await.unwrap();
                socket.send_to(&answer_to(&buffer[..length], datagram), from).await.unwrap();
            }
        });
        tokio::spawn(async move {
            loop {
                let (mut connection, _) = listener.accept().await.unwrap();
                let question = read_message(&mut connection).await.unwrap();
                write_message(&mut connection, &answer_to(&question, stream)).await.unwrap();
            }
        });
        address
    }

    async fn ask_datagram(address: SocketAddr, message: &[u8]) -> Vec<u8> {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(address).await.unwrap();
        socket.send(message).await.unwrap();
        let mut buffer = vec![0; 65_536];
        let length = socket.recv(&mut buffer).await.unwrap();
        buffer.truncate(length);
        buffer
    }

    #[tokio::test]
    async fn questions_are_passed_on_both_ways() {
        let server = server(b"short", &[7; 30_000]).await;
        let (names, address) = sockets();
        let find = move || vec![nobody(), server];
        tokio::spawn(Arc::new(Resolver::new(find)).serve(names));
        assert_eq!(ask_datagram(address, QUESTION).await, answer_to(QUESTION, b"short"));
        let mut stream = TcpStream::connect(address).await.unwrap();
        for _ in 0..2 {
            write_message(&mut stream, QUESTION).await.unwrap();
            assert_eq!(read_message(&mut stream).await.unwrap(), answer_to(QUESTION, &[7; 30_000]));
        }
    }

    #[tokio::test]
    async fn a_long_datagram_sends_the_asker_to_a_connection() {
        let server = server(&[7; 30_000], b"").await;
        let (names, address) = sockets();
        tokio::spawn(Arc::new(Resolver::new(move || vec![server])).serve(names));
        let answer = ask_datagram(address, QUESTION).await;
        assert_eq!((answer.len(), answer[2] & 2), (QUESTION.len(), 2));
    }

    #[tokio::test]
    async fn without_a_server_the_answer_says_so_and_updates_go_nowhere() {
        let (names, address) = sockets();
        tokio::spawn(Arc::new(Resolver::new(|| vec![nobody()])).serve(names));
        assert_eq!(ask_datagram(address, QUESTION).await[3] & 15, 2);
        let mut update = QUESTION.to_vec();
        update[2] = 5 << 3;
        assert_eq!(ask_datagram(address, &update).await[3] & 15, 4);
    }

    #[test]
    fn a_second_has_so_many_questions() {
        let begin = Instant::now();
        let mut rate = Rate { begin, count: 0 };
        let taken = (0..NAME_QUESTIONS_PER_SECOND + 10).filter(|_| rate.take(begin)).count();
        assert_eq!(taken, NAME_QUESTIONS_PER_SECOND as usize);
        assert!(rate.take(begin + Duration::from_secs(1)));
    }
}
