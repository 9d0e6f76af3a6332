//! The server on real sockets: what clients see that send too much, too little, or the wrong thing.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hearth_http::{Handler, RequestBody, ResponseBody, Server, ServerLimits, Unread, read_body};
use http::{Request, Response, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const LIMIT: usize = 1000;
const LONG: Duration = Duration::from_secs(600);

/// Answers with the body that it got; 413 for a larger one than [`LIMIT`]; `/unread` leaves the body alone.
struct Echo;

impl Handler for Echo {
    async fn handle(&self, _peer: SocketAddr, request: Request<RequestBody>) -> Response<ResponseBody> {
        if request.uri().path() == "/unread" {
            return Response::new("not read".into());
        }
        match read_body(request.into_body(), LIMIT, LONG).await {
            Ok(body) => Response::new(body.into()),
            Err(error) => {
                let mut response = Response::new(error.to_string().into());
                *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
                response
            }
        }
    }
}

fn bound() -> (std::net::TcpListener, SocketAddr) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(connections: usize) -> Self {
        let (listener, address) = bound();
        let limits = ServerLimits { connections, head_bytes: 16 * 1024, headers: 100, head_timeout: LONG };
        let (stop, stopped) = watch::channel(false);
        let server = Server::new(vec![listener], limits, Unread::new(1 << 20)).unwrap();
        Self { address, stop, task: tokio::spawn(server.run(Arc::new(Echo), stopped, LONG)) }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// All that the server says to these bytes until it closes the connection.
    async fn told(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_ref()).await.unwrap();
        rest(&mut stream).await
    }
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

/// Reads up to the end of a body that the test knows.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut answer = String::new();
    while !answer.ends_with(end) {
        let mut bytes = [0; 1024];
        let count = stream.read(&mut bytes).await.unwrap();
        assert_ne!(count, 0, "closed after {answer:?}");
        answer.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
    }
    answer
}

#[tokio::test]
async fn a_client_that_sends_too_much_before_it_reads_sees_why_it_was_refused() {
    let server = Running::start(10).await;
    for path in ["/", "/unread"] {
        let mut stream = server.connect().await;
        let size = 64 * 1024 * 1024;
        let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![b'x'; size]).await.unwrap();
        let answer = rest(&mut stream).await;
        let expected = if path == "/" { "HTTP/1.1 413" } else { "HTTP/1.1 200" };
        assert!(answer.starts_with(expected), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_client_is_told_that_an_unread_body_ends_the_connection() {
    let server = Running::start(10).await;
    let told = |path: &str, body: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    for (path, body, ends) in [("/unread", "{}", true), ("/unread", "", false), ("/", "{}", false)] {
        let mut stream = server.connect().await;
        stream.write_all(told(path, body).as_bytes()).await.unwrap();
        let answer = read_until(&mut stream, if path == "/" { "{}" } else { "not read" }).await;
        assert_eq!(answer.contains("connection: close\r\n"), ends, "{path} {body:?}: {answer}");
    }
}

#[tokio::test]
async fn a_client_that_asks_first_is_refused_without_sending() {
    let server = Running::start(10).await;
    let head = |length: usize| {
        format!("POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n")
    };
    let mut refused = server.connect().await;
    refused.write_all(head(LIMIT + 1).as_bytes()).await.unwrap();
    let answer = read_until(&mut refused, "larger than 1000 bytes").await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");

    let mut asked = server.connect().await;
    asked.write_all(head(2).as_bytes()).await.unwrap();
    assert_eq!(read_until(&mut asked, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    asked.write_all(b"ok").await.unwrap();
    assert!(read_until(&mut asked, "\r\n\r\nok").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn bodies_are_bounded_by_what_comes_too() {
    let server = Running::start(10).await;
    let chunks = |count: usize| {
        let chunk = format!("64\r\n{}\r\n", "x".repeat(100));
        format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n{}0\r\n\r\n",
            chunk.repeat(count)
        )
    };
    let whole = server.told(chunks(10)).await;
    assert!(whole.starts_with("HTTP/1.1 200") && whole.ends_with(&"x".repeat(LIMIT)), "{whole}");
    assert!(server.told(chunks(11)).await.starts_with("HTTP/1.1 413"));
}

#[tokio::test]
async fn requests_that_are_no_http_are_refused_and_the_connection_ends() {
    let server = Running::start(10).await;
    let bad = [
        "GET / HTTP/1.1\r\n\r\n",
        "hello\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
    ];
    for request in bad {
        let answer = server.told(request).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{request:?}: {answer:?}");
    }
    let old = server.told("GET / HTTP/1.0\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.0 200"), "{old}");
}

#[tokio::test]
async fn what_follows_a_doubtful_length_is_not_taken_for_a_request() {
    let server = Running::start(10).await;
    let answer = server
        .told(
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\
             GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        )
        .await;
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
}

#[tokio::test]
async fn requests_on_one_connection_are_answered_in_their_order() {
    let server = Running::start(10).await;
    let request = |body: &str, more: &str| {
        format!("POST / HTTP/1.1\r\nHost: localhost\r\n{more}Content-Length: {}\r\n\r\n{body}", body.len())
    };
    let answer = server.told(request("one", "") + &request("two", "") + &request("end", "Connection: close\r\n")).await;
    let places: Vec<_> = ["one", "two", "end"].map(|body| answer.find(body).unwrap()).into();
    assert!(places.is_sorted(), "{answer}");
}

#[tokio::test]
async fn a_server_stops_while_all_its_places_are_taken() {
    let server = Running::start(1).await;
    let mut busy = server.connect().await;
    busy.write_all(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n").await.unwrap();
    // It has no place, so it is not even accepted.
    let mut waiting = server.connect().await;
    waiting.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    server.stop.send_replace(true);
    assert!(waiting.read(&mut [0; 1]).await.is_err(), "the listening socket is closed while a request is in work");
    busy.write_all(b"ok").await.unwrap();
    let answer = rest(&mut busy).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok"), "{answer}");
    server.task.await.unwrap();
}

#[tokio::test]
async fn each_listener_is_served() {
    let (first, second) = (bound(), bound());
    let limits = ServerLimits { connections: 1, head_bytes: 16 * 1024, headers: 100, head_timeout: LONG };
    let (stop, stopped) = watch::channel(false);
    let server = Server::new(vec![first.0, second.0], limits, Unread::new(1 << 20)).unwrap();
    let task = tokio::spawn(server.run(Arc::new(Echo), stopped, LONG));
    for address in [first.1, second.1, second.1, first.1] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi")
            .await
            .unwrap();
        assert!(rest(&mut stream).await.ends_with("hi"));
    }
    stop.send_replace(true);
    task.await.unwrap();
}
