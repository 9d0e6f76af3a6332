//! Packages that mean harm or make no sense: each is refused as a whole, and nothing of it is left.

use hearth_image::PackageError;
use hearth_types::limits::{UNZIPPED_BYTES, ZIP_ENTRIES, ZIP_PATH_DEPTH};

use crate::Bench;
use crate::archives::{Header, Parts, Raw, archive, parts};

const UNREADABLE: &str = "Could not unzip uploaded file. Please check your file, then try to upload again.";

fn good() -> Raw {
    Raw::deflated("good", b"good content")
}

#[track_caller]
fn malformed(zip: &[u8]) {
    let refusal = Bench::new().refuse(zip);
    assert!(matches!(refusal, PackageError::Malformed(_)), "{refusal:?}");
    assert_eq!(refusal.message(), UNREADABLE);
}

#[track_caller]
fn refused_entry(raws: &[Raw]) {
    let refusal = Bench::new().refuse(&archive(raws));
    assert!(matches!(refusal, PackageError::Entry { .. }), "{refusal:?}");
    assert!(refusal.message().starts_with(UNREADABLE));
}

#[test]
fn what_is_no_zip() {
    let whole = archive(&[good()]);
    for length in 0..whole.len() {
        malformed(&whole[..length]);
    }
    malformed(b"no zip at all, but longer than an end record");
    malformed(&[0; 1000]);
    let tar = [b"ustar".as_slice(), &[0; 2000]].concat();
    malformed(&tar);
}

#[test]
fn no_entries() {
    let refusal = Bench::new().refuse(&archive(&[]));
    assert_eq!(refusal.message(), "Uploaded file must be a non-empty zip");
    let mut hidden = parts(&[good()]);
    hidden.count = 0;
    malformed(&hidden.join());
}

#[test]
fn damaged_content() {
    for raw in [good(), Raw::stored("stored", b"content")] {
        for at in 0..raw.packed.len() {
            malformed(&archive(&[raw.clone().with(|raw| raw.packed[at] ^= 0x21)]));
        }
        malformed(&archive(&[raw.both(|header| header.crc ^= 1)]));
    }
}

#[test]
fn names_that_leave_or_deceive() {
    for name in ["../x", "/x", "a/../../x", "..\\x", "C:\\x", "C:/x", "a\0b", "a ", "a.", "..", "", "a/..", "./../x"] {
        refused_entry(&[good(), Raw::deflated(name, b"x")]);
    }
    let deep = format!("{}x", "d/".repeat(ZIP_PATH_DEPTH));
    for name in ["x".repeat(256), "x/".repeat(30_000), deep] {
        refused_entry(&[good(), Raw::deflated(&name, b"x")]);
    }
}

#[test]
fn names_with_two_readings() {
    refused_entry(&[good().with(|raw| {
        (raw.name, raw.local_name) = (vec![0xff], vec![0xff]);
        (raw.central.flags, raw.local.flags) = (1 << 11, 1 << 11);
    })]);
    let other_name = [b"up\x0a\x00\x01....".as_slice(), b"other"].concat();
    refused_entry(&[good().with(|raw| raw.central_extra = other_name)]);
}

#[test]
fn files_through_links() {
    for target in ["/tmp", "..", "d"] {
        refused_entry(&[good(), Raw::link("out", target), Raw::deflated("out/evil", b"x")]);
        refused_entry(&[good(), Raw::deflated("out/evil", b"x"), Raw::link("out", target)]);
        refused_entry(&[Raw::folder("d/"), Raw::link("d/out", target), Raw::deflated("d/out/a/b", b"x")]);
        refused_entry(&[Raw::link("out", target), Raw::folder("out/")]);
        refused_entry(&[Raw::link("out", target), Raw::link("./out/x", target)]);
    }
}

#[test]
fn links_that_are_none() {
    refused_entry(&[Raw::link("l", "")]);
    refused_entry(&[Raw::link("l", "a\0b")]);
    refused_entry(&[Raw::link("l", &"x".repeat(4096))]);
    refused_entry(&[Raw::link("l/", "x")]);
}

#[test]
fn one_path_twice() {
    refused_entry(&[good(), good()]);
    refused_entry(&[good(), Raw::deflated("./good", b"other")]);
    refused_entry(&[Raw::deflated("a/b", b"x"), Raw::deflated("a//b", b"x")]);
    refused_entry(&[Raw::deflated("a", b"x"), Raw::deflated("a/b", b"x")]);
    refused_entry(&[Raw::deflated("a/b", b"x"), Raw::deflated("a", b"x")]);
    refused_entry(&[Raw::deflated("a", b"x"), Raw::folder("a/")]);
    refused_entry(&[Raw::folder("a/"), Raw::deflated("a", b"x")]);
}

#[test]
fn what_is_neither_file_nor_folder_nor_link() {
    for kind in [0o010_000, 0o020_000, 0o060_000, 0o140_000, 0o150_000] {
        refused_entry(&[good(), Raw::stored("node", b"").mode(kind | 0o666)]);
    }
    refused_entry(&[Raw::stored("folder/", b"with content")]);
    refused_entry(&[Raw::stored("folder", b"").mode(0o040_755)]);
    refused_entry(&[Raw::folder("./").mode(0o120_777)]);
    refused_entry(&[Raw::stored(".", b"x")]);
}

#[test]
fn encrypted_or_unknown() {
    for bit in [0, 5, 6, 13] {
        refused_entry(&[good().both(|header| header.flags |= 1 << bit)]);
    }
    for method in [1, 9, 12, 14, 93, 97, u16::MAX] {
        malformed(&archive(&[good().both(|header| header.method = method)]));
    }
}

#[test]
fn headers_that_disagree() {
    let lies: [fn(&mut Header); 5] = [
        |header| header.crc ^= 1,
        |header| header.size += 1,
        |header| header.packed -= 1,
        |header| header.method = 0,
        |header| header.flags = 1 << 11,
    ];
    for lie in lies {
        malformed(&archive(&[good().with(|raw| lie(&mut raw.local))]));
        malformed(&archive(&[good().with(|raw| lie(&mut raw.central))]));
    }
    malformed(&archive(&[good().with(|raw| raw.local_name = b"evil".to_vec())]));
    malformed(&archive(&[good().with(|raw| raw.local_name = b"gooder".to_vec())]));
    malformed(&archive(&[good().with(|raw| raw.disk = 1)]));
}

#[test]
fn sizes_that_lie_in_both_headers() {
    for size in [0, 1, 11, 13, 5000, 200_000_000] {
        malformed(&archive(&[good().both(|header| header.size = size)]));
        malformed(&archive(&[Raw::stored("s", b"good content").both(|header| header.size = size)]));
    }
    // Something behind the end of the packed stream.
    malformed(&archive(&[good().both(|header| header.packed += 3).with(|raw| raw.packed.extend(b"abc"))]));
}

#[test]
fn descriptors_that_lie() {
    for signed in [true, false] {
        let raw = good().streamed(signed);
        for at in 0..raw.descriptor.len() {
            malformed(&archive(&[raw.clone().with(|raw| raw.descriptor[at] ^= 1)]));
        }
        malformed(&archive(&[raw.clone().with(|raw| raw.descriptor.push(0))]));
        malformed(&archive(&[raw.with(|raw| raw.descriptor.clear())]));
    }
    malformed(&archive(&[good().with(|raw| raw.descriptor = vec![0; 16])]));
}

#[test]
fn zip64_fields_that_lie() {
    let wide = |sizes: &[u64]| {
        let content: Vec<u8> = sizes.iter().flat_map(|size| size.to_le_bytes()).collect();
        [&[1, 0, u8::try_from(content.len()).unwrap(), 0][..], &content].concat()
    };
    for sizes in [&[][..], &[u64::MAX], &[1 << 40], &[0], &[13]] {
        let raw = good().with(|raw| {
            raw.central.size = u32::MAX;
            raw.central_extra = wide(sizes);
        });
        let refusal = Bench::new().refuse(&archive(&[raw]));
        assert!(matches!(refusal, PackageError::Malformed(_) | PackageError::TooLarge), "{refusal:?}");
    }
    let twice = good().with(|raw| {
        raw.central.size = u32::MAX;
        raw.central_extra = [wide(&[12]), wide(&[99])].concat();
    });
    malformed(&archive(&[twice]));
    malformed(&archive(&[good().with(|raw| raw.offset = Some(u32::MAX))]));

    for count in [0, 2, u64::MAX] {
        let refusal = Bench::new().refuse(&parts(&[good()]).zip64(count).join());
        assert!(matches!(refusal, PackageError::Malformed(_)), "{refusal:?}");
    }
    let whole = parts(&[good()]).zip64(1);
    for at in 0..whole.zip64.len() {
        // The versions and the locator's count of disks say nothing that matters.
        let idle = matches!(at, 12..=15) || at == whole.zip64.len() - 4;
        if !idle {
            Bench::new().refuse(&Parts { zip64: changed(&whole.zip64, at), ..whole.clone() }.join());
        }
    }
}

fn changed(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 0x81;
    bytes
}

#[test]
fn something_before_between_or_behind() {
    let whole = parts(&[good(), Raw::stored("second", b"x")]);
    malformed(&[b"#!/bin/sh\n".as_slice(), &whole.join()].concat());
    malformed(&[whole.join().as_slice(), b"x"].concat());
    malformed(&[whole.join(), whole.join()].concat());
    // A prefix that the offsets take into account.
    let prefixed = |raw: Raw| parts(&[good(), raw.clone()]).entries.len() - parts(&[raw]).entries.len();
    let second = Raw::stored("second", b"x");
    let mut hidden = parts(&[good(), second.clone()]);
    hidden.directory =
        parts(&[second.clone().with(|raw| raw.offset = Some(prefixed(second).try_into().unwrap()))]).directory;
    hidden.count = 1;
    malformed(&hidden.join());
    // An end record inside the comment: which one counts?
    let mut nested = whole.clone();
    nested.comment = archive(&[]);
    malformed(&nested.join());
    for disks in [[1, 0], [0, 1], [1, 1]] {
        malformed(&Parts { disks, ..whole.clone() }.join());
    }
    for count in [1, 3] {
        malformed(&Parts { count, ..whole.clone() }.join());
    }
}

#[test]
fn overlapping_entries() {
    let first = Raw::deflated("0", &vec![0; 100_000]);
    let mut whole = parts(std::slice::from_ref(&first));
    for n in 1..400 {
        let name = n.to_string().into_bytes();
        let copy = first.clone().with(|raw| (raw.name, raw.offset) = (name, Some(0)));
        whole.directory.extend(parts(&[copy]).directory);
        whole.count += 1;
    }
    malformed(&whole.join());
}

#[test]
fn bombs() {
    let large = "Unzipped size must be smaller than 262144000 bytes";
    let zeros = Raw::deflated("0", &vec![0; 10 << 20]);
    let named = |n: u8| zeros.clone().with(|raw| (raw.name, raw.local_name) = (vec![n], vec![n]));
    let refusal = Bench::new().refuse(&archive(&(b'A'..=b'Z').map(named).collect::<Vec<_>>()));
    assert_eq!(refusal.message(), large);
    let declared = good().both(|header| header.size = u32::try_from(UNZIPPED_BYTES).unwrap() + 1);
    assert_eq!(Bench::new().refuse(&archive(&[declared])).message(), large);
    // 10 MB that say they are 10: noticed at the 11th byte.
    malformed(&archive(&[zeros.both(|header| header.size = 10)]));
    // An archive inside is a file like any other.
    let nested = Raw::stored("nested.zip", &archive(&[Raw::deflated("0", &[0; 1000])]));
    assert!(Bench::new().unpack(&archive(&[nested])).is_ok());
}

#[test]
fn too_many() {
    let refusal = Bench::new().refuse(&parts(&[good()]).zip64(ZIP_ENTRIES as u64 + 1).join());
    assert!(matches!(refusal, PackageError::Malformed(_)), "the short record says another count: {refusal:?}");
    let whole = Parts { count: u16::MAX, ..parts(&[good()]) };
    let refusal = Bench::new().refuse(&whole.zip64(ZIP_ENTRIES as u64 + 1).join());
    assert!(matches!(refusal, PackageError::TooMany(ZIP_ENTRIES)), "{refusal:?}");
    // Folders that are only implied count as well.
    let deep = |n: usize| Raw::stored(&format!("{n}/{}x", "d/".repeat(ZIP_PATH_DEPTH - 2)), b"");
    let raws: Vec<_> = (0..ZIP_ENTRIES / (ZIP_PATH_DEPTH - 1) + 1).map(deep).collect();
    let refusal = Bench::new().refuse(&archive(&raws));
    assert!(matches!(refusal, PackageError::TooMany(ZIP_ENTRIES)), "{refusal:?}");
}
