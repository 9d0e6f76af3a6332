//! Switches of the network namespace that this process is in.

use std::io::ErrorKind;
use std::path::PathBuf;

use crate::error::{Done, During};

fn path(name: &str) -> PathBuf {
    PathBuf::from("/proc/sys/net").join(name)
}

/// Whether a switch is on; one that this kernel does not have is off.
pub(super) fn is_on(name: &str) -> bool {
    std::fs::read_to_string(path(name)).is_ok_and(|text| text.trim() != "0")
}

pub(super) fn set(name: &str, value: &str) -> Done {
    std::fs::write(path(name), value).during(format_args!("writing {value} to {}", path(name).display()))
}

/// Sets what a kernel may lack, and then does not need.
pub(super) fn set_if_there(name: &str, value: &str) -> Done {
    match std::fs::write(path(name), value) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other.during(format_args!("writing {value} to {}", path(name).display())),
    }
}
