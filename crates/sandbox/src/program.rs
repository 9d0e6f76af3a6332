//! What a sandbox is told to run, and what is heard of it.

use std::ffi::CString;
use std::os::fd::OwnedFd;

use hearth_types::CodeDigest;
use hearth_types::limits::{EXTENSION_PROGRAMS, LAYERS};

use crate::args::ExecArgs;
use crate::error::SandboxError;
use crate::frame::{Request, Role};
use crate::process::{Exit, Process};

/// Whose a sandbox is to be.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// The unpacked package, mounted at /var/task.
    pub code: CodeDigest,
    /// Unpacked layers, mounted as one at /opt, a later one over an earlier one; at most [`LAYERS`].
    pub layers: Vec<CodeDigest>,
    /// The hard limit of memory, MB; swap is off.
    pub memory_mb: u32,
}

/// What a sandbox is to run.
#[derive(Debug)]
pub struct Program {
    /// The program's path inside, and its arguments.
    pub argv: Vec<CString>,
    /// The program where there is no file at the first one's path.
    pub otherwise: Option<CString>,
    /// All environment variables, `NAME=value`.
    pub env: Vec<CString>,
    /// Working directory inside.
    pub cwd: CString,
    /// Standard output and standard error.
    pub output: OwnedFd,
}

/// What a process that was made ahead is to run.
#[derive(Debug)]
pub struct Command {
    /// The program's path inside, and its arguments.
    pub argv: Vec<CString>,
    /// The program where there is no file at the first one's path.
    pub otherwise: Option<CString>,
    /// All environment variables, `NAME=value`.
    pub env: Vec<CString>,
    /// Working directory inside.
    pub cwd: CString,
}

impl Command {
    /// As a sealed file in memory, which is what a new process can be handed.
    pub(crate) fn seal(self) -> Result<OwnedFd, SandboxError> {
        let Self { argv, otherwise, env, cwd } = self;
        ExecArgs { argv, otherwise, env, cwd }.seal().map_err(|error| SandboxError::Invalid(error.to_string()))
    }
}

/// Programs that run beside a function's runtime, in the same sandbox.
#[derive(Debug)]
pub struct Beside {
    /// Their paths inside.
    pub programs: Vec<CString>,
    /// All environment variables of each, `NAME=value`.
    pub env: Vec<CString>,
    /// Their working directory inside.
    pub cwd: CString,
    /// Their standard output and standard error.
    pub output: OwnedFd,
}

/// What is heard of a sandbox that a function runs in.
#[derive(Debug)]
pub enum Happening {
    /// The runtime that waited runs.
    RuntimeRuns,
    /// A process has ended. With the runtime, unless programs run beside it, all have.
    Ended(Process, Exit),
    /// Nothing runs any more; it is all that is heard from now on.
    Gone,
    /// The sandbox is of no more use.
    Failed(SandboxError),
}

impl Assignment {
    pub(crate) fn request(self, slot: u64, beside: usize, role: Role) -> Result<Request, SandboxError> {
        let Self { code, layers, memory_mb } = self;
        if layers.len() > LAYERS {
            return Err(SandboxError::Invalid(format!("{} layers: at most {LAYERS} can be mounted", layers.len())));
        }
        if beside > EXTENSION_PROGRAMS {
            let text = format!("{beside} programs beside a runtime: at most {EXTENSION_PROGRAMS} can be started");
            return Err(SandboxError::Invalid(text));
        }
        Ok(Request::Assign { slot, code, layers, memory_mb, beside: beside as u32, role })
    }
}
