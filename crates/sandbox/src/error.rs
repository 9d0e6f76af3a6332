//! What can go wrong, on both sides of the spawner's socket.

use std::fmt::Display;
use std::io;

/// Bytes of the text of a failure that crosses the spawner's socket.
pub(crate) const FAILURE_TEXT_BYTES: usize = 200;

/// Why a sandbox was not made, started, assigned, or why there can be none on this machine.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A step failed: what was being done, to what, and the system's answer.
    #[error("{what}: {source}")]
    Failed {
        /// What was being done.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
    /// Everything is ready, but the program to run cannot be executed.
    #[error("executing {program}: {source}")]
    NotExecutable {
        /// Its path inside.
        program: String,
        /// Whether it is not there. Where what is to run it is not, `execve` answers the same.
        missing: bool,
        /// The answer of `execve`.
        source: io::Error,
    },
    /// The spawner has died; no sandbox can be made and the living ones are being killed.
    #[error("the spawner process has died; restart the server")]
    SpawnerGone,
    /// The environment died (or was killed) before the step was done.
    #[error("the execution environment died while it was being set up")]
    EnvironmentGone,
    /// An argument that no frame can carry or that breaks a bound.
    #[error("{0}")]
    Invalid(String),
}

/// What init says of a program that is there while its interpreter or loader is not. No `execve` answers it by itself.
pub(crate) const NO_INTERPRETER: i32 = libc::ELIBACC;

/// A failed step inside the spawner or an environment's init, small enough for a frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Failure {
    /// The system's error number.
    pub(crate) errno: i32,
    /// What was being done; cut at [`FAILURE_TEXT_BYTES`].
    pub(crate) what: String,
}

/// Result of a step.
pub(crate) type Done<T = ()> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(errno: i32, what: impl Into<String>) -> Self {
        Self { errno, what: what.into() }
    }
}

impl From<Failure> for SandboxError {
    fn from(failure: Failure) -> Self {
        Self::Failed { what: failure.what, source: io::Error::from_raw_os_error(failure.errno) }
    }
}

/// Names the step that failed.
pub(crate) trait During<T> {
    /// Turns a system's error into a [`Failure`] that says what was being done.
    fn during(self, what: impl Display) -> Done<T>;
}

impl<T, E: Into<io::Error>> During<T> for Result<T, E> {
    fn during(self, what: impl Display) -> Done<T> {
        self.map_err(|error| Failure::new(error.into().raw_os_error().unwrap_or(libc::EIO), what.to_string()))
    }
}
