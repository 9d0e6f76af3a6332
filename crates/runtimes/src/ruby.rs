//! Ruby: where it is, its root, its variables.

use std::ffi::OsStr;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use hearth_types::rootfs::RootPlan;

use crate::discover::{Interpreter, program_at};
use crate::root::Draft;

/// Minor versions of Ruby 3 that are runtimes.
pub(crate) const RUBY_MINORS: RangeInclusive<u32> = 2..=4;

const BOOTSTRAP: &str = include_str!("bootstrap/bootstrap.rb");

/// The names of its runtimes.
pub(crate) fn names() -> impl Iterator<Item = String> {
    RUBY_MINORS.map(|minor| format!("ruby3.{minor}"))
}

/// The Ruby at this path, of whatever version; none where its library does not lie beside it.
pub(crate) fn at(candidate: &Path) -> Option<Interpreter> {
    let executable = program_at(candidate)?;
    let prefix = executable.parent()?.parent()?.to_owned();
    let suffix = executable.file_name()?.to_str()?.strip_prefix("ruby")?;
    let own = suffix.starts_with(|c: char| c.is_ascii_digit()).then(|| short(suffix));
    let version = own.or_else(|| only_version(&prefix))?;
    let library = prefix.join(format!("lib/ruby/{version}.0"));
    (library.join("set.rb").is_file() || library.join("logger.rb").is_file()).then(|| {
        let exact = prefix.file_name().and_then(OsStr::to_str).filter(|name| name.starts_with(&format!("{version}.")));
        let version = exact.map_or(version, str::to_owned);
        Interpreter { executable, prefix, version }
    })
}

/// The Ruby at this path, if it is 3.`minor`.
pub(crate) fn of_minor(candidate: &Path, minor: u32) -> Option<Interpreter> {
    at(candidate).filter(|found| short(&found.version) == format!("3.{minor}"))
}

/// The version whose library is here, if it is the only one.
fn only_version(prefix: &Path) -> Option<String> {
    let entries = fs::read_dir(prefix.join("lib/ruby")).ok()?.flatten();
    let mut versions = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        name.starts_with(|c: char| c.is_ascii_digit()).then(|| short(&name))
    });
    let only = versions.next()?;
    versions.next().is_none().then_some(only)
}

/// `3.1` of `3.1.2`.
fn short(version: &str) -> String {
    version.splitn(3, '.').take(2).collect::<Vec<_>>().join(".")
}

/// The root of `ruby3.minor`: `/var/lang` is the interpreter's prefix. Its own gems are there; of Debian's further
/// folders only what makes RubyGems itself.
pub(crate) fn root(common: &Draft, minor: u32, found: &Interpreter) -> RootPlan {
    let mut draft = common.named(&format!("ruby3.{minor}"));
    let version = format!("{}.0", short(&found.version));
    draft.libraries.add(&found.executable);
    draft.plan.directories.retain(|directory| !directory.starts_with("/var/lang"));
    draft.link("/var/lang", &found.prefix.to_string_lossy());
    let bin = found.prefix.join("bin");
    let name = found.executable.file_name().unwrap_or(OsStr::new("ruby"));
    draft.bind(&found.executable, &bin.join(name));
    if name != "ruby" {
        draft.plan.links.push((bin.join("ruby"), name.into()));
    }
    let ruby = found.prefix.join("lib/ruby");
    for library in libraries(&ruby, &version) {
        extensions(&library, &mut |file| draft.libraries.add_file(file));
        draft.bind(&library, &library);
    }
    let gems = ruby.join("gems").join(&version);
    draft.plan.links.push((format!("/var/runtime/ruby/3.{minor}.0").into(), gems));
    draft.file("/var/runtime/bootstrap.rb", BOOTSTRAP);
    draft.done()
}

/// The folders of a Ruby's library: its own; Debian's for compiled parts, for gems and for RubyGems.
fn libraries(ruby: &Path, version: &str) -> Vec<PathBuf> {
    let triplet = if cfg!(target_arch = "aarch64") { "aarch64-linux-gnu" } else { "x86_64-linux-gnu" };
    let compiled = ruby.parent().unwrap_or(ruby).join(triplet).join("ruby").join(version);
    let rubygems = ["rubygems", "rubygems.rb"].map(|part| ruby.join("vendor_ruby").join(part));
    let all = [ruby.join(version), compiled, ruby.join("gems").join(version)].into_iter().chain(rubygems);
    all.filter_map(|path| fs::canonicalize(&path).is_ok_and(|real| real == path).then_some(path)).collect()
}

/// All compiled parts below a folder.
fn extensions(folder: &Path, add: &mut impl FnMut(PathBuf)) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            extensions(&path, add);
        } else if path.extension().is_some_and(|extension| extension == "so") {
            add(path);
        }
    }
}

/// The search paths of `ruby3.minor`, as recorded on Lambda.
pub(crate) fn variables(minor: u32) -> [(&'static str, String); 3] {
    let gems = format!(
        "/var/task/vendor/bundle/ruby/3.{minor}.0:/opt/ruby/gems/3.{minor}.0:/var/runtime:/var/runtime/ruby/3.{minor}.0"
    );
    let library = "/var/runtime/gems/aws_lambda_ric-3.1.3/lib:/var/task:/var/runtime/lib:/opt/ruby/lib";
    [("GEM_PATH", gems), ("GEM_HOME", "/var/runtime".to_owned()), ("RUBYLIB", library.to_owned())]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(path: &Path, content: &[u8]) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    #[test]
    fn the_version_is_told_by_the_name_or_by_the_library() {
        let machine = tempfile::tempdir().unwrap();
        let debian = machine.path().join("usr/bin/ruby3.1");
        put(&debian, b"\x7fELF");
        assert_eq!(at(&debian), None, "without its library");
        put(&machine.path().join("usr/lib/ruby/3.1.0/logger.rb"), b"");
        put(&machine.path().join("usr/lib/ruby/3.3.0/logger.rb"), b"");
        assert_eq!(at(&debian).unwrap().version, "3.1");
        assert_eq!(of_minor(&debian, 3), None);
        let built = machine.path().join("versions/3.3.6/bin/ruby");
        put(&built, b"\x7fELF");
        put(&machine.path().join("versions/3.3.6/lib/ruby/3.3.0/logger.rb"), b"");
        put(&machine.path().join("versions/3.3.6/lib/ruby/gems/3.3.0/x"), b"");
        assert_eq!(of_minor(&built, 3).unwrap().version, "3.3.6");
    }
}
