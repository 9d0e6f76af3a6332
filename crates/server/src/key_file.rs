//! The file with the server's key: what secrets at rest and session tokens are sealed with.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use hearth_identity::MasterKey;

use crate::prepare::Refused;

/// In the data folder, unless another file is given.
const NAME: &str = "secret.key";
/// What is sealed with the key.
const METADATA: &str = "meta.db";
/// What others than the owner could do with a file.
const OTHERS: u32 = 0o077;

/// The key in the file that was given, or in the data folder's own, which is made in a new folder.
///
/// # Errors
/// When the file is not there, may be read by others, or holds no key.
pub(crate) fn load(data_dir: &Path, given: Option<&Path>) -> Result<MasterKey> {
    match given {
        Some(path) => read(path),
        None => {
            let path = data_dir.join(NAME);
            refuse_a_second(data_dir, &path)?;
            make(&path).with_context(|| format!("making the key file {}", path.display()))?;
            read(&path)
        }
    }
}

/// What is in the folder opens with the key that it was made with; a new one would only hide what is missing.
fn refuse_a_second(data_dir: &Path, path: &Path) -> Result<()> {
    if path.exists() || !data_dir.join(METADATA).exists() {
        return Ok(());
    }
    let why = "is not there, and what is in the folder opens with it only: put it back, or name it with --key-file";
    Err(Refused(format!("the key file {} {why}", path.display())).into())
}

fn read(path: &Path) -> Result<MasterKey> {
    let refused = |why: String| Refused(format!("the key file {} {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|cause| {
        refused(format!(
            "cannot be read: {cause}; make one with: (umask 077; head -c 32 /dev/urandom | base64 > {})",
            path.display()
        ))
    })?;
    let mode = std::fs::metadata(path).context("the key file")?.mode();
    if mode & OTHERS != 0 {
        return Err(refused(format!("may be used by others: chmod 600 {}", path.display())).into());
    }
    MasterKey::parse(&text).ok_or_else(|| refused("does not hold 32 bytes in base64".to_owned()).into())
}

/// Leaves one that is there as it is. A file that is there is whole: it gets its name last.
fn make(path: &Path) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|cause| anyhow::anyhow!("the machine gives no random bytes: {cause}"))?;
    let aside: PathBuf = path.with_extension(format!("key.{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
    file.write_all(MasterKey::new(random).to_text().as_bytes())?;
    file.sync_all()?;
    let named = std::fs::hard_link(&aside, path);
    std::fs::remove_file(&aside)?;
    match named {
        Err(cause) if cause.kind() != ErrorKind::AlreadyExists => return Err(cause.into()),
        _ => {}
    }
    Ok(File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let made = load(folder.path(), None).unwrap().to_text();
        assert_eq!(load(folder.path(), None).unwrap().to_text(), made);
        assert_eq!(load(folder.path(), Some(&path)).unwrap().to_text(), made);
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_folder_in_use_gets_no_second_key() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(METADATA), "").unwrap();
        let error = load(folder.path(), None).unwrap_err().to_string();
        assert!(error.contains("put it back"), "{error}");
        assert!(!folder.path().join(NAME).exists());
    }

    #[test]
    fn what_is_no_key_file_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k");
        let error = |path: &Path| load(folder.path(), Some(path)).unwrap_err().to_string();
        assert!(error(&path).contains("cannot be read"));
        std::fs::write(&path, "short").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(error(&path).contains("does not hold 32 bytes"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(error(&path).ends_with(&format!("chmod 600 {}", path.display())));
    }
}
