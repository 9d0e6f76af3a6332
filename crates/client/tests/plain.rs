//! Against a server of the test's own: bounds and times.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use hearth_client::{Client, Unread, whole};
use http::Request;
use http_body_util::Full;

/// Answers one request with these bytes and then holds the connection.
fn server(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 4096];
        let _ = stream.read(&mut head).unwrap();
        stream.write_all(answer).unwrap();
        // Until the client goes.
        let _ = stream.read(&mut head);
    });
    url
}

async fn body_of(answer: &'static [u8], most: usize) -> Result<Vec<u8>, Unread> {
    let url = server(answer);
    let client = Client::new();
    let request = Request::post(url).body(Full::default()).unwrap();
    let answer = client.send(request, Duration::from_secs(30)).await.unwrap();
    whole(answer, most).await.map(|bytes| bytes.to_vec())
}

#[tokio::test]
async fn a_body_is_read_up_to_its_bound() {
    assert_eq!(body_of(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", 3).await.unwrap(), b"abc");
    let announced = body_of(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nabcd", 3).await;
    assert_eq!(announced, Err(Unread::TooLarge { most: 3 }));
    let hidden = body_of(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n", 3).await;
    assert_eq!(hidden, Err(Unread::TooLarge { most: 3 }));
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let url = server(b"");
    let client = Client::new();
    let request = Request::post(url).body(Full::default()).unwrap();
    let error = client.send(request, Duration::from_millis(50)).await.unwrap_err();
    assert!(error.to_string().contains("no answer within"), "{error}");
}

#[tokio::test]
async fn who_is_not_there_is_said_so() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let request = Request::post(format!("http://127.0.0.1:{port}/")).body(Full::default()).unwrap();
    let error = Client::new().send(request, Duration::from_secs(30)).await.unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
}
