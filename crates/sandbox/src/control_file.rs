//! The control files of a group that the server has open.

use std::io;
use std::os::fd::OwnedFd;

/// Writes a control file.
pub(crate) fn write(file: &OwnedFd, text: &str) -> io::Result<()> {
    rustix::io::write(file, text.as_bytes())?;
    Ok(())
}

/// A control file from its start.
pub(crate) fn read(file: &OwnedFd) -> io::Result<String> {
    let mut bytes = [0; 1024];
    let length = rustix::io::pread(file, &mut bytes, 0)?;
    Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
}

/// The value of `name` in lines of `name value`.
pub(crate) fn counter(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::counter;

    #[test]
    fn counters_are_whole_words() {
        let text = "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n";
        assert_eq!(counter(text, "oom_kill"), Some(2));
        assert_eq!(counter(text, "oom"), None);
    }
}
