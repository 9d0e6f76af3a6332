//! What a runtime is called beside its name: its version's ARN, and the machine that it runs on.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// The architecture of this machine, as Lambda names it.
pub const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };

/// The ARN of the version of a runtime that is installed here. The form is the real one's: 64 hexadecimal digits, the
/// same for the same runtime on the same architecture.
#[must_use]
pub fn version_arn(region: &str, runtime: &str, architecture: &str) -> String {
    let mut arn = format!("arn:aws:lambda:{region}::runtime:");
    for byte in Sha256::digest(format!("{runtime} {architecture}").as_bytes()) {
        // Writing to a string cannot fail.
        let _ = write!(arn, "{byte:02x}");
    }
    arn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_runtime_has_a_version_on_each_architecture() {
        let arn = version_arn("r", "python3.12", "x86_64");
        let (start, digits) = arn.rsplit_once(':').unwrap();
        assert_eq!((start, digits.len()), ("arn:aws:lambda:r::runtime", 64));
        assert_eq!(arn, version_arn("r", "python3.12", "x86_64"));
        assert_ne!(arn, version_arn("r", "python3.12", "arm64"));
        assert_ne!(arn, version_arn("r", "python3.13", "x86_64"));
    }
}
