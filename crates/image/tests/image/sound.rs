//! Packages as real tools write them.

use std::collections::HashSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use hearth_image::judge;
use hearth_types::CodeDigest;
use hearth_types::limits::{JUDGED_UNZIPPED_BYTES, JUDGED_ZIP_BYTES, ZIP_PARALLEL_BYTES};

use crate::archives::{Raw, archive, parts};
use crate::{Bench, names};

const MODIFIED: i64 = 1_704_164_646;

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn files_folders_links_and_modes() {
    let bench = Bench::new();
    let zip = archive(&[
        Raw::deflated("app.py", b"print(1)"),
        Raw::stored("bin/tool", b"#!/bin/sh\n").mode(0o100_755),
        Raw::folder("empty/"),
        Raw::folder("empty/"),
        Raw::deflated("a/b/c/deep", b""),
        Raw::deflated("set", b"").mode(0o107_777),
        Raw::deflated("closed", b"x").mode(0o100_000),
        Raw::deflated("no type", b"x").mode(0o700),
        Raw::deflated("./dot", b"x"),
        // MS-DOS: its attributes are no modes.
        Raw::deflated("from dos", b"x").mode(0o777).with(|raw| raw.made_by = 20),
        Raw::deflated("no mode", b"x").mode(0),
        Raw::link("a/link", "../app.py"),
        Raw::link("outside", "/etc/passwd"),
        Raw::link("nowhere", "../../.."),
    ]);
    let (unpacked, root) = bench.unpack(&zip).unwrap();
    assert_eq!((unpacked.entries, unpacked.bytes), (14, 8 + 10 + 5 + 9 + 11 + 8));
    let listed =
        ["a", "app.py", "bin", "closed", "dot", "empty", "from dos", "no mode", "no type", "nowhere", "outside", "set"];
    assert_eq!(names(&root), listed);
    assert_eq!(fs::read(root.join("app.py")).unwrap(), b"print(1)");
    assert_eq!(fs::read(root.join("bin/tool")).unwrap(), b"#!/bin/sh\n");
    assert_eq!(fs::metadata(root.join("app.py")).unwrap().mtime(), MODIFIED);
    for (path, expected) in [
        ("", 0o755),
        ("a", 0o755),
        ("empty", 0o755),
        ("a/b/c", 0o755),
        ("app.py", 0o644),
        ("bin/tool", 0o755),
        ("set", 0o777),
        ("closed", 0o444),
        ("no type", 0o755),
        ("from dos", 0o644),
        ("no mode", 0o644),
    ] {
        assert_eq!(mode(&root.join(path)), expected, "{path}");
    }
    for (link, target) in [("a/link", "../app.py"), ("outside", "/etc/passwd"), ("nowhere", "../../..")] {
        assert_eq!(fs::read_link(root.join(link)).unwrap(), Path::new(target));
    }
}

#[test]
fn exact_times_come_from_the_extra_field() {
    let bench = Bench::new();
    let exact = [b"UT\x05\x00\x03".as_slice(), &1_700_000_001_i32.to_le_bytes()].concat();
    let zip = archive(&[Raw::deflated("f", b"x").with(|raw| raw.central_extra = exact)]);
    let (_, root) = bench.unpack(&zip).unwrap();
    assert_eq!(fs::metadata(root.join("f")).unwrap().mtime(), 1_700_000_001);
}

#[test]
fn sizes_behind_the_content_and_in_zip64_fields() {
    let bench = Bench::new();
    let wide = |size: u32, packed: usize| {
        [&[1, 0, 16, 0][..], &u64::from(size).to_le_bytes(), &(packed as u64).to_le_bytes()].concat()
    };
    let zip64 = Raw::deflated("wide", b"content").with(|raw| {
        raw.local_extra = wide(raw.local.size, raw.packed.len());
        raw.central_extra = raw.local_extra.clone();
        (raw.local.size, raw.local.packed) = (u32::MAX, u32::MAX);
        (raw.central.size, raw.central.packed) = (u32::MAX, u32::MAX);
    });
    // A writer that reserves room for a large file, then writes a small one.
    let reserved = Raw::deflated("reserved", b"content").with(|raw| {
        raw.local_extra = wide(raw.local.size, raw.packed.len());
        (raw.local.size, raw.local.packed) = (u32::MAX, u32::MAX);
    });
    let wide_descriptor = Raw::deflated("wide descriptor", b"content").streamed(true).with(|raw| {
        raw.descriptor = [b"PK\x07\x08".as_slice(), &raw.central.crc.to_le_bytes()].concat();
        raw.descriptor.extend(u64::from(raw.central.packed).to_le_bytes());
        raw.descriptor.extend(u64::from(raw.central.size).to_le_bytes());
    });
    let padded = Raw::stored("padded", b"content").with(|raw| raw.local_extra = vec![0; 3]);
    let streamed = [
        Raw::deflated("signed", b"content").streamed(true),
        Raw::stored("unsigned", b"content").streamed(false),
        zip64,
        reserved,
        wide_descriptor,
        padded,
    ];
    let mut parts = parts(&streamed).zip64(6);
    parts.comment = b"a comment".to_vec();
    let (_, root) = bench.unpack(&parts.join()).unwrap();
    assert_eq!(names(&root).len(), 6);
    for name in names(&root) {
        assert_eq!(fs::read(root.join(&name)).unwrap(), b"content", "{name}");
    }
}

#[test]
fn what_python_writes() {
    const SCRIPT: &str = r#"
import stat, sys, zipfile
class Unseekable:
    def __init__(self, file): self.file = file
    def write(self, data): return self.file.write(data)
    def flush(self): self.file.flush()
for path, stream in (sys.argv[1], False), (sys.argv[2], True):
    with open(path, "wb") as file, zipfile.ZipFile(Unseekable(file) if stream else file, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("plain", "x" * 1000)
        z.writestr("stored", "y", zipfile.ZIP_STORED)
        z.writestr("dir/", "")
        z.writestr(zipfile.ZipInfo("bare"), "z")
        z.writestr("ünïcode", "u")
        info = zipfile.ZipInfo("link"); info.external_attr = (stat.S_IFLNK | 0o777) << 16
        z.writestr(info, "plain")
        with z.open("large", "w", force_zip64=True) as out: out.write(b"l" * 100000)
with zipfile.ZipFile(sys.argv[1], "a") as z: z.writestr("appended", "a")
"#;
    let bench = Bench::new();
    let paths = ["seekable", "stream"].map(|name| bench.folder.path().join(name));
    let status = Command::new("python3").arg("-c").arg(SCRIPT).args(&paths).status().unwrap();
    assert!(status.success());
    for path in paths {
        let (_, root) = bench.unpack(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(fs::read(root.join("link")).unwrap(), [b'x'; 1000], "{path:?}");
        assert_eq!(fs::read(root.join("large")).unwrap(), vec![b'l'; 100_000]);
        assert_eq!(fs::read(root.join("ünïcode")).unwrap(), b"u");
        assert_eq!(mode(&root.join("plain")), 0o644, "0600 there, and readable here");
        assert!(root.join("dir").is_dir());
    }
}

#[test]
fn many_threads_unpack_one_package() {
    let bench = Bench::new();
    let content = |n: u32| n.to_le_bytes().repeat(usize::try_from(ZIP_PARALLEL_BYTES / 16).unwrap());
    let raws: Vec<_> = (0..8).map(|n| Raw::deflated(&format!("d{n}/f"), &content(n))).collect();
    let zip = archive(&raws);
    let digest = CodeDigest::of(&zip);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| bench.unpacker.unpack(&digest, &zip).unwrap());
        }
    });
    let root = bench.unpacker.path(&digest);
    for n in 0..8 {
        assert!(fs::read(root.join(format!("d{n}/f"))).unwrap() == content(n));
    }
    assert_eq!(names(root.parent().unwrap()), [".whole".to_owned(), digest.to_string()]);
}

#[test]
fn unpacked_once_kept_and_removed() {
    let bench = Bench::new();
    let zips = ["one", "two"].map(|name| archive(&[Raw::deflated(name, b"x")]));
    let [one, two] = zips.each_ref().map(|zip| bench.unpack(zip).unwrap().1);
    let before = fs::metadata(&one).unwrap().ino();
    bench.unpack(&zips[0]).unwrap();
    assert_eq!(fs::metadata(&one).unwrap().ino(), before, "it was there already");

    let digests = zips.each_ref().map(|zip| CodeDigest::of(zip));
    assert_eq!(bench.unpacker.list().unwrap(), HashSet::from(digests));
    bench.unpacker.remove(&digests[0]).unwrap();
    assert_eq!(bench.unpacker.list().unwrap(), HashSet::from([digests[1]]));
    assert!(!one.exists() && two.exists());
    assert!(!bench.unpacker.is_whole(&CodeDigest::of(&zips[0])));
    bench.unpacker.remove(&CodeDigest::of(&zips[1])).unwrap();
    bench.unpacker.remove(&CodeDigest::of(&zips[1])).unwrap();
    assert_eq!(names(&bench.folder.path().join("code")), [".whole"]);
    assert!(names(&bench.folder.path().join("code/.whole")).is_empty());
}

#[test]
fn a_disk_that_fails_is_not_the_callers_fault() {
    let bench = Bench::new();
    let code = bench.folder.path().join("code");
    fs::remove_dir_all(&code).unwrap();
    fs::write(&code, "a file where the folder was").unwrap();
    fs::set_permissions(&code, Permissions::from_mode(0o600)).unwrap();
    let zip = archive(&[Raw::deflated("f", b"x")]);
    let cause = bench.unpacker.unpack(&CodeDigest::of(&zip), &zip).unwrap_err();
    assert!(!cause.is_callers(), "{cause}");
}

#[test]
fn what_is_large_is_not_judged_here() {
    let of = |entries: &[Raw]| judge(&archive(entries)).map(|judged| judged.unwrap().bytes);
    let most = JUDGED_UNZIPPED_BYTES as usize;
    assert_eq!(of(&[Raw::deflated("a", &vec![0; most])]), Some(JUDGED_UNZIPPED_BYTES));
    assert_eq!(of(&[Raw::deflated("a", &vec![0; most]), Raw::stored("b", b"1")]), None);
    assert_eq!(of(&[Raw::stored("a", &vec![0; JUDGED_ZIP_BYTES])]), None);
}
