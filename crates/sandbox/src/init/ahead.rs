//! A process that is made ahead of its function. Either a program is started already, an interpreter with nothing of any
//! customer in it, which waits to be told whose it is; or the process alone, limited and confined, waits for the program.

use std::fs::File;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;

use hearth_types::limits::{EXEC_STRINGS_BYTES, MEMORY_MAX_MB};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::Plan;
use super::child::{Harmless, Held, Launch, Running, Task, become_harmless_at_last, nproc_limit};
use crate::error::{Done, During, Failure};
use crate::frame::Event;
use crate::privileges;
use crate::since::Since;

/// How many fields of `/proc/PID/stat` are between the program's name and the two that say where the variables begin and
/// end that the process was started with.
const ENVIRONMENT_FIELDS: usize = 47;

/// What waits.
pub(super) enum Waiting {
    Program(Program),
    Process(Held),
}

/// The waiting program.
pub(super) struct Program {
    process: Running,
    /// It reads the other end up to its end.
    tell: UnixStream,
    variables: Area,
}

/// Where a process has the variables that it was started with.
struct Area {
    memory: File,
    start: u64,
    /// Bytes.
    room: usize,
}

impl Waiting {
    /// Starts a program as a function's user, with a function's limits and filter. Returns once it says that it waits,
    /// and has no use any more for the variables that it was started with.
    pub(super) fn launch(plan: &Plan<'_>, output: OwnedFd, args: OwnedFd) -> Result<Self, Event> {
        let (mut tell, hear) = UnixStream::pair().during("making a socket pair").map_err(Event::Failed)?;
        // The limit that depends on the function comes later.
        let (hear, memory_mb) = (hear.into(), MEMORY_MAX_MB);
        let launch = Launch { plan, memory_mb, output: &output, args: Some(&args), task: Task::Ahead { hear: &hear } };
        let process = launch.run(Harmless::Later)?;
        drop(hear);
        let what = "waiting for a program that is started ahead";
        tell.read_exact(&mut [0]).during(what).map_err(Event::Failed)?;
        let variables = Area::of(process.pid).map_err(Event::Failed)?;
        privileges::drop_bounding_set().map_err(Event::Failed)?;
        Ok(Self::Program(Program { process, tell, variables }))
    }

    /// Makes a process that waits for its program.
    pub(super) fn hold(plan: &Plan<'_>, output: &OwnedFd) -> Done<Self> {
        let held = Launch { plan, memory_mb: MEMORY_MAX_MB, output, args: None, task: Task::Held }.hold()?;
        privileges::drop_bounding_set()?;
        Ok(Self::Process(held))
    }

    /// Returns when there is an order or the process has ended: false.
    pub(super) fn waits_for_order(&self, plan: &Plan<'_>) -> Done<bool> {
        // A hang-up is always told.
        let mut fds =
            [PollFd::new(&plan.orders, PollFlags::IN), PollFd::from_borrowed_fd(self.end(), PollFlags::empty())];
        while let Err(error) = poll(&mut fds, None) {
            if error != rustix::io::Errno::INTR {
                return Err(error).during("waiting for an order");
            }
        }
        Ok(fds[1].revents().is_empty())
    }

    /// What hangs up with the process.
    fn end(&self) -> BorrowedFd<'_> {
        match self {
            Self::Program(program) => program.tell.as_fd(),
            Self::Process(held) => held.word.as_fd(),
        }
    }

    pub(super) fn pid(&self) -> Pid {
        match self {
            Self::Program(program) => program.process.pid,
            Self::Process(held) => held.pid(),
        }
    }

    /// Gives it its function: the limit and then, when this process can do nothing any more, the word, with the variables
    /// or with all that a program is started with.
    pub(super) fn employ(self, plan: &Plan<'_>, memory_mb: u32, told: OwnedFd) -> Result<Running, Event> {
        self.limit(memory_mb).during("limiting a waiting process").map_err(Event::Failed)?;
        match self {
            Self::Program(program) => program.employ(plan, told).map_err(Event::Failed),
            Self::Process(held) => {
                become_harmless_at_last(plan).map_err(Event::Failed)?;
                held.go(Some(told))
            }
        }
    }

    fn limit(&self, memory_mb: u32) -> rustix::io::Result<()> {
        let limit = nproc_limit(memory_mb);
        prlimit(Some(self.pid()), Resource::Nproc, Rlimit { current: limit, maximum: limit }).map(drop)
    }
}

impl Program {
    fn employ(mut self, plan: &Plan<'_>, told: OwnedFd) -> Done<Running> {
        let what = "reading what a program is to be told";
        let told = File::from(told);
        let length = told.metadata().during(what)?.len().min(EXEC_STRINGS_BYTES as u64);
        let mut variables = vec![0; length as usize];
        told.read_exact_at(&mut variables, 0).during(what)?;
        self.variables.show(&variables)?;
        become_harmless_at_last(plan)?;
        let since = Since::now();
        let word = self.tell.write_all(&variables).and_then(|()| self.tell.shutdown(Shutdown::Both));
        word.during("telling a waiting program what it is for")?;
        Ok(Running { since, ..self.process })
    }
}

impl Area {
    fn of(process: Pid) -> Done<Self> {
        let what = "finding the variables of a waiting program";
        let process = format!("/proc/{}", process.as_raw_nonzero());
        let stat = std::fs::read_to_string(format!("{process}/stat")).during(what)?;
        let (start, room) = environment_area(&stat).ok_or_else(|| Failure::new(libc::EINVAL, what))?;
        let memory = File::options().write(true).open(format!("{process}/mem")).during(what)?;
        Ok(Self { memory, start, room })
    }

    /// Puts the function's variables where those were that the program was started with, so that `/proc/PID/environ` and
    /// `ps` show them.
    fn show(&self, variables: &[u8]) -> Done {
        let Self { memory, start, room } = self;
        if variables.len() > *room {
            let what = format!("{} bytes of variables where a waiting program has room for {room}", variables.len());
            return Err(Failure::new(libc::E2BIG, what));
        }
        let mut area = variables.to_vec();
        area.resize(*room, 0);
        memory.write_all_at(&area, *start).during("writing the variables of a waiting program")
    }
}

/// Where the variables are, and how many bytes.
fn environment_area(stat: &str) -> Option<(u64, usize)> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(ENVIRONMENT_FIELDS);
    let start: u64 = fields.next()?.parse().ok()?;
    let end: u64 = fields.next()?.parse().ok()?;
    Some((start, usize::try_from(end.checked_sub(start)?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_finds_its_own_variables() {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let (start, length) = environment_area(&stat).unwrap();
        let mut area = vec![0; length];
        File::open("/proc/self/mem").unwrap().read_exact_at(&mut area, start).unwrap();
        assert_eq!(area, std::fs::read("/proc/self/environ").unwrap());
        assert_eq!(environment_area("1 (a) b) S 1 2"), None);
    }
}
