//! The server's side of snapshots: it makes their files, seals them, and hands them on; it reads nothing of them.

use std::fs::File;
use std::os::fd::OwnedFd;

use hearth_types::CodeDigest;
use hearth_types::limits::{MEMORY_MIN_MB, SNAPSHOT_BYTES};
use rustix::fs::{MemfdFlags, Mode};

use crate::args::seal;
use crate::error::{During, Failure, SandboxError};
use crate::frame::{Event, Request, Role};
use crate::program::{Assignment, Program};
use crate::sandbox::{Sandbox, Started, protocol_error};
use crate::weaken::{self, Defence};
use crate::{Spawner, snapshot};

/// Everybody may read and execute a snapshot. Who could open it to write could keep others from executing it, and leave
/// messages in its attributes for whoever else runs from it: the seals keep only its bytes.
const READ_AND_EXECUTE: Mode = Mode::from_raw_mode(0o555);

/// A function's process that will be written down.
pub struct Template {
    sandbox: Sandbox,
    file: File,
}

/// A function's process, written down: nobody can change it any more. Dropped, it is gone once nothing runs from it.
#[derive(Debug)]
pub struct Snapshot {
    file: OwnedFd,
    bytes: u64,
}

impl Snapshot {
    /// Bytes of memory that it may take: also what was never written of it becomes memory once somebody reads it.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Spawner {
    /// As [`Self::assign`], of a function that is to be written down.
    ///
    /// # Errors
    /// As there.
    pub async fn assign_template(&self, s: Started, a: Assignment, program: Program) -> Result<Template, SandboxError> {
        let request = a.request(s.environment.slot, 0, Role::Template)?;
        self.run_template(s, &request, program).await
    }

    /// Has a program run that is to be written down before any function is known: nothing but the runtime's root is there.
    ///
    /// # Errors
    /// As [`Self::assign`].
    pub async fn assign_interpreter(&self, s: Started, program: Program) -> Result<Template, SandboxError> {
        let nothing = Assignment { code: CodeDigest([0; 32]), layers: Vec::new(), memory_mb: MEMORY_MIN_MB };
        let request = nothing.request(s.environment.slot, 0, Role::Interpreter)?;
        self.run_template(s, &request, program).await
    }

    async fn run_template(&self, s: Started, request: &Request, program: Program) -> Result<Template, SandboxError> {
        let what = "making a snapshot's file";
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        // Older kernels let every such file be executed, and do not know how to be asked.
        let file = rustix::fs::memfd_create("hearth-snapshot", flags | MemfdFlags::EXEC)
            .or_else(|_| rustix::fs::memfd_create("hearth-snapshot", flags));
        let file = file.during(what)?;
        let environment = self.run(s, request, program, None, Some(&file)).await?;
        Ok(Template { sandbox: Sandbox(environment), file: file.into() })
    }

    /// Lets a sandbox become an environment in which the process goes on that was written down: at its connection to the
    /// Runtime API, where it has asked for `restore/next` again. Its output goes to `output`.
    ///
    /// # Errors
    /// As [`Self::assign`].
    pub async fn restore(
        &self,
        started: Started,
        a: Assignment,
        snapshot: &Snapshot,
        output: OwnedFd,
    ) -> Result<Sandbox, SandboxError> {
        let request = a.request(started.environment.slot, 0, Role::Restored)?;
        let itself = format!("/proc/self/fd/{}", snapshot::IMAGE);
        let argv = vec![std::ffi::CString::new(itself).map_err(|error| SandboxError::Invalid(error.to_string()))?];
        let program = Program { argv, otherwise: None, env: Vec::new(), cwd: c"/var/task".to_owned(), output };
        let mut environment = self.run(started, &request, program, None, Some(&snapshot.file)).await?;
        environment.uncharged_bytes = snapshot.bytes;
        Ok(Sandbox(environment))
    }
}

impl Template {
    /// The sandbox that it runs in.
    #[must_use]
    pub fn sandbox(&mut self) -> &mut Sandbox {
        &mut self.sandbox
    }

    /// Writes it down, and takes its sandbox down. To be called when the runtime waits in `restore/next`.
    ///
    /// # Errors
    /// What of the process cannot be written down, with `ENOTSUP`, or what failed.
    pub async fn write(self) -> Result<Snapshot, SandboxError> {
        let Self { sandbox, file } = self;
        let environment = &sandbox.0;
        environment.spawner.send(&Request::Write { slot: environment.slot }, &[]).await?;
        let written = loop {
            match environment.next_event().await {
                Ok(Some((Event::Written { .. }, _))) => break Ok(()),
                Ok(Some((Event::NotWritten(failure) | Event::Failed(failure), _))) => break Err(failure.into()),
                Ok(Some((Event::Exited(..), _))) => {}
                Ok(Some((Event::Gone, _)) | None) => break Err(SandboxError::EnvironmentGone),
                Ok(Some((event, _))) => break Err(protocol_error(&format!("{event:?} where a snapshot was due"))),
                Err(source) => {
                    break Err(SandboxError::Failed { what: "listening to a template".to_owned(), source });
                }
            }
        };
        // Nobody has it open for writing after that but this process.
        sandbox.destroy(false).await;
        written?;
        let found = file.metadata().during("looking at a snapshot")?;
        if found.len() > SNAPSHOT_BYTES {
            let what = format!("a snapshot of {} bytes, where {SNAPSHOT_BYTES} are possible", found.len());
            return Err(Failure::new(libc::ENOTSUP, what).into());
        }
        let bytes = found.len();
        if weaken::is_off(Defence::Seals) {
            return Ok(Snapshot { file: file.into(), bytes });
        }
        rustix::fs::fchmod(&file, READ_AND_EXECUTE).during("taking a snapshot's file from everybody")?;
        Ok(Snapshot { file: seal(file).during("sealing a snapshot")?, bytes })
    }
}
