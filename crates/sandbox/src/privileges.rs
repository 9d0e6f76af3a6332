//! Giving up what a process may do.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{DumpableBehavior, Signal, set_dumpable_behavior, set_parent_process_death_signal};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};

use crate::error::{Done, During, Failure};
use crate::sys;

/// Lets the kernel kill this process with the spawner. A change of user ids undoes it, so it is called again after one.
pub(crate) fn die_with_spawner(orders: impl AsFd) -> Done {
    set_parent_process_death_signal(Some(Signal::KILL)).during("setting the parent-death signal")?;
    // It may have died just before; its number says nothing across PID namespaces, its socket does.
    let mut fds = [PollFd::new(&orders, PollFlags::empty())];
    let now = Timespec::try_from(Duration::ZERO).ok();
    poll(&mut fds, now.as_ref()).during("looking after the spawner")?;
    if fds[0].revents().contains(PollFlags::HUP) {
        return Err(Failure::new(libc::EPIPE, "the spawner has died"));
    }
    Ok(())
}

/// Makes this process, of one thread, one of user `id` that can do nothing special and never will.
pub(crate) fn become_user(id: u32) -> Done {
    drop_bounding_set()?;
    become_user_for_good(id)
}

/// The same where the bounding set is empty already.
pub(crate) fn become_user_for_good(id: u32) -> Done {
    let what = format!("becoming user {id}");
    let (uid, gid) = (rustix::thread::Uid::from_raw(id), rustix::thread::Gid::from_raw(id));
    rustix::thread::set_thread_res_gid(gid, gid, gid).during(&what)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).during(&what)?;
    drop_capabilities()?;
    set_no_new_privs(true).during("setting no_new_privs")?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).during("making this process undumpable")
}

/// Empties the bounding set; needs the capability to do so still.
pub(crate) fn drop_bounding_set() -> Done {
    sys::drop_bounding_set().during("emptying the capability bounding set")
}

/// Empties all other capability sets.
pub(crate) fn drop_capabilities() -> Done {
    let none = CapabilitySet::empty();
    rustix::thread::clear_ambient_capability_set().during("emptying the ambient capabilities")?;
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
        .during("emptying the capabilities")
}
