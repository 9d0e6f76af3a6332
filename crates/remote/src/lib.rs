//! Worker processes: environments of a server in other processes of the same machine.
//!
//! A worker process joins over a socket in the server's data folder. Who may: its owner, which the kernel names
//! (`SO_PEERCRED`). The server's side is [`Workers`], the front end's second implementation of environments; the worker's
//! is [`join()`] around a [`hearth_worker::Worker`].
//!
//! - One connection, from the worker, is for the worker itself: joining, draining, log lines, identities, snapshots.
//! - **An environment is a connection**, from the server to the worker's own socket: its end is the environment's end,
//!   whoever of the two dies. Its invokes, answers and events are frames on it, in the order in which they happened.
//! - Each connection that a function makes to the server's API is passed on over one of its own.
//!
//! A frame is two lengths, a head in JSON and a body as it is. Both are bounded. Answers in parts flow by credit: the
//! worker sends a part only when the client has room for it, and nothing else waits behind it.

mod agent;
mod environment;
mod hosted;
mod joined;
mod message;
mod snapshots;
mod stream;
mod wire;
mod workers;

pub use agent::{Ended, Joining, descriptors, join};
pub use joined::{Hub, WorkerInfo, take_in};
pub use message::{By, Numbers};
pub use workers::{Dispatcher, Doors, EMBEDDED, Workers};

/// The name of the server's socket in its data folder.
pub const SOCKET: &str = "workers.sock";
