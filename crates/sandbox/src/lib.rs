//! The Linux sandbox: namespaces, control groups, a composed root and a disk of its own for each execution environment.
//!
//! Three kinds of process work together. The **server** (this crate's [`Spawner`] and [`Sandbox`] are its side) has no
//! privileges. The **spawner**, the same program started once from a sealed copy in memory, keeps root; it is
//! single-threaded and reads nothing but fixed frames. Each environment's **init** is PID 1 of its PID namespace: a
//! fork of the spawner that prepares the sandbox and drops everything before the function's process may go.
//!
//! An environment comes about in three steps, so that the first, or the first two, can be done ahead: *make* (nothing
//! of a runtime or a customer), *start* (the runtime's root), *assign* (the function: limits, code, variables).
//!
//! Without root all of this works in a user namespace in which the spawner is root ([`enter_user_namespace`]), but for NAT
//! and for the disk behind /tmp, which is then in memory.
//!
//! Everything ends with the server: the spawner notices, kills all environments and removes their control groups. If
//! the spawner dies, the kernel kills each init, and with it the environment.

mod args;
mod bursts;
mod cgroup;
mod channel;
mod chore;
mod client;
mod code;
mod control_file;
mod disk;
mod drop_root;
mod error;
mod frame;
mod init;
mod jail;
mod launch;
mod machine;
mod network;
mod privileges;
mod process;
mod program;
mod promise;
mod reading;
mod rootless;
mod sandbox;
mod seccomp;
mod since;
#[cfg(target_arch = "x86_64")]
mod snapshot;
#[cfg(not(target_arch = "x86_64"))]
#[path = "snapshot/elsewhere.rs"]
mod snapshot;
mod snapshots;
mod sockets;
mod spawner;
mod sys;
mod tmp;
mod volume;
mod weaken;

pub use bursts::Bursts;
pub use client::Spawner;
pub use code::let_code_go;
pub use disk::Disk;
pub use drop_root::{SERVER_ID, drop_root};
pub use error::SandboxError;
pub use jail::{Reader, Reading};
pub use launch::{Authority, NetworkMode, SpawnerConfig, SpawnerConnection, Throughput, UID_BASE};
pub use launch::{StartingSpawner, begin_spawner, run_if_spawner, start_spawner};
pub use machine::{Finding, Kept, examine_machine, examine_network, examine_promises};
pub use network::name_servers;
pub use process::{Exit, Process, Signal};
pub use program::{Assignment, Beside, Command, Happening, Program};
pub use promise::{Broken, Level, Promise};
pub use rootless::enter_user_namespace;
pub use sandbox::{Made, Network, Sandbox, Started, Waiting};
pub use snapshots::{Snapshot, Template};
pub use sockets::{NameSockets, datagrams_dropped};
pub use tmp::{Tmp, TmpVolume};
