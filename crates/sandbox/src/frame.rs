//! The fixed frames between server, spawner and an environment's init. Each is one datagram of [`FRAME_BYTES`]; what
//! does not decode exactly is refused. Descriptors travel beside them (see [`crate::channel`]).

use hearth_types::CodeDigest;
use hearth_types::limits::LAYERS;

use crate::Exit;
use crate::disk::Disk;
use crate::error::{FAILURE_TEXT_BYTES, Failure};
use crate::process::{Process, Signal};
use crate::promise::Promise;
use crate::since::Since;

/// Bytes of every frame.
pub(crate) const FRAME_BYTES: usize = 256;

/// A frame's bytes.
pub(crate) type Bytes = [u8; FRAME_BYTES];

/// What both ends of a socket exchange.
pub(crate) trait Frame: Sized {
    fn encode(&self) -> Bytes;
    fn decode(bytes: &Bytes) -> Option<Self>;
}

/// What the server asks of the spawner, under an id that the answer repeats.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Request {
    /// The runtimes' roots, once, before the server gives root up. Descriptor: their plans. Not answered.
    Roots,
    /// A new sandbox, for something that waits for it unless it is wanted ahead. Descriptors: none.
    Make { id: u64, tmp: TmpChoice, ahead: bool },
    /// Compose root number `root` in it. Answered on the environment's channel.
    Start { slot: u64, root: u32 },
    /// Run a program in it that waits for its function, or have a process wait. Descriptors: output; arguments of the
    /// program. Answered on the environment's channel.
    Launch { slot: u64 },
    /// Run a function in it. Descriptors: output, arguments; where a program waits, what it is told. With programs beside
    /// the runtime: their output and arguments, too; the runtime then waits. Answered on the environment's channel.
    /// Of a template also the file for its snapshot, of a restored function the file that has it.
    Assign { slot: u64, code: CodeDigest, layers: Vec<CodeDigest>, memory_mb: u32, beside: u32, role: Role },
    /// Have the snapshot of a template written. Answered on the environment's channel.
    Write { slot: u64 },
    /// Let the runtime go that waits for the programs beside it. Answered on the environment's channel.
    Go { slot: u64 },
    /// Signal a process.
    Signal { slot: u64, process: Process, signal: Signal },
    /// A socket in its network that is not connected yet. Descriptors: none.
    Socket { id: u64, slot: u64 },
    /// Have an archive read in a jail, and where `staging` names a folder for a tree, written there. Descriptors: the
    /// archive, a socket for the report.
    Read { order: u32, staging: Option<u64> },
    /// Answer, if it can.
    Answer { id: u64 },
    /// Kill all in it and take it down.
    Destroy { id: u64, slot: u64, keep_tmp: bool },
}

/// What a function runs for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// Invokes, from its start on.
    Usual,
    /// To be written down.
    Template,
    /// To be written down before any function is known: without code.
    Interpreter,
    /// Invokes, as what was written down.
    Restored,
}

impl Role {
    fn number(self) -> u32 {
        match self {
            Self::Usual => 0,
            Self::Template => 1,
            Self::Restored => 2,
            Self::Interpreter => 3,
        }
    }

    fn of(number: u32) -> Option<Self> {
        [Self::Usual, Self::Template, Self::Restored, Self::Interpreter]
            .into_iter()
            .find(|role| role.number() == number)
    }
}

/// Which /tmp a sandbox gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TmpChoice {
    /// An empty one of so many MB.
    New { mb: u32 },
    /// One kept by an earlier `Destroy`.
    Kept { volume: u64 },
}

/// What the spawner answers on its control socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// Before that: what cannot be kept here of what is promised.
    Unkept { promise: Promise, failure: Failure },
    /// The spawner is up.
    Hello { cgroup_v2: bool },
    /// Descriptors: channel, then the control files of the cgroup in the order of `CgroupFiles`.
    Made { id: u64, slot: u64 },
    /// Descriptor: the socket.
    Socket { id: u64 },
    /// To [`Request::Answer`].
    Answered { id: u64 },
    /// No process is left. Descriptor where a volume was kept: its lease.
    Destroyed { id: u64, volume: Option<(u64, u32)> },
    /// The request failed.
    Failed { id: u64, failure: Failure },
    /// Without being asked: it stands otherwise with the disk than was told last, or than it does at the start.
    Disk(Disk),
}

/// What the server hears on an environment's channel, from its init or, about it, from the spawner.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    /// Made. Descriptors: the listeners of the Runtime API and of the server's API; with NAT, those of
    /// [`crate::NameSockets`]; where segments are taken, the socket for them.
    Ready,
    /// The root is composed.
    Started,
    /// The program runs: the function's, or one that waits for it. Since when, or a little earlier.
    Running { since: Since },
    /// A process ended so. Without programs beside the runtime its end is the environment's.
    Exited(Process, Exit),
    /// Init is dead, and with it everything in the environment.
    Gone,
    /// A step failed; the environment is of no more use.
    Failed(Failure),
    /// All is prepared, but the program, which the failure names, cannot be executed.
    NotExecutable(Failure),
    /// A template's snapshot is written: its bytes.
    Written { bytes: u64 },
    /// It is not, and why.
    NotWritten(Failure),
}

/// What the spawner orders an environment's init, or a jail, to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    /// Descriptor: the mount namespace whose root is the runtime's.
    Start,
    /// Descriptors: output; arguments where it is a program. To a process that is held: prepare.
    Launch,
    /// Descriptors: detached mount of the code; output and arguments or, where a program waits, what it is told; output
    /// and arguments of `beside` programs, where it is not 0; then the mount of the layers where there are some.
    /// A template's file for its snapshot, or a restored function's file that has it, comes before that mount. Without any
    /// mount for an interpreter that is to be written down.
    Assign { memory_mb: u32, beside: u32, role: Role },
    /// Write the snapshot of a template.
    Write,
    /// Let the runtime go that waits for the programs beside it.
    Go,
    /// Name a process, so that the spawner, which may, can signal it.
    Name { process: Process, signal: Signal },
    /// Read an archive. Descriptors: the archive, the socket for the report; the mount of the folder to write to, where
    /// there is one.
    Read { order: u32 },
}

/// What an environment's init tells the spawner.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Note {
    /// The sandbox is made. Descriptors, where its /tmp is on a loop device that init bound or mounted: that mount, and,
    /// where it was bound, the file behind it.
    Made { loop_number: Option<u32> },
    /// What [`Order::Name`] asked for. Descriptor: the process.
    Named { signal: Signal },
}

impl Frame for Request {
    fn encode(&self) -> Bytes {
        match self {
            Self::Roots => Writer::new(10).done(),
            Self::Make { id, tmp: TmpChoice::New { mb }, ahead } => {
                Writer::new(1).u64(*id).u32(*mb).u32(u32::from(*ahead)).done()
            }
            Self::Make { id, tmp: TmpChoice::Kept { volume }, ahead } => {
                Writer::new(2).u64(*id).u64(*volume).u32(u32::from(*ahead)).done()
            }
            Self::Start { slot, root } => Writer::new(3).u64(*slot).u32(*root).done(),
            Self::Launch { slot } => Writer::new(6).u64(*slot).done(),
            Self::Assign { slot, code, layers, memory_mb, beside, role } => {
                let fixed = Writer::new(4).u64(*slot).bytes(&code.0).u32(*memory_mb).u32(layers.len() as u32);
                layers.iter().fold(fixed.u32(*beside).u32(role.number()), |frame, layer| frame.bytes(&layer.0)).done()
            }
            Self::Go { slot } => Writer::new(20).u64(*slot).done(),
            Self::Write { slot } => Writer::new(31).u64(*slot).done(),
            Self::Signal { slot, process, signal } => {
                Writer::new(21).u64(*slot).u32(process.number()).u32(signal.number()).done()
            }
            Self::Socket { id, slot } => Writer::new(7).u64(*id).u64(*slot).done(),
            Self::Answer { id } => Writer::new(11).u64(*id).done(),
            Self::Read { order, staging: None } => Writer::new(8).u32(*order).done(),
            Self::Read { order, staging: Some(number) } => Writer::new(9).u32(*order).u64(*number).done(),
            Self::Destroy { id, slot, keep_tmp } => Writer::new(5).u64(*id).u64(*slot).u32(u32::from(*keep_tmp)).done(),
        }
    }

    fn decode(bytes: &Bytes) -> Option<Self> {
        let (kind, mut r) = Reader::new(bytes);
        let request = match kind {
            10 => Self::Roots,
            1 => Self::Make { id: r.u64(), tmp: TmpChoice::New { mb: r.u32() }, ahead: r.bool()? },
            2 => Self::Make { id: r.u64(), tmp: TmpChoice::Kept { volume: r.u64() }, ahead: r.bool()? },
            3 => Self::Start { slot: r.u64(), root: r.u32() },
            4 => {
                let (slot, code, memory_mb) = (r.u64(), CodeDigest(r.array()), r.u32());
                let count = usize::try_from(r.u32()).ok().filter(|count| *count <= LAYERS)?;
                let (beside, role) = (r.u32(), Role::of(r.u32())?);
                let layers = (0..count).map(|_| CodeDigest(r.array())).collect();
                Self::Assign { slot, code, layers, memory_mb, beside, role }
            }
            20 => Self::Go { slot: r.u64() },
            31 => Self::Write { slot: r.u64() },
            21 => Self::Signal { slot: r.u64(), process: Process::of(r.u32()), signal: Signal::of(r.u32())? },
            6 => Self::Launch { slot: r.u64() },
            7 => Self::Socket { id: r.u64(), slot: r.u64() },
            11 => Self::Answer { id: r.u64() },
            8 => Self::Read { order: r.u32(), staging: None },
            9 => Self::Read { order: r.u32(), staging: Some(r.u64()) },
            5 => Self::Destroy { id: r.u64(), slot: r.u64(), keep_tmp: r.bool()? },
            _ => return None,
        };
        r.only_zeros_left().then_some(request)
    }
}

impl Frame for Answer {
    fn encode(&self) -> Bytes {
        match self {
            Self::Unkept { promise, failure } => Writer::new(30).u32(promise.number()).failure(failure).done(),
            Self::Hello { cgroup_v2 } => Writer::new(1).u32(u32::from(*cgroup_v2)).done(),
            Self::Made { id, slot } => Writer::new(2).u64(*id).u64(*slot).done(),
            Self::Destroyed { id, volume: None } => Writer::new(3).u64(*id).done(),
            Self::Destroyed { id, volume: Some((volume, mb)) } => Writer::new(4).u64(*id).u64(*volume).u32(*mb).done(),
            Self::Failed { id, failure } => Writer::new(5).u64(*id).failure(failure).done(),
            Self::Socket { id } => Writer::new(6).u64(*id).done(),
            Self::Answered { id } => Writer::new(7).u64(*id).done(),
            Self::Disk(Disk { short, ended }) => Writer::new(8).u32(u32::from(*short)).u64(*ended).done(),
        }
    }

    fn decode(bytes: &Bytes) -> Option<Self> {
        let (kind, mut r) = Reader::new(bytes);
        let answer = match kind {
            30 => Self::Unkept { promise: Promise::from_number(r.u32())?, failure: r.failure()? },
            1 => Self::Hello { cgroup_v2: r.bool()? },
            2 => Self::Made { id: r.u64(), slot: r.u64() },
            3 => Self::Destroyed { id: r.u64(), volume: None },
            4 => Self::Destroyed { id: r.u64(), volume: Some((r.u64(), r.u32())) },
            5 => Self::Failed { id: r.u64(), failure: r.failure()? },
            6 => Self::Socket { id: r.u64() },
            7 => Self::Answered { id: r.u64() },
            8 => Self::Disk(Disk { short: r.bool()?, ended: r.u64() }),
            _ => return None,
        };
        r.only_zeros_left().then_some(answer)
    }
}

impl Frame for Event {
    fn encode(&self) -> Bytes {
        match self {
            Self::Ready => Writer::new(1).done(),
            Self::Started => Writer::new(2).done(),
            Self::Running { since } => Writer::new(3).u64(since.0).done(),
            Self::Exited(process, Exit::Code(code)) => Writer::new(4).u32(*code as u32).u32(process.number()).done(),
            Self::Exited(process, Exit::Signal(signal)) => {
                Writer::new(5).u32(*signal as u32).u32(process.number()).done()
            }
            Self::Gone => Writer::new(6).done(),
            Self::Failed(failure) => Writer::new(7).failure(failure).done(),
            Self::NotExecutable(failure) => Writer::new(8).failure(failure).done(),
            Self::Written { bytes } => Writer::new(31).u64(*bytes).done(),
            Self::NotWritten(failure) => Writer::new(32).failure(failure).done(),
        }
    }

    fn decode(bytes: &Bytes) -> Option<Self> {
        let (kind, mut r) = Reader::new(bytes);
        let event = match kind {
            1 => Self::Ready,
            2 => Self::Started,
            3 => Self::Running { since: Since(r.u64()) },
            4 | 5 => {
                let (number, process) = (r.u32() as i32, Process::of(r.u32()));
                Self::Exited(process, if kind == 4 { Exit::Code(number) } else { Exit::Signal(number) })
            }
            6 => Self::Gone,
            7 => Self::Failed(r.failure()?),
            8 => Self::NotExecutable(r.failure()?),
            31 => Self::Written { bytes: r.u64() },
            32 => Self::NotWritten(r.failure()?),
            _ => return None,
        };
        r.only_zeros_left().then_some(event)
    }
}

impl Frame for Order {
    fn encode(&self) -> Bytes {
        match self {
            Self::Start => Writer::new(1).done(),
            Self::Launch => Writer::new(3).done(),
            Self::Assign { memory_mb, beside, role } => {
                Writer::new(2).u32(*memory_mb).u32(*beside).u32(role.number()).done()
            }
            Self::Write => Writer::new(31).done(),
            Self::Go => Writer::new(20).done(),
            Self::Name { process, signal } => Writer::new(21).u32(process.number()).u32(signal.number()).done(),
            Self::Read { order } => Writer::new(22).u32(*order).done(),
        }
    }

    fn decode(bytes: &Bytes) -> Option<Self> {
        let (kind, mut r) = Reader::new(bytes);
        let order = match kind {
            1 => Self::Start,
            3 => Self::Launch,
            2 => Self::Assign { memory_mb: r.u32(), beside: r.u32(), role: Role::of(r.u32())? },
            31 => Self::Write,
            20 => Self::Go,
            21 => Self::Name { process: Process::of(r.u32()), signal: Signal::of(r.u32())? },
            22 => Self::Read { order: r.u32() },
            _ => return None,
        };
        r.only_zeros_left().then_some(order)
    }
}

impl Frame for Note {
    fn encode(&self) -> Bytes {
        match self {
            Self::Made { loop_number: Some(number) } => Writer::new(1).u32(*number).done(),
            Self::Made { loop_number: None } => Writer::new(2).done(),
            Self::Named { signal } => Writer::new(20).u32(signal.number()).done(),
        }
    }

    fn decode(bytes: &Bytes) -> Option<Self> {
        let (kind, mut r) = Reader::new(bytes);
        let note = match kind {
            1 => Self::Made { loop_number: Some(r.u32()) },
            2 => Self::Made { loop_number: None },
            20 => Self::Named { signal: Signal::of(r.u32())? },
            _ => return None,
        };
        r.only_zeros_left().then_some(note)
    }
}

/// Fills a frame from the front. All frames together stay far below its size, which the tests check for the longest.
pub(crate) struct Writer {
    bytes: Bytes,
    at: usize,
}

impl Writer {
    pub(crate) fn new(kind: u32) -> Self {
        Self { bytes: [0; FRAME_BYTES], at: 0 }.u32(kind)
    }

    pub(crate) fn bytes(mut self, part: &[u8]) -> Self {
        self.bytes[self.at..self.at + part.len()].copy_from_slice(part);
        self.at += part.len();
        self
    }

    pub(crate) fn u32(self, value: u32) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn u64(self, value: u64) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    fn failure(self, failure: &Failure) -> Self {
        let text = &failure.what.as_bytes()[..failure.what.floor_char_boundary(FAILURE_TEXT_BYTES)];
        self.u32(failure.errno as u32).u32(text.len() as u32).bytes(text)
    }

    pub(crate) fn done(self) -> Bytes {
        self.bytes
    }
}

/// Reads a frame from the front; no kind reads past the end.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a Bytes) -> (u32, Self) {
        let mut reader = Self { rest: bytes };
        (reader.u32(), reader)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        let (part, rest) = self.rest.split_first_chunk().unwrap_or((&[0; N], &[]));
        self.rest = rest;
        *part
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    fn bool(&mut self) -> Option<bool> {
        match self.u32() {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn failure(&mut self) -> Option<Failure> {
        let errno = self.u32() as i32;
        let length = self.u32() as usize;
        let (text, rest) = self.rest.split_at_checked(length.min(FAILURE_TEXT_BYTES))?;
        self.rest = rest;
        Some(Failure::new(errno, String::from_utf8_lossy(text)))
    }

    pub(crate) fn only_zeros_left(&self) -> bool {
        self.rest.iter().all(|byte| *byte == 0)
    }
}

#[cfg(test)]
pub(crate) mod tests;
