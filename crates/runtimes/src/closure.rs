//! Which libraries a set of programs loads, found as the loader finds them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::elf::Elf;

/// Where the machine's loader looks, and what has been found so far.
#[derive(Clone)]
pub(crate) struct Closure {
    directories: Vec<PathBuf>,
    /// Of `/etc/ld.so.conf`: there is no cache of them inside, so what lies there appears in the first of the others.
    configured: Vec<PathBuf>,
    /// Directories that programs name themselves, and where they are with symbolic links resolved. Many name the same one.
    resolved: HashMap<String, PathBuf>,
    /// Names that such a directory does not have.
    missing: HashSet<PathBuf>,
    /// Files that have been read, symbolic links resolved.
    seen: HashSet<PathBuf>,
    /// Names that have been looked for in the loader's directories.
    named: HashSet<String>,
    /// Where the loader will look for it inside, and the file with symbolic links resolved.
    found: BTreeMap<PathBuf, PathBuf>,
}

impl Closure {
    /// Of nothing yet, on this machine.
    pub(crate) fn new() -> Self {
        let (directories, configured) = (loader_directories(), configured_directories());
        Self {
            directories,
            configured,
            resolved: HashMap::new(),
            missing: HashSet::new(),
            seen: HashSet::new(),
            named: HashSet::new(),
            found: BTreeMap::new(),
        }
    }

    /// Adds what `program` needs, not the program itself. What is no ELF file or cannot be read needs nothing.
    pub(crate) fn add(&mut self, program: &Path) {
        if let Ok(file) = fs::canonicalize(program) {
            self.add_file(file);
        }
    }

    /// The same for a path without symbolic links.
    pub(crate) fn add_file(&mut self, file: PathBuf) {
        if self.seen.contains(&file) {
            return;
        }
        let elf = Elf::read(&file).ok().flatten();
        let origin = file.parent().unwrap_or(Path::new("/")).to_owned();
        self.seen.insert(file);
        let Some(elf) = elf else { return };
        if let Some(interpreter) = &elf.interpreter {
            self.take(Path::new(interpreter), Path::new(interpreter));
        }
        let own: Vec<PathBuf> = elf.run_path.iter().map(|path| self.replace_origin(path, &origin)).collect();
        for name in &elf.needed {
            self.take_named(name, &own);
        }
    }

    /// Adds a library by its name, with what it needs, if the machine has it.
    pub(crate) fn add_library(&mut self, name: &str) {
        self.take_named(name, &[]);
    }

    /// The libraries: target, source.
    pub(crate) fn into_files(self) -> BTreeMap<PathBuf, PathBuf> {
        self.found
    }

    fn take_named(&mut self, name: &str, own: &[PathBuf]) {
        for path in own.iter().map(|directory| directory.join(name)) {
            if self.missing.contains(&path) {
                continue;
            }
            if path.is_file() {
                return self.take(&path, &path);
            }
            self.missing.insert(path);
        }
        if !self.named.insert(name.to_owned()) {
            return;
        }
        let within = |directories: &[PathBuf]| directories.iter().map(|d| d.join(name)).find(|path| path.is_file());
        if let Some(path) = within(&self.directories) {
            self.take(&path, &path);
        } else if let (Some(path), Some(first)) = (within(&self.configured), self.directories.first()) {
            let target = first.join(name);
            self.take(&path, &target);
        }
    }

    fn replace_origin(&mut self, path: &str, origin: &Path) -> PathBuf {
        let origin = origin.to_string_lossy();
        let path = path.replace("${ORIGIN}", &origin).replace("$ORIGIN", &origin);
        let resolve = |path: &String| fs::canonicalize(path).unwrap_or_else(|_| path.into());
        self.resolved.entry(path).or_insert_with_key(resolve).clone()
    }

    fn take(&mut self, library: &Path, target: &Path) {
        let target = usr_merged(target);
        if self.found.contains_key(&target) {
            return;
        }
        if let Ok(file) = fs::canonicalize(library) {
            self.found.insert(target, file.clone());
            self.add_file(file);
        }
    }
}

/// `/lib/x` is `/usr/lib/x`: the root has symbolic links for the short names.
pub(crate) fn usr_merged(path: &Path) -> PathBuf {
    match path.strip_prefix("/") {
        Ok(rest) if ["lib", "lib64", "bin", "sbin"].iter().any(|top| rest.starts_with(top)) => {
            Path::new("/usr").join(rest)
        }
        _ => path.to_owned(),
    }
}

/// What the loader falls back to without a cache.
fn loader_directories() -> Vec<PathBuf> {
    let triplet = if cfg!(target_arch = "aarch64") { "aarch64-linux-gnu" } else { "x86_64-linux-gnu" };
    let fixed = ["/lib", "/usr/lib"].map(|base| Path::new(base).join(triplet));
    let plain = ["/lib64", "/usr/lib64", "/lib", "/usr/lib"].map(PathBuf::from);
    fixed.into_iter().chain(plain).filter(|directory| directory.is_dir()).collect()
}

fn configured_directories() -> Vec<PathBuf> {
    let text =
        configuration_files().iter().map(|file| fs::read_to_string(file).unwrap_or_default()).collect::<String>();
    let lines = text.lines().map(str::trim).filter(|line| line.starts_with('/'));
    lines.map(PathBuf::from).filter(|directory| directory.is_dir()).collect()
}

fn configuration_files() -> Vec<PathBuf> {
    let mut files = vec![PathBuf::from("/etc/ld.so.conf")];
    let entries = fs::read_dir("/etc/ld.so.conf.d").into_iter().flatten().flatten();
    files.extend(entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "conf")));
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_this_test_loads() {
        let mut closure = Closure::new();
        closure.add(&std::env::current_exe().unwrap());
        let files = closure.into_files();
        let has = |name: &str| files.keys().any(|path| path.ends_with(name));
        assert!(has("libc.so.6"), "{files:?}");
        assert!(has("ld-linux-x86-64.so.2") || has("ld-linux-aarch64.so.1"), "{files:?}");
        assert!(files.keys().all(|target| target.starts_with("/usr")), "{files:?}");
        assert!(files.values().all(|source| source.is_file()), "{files:?}");
    }

    #[test]
    fn short_names_lie_below_usr() {
        assert_eq!(usr_merged(Path::new("/lib64/ld.so")), Path::new("/usr/lib64/ld.so"));
        assert_eq!(usr_merged(Path::new("/library/x")), Path::new("/library/x"));
    }
}
