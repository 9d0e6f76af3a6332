//! A reader of archives that has gone bad: what it can still do in its jail. Each attempt is made outside of the jail as
//! well, where it succeeds; so it is the jail that it fails at.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use hearth_sandbox::{Reading, SandboxError};
use hearth_types::limits::{READER_FILES, READER_MEMORY_BYTES, READER_TASKS};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::net::{AddressFamily, SocketType};

use crate::harness::{Residue, World};

/// What a bad reader tries, or a good one does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
enum Attempt {
    Work,
    OpenPasswd,
    OpenNeighbour,
    OpenAbove,
    Socket,
    Signal,
    Execute,
    OpenProc,
    Fill,
    Descriptors,
    Threads,
    Wait,
    Long,
}

const ALL: [Attempt; 13] = [
    Attempt::Work,
    Attempt::OpenPasswd,
    Attempt::OpenNeighbour,
    Attempt::OpenAbove,
    Attempt::Socket,
    Attempt::Signal,
    Attempt::Execute,
    Attempt::OpenProc,
    Attempt::Fill,
    Attempt::Descriptors,
    Attempt::Threads,
    Attempt::Wait,
    Attempt::Long,
];

/// The package of somebody else, beside the folder that the reader writes to.
const NEIGHBOUR: &str = "0000000000000000000000000000000000000000000000000000000000000001";

/// How many readers there are while one reads: it, and the next one.
const AT_WORK: usize = 1;
const AHEAD: usize = 1;

/// What the spawner of these tests runs in a jail.
pub(crate) fn read(reading: Reading<'_>) -> Vec<u8> {
    let attempt = ALL.into_iter().find(|attempt| *attempt as u32 == reading.order).unwrap();
    make(attempt, &reading).into_bytes()
}

fn make(attempt: Attempt, reading: &Reading<'_>) -> String {
    let open = |path: &str| match openat2(reading, path, OFlags::RDONLY) {
        Ok(_) => format!("{path} is open"),
        Err(error) => format!("{path}: {error:?}"),
    };
    match attempt {
        Attempt::Work => work(reading),
        Attempt::OpenPasswd => open("/etc/passwd"),
        Attempt::OpenNeighbour => open(&format!("../{NEIGHBOUR}/secret")),
        Attempt::OpenAbove => open("../../code"),
        Attempt::OpenProc => open("/proc/self/maps"),
        Attempt::Socket => {
            format!("{:?}", rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).is_ok())
        }
        Attempt::Signal => format!("{:?}", rustix::process::test_kill_process(rustix::process::getpid()).is_ok()),
        Attempt::Execute => format!("{:?}", std::process::Command::new("/bin/true").status().is_ok()),
        Attempt::Fill => {
            let kept: Vec<_> = (0..READER_MEMORY_BYTES >> 20).map(|_| vec![1_u8; 1 << 20]).collect();
            format!("{} MB", kept.len())
        }
        Attempt::Descriptors => {
            let held: Vec<_> = (0..100).map_while(|_| openat2(reading, ".", OFlags::PATH).ok()).collect();
            held.len().to_string()
        }
        Attempt::Threads => {
            let (sender, receiver) = std::sync::mpsc::channel::<()>();
            let receiver = std::sync::Arc::new(std::sync::Mutex::new(receiver));
            let start = |_| {
                let receiver = receiver.clone();
                std::thread::Builder::new()
                    .stack_size(64 << 10)
                    .spawn(move || receiver.lock().unwrap().recv().is_err())
                    .ok()
            };
            let threads: Vec<_> = (0..100).map_while(start).collect();
            drop(sender);
            threads.len().to_string()
        }
        Attempt::Wait => loop {
            std::thread::park();
        },
        Attempt::Long => "x".repeat(5000),
    }
}

fn openat2(reading: &Reading<'_>, path: &str, flags: OFlags) -> rustix::io::Result<std::os::fd::OwnedFd> {
    let folder = reading.folder.unwrap_or(CWD);
    rustix::fs::openat2(folder, path, flags, Mode::empty(), ResolveFlags::empty())
}

/// As the real one: reads the archive, writes files, uses a second thread.
fn work(reading: &Reading<'_>) -> String {
    let folder = reading.folder.unwrap();
    rustix::fs::mkdirat(folder, "a", Mode::from_raw_mode(0o755)).unwrap();
    let write = |path: &str, bytes: &[u8]| {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let file = rustix::fs::openat2(folder, path, flags, Mode::from_raw_mode(0o644), resolve).unwrap();
        rustix::io::write(&file, bytes).unwrap();
    };
    std::thread::scope(|scope| {
        scope.spawn(|| write("a/b", reading.archive));
    });
    rustix::fs::symlinkat("b", folder, "a/link").unwrap();
    "done".to_owned()
}

/// A folder to write to, beside a package of somebody else; the owner is nobody's user, as the server is.
fn staging(data: &Path, owner: u32) -> PathBuf {
    let code = data.join("code");
    let (staging, neighbour) = (code.join(".staging-7"), code.join(NEIGHBOUR));
    std::fs::create_dir_all(&neighbour).unwrap();
    std::fs::write(neighbour.join("secret"), "of another function").unwrap();
    std::fs::create_dir_all(&staging).unwrap();
    for path in [&code, &staging, &neighbour] {
        std::os::unix::fs::chown(path, Some(owner), Some(owner)).unwrap();
    }
    staging
}

async fn in_jail(world: &World, attempt: Attempt) -> Result<String, SandboxError> {
    let staging = attempt != Attempt::OpenProc;
    let report = world.spawner.read_archive(b"an archive", attempt as u32, staging.then_some(7)).await?;
    Ok(String::from_utf8(report).unwrap())
}

/// The same without a jail, in the folder itself.
fn outside(staging: &Path, attempt: Attempt) -> String {
    let folder = File::open(staging).unwrap();
    make(attempt, &Reading { archive: b"an archive", order: attempt as u32, folder: Some(folder.as_fd()) })
}

pub(crate) async fn it_writes_to_its_folder(world: World) {
    let folder = staging(world.data_folder(), world.uid_base);
    assert_eq!(in_jail(&world, Attempt::Work).await.unwrap(), "done");
    use std::os::unix::fs::MetadataExt;
    assert_eq!(std::fs::read_to_string(folder.join("a/link")).unwrap(), "an archive");
    let metadata = std::fs::metadata(folder.join("a/b")).unwrap();
    assert_eq!((metadata.uid(), metadata.mode() & 0o7777), (world.uid_base, 0o644));
}

pub(crate) async fn it_reaches_nothing_else(world: World) {
    let folder = staging(world.data_folder(), world.uid_base);
    for attempt in [Attempt::OpenPasswd, Attempt::OpenNeighbour, Attempt::OpenAbove, Attempt::OpenProc] {
        let there = outside(&folder, attempt);
        assert!(there.ends_with("is open"), "{attempt:?} shows nothing: {there}");
        let here = in_jail(&world, attempt).await.unwrap();
        assert!(here.contains("NotFound"), "{attempt:?}: {here}");
    }
}

pub(crate) async fn other_calls_end_it(world: World) {
    let folder = staging(world.data_folder(), world.uid_base);
    assert_eq!(outside(&folder, Attempt::Execute), "true");
    assert_eq!(in_jail(&world, Attempt::Execute).await.unwrap(), "false", "it may not even fork");
    for attempt in [Attempt::Socket, Attempt::Signal] {
        assert_eq!(outside(&folder, attempt), "true", "{attempt:?} shows nothing");
        let ended = in_jail(&world, attempt).await.unwrap_err();
        assert!(ended.to_string().contains("the reader was ended on the way"), "{attempt:?}: {ended}");
    }
}

pub(crate) async fn one_that_was_made_ahead_is_as_good(world: World) {
    let folder = staging(world.data_folder(), world.uid_base);
    let residue = world.residue();
    // The first one ends what was made ahead for another owner; the others find one that waits.
    for attempt in [Attempt::OpenProc, Attempt::OpenPasswd, Attempt::OpenNeighbour, Attempt::OpenAbove] {
        assert!(in_jail(&world, attempt).await.unwrap().contains("NotFound"), "{attempt:?}");
        readers_are(&residue, AHEAD).await;
    }
    assert!(in_jail(&world, Attempt::Socket).await.is_err());
    readers_are(&residue, AHEAD).await;
    world.kill_all(&readers(&residue));
    readers_are(&residue, 0).await;
    assert_eq!(in_jail(&world, Attempt::Work).await.unwrap(), "done", "it comes without one that waits");
    assert!(folder.join("a/b").exists());
}

pub(crate) async fn what_it_uses_up_is_bounded(world: World) {
    let folder = staging(world.data_folder(), world.uid_base);
    assert_eq!(outside(&folder, Attempt::Descriptors), "100");
    let descriptors: u64 = in_jail(&world, Attempt::Descriptors).await.unwrap().parse().unwrap();
    assert!(descriptors < READER_FILES, "{descriptors}");
    assert_eq!(outside(&folder, Attempt::Threads), "100");
    let threads: u64 = in_jail(&world, Attempt::Threads).await.unwrap().parse().unwrap();
    assert!((2..READER_TASKS).contains(&threads), "{threads}");
    let ended = in_jail(&world, Attempt::Fill).await.unwrap_err();
    assert!(ended.to_string().contains("the reader was ended on the way"), "{ended}");
    assert!(in_jail(&world, Attempt::Long).await.unwrap_err().to_string().contains("hearing from the reader"));
}

pub(crate) async fn one_that_nobody_waits_for_is_ended(world: World) {
    staging(world.data_folder(), world.uid_base);
    let residue = world.residue();
    {
        let reading = in_jail(&world, Attempt::Wait);
        tokio::pin!(reading);
        tokio::select! {
            outcome = &mut reading => panic!("{outcome:?}"),
            () = readers_are(&residue, AT_WORK + AHEAD) => {}
        }
    }
    readers_are(&residue, AHEAD).await;
}

pub(crate) async fn the_death_of_the_spawner_takes_it_along(world: World) {
    staging(world.data_folder(), world.uid_base);
    let residue = world.residue();
    let reading = in_jail(&world, Attempt::Wait);
    let kill = async {
        readers_are(&residue, AT_WORK + AHEAD).await;
        world.kill_spawner();
    };
    assert!(tokio::join!(reading, kill).0.is_err());
    residue.must_go(<[String]>::is_empty);
}

/// The processes of the packages' owner.
fn readers(residue: &Residue) -> Vec<u32> {
    let of_owner = |what: &String| {
        let (pid, owner) = what.strip_prefix("process ")?.split_once(" of ")?;
        if owner == residue.uid_base.to_string() { pid.parse().ok() } else { None }
    };
    residue.find().iter().filter_map(of_owner).collect()
}

/// Returns when there are so many.
async fn readers_are(residue: &Residue, wanted: usize) {
    while readers(residue).len() != wanted {
        tokio::task::yield_now().await;
    }
}
