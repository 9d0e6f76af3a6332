//! The spawner: the one process that keeps root. Single-threaded, it reads nothing but its own fixed frames; it clones
//! environments, kills them, and hands everything slow to others: preparing to each environment's init, taking down to
//! the reaper.

mod devices;
mod ids;
mod packages;
mod pool;
mod readers;
mod reaper;
mod room;
pub(crate) mod root;
mod slot;
mod source;

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};

use hearth_types::CodeDigest;
use rustix::event::epoll;
use rustix::fs::Mode;
use rustix::mount::MountPropagationFlags;
use rustix::net::{RecvFlags, SendFlags};
use rustix::process::{Resource, Rlimit};

use self::ids::IdPool;
use self::packages::Packages;
use self::pool::Pool;
use self::readers::{Ahead, Reader};
use self::room::Room;
use self::root::Roots;
use self::slot::{Kept, Slot};
use self::source::Source;
use crate::SpawnerConfig;
use crate::cgroup::{self, Cgroups};
use crate::channel::{self, Received};
use crate::chore::{Chore, LinkName};
use crate::error::{Done, During, Failure};
use crate::frame::{Answer, Order, Request, Role};
use crate::network::{Home, Nat};
use crate::process::{Process, Signal};
use crate::promise::{Promise, Unkept};
use crate::seccomp::Filters;
use crate::tmp::Place;
use crate::weaken::{self, Defence};
use crate::{NetworkMode, jail, snapshot, sys, tmp};

/// Events taken from the kernel at a time.
const EVENTS: usize = 64;

/// Whether the loop goes on.
#[derive(PartialEq, Eq)]
enum Next {
    GoOn,
    Stop,
}

struct Spawner {
    control: OwnedFd,
    epoll: OwnedFd,
    cgroups: Cgroups,
    packages: Packages,
    /// `tmp/` of the data folder.
    tmp_folder: OwnedFd,
    place: Place,
    /// Whether disks have a limit.
    limits_disks: bool,
    /// What is promised elsewhere and cannot be kept here.
    unkept: Vec<Unkept>,
    filters: Filters,
    cores_piped: bool,
    roots: Roots,
    slots: HashMap<u64, Slot>,
    kept: HashMap<u64, Kept>,
    readers: HashMap<u64, Reader>,
    reader_ahead: Ahead,
    /// What reads archives in a jail; none in programs that have no reader.
    reader: Option<jail::Reader>,
    pool: Pool,
    ids: IdPool,
    /// Of slots, volumes and readers; never used again.
    next_id: u64,
    /// Where functions have a way to the outside.
    nat: Option<Nat>,
    /// Whether functions find somebody who takes segments of traces.
    segments: bool,
    home: Home,
    reaper: OwnedFd,
    reaper_process: OwnedFd,
    /// Where environments' /tmps are on the machine's disk.
    room: Option<Room>,
}

/// What can fail before the server is greeted.
struct Prepared {
    epoll: OwnedFd,
    cgroups: Cgroups,
    packages: Packages,
    tmp_folder: OwnedFd,
    place: Place,
    limits_disks: bool,
    unkept: Vec<Unkept>,
    filters: Filters,
    nat: Option<Nat>,
    home: Home,
    reaper: OwnedFd,
    reaper_process: OwnedFd,
    room: Option<Room>,
}

impl Prepared {
    fn new(config: &SpawnerConfig) -> Done<Self> {
        rustix::process::setsid().during("making a session")?;
        rustix::thread::set_thread_groups(&[]).during("dropping supplementary groups")?;
        rustix::process::umask(Mode::from_raw_mode(0o077));
        allow_descriptors()?;
        sys::unshare(rustix::thread::UnshareFlags::NEWNS).during("making the spawner's mount namespace")?;
        rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
            .during("making mounts private")?;
        let instance = cgroup::instance_name()?;
        let cgroups = Cgroups::open(&instance, config.authority)?;
        let mut unkept = Vec::new();
        let place = Place::choose(config.authority);
        let place = kept_or(place, Promise::TmpOnDisk, &mut unkept).unwrap_or(Place::Memory);
        let disks = config.throughput.tmp_mb.and_then(|mb| {
            let disks = match place {
                Place::Disk => cgroups.limit_disks(mb),
                Place::Memory => Err(Failure::new(libc::ENOTSUP, "limiting /tmp, which is in memory")),
            };
            kept_or(disks, Promise::TmpThroughput, &mut unkept)
        });
        let tmp_folder = tmp::open_folder(&config.own_dir, place)?;
        let (reaper, reaper_process) = reaper::start(&cgroups, &instance, &tmp_folder, disks.as_ref())?;
        let nat = match config.network {
            NetworkMode::None => None,
            NetworkMode::Nat => {
                Some(Nat::open(config.throughput.network_mbit, |link| leave_forwarding(&reaper, link))?)
            }
        };
        let room = match place {
            Place::Disk if !weaken::is_off(Defence::Room) => Some(Room::new()?),
            _ => None,
        };
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC).during("making an epoll descriptor")?,
            cgroups,
            packages: Packages::open(&config.data_dir)?,
            tmp_folder,
            place,
            limits_disks: disks.is_some(),
            unkept,
            filters: Filters::compile(),
            nat,
            home: Home::open(config.authority)?,
            reaper,
            reaper_process,
            room,
        })
    }
}

/// What a promise needs; where it cannot be had, that is noted.
fn kept_or<T>(needed: Done<T>, promise: Promise, unkept: &mut Vec<Unkept>) -> Option<T> {
    needed.map_err(|failure| unkept.push(Unkept { promise, failure })).ok()
}

/// As many as the machine allows: each environment needs some, and the usual limit of 1,024 is meant for other programs.
fn allow_descriptors() -> Done {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let most = Rlimit { current: limit.maximum, maximum: limit.maximum };
    rustix::process::setrlimit(Resource::Nofile, most).during("raising the limit of open files")
}

/// Whether the machine starts a program for each core dump.
fn cores_are_piped() -> bool {
    std::fs::read_to_string("/proc/sys/kernel/core_pattern").is_ok_and(|pattern| pattern.starts_with('|'))
}

/// The spawner's whole life.
pub(crate) fn run(config: SpawnerConfig, control: OwnedFd, reader: Option<jail::Reader>) -> ! {
    let status = match Spawner::open(config, control, reader) {
        Ok(mut spawner) => {
            let served = spawner.serve();
            spawner.take_all_down();
            match served {
                Ok(()) => 0,
                Err(failure) => complain(&failure),
            }
        }
        Err((control, failure)) => {
            let status = complain(&failure);
            let _ = channel::send(&control, &Answer::Failed { id: 0, failure }, &[], SendFlags::empty());
            status
        }
    };
    sys::exit_now(status)
}

fn complain(failure: &Failure) -> i32 {
    eprintln!("hearth-spawner: {}: {}", failure.what, std::io::Error::from_raw_os_error(failure.errno));
    1
}

impl Spawner {
    fn open(config: SpawnerConfig, control: OwnedFd, reader: Option<jail::Reader>) -> Result<Self, (OwnedFd, Failure)> {
        match Prepared::new(&config) {
            Ok(p) => Ok(Self {
                control,
                epoll: p.epoll,
                cgroups: p.cgroups,
                packages: p.packages,
                tmp_folder: p.tmp_folder,
                place: p.place,
                limits_disks: p.limits_disks,
                unkept: p.unkept,
                filters: p.filters,
                cores_piped: cores_are_piped(),
                roots: Roots::default(),
                slots: HashMap::new(),
                kept: HashMap::new(),
                readers: HashMap::new(),
                reader_ahead: if reader.is_some() { Ahead::Wanted } else { Ahead::Failed },
                reader,
                pool: Pool::new(config.pool.clone()),
                ids: IdPool::new(config.uid_base),
                next_id: 1,
                nat: p.nat,
                segments: config.segments,
                home: p.home,
                reaper: p.reaper,
                reaper_process: p.reaper_process,
                room: p.room,
            }),
            Err(failure) => Err((control, failure)),
        }
    }

    fn serve(&mut self) -> Done {
        self.watch(Source::Control)?;
        self.watch(Source::Routes)?;
        self.watch(Source::Room)?;
        for Unkept { promise, failure } in std::mem::take(&mut self.unkept) {
            channel::send(&self.control, &Answer::Unkept { promise, failure }, &[], SendFlags::empty())
                .during("greeting the server")?;
        }
        let hello = Answer::Hello { cgroup_v2: self.cgroups.is_v2() };
        channel::send(&self.control, &hello, &[], SendFlags::empty()).during("greeting the server")?;
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            let patience = self.patience();
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), patience.as_ref()) {
                Ok(0) => self.make_ahead()?,
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).during("waiting for events"),
            }
            for event in &events {
                if self.handle(Source::from_token(event.data.u64()))? == Next::Stop {
                    return Ok(());
                }
            }
        }
    }

    /// Failures of one environment are told to the server; an error ends the spawner.
    fn handle(&mut self, source: Source) -> Done<Next> {
        match source {
            Source::Control => return self.take_request(),
            Source::Channel(slot) => self.abandon(slot),
            Source::Process(slot) => self.bury(slot),
            Source::Orders(slot) => self.take_note(slot),
            Source::Lease(volume) => self.release(volume),
            Source::Routes => self.follow_routes(),
            Source::Reader(id) | Source::Report(id) => self.end_reader(id),
            Source::Room => self.keep_room()?,
        }
        Ok(Next::GoOn)
    }

    fn take_request(&mut self) -> Done<Next> {
        let (request, fds) = match channel::receive(&self.control, RecvFlags::DONTWAIT) {
            Ok(Received::Frame(request, fds)) => (request, fds),
            Ok(Received::Closed) => return Ok(Next::Stop),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(Next::GoOn),
            Err(error) => return Err(error).during("receiving a request"),
        };
        match request {
            Request::Roots => self.roots.take(fds)?,
            Request::Make { id, tmp, ahead } => self.make(id, tmp, ahead)?,
            Request::Start { slot, root } => {
                let started = self.start(slot, root);
                self.report(slot, started);
            }
            Request::Launch { slot } => {
                let launched = self.launch(slot, &fds);
                self.report(slot, launched);
            }
            Request::Assign { slot, code, layers, memory_mb, beside, role } => {
                let order = Order::Assign { memory_mb, beside, role };
                let limited = self.cgroups.limit_memory(slot, snapshot::memory_mb(role, memory_mb));
                let assigned = limited.and_then(|()| self.assign(slot, &code, &layers, &order, &fds));
                self.report(slot, assigned);
            }
            Request::Write { slot } => {
                let ordered = self.slots.get(&slot).map_or(Ok(()), |slot| slot.order(&Order::Write, &[]));
                self.report(slot, ordered);
            }
            Request::Go { slot } => {
                let ordered = self.slots.get(&slot).map_or(Ok(()), |slot| slot.order(&Order::Go, &[]));
                self.report(slot, ordered);
            }
            Request::Signal { slot, process, signal } => self.signal(slot, process, signal),
            Request::Socket { id, slot } => self.give_socket(id, slot)?,
            Request::Answer { id } => self.answer(&Answer::Answered { id }, &[])?,
            Request::Read { order, staging } => self.read(order, staging, fds)?,
            Request::Destroy { id, slot, keep_tmp } => self.destroy(id, slot, keep_tmp)?,
        }
        Ok(Next::GoOn)
    }

    fn start(&mut self, slot: u64, root: u32) -> Done {
        let namespace = self.roots.namespace(root)?;
        let Some(slot) = self.slots.get(&slot) else { return Ok(()) };
        slot.order(&Order::Start, &[namespace.as_fd()])
    }

    fn launch(&self, slot: u64, fds: &[OwnedFd]) -> Done {
        let Some(slot) = self.slots.get(&slot) else { return Ok(()) };
        slot.order(&Order::Launch, &fds.iter().map(AsFd::as_fd).collect::<Vec<_>>())
    }

    fn assign(&self, slot: u64, code: &CodeDigest, layers: &[CodeDigest], order: &Order, fds: &[OwnedFd]) -> Done {
        let Some(target) = self.slots.get(&slot) else { return Ok(()) };
        if matches!(order, Order::Assign { role: Role::Interpreter, .. }) {
            return target.order(order, &fds.iter().map(AsFd::as_fd).collect::<Vec<_>>());
        }
        let (code, layers) = (self.packages.mount(code)?, self.packages.mount_layers(layers)?);
        // Init knows how many there must be.
        let all: Vec<_> = [&code].into_iter().chain(fds).chain(&layers).map(AsFd::as_fd).collect();
        target.order(order, &all)
    }

    /// Asks init for the process; what it answers is signalled. One that cannot be asked is ended already, or will be.
    fn signal(&self, slot: u64, process: Process, signal: Signal) {
        if let Some(slot) = self.slots.get(&slot) {
            let _ = slot.order(&Order::Name { process, signal }, &[]);
        }
    }

    /// An error is that this process cannot be where it was: it must not go on.
    fn give_socket(&self, id: u64, slot: u64) -> Done {
        let gone = || Err(Failure::new(libc::ESRCH, "making a socket in an environment that is gone"));
        let made = self.slots.get(&slot).map_or_else(|| Ok(gone()), |slot| self.home.socket_in(slot.process()))?;
        match made {
            Ok(socket) => self.answer(&Answer::Socket { id }, &[socket.as_fd()]),
            Err(failure) => self.answer(&Answer::Failed { id, failure }, &[]),
        }
    }

    /// Tells the server, on the environment's channel, that a step failed here; init reports the others.
    fn report(&self, slot: u64, result: Done) {
        if let (Err(failure), Some(slot)) = (result, self.slots.get(&slot)) {
            slot.tell_server(&crate::frame::Event::Failed(failure));
        }
    }

    fn answer(&self, answer: &Answer, fds: &[std::os::fd::BorrowedFd<'_>]) -> Done {
        match channel::send(&self.control, answer, fds, SendFlags::empty()) {
            // The server's end shows as the end of its requests.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            other => other.during("answering the server"),
        }
    }

    fn chore(&self, chore: &Chore, fd: Option<&OwnedFd>) {
        let fds: Vec<_> = fd.into_iter().map(AsFd::as_fd).collect();
        if let Err(error) = channel::send(&self.reaper, chore, &fds, SendFlags::empty()) {
            eprintln!("hearth-spawner: the reaper is gone ({error}); its work is done at the next start");
        }
    }

    /// Environments keep the ways they had where this fails.
    fn follow_routes(&mut self) {
        let Some(nat) = &mut self.nat else { return };
        if let Err(failure) = nat.follow_routes(|link| leave_forwarding(&self.reaper, link)) {
            complain(&failure);
        }
    }

    fn watch(&self, source: Source) -> Done {
        let (fd, flags) = match source {
            Source::Control => (Some(self.control.as_fd()), epoll::EventFlags::IN),
            // Hang-ups are always told; what is there to read is for the server.
            Source::Channel(id) => (self.slots.get(&id).map(Slot::channel), epoll::EventFlags::empty()),
            Source::Process(id) => (self.slots.get(&id).map(Slot::process), epoll::EventFlags::IN),
            Source::Orders(id) => (self.slots.get(&id).map(Slot::orders), epoll::EventFlags::IN),
            Source::Lease(id) => (self.kept.get(&id).map(Kept::lease), epoll::EventFlags::empty()),
            Source::Routes => (self.nat.as_ref().map(Nat::changes), epoll::EventFlags::IN),
            Source::Reader(id) => (self.readers.get(&id).map(Reader::process), epoll::EventFlags::IN),
            Source::Report(id) => (self.readers.get(&id).and_then(Reader::report), epoll::EventFlags::empty()),
            Source::Room => (self.room.as_ref().map(Room::time), epoll::EventFlags::IN),
        };
        let Some(fd) = fd else { return Ok(()) };
        epoll::add(&self.epoll, fd, epoll::EventData::new_u64(source.token()), flags).during("watching a descriptor")
    }

    fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// The server is gone: so is everything else.
    fn take_all_down(mut self) {
        for slot in self.slots.values() {
            slot.kill();
        }
        self.readers.values().for_each(Reader::kill);
        self.readers.values().for_each(Reader::wait);
        for id in self.slots.keys().copied().collect::<Vec<_>>() {
            self.take_down(id);
        }
        for id in self.kept.keys().copied().collect::<Vec<_>>() {
            self.release(id);
        }
        drop(self.reaper);
        let _ = rustix::process::waitid(
            rustix::process::WaitId::PidFd(self.reaper_process.as_fd()),
            rustix::process::WaitIdOptions::EXITED,
        );
        if let Some(Err(failure)) = self.nat.map(Nat::close) {
            complain(&failure);
        }
    }
}

/// Leaves switching a link's forwarding off to the reaper, which outlives this process.
fn leave_forwarding(reaper: &OwnedFd, link: &str) -> Done {
    let link =
        LinkName::new(link).ok_or_else(|| Failure::new(libc::ENAMETOOLONG, format!("noting the link {link}")))?;
    channel::send(reaper, &Chore::Forwarding { link }, &[], SendFlags::empty()).during("telling the reaper")
}
