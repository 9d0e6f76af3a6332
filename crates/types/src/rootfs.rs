//! What the root file system of an environment is made of: a plan that the runtime catalogue draws and the sandbox
//! carries out. It names files of the host one by one; the host's `/usr` and `/etc` never appear whole.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The plan of one runtime's root.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RootPlan {
    /// The runtime's name, for instance `python3.12`.
    pub name: String,
    /// Empty directories, absolute, parents implied.
    pub directories: Vec<PathBuf>,
    /// Files or directory trees of the host, mounted read-only at `target`, in this order: a later one may lie in or on
    /// top of an earlier one. What is a regular file may be carried out as a copy shared by all environments.
    pub binds: Vec<Bind>,
    /// Directories, absolute, that lie inside binds and are covered with an empty read-only directory once all binds are
    /// in place: the host's `site-packages` for instance.
    #[serde(default)]
    pub masks: Vec<PathBuf>,
    /// Symbolic links: path, then what it points to.
    pub links: Vec<(PathBuf, PathBuf)>,
    /// Files that we write: path, content. Mode 0644 or, where `true`, 0755.
    pub files: Vec<(PathBuf, Vec<u8>, bool)>,
}

/// One read-only bind of the host.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Bind {
    /// Absolute path on the host, symbolic links resolved.
    pub source: PathBuf,
    /// Absolute path inside.
    pub target: PathBuf,
}
