//! Draws the root file systems: few files of the host, named one by one, under a tree of our own.

use std::fs;
use std::path::{Path, PathBuf};

use hearth_types::rootfs::{Bind, RootPlan};

use crate::closure::{Closure, usr_merged};
use crate::compiled::Source;
use crate::discover::Interpreter;

/// Programs that shell bootstraps and functions call: what there is of them.
const COMMANDS: [&str; 53] = [
    "sh",
    "bash",
    "awk",
    "base64",
    "basename",
    "cat",
    "chmod",
    "cp",
    "cut",
    "date",
    "dd",
    "df",
    "diff",
    "dirname",
    "du",
    "echo",
    "env",
    "expr",
    "false",
    "find",
    "grep",
    "gzip",
    "head",
    "hostname",
    "id",
    "ln",
    "ls",
    "md5sum",
    "mkdir",
    "mktemp",
    "mv",
    "nproc",
    "od",
    "printf",
    "pwd",
    "readlink",
    "realpath",
    "rm",
    "sed",
    "seq",
    "sha256sum",
    "sleep",
    "sort",
    "stat",
    "tail",
    "tee",
    "test",
    "touch",
    "tr",
    "true",
    "uname",
    "wc",
    "whoami",
];
/// Further ones of `provided.*`, whose bootstrap may be a shell script that speaks HTTP.
const PROVIDED_COMMANDS: [&str; 6] = ["curl", "tar", "timeout", "uniq", "xargs", "kill"];
/// What binaries built elsewhere expect of the system, interpreters' extension modules among them.
const LIBRARIES: [&str; 15] = [
    "libc.so.6",
    "libm.so.6",
    "libdl.so.2",
    "libpthread.so.0",
    "librt.so.1",
    "libutil.so.1",
    "libresolv.so.2",
    "libnss_dns.so.2",
    "libnss_files.so.2",
    "libgcc_s.so.1",
    "libstdc++.so.6",
    "libz.so.1",
    "libexpat.so.1",
    "libcrypto.so.3",
    "libssl.so.3",
];
/// Who owns what is not the function's is nobody that its user namespace knows, which has a name as on Lambda's system.
const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
                      sbx_user1051:x:993:990::/home/sbx_user1051:/bin/sh\n\
                      nobody:x:65534:65534:Kernel Overflow User:/:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nsbx_user1051:x:990:\nnobody:x:65534:\n";
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The Python bootstrap: the program, then the modules that it imports when needed, and what functions import.
pub(crate) const PYTHON_SOURCES: [Source; 4] = [
    ("/var/runtime/bootstrap.py", include_str!("bootstrap/bootstrap.py")),
    ("/var/runtime/_hearth_rare.py", include_str!("bootstrap/_hearth_rare.py")),
    ("/var/runtime/_hearth_snapshot.py", include_str!("bootstrap/_hearth_snapshot.py")),
    ("/var/runtime/snapshot_restore_py.py", include_str!("bootstrap/snapshot_restore_py.py")),
];
/// A module for a process that waits to load: as source, which is what most functions are.
const PYTHON_REHEARSAL: (&str, &str) = ("/var/runtime/_hearth_empty.py", "");
const NODE_BOOTSTRAP: &[(&str, &str)] = &[
    ("/var/runtime/bootstrap.js", include_str!("bootstrap/bootstrap.js")),
    ("/var/runtime/loading.js", include_str!("bootstrap/loading.js")),
    ("/var/runtime/waiting.js", include_str!("bootstrap/waiting.js")),
    ("/var/runtime/streams.js", include_str!("bootstrap/streams.js")),
    ("/var/runtime/cause.js", include_str!("bootstrap/cause.js")),
    ("/var/runtime/empty.mjs", "export const handler = async (event) => event;\n"),
];

/// A plan on its way, with the libraries that its programs need.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) plan: RootPlan,
    pub(crate) libraries: Closure,
}

impl Draft {
    /// What all roots have.
    pub(crate) fn common() -> Self {
        let mut draft = Self { plan: RootPlan::default(), libraries: Closure::new() };
        draft.skeleton();
        draft.configuration();
        draft.commands(&COMMANDS);
        LIBRARIES.iter().for_each(|name| draft.libraries.add_library(name));
        draft
    }

    pub(crate) fn named(&self, name: &str) -> Self {
        let mut draft = self.clone();
        draft.plan.name = name.to_owned();
        draft
    }

    fn skeleton(&mut self) {
        let directories = [
            "/dev",
            "/etc",
            "/mnt",
            "/opt",
            "/proc",
            "/run",
            "/tmp",
            "/usr/bin",
            "/usr/lib",
            "/usr/lib64",
            "/usr/sbin",
            "/usr/share",
            "/var/lang/bin",
            "/var/runtime",
            "/var/task",
        ];
        self.plan.directories.extend(directories.map(PathBuf::from));
        for name in ["bin", "lib", "lib64", "sbin"] {
            self.link(&format!("/{name}"), &format!("usr/{name}"));
        }
    }

    fn configuration(&mut self) {
        self.file("/etc/passwd", PASSWD);
        self.file("/etc/group", GROUP);
        self.file("/etc/hosts", "127.0.0.1 localhost sandbox sandbox.localdomain\n::1 localhost\n");
        self.file("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n");
        // Answers where functions reach the outside; else nobody does, and names resolve as little as without it.
        self.file("/etc/resolv.conf", "nameserver 127.0.0.1\n");
        self.file("/etc/os-release", "NAME=\"Hearth execution environment\"\nID=hearth\n");
        self.bind_if_there("/usr/share/zoneinfo");
        if Path::new("/usr/share/zoneinfo/UTC").exists() {
            self.link("/etc/localtime", "/usr/share/zoneinfo/UTC");
        }
        if self.bind_if_there(CERTIFICATES) {
            // Where OpenSSL of Debian, of Fedora and of others, and what is linked with it, look.
            for place in ["/etc/ssl/cert.pem", "/usr/lib/ssl/cert.pem", "/etc/pki/tls/cert.pem"] {
                self.link(place, CERTIFICATES);
            }
            self.link("/etc/pki/tls/certs/ca-bundle.crt", CERTIFICATES);
        }
        if self.bind_if_there("/etc/ssl/openssl.cnf") {
            self.link("/usr/lib/ssl/openssl.cnf", "/etc/ssl/openssl.cnf");
        }
        for locale in ["/usr/lib/locale/C.utf8", "/usr/lib/locale/C.UTF-8"] {
            if self.bind_if_there(locale) {
                // LANG is en_US.UTF-8, as on Lambda: programs then find UTF-8 without the host having that locale.
                self.link("/usr/lib/locale/en_US.utf8", locale);
                break;
            }
        }
    }

    fn commands(&mut self, names: &[&str]) {
        for name in names {
            let candidates = ["/usr/bin", "/bin", "/usr/local/bin"].map(|d| Path::new(d).join(name));
            let Some(source) = candidates.iter().find_map(|c| fs::canonicalize(c).ok()) else { continue };
            self.bind(&source, &Path::new("/usr/bin").join(name));
            self.libraries.add_file(source);
        }
    }

    pub(crate) fn file(&mut self, path: &str, content: &str) {
        self.plan.files.push((path.into(), content.into(), false));
    }

    pub(crate) fn link(&mut self, path: &str, to: &str) {
        self.plan.links.push((path.into(), to.into()));
    }

    pub(crate) fn bind(&mut self, source: &Path, target: &Path) {
        self.plan.binds.push(Bind { source: source.to_owned(), target: usr_merged(target) });
    }

    pub(crate) fn bind_if_there(&mut self, path: &str) -> bool {
        let Ok(source) = fs::canonicalize(path) else { return false };
        self.bind(&source, Path::new(path));
        true
    }

    pub(crate) fn done(mut self) -> RootPlan {
        let libraries = self.libraries.into_files();
        let links = libraries.keys().filter_map(|target| in_lib64(target));
        // The loader itself is there.
        self.plan.links.extend(links.filter(|(link, _)| !libraries.contains_key(link)));
        for (target, source) in libraries {
            let covered =
                self.plan.binds.iter().any(|b| target.starts_with(&b.target) && source.starts_with(&b.source));
            if !covered {
                self.plan.binds.push(Bind { source, target });
            }
        }
        self.plan
    }
}

/// The link in `/lib64` to a library of the machine's: `LD_LIBRARY_PATH` names that before anything of the function's, as on
/// Lambda, whose system has its libraries there. Otherwise the loader looks into all of its folders for each of them first, and
/// into some eight subfolders of each: 240 system calls of a Python's start.
fn in_lib64(library: &Path) -> Option<(PathBuf, PathBuf)> {
    let within = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"];
    let name = within.iter().find_map(|directory| library.strip_prefix(directory).ok())?;
    (name.components().count() == 1).then(|| (Path::new("/usr/lib64").join(name), library.to_owned()))
}

/// The root of `provided.al2` and `provided.al2023`.
pub(crate) fn provided(common: &Draft) -> RootPlan {
    let mut draft = common.named("provided");
    draft.commands(&PROVIDED_COMMANDS);
    draft.done()
}

/// The root of `python3.minor`: `/var/lang` is the interpreter's prefix, without the host's packages. `bytecode` is that
/// of [`PYTHON_SOURCES`].
pub(crate) fn python(common: &Draft, minor: u32, found: &Interpreter, bytecode: Option<Vec<Vec<u8>>>) -> RootPlan {
    let program = format!("python3.{minor}");
    let mut draft = common.named(&program);
    let library = found.prefix.join("lib").join(&program);
    draft.libraries.add_file(found.executable.clone());
    let modules = fs::canonicalize(library.join("lib-dynload")).and_then(fs::read_dir);
    for module in modules.into_iter().flatten().flatten() {
        // Its libraries are a windowing system's.
        if !module.file_name().to_string_lossy().starts_with("_tkinter") {
            draft.libraries.add_file(module.path());
        }
    }
    draft.plan.directories.retain(|directory| !directory.starts_with("/var/lang"));
    draft.plan.links.push(("/var/lang".into(), found.prefix.clone()));
    let bin = found.prefix.join("bin");
    draft.bind(&found.executable, &bin.join(&program));
    for short in ["python3", "python"] {
        draft.plan.links.push((bin.join(short), program.clone().into()));
    }
    draft.bind(&library, &library);
    for packages in ["site-packages", "dist-packages"] {
        if library.join(packages).is_dir() {
            draft.plan.masks.push(library.join(packages));
        }
    }
    for (path, text) in PYTHON_SOURCES.into_iter().chain([PYTHON_REHEARSAL]) {
        draft.file(path, text);
    }
    let compiled = ["bootstrap.pyc".to_owned(), format!("__pycache__/_hearth_rare.cpython-3{minor}.pyc")];
    for (name, bytes) in compiled.iter().zip(bytecode.into_iter().flatten()) {
        draft.plan.files.push((Path::new("/var/runtime").join(name), bytes, false));
    }
    draft.done()
}

/// What Debian's build of Node.js reads from files instead of holding it: parts of itself, no packages for functions.
const DEBIANS_NODE_PARTS: [&str; 5] = [
    "/usr/share/nodejs/acorn/dist/acorn.js",
    "/usr/share/nodejs/acorn-walk/dist/walk.js",
    "/usr/share/nodejs/cjs-module-lexer/lexer.js",
    "/usr/share/nodejs/cjs-module-lexer/dist/lexer.js",
    "/usr/share/nodejs/undici/undici-fetch.js",
];

/// The root of `nodejs*.x`: the program alone, which holds its library.
pub(crate) fn node(common: &Draft, runtime: &str, found: &Interpreter) -> RootPlan {
    let mut draft = common.named(runtime);
    draft.libraries.add_file(found.executable.clone());
    draft.bind(&found.executable, Path::new("/var/lang/bin/node"));
    for part in DEBIANS_NODE_PARTS {
        draft.bind_if_there(part);
    }
    for (path, content) in NODE_BOOTSTRAP {
        draft.file(path, content);
    }
    draft.link("/var/runtime/ca-cert.pem", CERTIFICATES);
    draft.done()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_names_files_that_are_there_and_never_the_hosts_trees() {
        let plan = provided(&Draft::common());
        let target = |path: &str| plan.binds.iter().any(|b| b.target == Path::new(path));
        assert!(target("/usr/bin/sh") && plan.binds.iter().any(|b| b.target.ends_with("libc.so.6")));
        for bind in &plan.binds {
            assert!(bind.source.exists() && bind.source.is_absolute(), "{bind:?}");
            let whole = ["/", "/usr", "/etc", "/usr/lib", "/usr/bin", "/usr/lib/x86_64-linux-gnu"];
            assert!(!whole.iter().any(|w| bind.source == Path::new(w) || bind.target == Path::new(w)), "{bind:?}");
        }
    }

    #[test]
    fn libraries_are_in_lib64() {
        let links = provided(&Draft::common()).links;
        let to = |name| links.iter().find(|(link, _)| *link == Path::new("/usr/lib64").join(name)).map(|(_, to)| to);
        assert!(to("libc.so.6").is_some_and(|library| library.ends_with("libc.so.6")), "{links:?}");
        assert_eq!(to("ld-linux-x86-64.so.2"), None, "it is there itself");
    }

    #[test]
    fn no_target_is_named_twice() {
        let plan = provided(&Draft::common());
        let targets = plan.binds.into_iter().map(|bind| bind.target);
        let mut targets: Vec<_> = targets.chain(plan.links.into_iter().map(|(link, _)| link)).collect();
        let count = targets.len();
        targets.sort();
        targets.dedup();
        assert_eq!(targets.len(), count);
    }
}
