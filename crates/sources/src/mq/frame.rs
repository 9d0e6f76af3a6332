//! Frames of STOMP 1.2, read and written. Pure.

use hearth_types::limits::{STOMP_BODY_BYTES, STOMP_HEAD_BYTES};

/// One frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Frame {
    pub(super) command: String,
    /// As they stand; of a name that comes twice the first one counts.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// Why what was received is no frame. There is no way to go on behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("a frame's head has more than {STOMP_HEAD_BYTES} bytes")]
    Head,
    #[error("a message has more than {STOMP_BODY_BYTES} bytes")]
    Body,
    #[error("what came is not STOMP")]
    Malformed,
}

impl Frame {
    pub(super) fn new(command: &str, headers: &[(&str, &str)]) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { command: command.to_owned(), headers, body: Vec::new() }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// As it goes over the wire.
    pub(super) fn encoded(&self) -> Vec<u8> {
        let is_plain = is_plain(&self.command);
        let escape = |text: &str| if is_plain { text.to_owned() } else { escaped(text) };
        let mut bytes = format!("{}\n", self.command).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(format!("{}:{}\n", escape(name), escape(value)).as_bytes());
        }
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.body);
        bytes.push(0);
        bytes
    }
}

/// What has been received and is not read yet.
#[derive(Debug, Default)]
pub(super) struct Received {
    bytes: Vec<u8>,
    /// How far no end was found.
    looked: usize,
    /// Of the frame that has begun, where its head is there.
    head: Option<Head>,
}

#[derive(Debug)]
struct Head {
    command: String,
    headers: Vec<(String, String)>,
    /// content-length.
    length: Option<usize>,
}

impl Received {
    /// More of it has come.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next frame; none where it is not whole yet. Line ends between frames are signs of life.
    ///
    /// # Errors
    /// See [`Broken`].
    pub(super) fn next(&mut self) -> Result<Option<Frame>, Broken> {
        if self.head.is_none() {
            self.read_head()?;
        }
        let Some(head) = &self.head else { return Ok(None) };
        let end = match head.length {
            Some(length) if self.bytes.len() <= length => return Ok(None),
            Some(length) if self.bytes[length] != 0 => return Err(Broken::Malformed),
            Some(length) => length,
            None => match self.find(|rest| rest.iter().position(|byte| *byte == 0)) {
                Some(end) if end > STOMP_BODY_BYTES => return Err(Broken::Body),
                Some(end) => end,
                None if self.bytes.len() > STOMP_BODY_BYTES => return Err(Broken::Body),
                None => return Ok(None),
            },
        };
        let mut body: Vec<u8> = self.bytes.drain(..=end).collect();
        body.pop();
        self.looked = 0;
        Ok(self.head.take().map(|Head { command, headers, .. }| Frame { command, headers, body }))
    }

    fn read_head(&mut self) -> Result<(), Broken> {
        let idle = self.bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        self.bytes.drain(..idle);
        let Some(end) = self.find(blank_line) else {
            return if self.bytes.len() > STOMP_HEAD_BYTES { Err(Broken::Head) } else { Ok(()) };
        };
        if end > STOMP_HEAD_BYTES {
            return Err(Broken::Head);
        }
        let text: Vec<u8> = self.bytes.drain(..end).collect();
        self.looked = 0;
        self.head = Some(head(&text).ok_or(Broken::Malformed)?);
        match self.head.as_ref().and_then(|head| head.length) {
            Some(length) if length > STOMP_BODY_BYTES => Err(Broken::Body),
            _ => Ok(()),
        }
    }

    /// Looks for an end where nobody has looked yet. Ends are three bytes long at most.
    fn find(&mut self, end: impl Fn(&[u8]) -> Option<usize>) -> Option<usize> {
        let from = self.looked.saturating_sub(3);
        self.looked = self.bytes.len();
        Some(from + end(&self.bytes[from..])?)
    }
}

/// Behind the empty line that ends a head.
fn blank_line(bytes: &[u8]) -> Option<usize> {
    (0..bytes.len()).find_map(|at| match &bytes[at..] {
        [b'\n', b'\n', ..] => Some(at + 2),
        [b'\n', b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

fn head(bytes: &[u8]) -> Option<Head> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    let command = lines.next().filter(|command| !command.is_empty())?.to_owned();
    let is_plain = is_plain(&command);
    let read = |text: &str| if is_plain { Some(text.to_owned()) } else { unescaped(text) };
    let header = |line: &str| line.split_once(':').and_then(|(name, value)| Some((read(name)?, read(value)?)));
    let headers = lines.filter(|line| !line.is_empty()).map(header).collect::<Option<Vec<_>>>()?;
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map(|(_, value)| value.trim().parse()).transpose().ok()?;
    Some(Head { command, headers, length })
}

/// These two are as in STOMP 1.0.
fn is_plain(command: &str) -> bool {
    matches!(command, "CONNECT" | "CONNECTED")
}

fn escaped(text: &str) -> String {
    let mut all = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => all.push_str("\\\\"),
            '\n' => all.push_str("\\n"),
            '\r' => all.push_str("\\r"),
            ':' => all.push_str("\\c"),
            c => all.push(c),
        }
    }
    all
}

/// None for what stands for nothing.
fn unescaped(text: &str) -> Option<String> {
    let (mut all, mut rest) = (String::with_capacity(text.len()), text.chars());
    while let Some(c) = rest.next() {
        all.push(match c {
            '\\' => match rest.next()? {
                '\\' => '\\',
                'n' => '\n',
                'r' => '\r',
                'c' => ':',
                _ => return None,
            },
            c => c,
        });
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<Frame>, Broken> {
        let (mut received, mut frames) = (Received::default(), Vec::new());
        received.add(bytes);
        while let Some(frame) = received.next()? {
            frames.push(frame);
        }
        Ok(frames)
    }

    #[test]
    fn frames_end_with_a_zero_or_have_a_length() {
        let frames = read(b"\n\r\nA\nx:1\nx:2\n\nbody\0\n\nB\r\ncontent-length:3\r\n\r\na\0b\0\nC\n\nnot yet").unwrap();
        assert_eq!(frames.len(), 2);
        assert_eq!((&*frames[0].command, frames[0].header("x"), &*frames[0].body), ("A", Some("1"), &b"body"[..]));
        assert_eq!((&*frames[1].command, &*frames[1].body), ("B", &b"a\0b"[..]));
    }

    #[test]
    fn headers_are_escaped_but_those_of_a_connection() {
        let frame = Frame::new("ACK", &[("id", "a:b\\c\nd\re")]);
        assert_eq!(frame.encoded(), b"ACK\nid:a\\cb\\\\c\\nd\\re\n\n\0");
        let connect = Frame::new("CONNECT", &[("passcode", "a:b\\")]);
        assert_eq!(connect.encoded(), b"CONNECT\npasscode:a:b\\\n\n\0");
        assert_eq!(read(&connect.encoded()).unwrap(), [connect]);
    }

    #[test]
    fn what_is_no_frame_is_told() {
        for text in [
            "A\nno colon\n\n\0",
            "A\nx:\\t\n\n\0",
            "A\nx:\\",
            "A\ncontent-length:x\n\n\0",
            "A\ncontent-length:1\n\nab\0",
        ] {
            let bytes = [text.as_bytes(), b"\n\n\0"].concat();
            assert_eq!(read(&bytes), Err(Broken::Malformed), "{text}");
        }
        assert_eq!(read(&b"A\nx:\xff\n\n\0"[..]), Err(Broken::Malformed));
        assert_eq!(read(&vec![b'a'; STOMP_HEAD_BYTES + 1]), Err(Broken::Head));
        assert_eq!(read(format!("A\ncontent-length:{}\n\n", STOMP_BODY_BYTES + 1).as_bytes()), Err(Broken::Body));
        assert_eq!(read(&[&b"A\n\n"[..], &vec![b'a'; STOMP_BODY_BYTES + 1]].concat()), Err(Broken::Body));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_however_it_is_cut(
            headers in prop::collection::vec(("[a-z:\\\\\r\n]{1,4}", ".{0,6}"), 0..4),
            body in prop::collection::vec(any::<u8>(), 0..40),
            cut in 1usize..9,
        ) {
            let mut frame = Frame::new("MESSAGE", &[("content-length", &body.len().to_string())]);
            frame.headers.extend(headers);
            frame.body = body;
            let bytes = [frame.encoded(), b"\n".to_vec(), frame.encoded()].concat();
            let (mut received, mut frames) = (Received::default(), Vec::new());
            for part in bytes.chunks(cut) {
                received.add(part);
                while let Some(frame) = received.next().unwrap() {
                    frames.push(frame);
                }
            }
            prop_assert_eq!(frames, [frame.clone(), frame]);
        }

        #[test]
        fn nothing_breaks_it(bytes in prop::collection::vec(prop::sample::select(b"A:\\cn\n\r\0\xff1content-length".to_vec()), 0..60)) {
            let _ = read(&bytes);
        }
    }
}
