//! One environment's log: the function's output and the platform's lines, in one order.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hearth_types::function::{LogFormat, LogLevel};
use hearth_types::invoke::VersionSpec;
use tokio::net::unix::pipe;

use crate::api::LogSink;
use crate::levels;
use crate::lines::{Lines, Tail};
use crate::records::Record;
use crate::telemetry::{Event, Kind, Telemetry};

/// Bytes taken from the pipe at a time.
const READ_BYTES: usize = 16 * 1024;
/// Bytes taken in one go: what a full pipe holds. More has been written meanwhile and can wait for the next go.
const DRAIN_BYTES: usize = 64 * 1024;

/// What a look into the pipe found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Drained {
    /// It is empty for now.
    Empty,
    /// More may be in it.
    More,
    /// Nothing will come any more.
    Closed,
}

/// The log stream of an environment.
pub(crate) struct Journal {
    sink: Arc<dyn LogSink>,
    group: Arc<str>,
    stream: Arc<str>,
    /// Lines of the function below this are dropped.
    least: Option<LogLevel>,
    telemetry: Telemetry,
    writer: Mutex<Writer>,
}

#[derive(Default)]
struct Writer {
    function: Output,
    /// Of the extensions that have processes of their own.
    extensions: Output,
    /// Kept while an invoke asks for the end of its log.
    tail: Option<Tail>,
}

/// What processes write.
#[derive(Default)]
struct Output {
    /// The reading end, while there are such processes. Non-blocking.
    pipe: Option<Arc<pipe::Receiver>>,
    lines: Lines,
}

impl Writer {
    fn output(&mut self, of: Kind) -> &mut Output {
        if of == Kind::Extension { &mut self.extensions } else { &mut self.function }
    }
}

impl Journal {
    pub(crate) fn new(sink: Arc<dyn LogSink>, group: Arc<str>, stream: Arc<str>, format: LogFormat) -> Self {
        let least = match format {
            LogFormat::Text => None,
            LogFormat::Json { application, .. } => Some(application),
        };
        let telemetry = Telemetry::new(least.is_some());
        Self { sink, group, stream, least, telemetry, writer: Mutex::default() }
    }

    pub(crate) fn stream(&self) -> &str {
        &self.stream
    }

    /// Who else is told what is written here.
    pub(crate) fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// The output of new processes, the function's or its extensions', is read from here on.
    pub(crate) fn attach(&self, of: Kind, pipe: Arc<pipe::Receiver>) {
        self.lock().output(of).pipe = Some(pipe);
    }

    /// Whether the end of the log is kept from now on, with nothing in it yet.
    pub(crate) fn keep_tail(&self, keep: bool) {
        self.lock().tail = keep.then(Tail::default);
    }

    /// The tail starts anew.
    pub(crate) fn clear_tail(&self) {
        if let Some(tail) = &mut self.lock().tail {
            tail.clear();
        }
    }

    /// The end of the log, and none is kept any more.
    pub(crate) fn take_tail(&self) -> Option<Bytes> {
        self.lock().tail.take().map(|mut tail| tail.take())
    }

    /// Takes what has been written so far, once the pipe is said to be readable.
    pub(crate) fn drain(&self, of: Kind, now_ms: i64) -> Drained {
        self.drain_into(&mut self.lock(), of, now_ms, |pipe, buffer| pipe.try_read(buffer))
    }

    /// Writes a line of the platform that need not wait for the function's output.
    pub(crate) fn append(&self, now_ms: i64, line: String) {
        self.event(&mut self.lock().tail, now_ms, Bytes::from(line));
    }

    /// Takes what has been written so far, ends lines that were left open, and writes lines of the platform.
    pub(crate) fn write(&self, now_ms: i64, lines: impl IntoIterator<Item = String>) {
        let mut writer = self.lock();
        self.catch_up(&mut writer, now_ms);
        for line in lines {
            self.event(&mut writer.tail, now_ms, Bytes::from(line));
        }
    }

    /// Takes what has been written so far, ends lines that were left open, and tells of what has happened.
    pub(crate) fn records<'r>(&self, now_ms: i64, spec: &VersionSpec, records: impl IntoIterator<Item = Record<'r>>) {
        let mut writer = self.lock();
        self.catch_up(&mut writer, now_ms);
        for record in records {
            self.tell(&mut writer.tail, now_ms, spec, record);
        }
    }

    /// Tells of something that need not wait for the function's output, and wakes nobody for it: [`Self::wake`] or another
    /// line follows soon.
    pub(crate) fn record_quietly(&self, now_ms: i64, spec: &VersionSpec, record: Record<'_>) {
        let tail = &mut self.lock().tail;
        if let Some(line) = self.line_of(now_ms, spec, record) {
            keep(tail, &line);
            self.sink.line_quietly(&self.group, &self.stream, now_ms, line);
        }
    }

    /// What was told quietly waits no longer.
    pub(crate) fn wake(&self) {
        self.sink.wake();
    }

    /// Tells subscribers of a failure that ended an invoke; the log has lines of its own for it.
    pub(crate) fn fault(&self, now_ms: i64, message: &str) {
        if self.telemetry.is_on() {
            self.telemetry.push(Event::fault(now_ms, message));
        }
    }

    fn tell(&self, tail: &mut Option<Tail>, now_ms: i64, spec: &VersionSpec, record: Record<'_>) {
        if let Some(line) = self.line_of(now_ms, spec, record) {
            self.event(tail, now_ms, line);
        }
    }

    /// Tells subscribers. What the log is to say of it, if anything.
    fn line_of(&self, now_ms: i64, spec: &VersionSpec, record: Record<'_>) -> Option<Bytes> {
        if self.telemetry.is_on() {
            self.telemetry.push(record.event(spec, now_ms));
        }
        record.line(spec, now_ms).map(Bytes::from)
    }

    /// Asks the pipes themselves: tokio may not have heard yet of what is in them.
    fn catch_up(&self, writer: &mut Writer, now_ms: i64) {
        for of in [Kind::Function, Kind::Extension] {
            self.drain_into(writer, of, now_ms, |pipe, buffer| Ok(rustix::io::read(pipe, buffer)?));
            if let Some(partial) = writer.output(of).lines.flush() {
                self.line(&mut writer.tail, of, now_ms, partial);
            }
        }
    }

    fn drain_into(
        &self,
        writer: &mut Writer,
        of: Kind,
        now_ms: i64,
        read: impl Fn(&pipe::Receiver, &mut [u8]) -> io::Result<usize>,
    ) -> Drained {
        let Writer { function, extensions, tail } = writer;
        let output = if of == Kind::Extension { extensions } else { function };
        let Some(pipe) = &output.pipe else { return Drained::Closed };
        let mut buffer = [0; READ_BYTES];
        let mut taken = 0;
        while taken < DRAIN_BYTES {
            match read(pipe, &mut buffer) {
                Ok(0) => {
                    output.pipe = None;
                    return Drained::Closed;
                }
                Ok(count) => {
                    taken += count;
                    output.lines.push(&buffer[..count], |event| self.line(tail, of, now_ms, event));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Drained::Empty,
                Err(error) => {
                    tracing::warn!(stream = %self.stream, %error, "a function's output is lost");
                    output.pipe = None;
                    return Drained::Closed;
                }
            }
        }
        Drained::More
    }

    /// A line of the function or of an extension. Levels are of the function's, and of the log only.
    fn line(&self, tail: &mut Option<Tail>, of: Kind, now_ms: i64, line: Bytes) {
        if self.telemetry.is_on() {
            self.telemetry.push(Event::Line { kind: of, wall_ms: now_ms, text: line.clone() });
        }
        if of == Kind::Extension || self.least.is_none_or(|least| levels::keeps(least, &line)) {
            self.event(tail, now_ms, line);
        }
    }

    fn event(&self, tail: &mut Option<Tail>, now_ms: i64, line: Bytes) {
        keep(tail, &line);
        self.sink.line(&self.group, &self.stream, now_ms, line);
    }

    fn lock(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keep(tail: &mut Option<Tail>, line: &[u8]) {
    if let Some(tail) = tail {
        tail.push(line);
    }
}

/// A pipe for a function's output: the end to read and the end to write.
pub(crate) fn output_pipe() -> io::Result<(pipe::Receiver, OwnedFd)> {
    let (reader, writer) = io::pipe()?;
    Ok((pipe::Receiver::from_owned_fd(reader.into())?, writer.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[derive(Default)]
    struct Kept(Mutex<Vec<String>>);

    impl LogSink for Kept {
        fn line(&self, _: &Arc<str>, _: &Arc<str>, _: i64, line: Bytes) {
            self.0.lock().unwrap().push(String::from_utf8(line.to_vec()).unwrap());
        }
    }

    #[tokio::test]
    async fn output_comes_before_the_platforms_line_that_follows_it() {
        let kept = Arc::new(Kept::default());
        let journal = Journal::new(kept.clone(), "g".into(), "s".into(), LogFormat::Text);
        let (reader, writer) = output_pipe().unwrap();
        let mut writer = std::fs::File::from(writer);
        let reader = Arc::new(reader);
        journal.attach(Kind::Function, Arc::clone(&reader));
        journal.keep_tail(true);
        journal.write(0, ["START\n".to_owned()]);
        writer.write_all(b"one\ntwo, not ended").unwrap();
        journal.write(0, ["END\n".to_owned()]);
        drop(writer);
        let end = async {
            loop {
                reader.readable().await.unwrap();
                if journal.drain(Kind::Function, 0) == Drained::Closed {
                    break;
                }
            }
        };
        end.await;
        assert_eq!(*kept.0.lock().unwrap(), ["START\n", "one\n", "two, not ended", "END\n"]);
        assert_eq!(journal.take_tail().unwrap(), "START\none\ntwo, not endedEND\n");
        assert_eq!(journal.take_tail(), None);
    }

    #[tokio::test]
    async fn lines_of_extensions_are_told_apart_and_have_no_level() {
        let kept = Arc::new(Kept::default());
        let format = LogFormat::Json { application: LogLevel::Fatal, system: LogLevel::Info };
        let journal = Journal::new(kept.clone(), "g".into(), "s".into(), format);
        let mut writers = [Kind::Function, Kind::Extension].map(|of| {
            let (reader, writer) = output_pipe().unwrap();
            journal.attach(of, Arc::new(reader));
            std::fs::File::from(writer)
        });
        let line = r#"{"level":"INFO","message":"x"}"#;
        writers[1].write_all(format!("{line}, half").as_bytes()).unwrap();
        writers[0].write_all(format!("{line}\n").as_bytes()).unwrap();
        journal.write(0, []);
        assert_eq!(*kept.0.lock().unwrap(), [format!("{line}, half")]);
    }

    #[tokio::test]
    async fn a_full_pipe_is_emptied_at_once() {
        let kept = Arc::new(Kept::default());
        let journal = Journal::new(kept.clone(), "g".into(), "s".into(), LogFormat::Text);
        let (reader, writer) = output_pipe().unwrap();
        journal.attach(Kind::Function, Arc::new(reader));
        std::fs::File::from(writer).write_all(&[b'x'; 64 * 1024]).unwrap();
        journal.write(0, []);
        let sizes: Vec<usize> = kept.0.lock().unwrap().iter().map(String::len).collect();
        assert_eq!(sizes, [64 * 1024]);
    }
}
