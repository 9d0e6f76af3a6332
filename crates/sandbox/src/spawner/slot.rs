//! One environment from the spawner's side: from its clone to the moment that nothing is left.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use hearth_types::limits::{EPHEMERAL_MAX_MB, EPHEMERAL_MIN_MB, SANDBOXES};
use rustix::event::epoll;
use rustix::net::{RecvFlags, SendFlags};
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use super::ids::IdPair;
use super::reaper::or_complain;
use super::{Source, Spawner};
use crate::cgroup::CgroupFiles;
use crate::channel::{self, Received};
use crate::chore::Chore;
use crate::error::{Done, During, Failure};
use crate::frame::{Answer, Event, Note, Order, TmpChoice};
use crate::init::{self, Plan, TmpPlan};
use crate::network::Nat;
use crate::process;
use crate::sys::{self, Fork};
use crate::tmp::{Backing, Place, Volume};
use crate::volume;
use crate::weaken::{self, Defence};

/// Bytes of what the system counts a file's room in.
const BLOCK: u64 = 512;

/// A living environment, or a dead one that the server has not let go yet: its control groups are still read.
pub(super) struct Slot {
    process: OwnedFd,
    /// The same end of the server's channel that init has.
    channel: OwnedFd,
    orders: OwnedFd,
    ids: IdPair,
    /// With a way to the outside.
    address: Option<Ipv4Addr>,
    tmp_mb: u32,
    /// Known once init has told.
    volume: Option<Volume>,
    /// Nobody can use its /tmp any more.
    spoiled: bool,
    /// On cgroup v2, until the limit of its disk is set: `io.max`.
    io: Option<OwnedFd>,
    /// Not yet handed to the server.
    for_server: Option<ForServer>,
    dead: bool,
    /// How the server let it go.
    farewell: Option<Farewell>,
}

/// What the server gets with a made sandbox.
pub(super) struct ForServer {
    channel: OwnedFd,
    files: CgroupFiles,
}

struct Cloned {
    process: OwnedFd,
    channel: OwnedFd,
    orders: OwnedFd,
    io: Option<OwnedFd>,
    for_server: ForServer,
}

enum Farewell {
    /// It closed the channel.
    Abandoned,
    /// It asked, under this id.
    Destroyed { id: u64, keep_tmp: bool },
}

/// A /tmp between two environments.
pub(super) struct Kept {
    volume: Volume,
    ids: IdPair,
    mb: u32,
    lease: OwnedFd,
}

impl Kept {
    pub(super) fn lease(&self) -> BorrowedFd<'_> {
        self.lease.as_fd()
    }
}

impl Slot {
    pub(super) fn channel(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }

    pub(super) fn process(&self) -> BorrowedFd<'_> {
        self.process.as_fd()
    }

    pub(super) fn orders(&self) -> BorrowedFd<'_> {
        self.orders.as_fd()
    }

    pub(super) fn order(&self, order: &Order, fds: &[BorrowedFd<'_>]) -> Done {
        channel::send(&self.orders, order, fds, SendFlags::DONTWAIT).during("telling init what to do")
    }

    pub(super) fn tell_server(&self, event: &Event) {
        // A channel that is full or closed has a server that does not listen.
        let _ = channel::send(&self.channel, event, &[], SendFlags::DONTWAIT);
    }

    /// Bytes of the machine's disk that its /tmp takes; none of one that is ended already.
    pub(super) fn disk_bytes(&self) -> Option<u64> {
        let file =
            self.volume.as_ref().filter(|_| !self.dead && !self.spoiled && self.farewell.is_none())?.file.as_ref();
        Some(rustix::fs::fstat(file?).ok()?.st_blocks as u64 * BLOCK)
    }

    /// Ends it, and gives back at once what its /tmp takes of the machine's disk.
    pub(super) fn spoil(&mut self) {
        self.kill();
        self.spoiled = true;
        if let Some(Volume { backing: Backing::Disk { loop_number }, file: Some(file), .. }) = &self.volume {
            or_complain(volume::spoil(file, *loop_number));
        }
    }

    pub(super) fn kill(&self) {
        let _ = pidfd_send_signal(&self.process, Signal::KILL);
    }

    /// Waits for the end of init, and so of everything in its PID namespace.
    pub(super) fn wait(&self) {
        let _ = waitid(WaitId::PidFd(self.process.as_fd()), WaitIdOptions::EXITED);
    }
}

impl Spawner {
    pub(super) fn make(&mut self, id: u64, tmp: TmpChoice, ahead: bool) -> Done {
        let made = match tmp {
            TmpChoice::New { mb } => self.take_from_pool(mb, ahead).map_or_else(|| self.clone_new(mb), Ok),
            TmpChoice::Kept { volume } => self.clone_with(volume),
        };
        match made {
            Ok(slot) => self.hand_over(id, slot),
            Err(failure) => self.answer(&Answer::Failed { id, failure }, &[]),
        }
    }

    /// A sandbox with a new /tmp of so many MB.
    pub(super) fn clone_new(&mut self, mb: u32) -> Done<u64> {
        if !(EPHEMERAL_MIN_MB..=EPHEMERAL_MAX_MB).contains(&mb) {
            let what = format!("making a /tmp of {mb} MB, where {EPHEMERAL_MIN_MB} to {EPHEMERAL_MAX_MB} are possible");
            return Err(Failure::new(libc::EINVAL, what));
        }
        let ids = self.ids.take().ok_or_else(too_many)?;
        self.add(ids, mb, None)
    }

    fn clone_with(&mut self, volume: u64) -> Done<u64> {
        let kept = self
            .kept
            .remove(&volume)
            .ok_or_else(|| Failure::new(libc::ENOENT, "a sandbox with a kept /tmp that is not there"))?;
        unwatch(&self.epoll, &kept.lease);
        self.add(kept.ids, kept.mb, Some(kept.volume))
    }

    /// A slot with this /tmp or, where there is none, a new one.
    fn add(&mut self, ids: IdPair, tmp_mb: u32, volume: Option<Volume>) -> Done<u64> {
        let id = self.take_id();
        let (volume, tmp) = match self.plan_tmp(id, tmp_mb, volume) {
            Ok(planned) => planned,
            Err((volume, failure)) => {
                self.let_volume_go(volume, ids);
                return Err(failure);
            }
        };
        let address = match self.nat.as_mut().map(Nat::take_address).transpose() {
            Ok(address) => address,
            Err(failure) => {
                self.let_volume_go(volume, ids);
                return Err(failure);
            }
        };
        let cloned = match self.clone_init(id, &ids, address, tmp) {
            Ok(cloned) => cloned,
            Err(failure) => {
                self.chore(&Chore::Cgroups { slot: id }, None);
                self.let_address_go(address);
                self.let_volume_go(volume, ids);
                return Err(failure);
            }
        };
        let Cloned { process, channel, orders, io, for_server } = cloned;
        let slot = Slot {
            process,
            channel,
            orders,
            ids,
            address,
            tmp_mb,
            volume,
            spoiled: false,
            io,
            for_server: Some(for_server),
            dead: false,
            farewell: None,
        };
        self.slots.insert(id, slot);
        self.watch(Source::Channel(id))?;
        self.watch(Source::Process(id))?;
        self.watch(Source::Orders(id))?;
        Ok(id)
    }

    /// What init does for its /tmp, and what the spawner has of it: on a disk it is init that makes it, for that takes
    /// longest.
    fn plan_tmp(
        &self,
        id: u64,
        mb: u32,
        kept: Option<Volume>,
    ) -> Result<(Option<Volume>, TmpPlan), (Option<Volume>, Failure)> {
        let volume = match (kept, self.place) {
            (Some(volume), _) => volume,
            (None, Place::Disk) => return Ok((None, TmpPlan::New { mb })),
            (None, Place::Memory) => {
                Volume::in_memory(self.tmp_folder.as_fd(), id, mb).map_err(|failure| (None, failure))?
            }
        };
        let plan = match volume.backing {
            // The volume's mount keeps the file system until the new init has mounted it once more, and tells.
            Backing::Disk { loop_number } => Ok(TmpPlan::Join { loop_number }),
            Backing::Memory { .. } => volume.mount_again().map(TmpPlan::Made),
        };
        match plan {
            Ok(plan) => Ok((Some(volume), plan)),
            Err(failure) => Err((Some(volume), failure)),
        }
    }

    fn clone_init(&self, slot: u64, ids: &IdPair, address: Option<Ipv4Addr>, tmp: TmpPlan) -> Done<Cloned> {
        let (server_end, init_end) = channel::pair().during("making a channel")?;
        let (orders, init_orders) = channel::pair().during("making a channel")?;
        let cgroup = self.cgroups.create(slot)?;
        let fork = sys::fork(namespaces(), Some(cgroup.unified.as_fd())).during("cloning an environment's init")?;
        let process = match fork {
            Fork::Child => init::run(&Plan {
                slot,
                ids: self.ids.ids(ids),
                tmp,
                channel: init_end,
                orders: init_orders,
                attach: cgroup.attach,
                tmp_folder: self.tmp_folder.as_fd(),
                connection: self.nat.as_ref().zip(address).map(|(nat, address)| nat.connection(slot, address)),
                segments: self.segments,
                filters: &self.filters,
                cores_piped: self.cores_piped,
            }),
            Fork::Parent { pidfd, .. } => pidfd,
        };
        let for_server = ForServer { channel: server_end, files: cgroup.files };
        let io = cgroup.io.filter(|_| self.limits_disks);
        Ok(Cloned { process, channel: init_end, orders, io, for_server })
    }

    fn hand_over(&mut self, id: u64, slot: u64) -> Done {
        let for_server = self.slots.get_mut(&slot).and_then(|slot| slot.for_server.take());
        let Some(ForServer { channel, files }) = for_server else { return Ok(()) };
        let mut fds = vec![channel.as_fd()];
        fds.extend(files.in_order());
        self.answer(&Answer::Made { id, slot }, &fds)
    }

    /// The server has closed the channel.
    pub(super) fn abandon(&mut self, slot: u64) {
        self.let_go(slot, Farewell::Abandoned);
    }

    pub(super) fn destroy(&mut self, id: u64, slot: u64, keep_tmp: bool) -> Done {
        if self.slots.get(&slot).is_none_or(|slot| slot.farewell.is_some()) {
            return self.answer(&Answer::Destroyed { id, volume: None }, &[]);
        }
        self.let_go(slot, Farewell::Destroyed { id, keep_tmp });
        Ok(())
    }

    fn let_go(&mut self, id: u64, farewell: Farewell) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        slot.farewell.get_or_insert(farewell);
        slot.kill();
        unwatch(&self.epoll, &slot.channel);
        if slot.dead {
            self.finish(id);
        }
    }

    /// Init is dead, and the kernel has waited for everything in its PID namespace.
    pub(super) fn bury(&mut self, id: u64) {
        // What it told last may still wait.
        self.take_note(id);
        let Some(slot) = self.slots.get_mut(&id) else { return };
        slot.wait();
        slot.dead = true;
        slot.tell_server(&Event::Gone);
        unwatch(&self.epoll, &slot.process);
        unwatch(&self.epoll, &slot.orders);
        let (unhanded, over) = (slot.for_server.is_some(), slot.farewell.is_some());
        if unhanded {
            self.pool.forget(id);
        }
        if unhanded || over {
            self.finish(id);
        }
    }

    /// Nothing of it is alive and nobody asks for it any more.
    fn finish(&mut self, id: u64) {
        let Some(mut slot) = self.slots.remove(&id) else { return };
        unwatch(&self.epoll, &slot.channel);
        let volume = slot.volume.take();
        let farewell = slot.farewell.take();
        drop(slot.for_server.take());
        self.chore(&Chore::Cgroups { slot: id }, None);
        self.let_address_go(slot.address);
        let (ids, mb) = (slot.ids, slot.tmp_mb);
        let result = match farewell {
            Some(Farewell::Destroyed { id, keep_tmp: true }) if !slot.spoiled => self.keep(id, volume, ids, mb),
            Some(Farewell::Destroyed { id, .. }) => {
                self.let_volume_go(volume, ids);
                self.answer(&Answer::Destroyed { id, volume: None }, &[])
            }
            Some(Farewell::Abandoned) | None => {
                self.let_volume_go(volume, ids);
                Ok(())
            }
        };
        if let Err(failure) = result {
            eprintln!("hearth-spawner: {}", failure.what);
        }
    }

    fn keep(&mut self, request: u64, volume: Option<Volume>, ids: IdPair, mb: u32) -> Done {
        let leases = channel::pair();
        let (Some(volume), Ok((lease, servers))) = (volume, leases) else {
            self.ids.give_back(ids);
            return self.answer(&Answer::Destroyed { id: request, volume: None }, &[]);
        };
        let id = self.take_id();
        self.kept.insert(id, Kept { volume, ids, mb, lease });
        self.watch(Source::Lease(id))?;
        self.answer(&Answer::Destroyed { id: request, volume: Some((id, mb)) }, &[servers.as_fd()])
    }

    /// The server has closed the lease of a kept volume.
    pub(super) fn release(&mut self, id: u64) {
        let Some(kept) = self.kept.remove(&id) else { return };
        unwatch(&self.epoll, &kept.lease);
        self.let_volume_go(Some(kept.volume), kept.ids);
    }

    /// At the spawner's end: waits for the end of one that is killed, and leaves the rest of it to the reaper.
    pub(super) fn take_down(&mut self, id: u64) {
        self.slots.get(&id).into_iter().for_each(Slot::wait);
        // What it told last may still wait.
        self.take_note(id);
        let Some(mut slot) = self.slots.remove(&id) else { return };
        let volume = slot.volume.take();
        self.chore(&Chore::Cgroups { slot: id }, None);
        self.let_volume_go(volume, slot.ids);
    }

    fn let_address_go(&mut self, address: Option<Ipv4Addr>) {
        if let (Some(nat), Some(address)) = (&mut self.nat, address) {
            nat.give_back(address);
        }
    }

    fn let_volume_go(&mut self, volume: Option<Volume>, ids: IdPair) {
        if let Some(volume) = volume {
            self.chore(&Chore::Volume { backing: volume.backing }, Some(&volume.mount));
        }
        self.ids.give_back(ids);
    }

    /// Init has told what it made.
    pub(super) fn take_note(&mut self, id: u64) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        match channel::receive(&slot.orders, RecvFlags::DONTWAIT) {
            Ok(Received::Frame(Note::Made { loop_number }, fds)) => {
                let mut fds = fds.into_iter();
                if let Some((loop_number, mount)) = loop_number.zip(fds.next()) {
                    // Of one that was kept, the file is here already.
                    let file = fds.next().or_else(|| slot.volume.take().and_then(|kept| kept.file));
                    slot.volume = Some(Volume { mount, backing: Backing::Disk { loop_number }, file });
                    self.limit_disk(id, loop_number);
                }
                self.pool.is_ready(id);
            }
            // It has no privilege, and sees no process but those of its environment: it can name no other.
            Ok(Received::Frame(Note::Named { signal }, fds)) => {
                let signal = match signal {
                    process::Signal::Terminate => Signal::TERM,
                    process::Signal::Kill => Signal::KILL,
                };
                // One that has ended meanwhile needs none.
                let _ = fds.first().map(|process| pidfd_send_signal(process, signal));
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            // It has no more to say; what its end means, the process descriptor tells.
            Ok(Received::Closed) | Err(_) => {
                unwatch(&self.epoll, &slot.orders);
            }
        }
    }
}

impl Spawner {
    /// Has the disk of a slot limited, which takes long where it is the device's first limit. A slot that must go without
    /// goes altogether.
    fn limit_disk(&mut self, id: u64, loop_number: u32) {
        let Some(slot) = self.slots.get_mut(&id).filter(|_| self.limits_disks) else { return };
        let io = slot.io.take();
        let fds: Vec<_> = io.iter().map(AsFd::as_fd).collect();
        if channel::send(&self.reaper, &Chore::Limit { slot: id, loop_number }, &fds, SendFlags::empty()).is_err() {
            slot.kill();
        }
    }
}

fn namespaces() -> libc::c_int {
    let all = [
        (libc::CLONE_NEWPID, Defence::PidNamespace),
        (libc::CLONE_NEWNET, Defence::NetworkNamespace),
        (libc::CLONE_NEWIPC, Defence::IpcNamespace),
        (libc::CLONE_NEWUTS, Defence::UtsNamespace),
    ];
    all.into_iter().filter(|(_, defence)| !weaken::is_off(*defence)).fold(0, |flags, (flag, _)| flags | flag)
}

/// Must come before a descriptor is closed: a forked init may hold the same socket for a moment longer, and the kernel
/// would go on telling.
pub(super) fn unwatch(epoll: &OwnedFd, fd: &OwnedFd) {
    let _ = epoll::delete(epoll, fd);
}

fn too_many() -> Failure {
    Failure::new(libc::EAGAIN, format!("making a sandbox beyond the {SANDBOXES} that one spawner keeps"))
}
