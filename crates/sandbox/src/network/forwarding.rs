//! Whether the machine passes on packets that are not for itself. The kernel looks at the link that a packet came by.
//!
//! Where the machine forwards nothing, only the links that NAT needs are switched on. It does not become a router for
//! anybody else by that: what comes in by such a link and belongs to no environment is dropped, unless the machine had
//! a part in it (a connection made from here, or addressed anew here). The reaper switches them off again.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::sysctl;
use crate::error::{Done, During, Failure};

/// Gone with a reboot, as the switches are.
const NOTES: &str = "/run/hearth";

/// What this spawner has changed, or a dead one has left changed.
pub(super) struct Forwarding {
    /// The machine forwards anyway: nothing is changed.
    of_machine: bool,
    switched: BTreeSet<String>,
}

impl Forwarding {
    pub(super) fn look() -> Self {
        Self { of_machine: of_machine(), switched: BTreeSet::new() }
    }

    /// Those of `links` that do not forward (any more: one may have been unplugged), or that are noted as left on.
    pub(super) fn missing(&self, links: &BTreeSet<String>) -> BTreeSet<String> {
        if self.of_machine {
            return BTreeSet::new();
        }
        let left_on = |link: &str| !self.switched.contains(link) && note(link).is_ok_and(|note| note.exists());
        links.iter().filter(|link| !sysctl::is_on(&switch(link)) || left_on(link)).cloned().collect()
    }

    /// Switches one of the machine's links on, and notes it for a start after a sudden death.
    pub(super) fn switch_on(&mut self, link: &str) -> Done {
        let note = note(link)?;
        fs::create_dir_all(NOTES).during(format_args!("making {NOTES}"))?;
        fs::write(&note, "").during(format_args!("writing {}", note.display()))?;
        self.switched.insert(link.to_owned());
        switch_on(link)
    }
}

/// Switches a link on that goes with the spawner.
pub(super) fn switch_on(link: &str) -> Done {
    sysctl::set(&switch(link), "1").map_err(|failure| {
        let why = format!("this machine forwards no packets; sysctl -w net.ipv4.ip_forward=1 ({})", failure.what);
        Failure::new(failure.errno, why)
    })
}

/// Whether all links forward.
pub(super) fn of_machine() -> bool {
    sysctl::is_on("ipv4/ip_forward")
}

/// Switches a link off again, unless the machine has come to forward anyway. Best effort: it may have gone.
pub(crate) fn switch_off(link: &str) {
    if !of_machine() {
        let _ = sysctl::set_if_there(&switch(link), "0");
    }
    if let Ok(note) = note(link) {
        let _ = fs::remove_file(note);
        let _ = fs::remove_dir(NOTES);
    }
}

fn switch(link: &str) -> String {
    format!("ipv4/conf/{link}/forwarding")
}

/// The file that says that we switched a link on: links are told apart by name within a network namespace.
fn note(link: &str) -> Done<PathBuf> {
    let namespace = fs::metadata("/proc/self/ns/net").during("looking at the network namespace")?.ino();
    Ok(Path::new(NOTES).join(format!("forwarding-{namespace}-{link}")))
}
