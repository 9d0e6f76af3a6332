//! Java: where it is, its root, its command line.

use std::fs;
use std::path::{Path, PathBuf};

use hearth_types::rootfs::RootPlan;

use crate::discover::{Interpreter, program_at};
use crate::root::Draft;

/// Releases of Java that are runtimes.
pub(crate) const JAVA_MAJORS: [u32; 5] = [8, 11, 17, 21, 25];

/// The bootstrap, compiled from `java/` by `cargo xtask java`.
const BOOTSTRAP: &[u8] = include_bytes!("bootstrap/java.jar");
/// Where it is inside.
const JAR: &str = "/var/runtime/lib/hearth-runtime.jar";

/// What every one is started with.
const FLAGS: [&str; 5] = [
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-Xshare:auto",
    "-Djava.net.preferIPv4Stack=true",
];

/// Libraries of the JDK that need a screen or a loudspeaker.
const OF_DESKTOPS: [&str; 5] =
    ["libawt_xawt.so", "libjawt.so", "libjsound.so", "libsplashscreen.so", "libatk-wrapper.so"];

/// `java21`, `java8.al2`.
pub(crate) fn name(major: u32) -> String {
    if major == 8 { "java8.al2".to_owned() } else { format!("java{major}") }
}

/// The Java at this path, of whatever release; none where it is no whole one.
pub(crate) fn at(candidate: &Path) -> Option<Interpreter> {
    let executable = program_at(candidate).filter(|file| file.ends_with("bin/java"))?;
    let prefix = executable.parent()?.parent()?.to_owned();
    let text = fs::read_to_string(prefix.join("release")).or_else(|_| fs::read_to_string(prefix.join("../release")));
    let version = text
        .ok()?
        .lines()
        .find_map(|line| Some(line.strip_prefix("JAVA_VERSION=\"")?.trim_end_matches('"').to_owned()))?;
    major(&version)?;
    prefix.join("lib").is_dir().then_some(Interpreter { executable, prefix, version })
}

/// 17 of `17.0.15`, 8 of `1.8.0_402`.
fn major(version: &str) -> Option<u32> {
    let mut numbers = version.split(['.', '_', '-', '+']).map_while(|part| part.parse().ok());
    numbers.next().and_then(|first| if first == 1 { numbers.next() } else { Some(first) })
}

/// What serves `wanted`: its own release, all that were found; else, from 11 on, the oldest that is newer, since a Java
/// runs what was compiled for those before it.
pub(crate) fn choose(found: &[Interpreter], wanted: u32) -> Vec<&Interpreter> {
    let of = |one: &&Interpreter| major(&one.version).unwrap_or(0);
    let exact: Vec<_> = found.iter().filter(|one| of(one) == wanted).collect();
    if exact.is_empty() {
        return found.iter().filter(|one| wanted >= 11 && of(one) > wanted).min_by_key(of).into_iter().collect();
    }
    exact
}

/// The root of a Java runtime: `/var/lang` is the JDK or JRE.
pub(crate) fn root(common: &Draft, major: u32, found: &Interpreter) -> RootPlan {
    let mut draft = common.named(&name(major));
    draft.plan.directories.retain(|directory| !directory.starts_with("/var/lang"));
    draft.link("/var/lang", &found.prefix.to_string_lossy());
    draft.libraries.add(&found.executable);
    draft.bind(&found.executable, &found.prefix.join("bin/java"));
    let mut elsewhere = Vec::new();
    for part in ["lib", "conf"].map(|part| found.prefix.join(part)) {
        if part.is_dir() {
            walk(&part, &mut draft, &mut elsewhere);
            draft.bind(&part, &part);
        }
    }
    elsewhere.sort();
    elsewhere.dedup();
    for path in elsewhere {
        draft.bind_if_there(&path.to_string_lossy());
    }
    draft.plan.files.push((JAR.into(), BOOTSTRAP.into(), false));
    draft.done()
}

/// Adds what the libraries below a folder need, and notes where its symbolic links lead to: Debian keeps a JDK's
/// configuration below /etc.
fn walk(folder: &Path, draft: &mut Draft, elsewhere: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            walk(&path, draft, elsewhere);
        } else if kind.is_symlink() {
            let target = fs::read_link(&path).unwrap_or_default();
            elsewhere.extend(target.is_absolute().then(|| configuration_of(&target)));
        } else if path.extension().is_some_and(|e| e == "so") && !OF_DESKTOPS.iter().any(|desktop| name == *desktop) {
            draft.libraries.add_file(path);
        }
    }
}

/// `/etc/java-17-openjdk` of what is in it, else the file itself.
fn configuration_of(target: &Path) -> PathBuf {
    let first: PathBuf = target.components().take(3).collect();
    if first.to_string_lossy().starts_with("/etc/java-") { first } else { target.to_owned() }
}

/// The command line, with Lambda's own settings: one thread collects garbage, the quick compiler compiles. `version` is
/// the interpreter's.
pub(crate) fn command(runtime: u32, version: &str, memory_mb: u32) -> Vec<String> {
    let heap_kb = u64::from(memory_mb) * 1024 * 85 / 100;
    let mut line = vec!["/var/lang/bin/java".to_owned(), format!("-XX:MaxHeapSize={heap_kb}k")];
    line.extend(FLAGS.map(str::to_owned));
    // Before Java 17 the trace's id is a variable, which Java lets nobody set. Not elsewhere: it takes 15 ms.
    if runtime < 17 && major(version) > Some(8) {
        line.push("--add-opens=java.base/java.util=ALL-UNNAMED".to_owned());
    }
    line.extend(["-cp", JAR, "hearth.runtime.Main"].map(str::to_owned));
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interpreter(version: &str) -> Interpreter {
        Interpreter { executable: "/j/bin/java".into(), prefix: "/j".into(), version: version.to_owned() }
    }

    #[test]
    fn its_own_release_serves_a_name_or_a_newer_one() {
        let found = ["25.0.3", "17.0.15", "17.0.2", "1.8.0_402"].map(interpreter);
        let chosen = |wanted| choose(&found, wanted).first().map(|one| one.version.as_str());
        assert_eq!(
            [8, 11, 17, 21, 25].map(chosen),
            [Some("1.8.0_402"), Some("17.0.15"), Some("17.0.15"), Some("25.0.3"), Some("25.0.3")]
        );
        assert_eq!(choose(&found, 17).len(), 2);
        assert!(choose(&found[1..3], 21).is_empty());
        assert!(choose(&found[..3], 8).is_empty(), "much went after Java 8");
    }

    #[test]
    fn only_where_variables_are_set_something_is_opened() {
        let opens =
            |runtime, version| command(runtime, version, 128).iter().any(|word| word.starts_with("--add-opens"));
        assert!(opens(11, "17.0.15") && opens(8, "11.0.2"));
        assert!(!opens(8, "1.8.0_402") && !opens(17, "17.0.15") && !opens(21, "25"));
        assert!(command(17, "17.0.15", 512).contains(&"-XX:MaxHeapSize=445644k".to_owned()));
    }

    #[test]
    fn versions_are_read_old_and_new() {
        assert_eq!(
            ["17", "17.0.15", "1.8.0_402", "25-ea", "x"].map(major),
            [Some(17), Some(17), Some(8), Some(25), None]
        );
    }
}
