//! What an archive's entries make together: folders, files and links, none in the way of another, none through a link.

use std::collections::HashMap;

use hearth_types::limits::ZIP_ENTRIES;

use crate::archive::Entry;
use crate::path::{parent, path_of};
use crate::{Archive, PackageError};

const TYPE: u32 = 0o170_000;
const FILE: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;
const LINK: u32 = 0o120_000;
/// Read, write, execute: neither set-user-id nor set-group-id nor the sticky bit comes through.
const PERMISSIONS: u32 = 0o777;
/// Of a file whose entry has none.
const FILE_MODE: u32 = 0o644;
/// Everybody may read a package's files: the function's user owns none of them, and the usual way to write an archive
/// from memory (Python's `writestr`) marks each file as its owner's alone.
const READABLE: u32 = 0o444;
/// Linux's PATH_MAX less the ending NUL, in bytes.
const TARGET_BYTES: u64 = 4095;

/// A tree to be written.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    /// Each after the one that holds it.
    pub(crate) folders: Vec<Box<[u8]>>,
    pub(crate) files: Vec<Planned<'a>>,
    /// Their content is what they point to.
    pub(crate) links: Vec<Planned<'a>>,
}

/// A file or link.
#[derive(Debug)]
pub(crate) struct Planned<'a> {
    pub(crate) path: Box<[u8]>,
    /// Permissions.
    pub(crate) mode: u32,
    pub(crate) entry: Entry<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Folder,
    File,
    Link,
}

impl<'a> Plan<'a> {
    pub(crate) fn of(archive: Archive<'a>) -> Result<Self, PackageError> {
        let mut plan = Self { folders: Vec::new(), files: Vec::new(), links: Vec::new() };
        let mut taken = Taken(HashMap::with_capacity(archive.entries.len()));
        for entry in archive.entries {
            let path = path_of(entry.name)?;
            let kind = kind(&entry)?;
            taken.folders_above(&path, entry.name, &mut plan.folders)?;
            match kind {
                Kind::Folder if path.is_empty() => {}
                Kind::Folder => taken.folder(&path, entry.name, &mut plan.folders)?,
                _ if path.is_empty() => return Err(PackageError::entry(entry.name, "names no file")),
                Kind::File | Kind::Link => {
                    taken.put(&path, kind, entry.name)?;
                    let mode = entry.mode.map_or(FILE_MODE, permissions);
                    let list = if kind == Kind::Link { &mut plan.links } else { &mut plan.files };
                    list.push(Planned { path: path.into_owned().into(), mode, entry });
                }
            }
        }
        Ok(plan)
    }
}

/// As given, readable by everybody, and executable by everybody where it is by its owner.
fn permissions(mode: u32) -> u32 {
    let mode = mode & PERMISSIONS | READABLE;
    if mode & 0o100 == 0 { mode } else { mode | 0o111 }
}

fn kind(entry: &Entry<'_>) -> Result<Kind, PackageError> {
    let refuse = |why| Err(PackageError::entry(entry.name, why));
    let named_folder = entry.name.ends_with(b"/");
    match entry.mode.unwrap_or_default() & TYPE {
        0 | FOLDER | FILE if named_folder => match (entry.size, entry.crc) {
            (0, 0) => Ok(Kind::Folder),
            _ => refuse("is a folder with content"),
        },
        0 | FILE => Ok(Kind::File),
        LINK if named_folder => refuse("is a link with the name of a folder"),
        LINK if !(1..=TARGET_BYTES).contains(&entry.size) => refuse("is a link to nothing, or to too long a path"),
        LINK => Ok(Kind::Link),
        FOLDER => refuse("is a folder without a / at the end of its name"),
        _ => refuse("is neither a file nor a folder nor a link"),
    }
}

/// Which paths are there and as what.
struct Taken(HashMap<Box<[u8]>, Kind>);

impl Taken {
    fn folder(&mut self, path: &[u8], name: &[u8], folders: &mut Vec<Box<[u8]>>) -> Result<(), PackageError> {
        match self.0.get(path) {
            // Folders have neither content nor a mode of their own, so one that is named twice is the same one.
            Some(Kind::Folder) => Ok(()),
            Some(_) => Err(PackageError::entry(name, "is there twice, or a file or link is where it needs a folder")),
            None => {
                folders.push(path.into());
                self.put(path, Kind::Folder, name)
            }
        }
    }

    /// The work is one look-up for each new folder and one more: those above a known folder are known.
    fn folders_above(&mut self, path: &[u8], name: &[u8], folders: &mut Vec<Box<[u8]>>) -> Result<(), PackageError> {
        let mut missing = Vec::new();
        let mut above = parent(path);
        while let Some(folder) = above.filter(|folder| self.0.get(*folder) != Some(&Kind::Folder)) {
            missing.push(folder);
            above = parent(folder);
        }
        missing.into_iter().rev().try_for_each(|folder| self.folder(folder, name, folders))
    }

    fn put(&mut self, path: &[u8], kind: Kind, name: &[u8]) -> Result<(), PackageError> {
        if self.0.len() >= ZIP_ENTRIES {
            return Err(PackageError::TooMany(ZIP_ENTRIES));
        }
        match self.0.insert(path.into(), kind) {
            None => Ok(()),
            Some(_) => Err(PackageError::entry(name, "is there twice")),
        }
    }
}
