//! The server's side of one environment, step by step.

use std::ffi::CString;
use std::io;
use std::mem::discriminant;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;
use std::time::Instant;

use hearth_types::limits::{EXEC_STRINGS_BYTES, SANDBOX_STEP_TIME};
use rustix::net::RecvFlags;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::args::sealed;
use crate::cgroup::{self, CgroupFiles, CpuQuota};
use crate::channel::{self, Received};
use crate::control_file::{counter, read, write};
use crate::error::{Failure, NO_INTERPRETER, SandboxError};
use crate::frame::{Answer, Event, Request, Role, TmpChoice};
use crate::process::{Process, Signal};
use crate::program::{Assignment, Beside, Command, Happening, Program};
use crate::since::Since;
use crate::sockets::{NameSockets, Sockets};
use crate::tmp::{Tmp, TmpVolume};
use crate::weaken::{self, Defence};
use crate::{Exit, Spawner};

/// A sandbox without a root: namespaces, control groups, network and /tmp. Dropped, it is taken down.
pub struct Made(Environment);

/// A sandbox with a runtime's root. Dropped, it is taken down.
pub struct Started {
    pub(crate) environment: Environment,
    /// Whether that is known.
    composed: bool,
}

/// A sandbox with a program, or a process alone, in it that waits for its function. Dropped, it is taken down.
pub struct Waiting(Environment);

/// A sandbox with a function's process in it. Dropped, it is killed and taken down.
pub struct Sandbox(pub(crate) Environment);

/// The network inside a sandbox. Does not keep it.
pub struct Network {
    spawner: Spawner,
    slot: u64,
}

pub(crate) struct Environment {
    pub(crate) spawner: Spawner,
    pub(crate) slot: u64,
    /// From init, and from the spawner about it. Its closing takes the environment down.
    channel: AsyncFd<OwnedFd>,
    files: CgroupFiles,
    sockets: Sockets,
    exit: OnceLock<Exit>,
    /// Of the memory inside, what no control group of the environment's is charged with.
    pub(crate) uncharged_bytes: u64,
    /// When what runs in it was let go; its making, before that.
    runs_since: Instant,
}

impl Spawner {
    /// Makes a sandbox: namespaces, network, control groups, /tmp. Nothing of a runtime or a customer is in it.
    ///
    /// # Errors
    /// What could not be made; with `EINVAL` for a /tmp of less than [`hearth_types::limits::EPHEMERAL_MIN_MB`] or more
    /// than [`hearth_types::limits::EPHEMERAL_MAX_MB`], with `EAGAIN` where [`hearth_types::limits::SANDBOXES`] exist.
    pub async fn make(&self, tmp: Tmp) -> Result<Made, SandboxError> {
        self.make_for(tmp, false).await
    }

    /// The same for what is made ahead of need itself: how many of the spawner's own wait is not decided by it.
    ///
    /// # Errors
    /// As with [`Self::make`].
    pub async fn make_ahead(&self, tmp: Tmp) -> Result<Made, SandboxError> {
        self.make_for(tmp, true).await
    }

    async fn make_for(&self, tmp: Tmp, ahead: bool) -> Result<Made, SandboxError> {
        let choice = match &tmp {
            Tmp::New { mb } => TmpChoice::New { mb: *mb },
            Tmp::Kept(volume) => TmpChoice::Kept { volume: volume.id },
        };
        let (answer, fds) = self.ask(|id| Request::Make { id, tmp: choice, ahead }).await?;
        let Answer::Made { slot, .. } = answer else { return Err(protocol_error("an answer to another request")) };
        let fds: [OwnedFd; CgroupFiles::COUNT + 1] =
            channel::exactly(fds).ok_or_else(|| protocol_error("a sandbox without its descriptors"))?;
        let [channel, files @ ..] = fds;
        let channel = channel::register(channel)
            .map_err(|source| SandboxError::Failed { what: "registering a channel".to_owned(), source })?;
        let files = CgroupFiles::from_order(files);
        let mut environment = Environment {
            spawner: self.clone(),
            slot,
            channel,
            files,
            sockets: Sockets::default(),
            exit: OnceLock::new(),
            uncharged_bytes: 0,
            runs_since: Instant::now(),
        };
        let (_, fds) = environment.expect(&Event::Ready).await?;
        environment.sockets = Sockets::of(fds).ok_or_else(|| protocol_error("a sandbox without its listeners"))?;
        Ok(Made(environment))
    }

    /// Gives a sandbox the runtime's root with this index in [`crate::SpawnerConfig::roots`]. Does not wait until it is
    /// composed: an assignment can follow at once, and tells if it could not be.
    ///
    /// # Errors
    /// That the spawner is gone.
    pub async fn start(&self, made: Made, root: usize) -> Result<Started, SandboxError> {
        let Made(environment) = made;
        let root = u32::try_from(root).map_err(|_| SandboxError::Invalid(format!("root number {root}: no such")))?;
        self.send(&Request::Start { slot: environment.slot, root }, &[]).await?;
        Ok(Started { environment, composed: false })
    }

    /// Lets a sandbox become an environment of a function; returns once the runtime's program runs.
    ///
    /// # Errors
    /// What failed, here or when it was started; [`SandboxError::NotExecutable`] where it is the function's program. The sandbox is taken down.
    pub async fn assign(&self, started: Started, a: Assignment, program: Program) -> Result<Sandbox, SandboxError> {
        let request = a.request(started.environment.slot, 0, Role::Usual)?;
        self.run(started, &request, program, None, None).await.map(Sandbox)
    }

    /// The same with programs beside the runtime: those run when it returns, while the runtime waits for
    /// [`Sandbox::let_runtime_go`].
    ///
    /// # Errors
    /// As [`Self::assign`]; what cannot be executed may be one of the programs.
    pub async fn assign_beside(
        &self,
        started: Started,
        a: Assignment,
        program: Program,
        beside: Beside,
    ) -> Result<Sandbox, SandboxError> {
        let request = a.request(started.environment.slot, beside.programs.len(), Role::Usual)?;
        self.run(started, &request, program, Some(beside), None).await.map(Sandbox)
    }

    /// Runs a program that is no customer's, as a function's would be run, ahead of its function. It finds a socket as
    /// descriptor 63: there it writes a byte once it has no use any more for the variables that it was started with, and
    /// reads those of its function, each with a NUL behind it, up to the end. Returns once it waits.
    ///
    /// # Errors
    /// What failed. The sandbox is taken down.
    pub async fn launch(&self, started: Started, program: Program) -> Result<Waiting, SandboxError> {
        let request = Request::Launch { slot: started.environment.slot };
        self.run(started, &request, program, None, None).await.map(Waiting)
    }

    /// Makes the process that will be a function's, limited and confined as that will be, ahead of all that is known of it
    /// but where its output goes.
    ///
    /// # Errors
    /// What failed. The sandbox is taken down.
    pub async fn hold(&self, started: Started, output: OwnedFd) -> Result<Waiting, SandboxError> {
        let Started { environment, composed } = started;
        self.send(&Request::Launch { slot: environment.slot }, &[output.as_fd()]).await?;
        drop(output);
        environment.runs(composed).await.map(Waiting)
    }

    /// Gives a process that was made ahead its function, and what it is to run; returns once that runs.
    ///
    /// # Errors
    /// As [`Self::assign`], or that the process has ended meanwhile. The sandbox is taken down.
    pub async fn employ_held(&self, held: Waiting, a: Assignment, command: Command) -> Result<Sandbox, SandboxError> {
        let Waiting(environment) = held;
        let request = a.request(environment.slot, 0, Role::Usual)?;
        self.send(&request, &[command.seal()?.as_fd()]).await?;
        environment.runs(true).await.map(Sandbox)
    }

    /// Gives a waiting program its function: it finds the code mounted, the limits set, and hears of its variables, which
    /// must not be longer than those that it was started with. The working directory, too, is for the program to enter
    /// anew: what was there is below the code now.
    ///
    /// # Errors
    /// What failed, or that the program has ended meanwhile. The sandbox is taken down.
    pub async fn employ(&self, waiting: Waiting, a: Assignment, env: &[CString]) -> Result<Sandbox, SandboxError> {
        let Waiting(environment) = waiting;
        let request = a.request(environment.slot, 0, Role::Usual)?;
        let told = env.iter().map(|variable| variable.as_bytes_with_nul()).collect::<Vec<_>>().concat();
        if told.len() > EXEC_STRINGS_BYTES {
            let text = format!("{} bytes of variables: at most {EXEC_STRINGS_BYTES} can be handed over", told.len());
            return Err(SandboxError::Invalid(text));
        }
        let told = sealed("hearth-told", &told).map_err(|source| {
            let what = "writing the variables of a waiting program".to_owned();
            SandboxError::Failed { what, source }
        })?;
        self.send(&request, &[told.as_fd()]).await?;
        environment.runs(true).await.map(Sandbox)
    }

    pub(crate) async fn run(
        &self,
        started: Started,
        request: &Request,
        program: Program,
        beside: Option<Beside>,
        snapshot: Option<&OwnedFd>,
    ) -> Result<Environment, SandboxError> {
        let Started { environment, composed } = started;
        let Program { argv, otherwise, env, cwd, output } = program;
        let mut fds = vec![output, Command { argv, otherwise, env, cwd }.seal()?];
        if let Some(Beside { programs, env, cwd, output }) = beside {
            fds.extend([output, Command { argv: programs, otherwise: None, env, cwd }.seal()?]);
        }
        self.send(request, &fds.iter().chain(snapshot).map(AsFd::as_fd).collect::<Vec<_>>()).await?;
        drop(fds);
        environment.runs(composed).await
    }
}

impl Waiting {
    /// Returns when the program has ended, or all of the sandbox: it is of no use any more. Cancel-safe.
    pub async fn ended(&self) {
        // Whatever it is that is told: a waiting program has nothing to tell but its end.
        let _ = self.0.next_event().await;
    }

    /// The most memory that it has used at a time, in bytes, page cache included.
    ///
    /// # Errors
    /// The system's, where it is gone.
    pub fn memory_peak_bytes(&self) -> io::Result<u64> {
        self.0.files.memory_peak_bytes()
    }
}

impl Started {
    /// Waits until the root is composed; for one that is started ahead and will be assigned later.
    ///
    /// # Errors
    /// What could not be composed.
    pub async fn composed(&mut self) -> Result<(), SandboxError> {
        if !self.composed {
            self.environment.expect(&Event::Started).await?;
            self.composed = true;
        }
        Ok(())
    }
}

impl Sandbox {
    /// The listener of the Runtime API, bound at 169.254.100.1:9001 inside, non-blocking. Only the first call has it.
    pub fn take_listener(&mut self) -> Option<TcpListener> {
        self.0.sockets.runtime_api.take()
    }

    /// Where the processes inside find the server's API: 127.0.0.1:4566 in their network, non-blocking. Only the first
    /// call has it.
    pub fn take_api(&mut self) -> Option<TcpListener> {
        self.0.sockets.api.take()
    }

    /// Where the processes inside ask for names; none without NAT. Only the first call has them.
    pub fn take_names(&mut self) -> Option<NameSockets> {
        self.0.sockets.names.take()
    }

    /// Where the processes inside send segments of traces: 169.254.100.1:2000 in their network, non-blocking; none without
    /// [`crate::SpawnerConfig::segments`]. Only the first call has it.
    pub fn take_segments(&mut self) -> Option<UdpSocket> {
        self.0.sockets.segments.take()
    }

    /// When the function's first process was let go: not when that was heard of, which may be later.
    #[must_use]
    pub fn runs_since(&self) -> Instant {
        self.0.runs_since
    }

    /// The network of the processes inside, for connections to what listens there.
    #[must_use]
    pub fn network(&self) -> Network {
        Network { spawner: self.0.spawner.clone(), slot: self.0.slot }
    }

    /// Stops all processes inside until [`Self::thaw`]. They can be killed meanwhile.
    ///
    /// # Errors
    /// The system's, where the environment is gone.
    pub fn freeze(&self) -> io::Result<()> {
        if weaken::is_off(Defence::Freeze) {
            return Ok(());
        }
        write(&self.0.files.freeze, "1")
    }

    /// Lets all processes inside go on.
    ///
    /// # Errors
    /// The system's, where the environment is gone.
    pub fn thaw(&self) -> io::Result<()> {
        write(&self.0.files.freeze, "0")
    }

    /// Limits the CPU to the share that so much memory buys (see [`hearth_types::limits::MEMORY_MB_PER_CORE`]),
    /// clamped to the machine. Until then it is that of the init phase.
    ///
    /// # Errors
    /// The system's, where the environment is gone.
    pub fn limit_cpu(&self, memory_mb: u32) -> io::Result<()> {
        let text = CpuQuota::of_memory(memory_mb, cgroup::cores()).text(self.0.spawner.cgroup_v2());
        write(&self.0.files.cpu, &text)
    }

    /// The most memory that the environment has used at a time, in bytes, page cache included. Of one that went on from a
    /// snapshot all of that counts as used: the process has it, though its pages are shared.
    ///
    /// # Errors
    /// The system's, where the environment is gone.
    pub fn memory_peak_bytes(&self) -> io::Result<u64> {
        self.0.files.memory_peak_bytes().map(|peak| peak.saturating_add(self.0.uncharged_bytes))
    }

    /// Whether the kernel has killed a process inside for want of memory. To be asked before [`Self::destroy`].
    #[must_use]
    pub fn oom_killed(&self) -> bool {
        read(&self.0.files.oom).is_ok_and(|text| counter(&text, "oom_kill").is_some_and(|kills| kills > 0))
    }

    /// Returns once the runtime process has ended, and says how. Can be dropped and called again at any time; what else
    /// happens meanwhile is not heard.
    pub async fn exited(&self) -> Exit {
        loop {
            if let Some(exit) = self.0.exit.get() {
                return *exit;
            }
            let exit = match self.happening().await {
                Happening::Ended(Process::Runtime, exit) => exit,
                Happening::Gone => Exit::Signal(libc::SIGKILL),
                _ => continue,
            };
            self.0.exit.get_or_init(|| exit);
        }
    }

    /// Returns when something has happened. Can be dropped and called again at any time.
    pub async fn happening(&self) -> Happening {
        loop {
            return match self.0.next_event().await {
                Ok(Some((Event::Exited(process, exit), _))) => Happening::Ended(process, exit),
                Ok(Some((Event::Running { .. }, _))) => Happening::RuntimeRuns,
                Ok(Some((Event::Failed(failure), _))) => Happening::Failed(failure.into()),
                Ok(Some((Event::NotExecutable(failure), _))) => Happening::Failed(not_executable(failure)),
                Ok(Some((Event::Gone, _)) | None) | Err(_) => Happening::Gone,
                // A snapshot's writing is waited for by who has ordered it.
                Ok(Some((Event::Ready | Event::Started | Event::Written { .. } | Event::NotWritten(_), _))) => continue,
            };
        }
    }

    /// Whether the spawner still answers. The sandboxes of a dead one are killed by the kernel: nothing that ran inside
    /// is to blame then.
    ///
    /// # Errors
    /// That the spawner is gone.
    pub async fn check_spawner(&self) -> Result<(), SandboxError> {
        self.0.spawner.ask(|id| Request::Answer { id }).await.map(drop)
    }

    /// Lets the runtime go that waits for the programs beside it; what comes of that is heard.
    ///
    /// # Errors
    /// That the spawner is gone.
    pub async fn let_runtime_go(&self) -> Result<(), SandboxError> {
        self.0.spawner.send(&Request::Go { slot: self.0.slot }, &[]).await
    }

    /// Signals a process. One that has ended does not mind; one that is frozen hears of it later.
    ///
    /// # Errors
    /// That the spawner is gone.
    pub async fn signal(&self, process: Process, signal: Signal) -> Result<(), SandboxError> {
        self.0.spawner.send(&Request::Signal { slot: self.0.slot, process, signal }, &[]).await
    }

    /// Kills everything inside and returns once no process is left; with `keep_tmp`, /tmp stays for the next sandbox of
    /// the same environment (none where it could not be kept).
    pub async fn destroy(self, keep_tmp: bool) -> Option<TmpVolume> {
        let Self(environment) = self;
        // The spawner kills, too; this way it begins at once. It fails where nothing is left to kill.
        let _ = write(&environment.files.kill, "1");
        let slot = environment.slot;
        let answer = environment.spawner.ask(|id| Request::Destroy { id, slot, keep_tmp }).await;
        match answer {
            Ok((Answer::Destroyed { volume: Some((id, mb)), .. }, mut fds)) => {
                fds.pop().map(|lease| TmpVolume { id, mb, _lease: lease })
            }
            Ok(_) => None,
            // Without a spawner the kernel kills; the end of init closes the channel.
            Err(_) => {
                while let Ok(Some(_)) = environment.next_event().await {}
                None
            }
        }
    }
}

impl Network {
    /// A TCP socket in this network, neither bound nor connected, non-blocking: whatever it connects to is in there (with
    /// NAT: or where the processes inside, too, can reach).
    ///
    /// # Errors
    /// The system's, or that the sandbox is gone.
    pub async fn socket(&self) -> Result<OwnedFd, SandboxError> {
        let slot = self.slot;
        let (_, mut fds) = self.spawner.ask(|id| Request::Socket { id, slot }).await?;
        fds.pop().ok_or_else(|| protocol_error("a socket without its descriptor"))
    }
}

impl Environment {
    /// Waits until its program, or what waits for one, runs.
    async fn runs(mut self, composed: bool) -> Result<Self, SandboxError> {
        if !composed {
            self.expect(&Event::Started).await?;
        }
        let (event, _) = self.expect(&Event::Running { since: Since::now() }).await?;
        if let Event::Running { since } = event {
            self.runs_since = since.instant();
        }
        Ok(self)
    }

    /// Waits for an event of this kind, and returns it with the descriptors beside it. What stands still inside is given up
    /// in the end: its taking down asks nothing of it.
    async fn expect(&self, wanted: &Event) -> Result<(Event, Vec<OwnedFd>), SandboxError> {
        let event = tokio::time::timeout(SANDBOX_STEP_TIME, self.next_event()).await;
        match event.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(Some((event, fds))) if discriminant(&event) == discriminant(wanted) => Ok((event, fds)),
            Ok(Some((Event::Failed(failure), _))) => Err(failure.into()),
            Ok(Some((Event::NotExecutable(failure), _))) => Err(not_executable(failure)),
            Ok(Some((Event::Gone, _)) | None) => Err(SandboxError::EnvironmentGone),
            Ok(Some((event, _))) => Err(protocol_error(&format!("{event:?} where {wanted:?} was due"))),
            Err(source) => Err(SandboxError::Failed { what: "listening to an environment".to_owned(), source }),
        }
    }

    /// The next event; none once the channel is closed. Cancel-safe.
    pub(crate) async fn next_event(&self) -> io::Result<Option<(Event, Vec<OwnedFd>)>> {
        let receive = |socket: &OwnedFd| channel::receive::<Event>(socket, RecvFlags::DONTWAIT);
        match self.channel.async_io(Interest::READABLE, receive).await? {
            Received::Frame(event, fds) => Ok(Some((event, fds))),
            Received::Closed => Ok(None),
        }
    }
}

fn not_executable(failure: Failure) -> SandboxError {
    let errno = if failure.errno == NO_INTERPRETER { libc::ENOENT } else { failure.errno };
    let source = io::Error::from_raw_os_error(errno);
    SandboxError::NotExecutable { program: failure.what, missing: failure.errno == libc::ENOENT, source }
}

pub(crate) fn protocol_error(what: &str) -> SandboxError {
    Failure::new(libc::EPROTO, what).into()
}
