//! Interpreters that were started once, and written down before they knew any function (ADR 24). Where none waits, a
//! function of whomever goes on from there.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use hearth_runtimes::Ahead;
use hearth_sandbox::{Happening, Process, Program, SandboxError, Snapshot, Spawner, Template, Tmp};
use hearth_types::limits::{EPHEMERAL_MIN_MB, INIT_TIMEOUT, INTERPRETER_SNAPSHOT_AGE};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::journal::output_pipe;

/// What an interpreter says last before it is written down; its end is the request's.
const ASK: &[u8] = b"GET /2018-06-01/runtime/restore/next ";
const END: &[u8] = b"\r\n\r\n";
/// Bytes of all of that, at most.
const ASK_BYTES: usize = 256;

/// One of each kind that was wanted: there are no more kinds than the machine has interpreters that can be written down.
pub(crate) struct Interpreters {
    spawner: Spawner,
    all: Mutex<HashMap<Ahead, Kept>>,
}

struct Kept {
    state: watch::Sender<State>,
    /// When the last one was begun.
    begun: Instant,
}

#[derive(Clone)]
enum State {
    Begun,
    There(Arc<Snapshot>),
    /// It could not be written.
    Missing,
}

/// Where one comes from.
enum Source {
    /// It has to be made.
    Nobody,
    Others(watch::Receiver<State>),
}

impl Interpreters {
    pub(crate) fn new(spawner: Spawner) -> Arc<Self> {
        Arc::new(Self { spawner, all: Mutex::default() })
    }

    /// One of this kind. Who is the first to want one has it made, and does without; who comes meanwhile waits for it. An
    /// old one serves until the next is there. Needs a tokio runtime around it.
    pub(crate) async fn take(self: &Arc<Self>, kind: &Ahead) -> Option<Arc<Snapshot>> {
        let template = kind.template()?;
        let (source, is_due) = self.find(kind, Instant::now());
        if is_due {
            tokio::spawn(Arc::clone(self).renew(kind.clone(), template));
        }
        let Source::Others(mut state) = source else { return None };
        match &*state.wait_for(|state| !matches!(state, State::Begun)).await.ok()? {
            State::There(snapshot) => Some(Arc::clone(snapshot)),
            State::Begun | State::Missing => None,
        }
    }

    /// What there is, and whether the caller is to have another one made.
    fn find(&self, kind: &Ahead, now: Instant) -> (Source, bool) {
        let mut all = self.lock();
        let Some(kept) = all.get_mut(kind) else {
            all.insert(kind.clone(), Kept { state: watch::Sender::new(State::Begun), begun: now });
            return (Source::Nobody, true);
        };
        let is_due = now.saturating_duration_since(kept.begun) >= INTERPRETER_SNAPSHOT_AGE;
        if is_due {
            kept.begun = now;
        }
        (Source::Others(kept.state.subscribe()), is_due)
    }

    async fn renew(self: Arc<Self>, kind: Ahead, template: Ahead) {
        let state = match write_down(&self.spawner, template).await {
            Ok(snapshot) => State::There(Arc::new(snapshot)),
            Err(error) => {
                tracing::warn!(%error, "an interpreter is not written down: its functions start afresh");
                State::Missing
            }
        };
        let all = self.lock();
        if let Some(kept) = all.get(&kind) {
            kept.state.send_replace(state);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Ahead, Kept>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts an interpreter in a sandbox in which nothing of any customer is, and writes it down there.
async fn write_down(spawner: &Spawner, kind: Ahead) -> Result<Snapshot, SandboxError> {
    let Ahead::Program { root, argv, env, cwd } = kind else {
        return Err(SandboxError::Invalid("there is no interpreter to write down".to_owned()));
    };
    // What it writes, which is nothing, nobody reads.
    let (_reader, output) = output_pipe().map_err(failed)?;
    let made = spawner.make(Tmp::New { mb: EPHEMERAL_MIN_MB }).await?;
    let started = spawner.start(made, root).await?;
    let program = Program { argv, otherwise: None, env, cwd, output };
    let mut template = spawner.assign_interpreter(started, program).await?;
    let asked = tokio::time::timeout(INIT_TIMEOUT, until_it_asks(&mut template)).await;
    // The connection must be there until it is written.
    let _connection = asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(failed)?;
    match tokio::time::timeout(INIT_TIMEOUT, template.write()).await {
        Ok(written) => written,
        Err(_) => Err(failed(io::ErrorKind::TimedOut.into())),
    }
}

/// Its connection, once it waits to be restored.
async fn until_it_asks(template: &mut Template) -> io::Result<TcpStream> {
    let listener = template.sandbox().take_listener().ok_or(io::ErrorKind::NotFound)?;
    let listener = TcpListener::from_std(listener)?;
    let (mut connection, _) = tokio::select! {
        accepted = listener.accept() => accepted?,
        happening = template.sandbox().happening() => return Err(io::Error::other(ended(&happening))),
    };
    let mut asked = Vec::new();
    while !asked.ends_with(END) && asked.len() < ASK_BYTES {
        if connection.read_buf(&mut asked).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    if asked.starts_with(ASK) { Ok(connection) } else { Err(io::ErrorKind::InvalidData.into()) }
}

fn ended(happening: &Happening) -> String {
    match happening {
        Happening::Ended(Process::Runtime, exit) => format!("it ended with {exit:?}"),
        other => format!("its sandbox is of no use: {other:?}"),
    }
}

fn failed(source: io::Error) -> SandboxError {
    SandboxError::Failed { what: "starting an interpreter that is to be written down".to_owned(), source }
}
