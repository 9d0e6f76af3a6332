//! A client that costs next to nothing: prepared requests on raw sockets, answers only looked at as far as needed.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

/// Longer than anything that is measured here takes.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);
/// A connection that has been idle for longer may be closed by the server at any time.
const IDLE: Duration = Duration::from_secs(5);

/// A request that is sent again and again.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) request: Vec<u8>,
}

impl Target {
    /// An Invoke of `function`.
    pub(crate) fn invoke(host: &str, function: &str, payload: &[u8]) -> Self {
        Self { host: host.to_owned(), request: request(host, "POST", &invocations(function), "", payload) }
    }

    /// The same as an event.
    pub(crate) fn event(host: &str, function: &str, payload: &[u8]) -> Self {
        let request = request(host, "POST", &invocations(function), "X-Amz-Invocation-Type: Event\r\n", payload);
        Self { host: host.to_owned(), request }
    }

    /// A request of the control plane that changes nothing.
    pub(crate) fn get(host: &str, path: &str) -> Self {
        Self { host: host.to_owned(), request: request(host, "GET", path, "", b"") }
    }
}

fn invocations(function: &str) -> String {
    format!("/2015-03-31/functions/{function}/invocations")
}

/// `headers` are whole lines.
fn request(host: &str, method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}Content-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// One kept connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    host: String,
    answer: Vec<u8>,
    used: Instant,
}

/// A whole answer at the start of a buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The function, not the platform, said that it failed.
    pub(crate) function_error: bool,
    head: usize,
    length: usize,
}

impl Answer {
    /// Reads the answer at the start of `bytes`; none while it is not whole.
    pub(crate) fn read(bytes: &[u8]) -> Result<Option<Self>> {
        let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
        let text = std::str::from_utf8(&bytes[..head]).context("the head of an answer is no text")?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
        let mut answer = Self {
            status: status.with_context(|| format!("this is no HTTP answer: {text:?}"))?,
            function_error: false,
            head: head + 4,
            length: 0,
        };
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("content-length") {
                answer.length = value.trim().parse().context("an answer's Content-Length is no number")?;
            } else if name.eq_ignore_ascii_case("x-amz-function-error") {
                answer.function_error = true;
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                bail!("an answer came in chunks: this client reads only whole ones");
            }
        }
        Ok((bytes.len() >= answer.head + answer.length).then_some(answer))
    }

    pub(crate) fn is_good(self) -> bool {
        matches!(self.status, 200 | 202) && !self.function_error
    }
}

impl Connection {
    pub(crate) fn open(host: &str) -> Result<Self> {
        let stream = TcpStream::connect(host).with_context(|| format!("cannot connect to {host}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        Ok(Self { stream, host: host.to_owned(), answer: Vec::with_capacity(16 * 1024), used: Instant::now() })
    }

    /// Sends a prepared request and waits for the whole answer.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> Result<Answer> {
        self.stream.write_all(request)?;
        self.answer.clear();
        let mut piece = [0; 16 * 1024];
        loop {
            let read = self.stream.read(&mut piece).context("waiting for an answer")?;
            ensure!(read > 0, "the server closed the connection");
            self.answer.extend_from_slice(&piece[..read]);
            if let Some(answer) = Answer::read(&self.answer)? {
                return Ok(answer);
            }
        }
    }

    /// As [`Self::exchange`]; a bad answer is an error that shows it.
    pub(crate) fn exchange_well(&mut self, request: &[u8]) -> Result<()> {
        let answer = self.exchange(request)?;
        ensure!(answer.is_good(), "an invoke was answered {}: {}", answer.status, self.body(answer));
        Ok(())
    }

    /// A request of the control plane and its JSON; connects again after a long measurement.
    pub(crate) fn call(&mut self, method: &str, path: &str, body: &[u8]) -> Result<(u16, Value)> {
        self.call_with(method, path, "", body)
    }

    /// A request to SQS and its JSON.
    pub(crate) fn sqs(&mut self, operation: &str, input: &Value) -> Result<Value> {
        let headers = format!("X-Amz-Target: AmazonSQS.{operation}\r\nContent-Type: application/x-amz-json-1.0\r\n");
        let (status, answer) = self.call_with("POST", "/", &headers, input.to_string().as_bytes())?;
        ensure!(status == 200, "{operation} was answered {status}: {answer}");
        Ok(answer)
    }

    /// Address and port.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    fn call_with(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> Result<(u16, Value)> {
        if self.used.elapsed() > IDLE {
            *self = Self::open(&self.host)?;
        }
        self.used = Instant::now();
        let request = request(&self.host, method, path, headers, body);
        let answer = self.exchange(&request)?;
        let text = self.body(answer);
        let json =
            if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(Value::String(text)) };
        Ok((answer.status, json))
    }

    fn body(&self, answer: Answer) -> String {
        String::from_utf8_lossy(&self.answer[answer.head..answer.head + answer.length]).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_or_not() {
        let text = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nX-Amz-Function-Error: Unhandled\r\n\r\n{}";
        let answer = Answer::read(text).unwrap().unwrap();
        assert_eq!((answer.status, answer.function_error, answer.is_good()), (200, true, false));
        for cut in 0..text.len() {
            assert_eq!(Answer::read(&text[..cut]).unwrap(), None);
        }
        assert!(Answer::read(b"nonsense\r\n\r\n").is_err());
    }
}
