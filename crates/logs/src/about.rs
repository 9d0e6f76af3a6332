//! What is kept of a group beside its lines, in a file of its own.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Its name in the folder of the group.
const FILE: &str = "group.json";

/// A group but for its lines.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) name: String,
    pub(crate) created_ms: i64,
    #[serde(default)]
    pub(crate) retention_days: Option<u32>,
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
    /// Streams that clients have made, and when. Those of environments are known by their lines.
    #[serde(default)]
    pub(crate) streams: BTreeMap<String, i64>,
    /// Streams that were deleted: their lines up to this sequence are hidden.
    #[serde(default)]
    pub(crate) deleted: BTreeMap<String, u64>,
}

impl About {
    pub(crate) fn new(name: &str, created_ms: i64) -> Self {
        Self {
            name: name.to_owned(),
            created_ms,
            retention_days: None,
            tags: BTreeMap::new(),
            streams: BTreeMap::new(),
            deleted: BTreeMap::new(),
        }
    }

    /// Of the group in this folder; none where it is not one.
    pub(crate) fn load(folder: &Path) -> io::Result<Option<Self>> {
        match fs::read(folder.join(FILE)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(cause),
        }
    }

    /// Whether a group is in this folder, be it a damaged one.
    pub(crate) fn is_in(folder: &Path) -> io::Result<bool> {
        folder.join(FILE).try_exists()
    }

    /// Puts it on stable storage, whole or not at all.
    pub(crate) fn save(&self, folder: &Path) -> io::Result<()> {
        let new = folder.join("group.json.new");
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(&new, folder.join(FILE))?;
        sync_folder(folder)
    }

    /// Milliseconds since 1970 before which lines are no more.
    pub(crate) fn kept_since_ms(&self, now_ms: i64) -> i64 {
        const DAY_MS: i64 = 24 * 60 * 60 * 1000;
        self.retention_days.map_or(i64::MIN, |days| now_ms.saturating_sub(i64::from(days) * DAY_MS))
    }
}

/// Makes names in a folder last.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
