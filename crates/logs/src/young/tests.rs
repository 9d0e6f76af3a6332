use std::collections::BTreeMap;

use bytes::Bytes;
use hearth_types::limits::LOG_YOUNG_SETTLED;
use proptest::prelude::*;

use super::*;
use crate::groups::{Groups, Kept};
use crate::queue::Arrived;
use crate::store::Refused;

fn append(groups: &Groups, name: &str, texts: &[&str], now_ms: i64) -> Vec<u64> {
    let line = |text: &&str| {
        let message = Bytes::copy_from_slice(text.as_bytes());
        Arrived { stream: "s".into(), timestamp_ms: now_ms, message }
    };
    let lines: Vec<Arrived> = texts.iter().map(line).collect();
    let appended = groups.append(&name.into(), &lines, now_ms).unwrap();
    appended.lines.iter().map(|line| line.sequence).collect()
}

/// The lines of a group, which settles by that; none where it is not there.
fn texts(groups: &Groups, name: &str) -> Vec<String> {
    match groups.with(name, |group| Ok(crate::search::last(&group.view(0)?, 1000)?)) {
        Ok(lines) => lines.iter().map(|line| String::from_utf8_lossy(&line.message).into_owned()).collect(),
        Err(Refused::NoGroup) => Vec::new(),
        Err(cause) => panic!("{cause}"),
    }
}

fn is_young(groups: &Groups, name: &str) -> bool {
    groups.with_kept(name, |kept| matches!(kept, Kept::Young(_))).unwrap()
}

fn settle(groups: &Groups, name: &str) -> Result<(), Refused> {
    groups.with(name, |_| Ok(()))
}

/// The paths of the shared files, in order.
fn shared(root: &Path) -> Vec<PathBuf> {
    numbers(root).unwrap().into_iter().map(|number| path(root, number)).collect()
}

#[test]
fn a_young_group_outlives_a_restart_and_goes_on() {
    let root = tempfile::tempdir().unwrap();
    let groups = Groups::open(root.path()).unwrap();
    let sequences = append(&groups, "g", &["1", "2"], 5);
    append(&groups, "other", &["x"], 6);
    assert!(!folder(root.path(), "g").exists());
    drop(groups);
    let groups = Groups::open(root.path()).unwrap();
    assert!(is_young(&groups, "g"));
    assert_eq!(groups.with_kept("g", |kept| kept.info().created_ms).unwrap(), 5);
    assert_eq!(append(&groups, "g", &["3"], 7), [sequences[1] + 1]);
    assert_eq!(texts(&groups, "g"), ["1", "2", "3"]);
    assert_eq!(texts(&groups, "other"), ["x"]);
}

#[test]
fn a_torn_end_is_cut_off_and_hides_nothing_that_comes() {
    let root = tempfile::tempdir().unwrap();
    let groups = Groups::open(root.path()).unwrap();
    append(&groups, "g", &["1"], 5);
    let path = shared(root.path()).remove(0);
    let whole = fs::read(&path).unwrap().len();
    append(&groups, "g", &["torn"], 6);
    let all = fs::read(&path).unwrap();
    drop(groups);
    for end in whole..all.len() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("+young-7"), &all[..end]).unwrap();
        append(&Groups::open(root.path()).unwrap(), "g", &["2"], 7);
        assert_eq!(texts(&Groups::open(root.path()).unwrap(), "g"), ["1", "2"], "{end} bytes");
    }
    for at in whole..all.len() {
        let mut damaged = all.clone();
        damaged[at] ^= 1;
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("+young-7"), &damaged).unwrap();
        assert_eq!(texts(&Groups::open(root.path()).unwrap(), "g"), ["1"], "byte {at}");
    }
}

#[test]
fn only_who_asks_for_more_than_a_list_makes_it_settle() {
    let root = tempfile::tempdir().unwrap();
    let groups = Groups::open(root.path()).unwrap();
    append(&groups, "g", &["1"], 5);
    let mut infos = Vec::new();
    groups.each(None, |kept| {
        infos.push(kept.info());
        true
    });
    groups.tidy(5);
    assert!(infos[0].bytes > 0 && is_young(&groups, "g"));
    assert!(matches!(groups.create(About::new("g", 6)), Err(Refused::GroupExists)));
    assert!(!is_young(&groups, "g"), "what a client is told of is on stable storage");
    let settled = groups.with_kept("g", |kept| kept.info()).unwrap();
    assert_eq!(settled, infos[0]);
}

#[test]
fn it_settles_when_it_has_many_lines() {
    let root = tempfile::tempdir().unwrap();
    let groups = Groups::open(root.path()).unwrap();
    let large = "x".repeat(LOG_YOUNG_BYTES / 4);
    let mut sequences = Vec::new();
    for _ in 0..3 {
        sequences.extend(append(&groups, "g", &[&large], 5));
    }
    assert!(is_young(&groups, "g"));
    for _ in 0..3 {
        sequences.extend(append(&groups, "g", &[&large], 5));
    }
    assert!(!is_young(&groups, "g"));
    assert!(sequences.is_sorted_by(|one, next| one + 1 == *next), "{sequences:?}");
    assert_eq!(texts(&groups, "g").len(), 6);
    // At once, and for what lines have beside their messages.
    append(&groups, "flood", &[&large, &large, &large, &large, &large], 5);
    append(&groups, "short", &["x"; LOG_YOUNG_BYTES / 20], 5);
    assert!(!is_young(&groups, "flood") && !is_young(&groups, "short"));
    drop(groups);
    let groups = Groups::open(root.path()).unwrap();
    assert_eq!((texts(&groups, "g").len(), texts(&groups, "flood").len()), (6, 5));
    assert_eq!(texts(&groups, "short").len(), 1000);
}

/// What a store's folder has after a crash in the course of a settlement, by the step before which it came.
fn crashed(root: &Path, step: &str) {
    let groups = Groups::open(root).unwrap();
    append(&groups, "g", &["1", "2"], 5);
    let path = shared(root).remove(0);
    let before = fs::read(&path).unwrap();
    settle(&groups, "g").unwrap();
    drop(groups);
    let folder = folder(root, "g");
    if step == "lines" {
        fs::remove_dir_all(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
    } else if step == "group.json" {
        fs::remove_file(folder.join("group.json")).unwrap();
    }
    if step != "end" {
        fs::write(&path, before).unwrap();
    }
}

const STEPS: [&str; 4] = ["lines", "group.json", "left", "end"];

#[test]
fn a_crash_while_it_settles_loses_and_doubles_nothing() {
    for step in STEPS {
        for begins_anew in [false, true] {
            let root = tempfile::tempdir().unwrap();
            crashed(root.path(), step);
            let mut groups = Groups::open(root.path()).unwrap();
            assert_eq!(is_young(&groups, "g"), ["lines", "group.json"].contains(&step), "{step}");
            append(&groups, "g", &["3"], 6);
            if begins_anew {
                groups = Groups::open(root.path()).unwrap();
            }
            assert_eq!(texts(&groups, "g"), ["1", "2", "3"], "{step}");
            drop(groups);
            let groups = Groups::open(root.path()).unwrap();
            assert!(!is_young(&groups, "g"), "{step}");
            assert_eq!(texts(&groups, "g"), ["1", "2", "3"], "{step}");
        }
    }
}

/// Where the power failed: of the shared file less is on stable storage than of the folder.
#[test]
fn what_a_settlement_has_left_is_not_in_the_way_of_new_lines() {
    let root = tempfile::tempdir().unwrap();
    let groups = Groups::open(root.path()).unwrap();
    append(&groups, "g", &["1"], 5);
    let path = shared(root.path()).remove(0);
    let before = fs::read(&path).unwrap();
    append(&groups, "g", &["lost"], 5);
    settle(&groups, "g").unwrap();
    drop(groups);
    fs::remove_file(folder(root.path(), "g").join("group.json")).unwrap();
    fs::write(&path, before).unwrap();
    let groups = Groups::open(root.path()).unwrap();
    append(&groups, "g", &["2"], 6);
    assert_eq!(texts(&groups, "g"), ["1", "2"]);
}

#[test]
fn no_lines_are_no_end() {
    let root = tempfile::tempdir().unwrap();
    let groups = Groups::open(root.path()).unwrap();
    append(&groups, "g", &["1"], 5);
    append(&groups, "g", &[], 5);
    assert_eq!(texts(&Groups::open(root.path()).unwrap(), "g"), ["1"]);
    let long = "g".repeat(usize::from(u16::MAX) + 2);
    append(&groups, &long, &["1"], 5);
    assert_eq!(texts(&Groups::open(root.path()).unwrap(), &long), ["1"]);
}

#[test]
fn one_that_is_deleted_after_such_a_crash_does_not_come_back() {
    for step in STEPS {
        let root = tempfile::tempdir().unwrap();
        crashed(root.path(), step);
        Groups::open(root.path()).unwrap().delete("g").unwrap();
        let groups = Groups::open(root.path()).unwrap();
        assert!(matches!(settle(&groups, "g"), Err(Refused::NoGroup)), "{step}");
        assert!(!folder(root.path(), "g").exists(), "{step}");
        append(&groups, "g", &["new"], 6);
        assert_eq!(texts(&groups, "g"), ["new"], "{step}");
    }
}

#[test]
fn what_could_not_settle_stays_young_and_does_so_later() {
    let root = tempfile::tempdir().unwrap();
    let groups = Groups::open(root.path()).unwrap();
    append(&groups, "g", &["1", "2"], 5);
    let obstacle = folder(root.path(), "g").join("group.json.new");
    fs::create_dir_all(&obstacle).unwrap();
    assert!(matches!(settle(&groups, "g"), Err(Refused::Io(_))));
    assert!(is_young(&groups, "g"));
    append(&groups, "g", &["3"], 6);
    fs::remove_dir(&obstacle).unwrap();
    assert_eq!(texts(&groups, "g"), ["1", "2", "3"]);
    append(&groups, "deleted", &["1"], 5);
    fs::create_dir_all(folder(root.path(), "deleted").join("group.json.new")).unwrap();
    assert!(settle(&groups, "deleted").is_err());
    groups.delete("deleted").unwrap();
    assert!(!folder(root.path(), "deleted").exists());
}

#[test]
fn a_deleted_group_does_not_come_back_and_counts_on() {
    for settles in [false, true] {
        let root = tempfile::tempdir().unwrap();
        let groups = Groups::open(root.path()).unwrap();
        let before = append(&groups, "g", &["before"], 5);
        if settles {
            settle(&groups, "g").unwrap();
            assert!(groups.nursery().lock().shared[0].is_unsynced);
        }
        let groups = Groups::open(root.path()).unwrap();
        assert!(groups.nursery().lock().shared[0].is_unsynced, "it may never have been put on stable storage");
        groups.delete("g").unwrap();
        assert!(!groups.nursery().lock().shared[0].is_unsynced, "it is not on stable storage that it is gone");
        assert!(matches!(groups.delete("g"), Err(Refused::NoGroup)));
        drop(groups);
        let groups = Groups::open(root.path()).unwrap();
        assert!(matches!(settle(&groups, "g"), Err(Refused::NoGroup)));
        let after = append(&groups, "g", &["after"], 6);
        assert!(after[0] > before[0]);
        assert!(is_young(&groups, "g"));
        drop(groups);
        assert_eq!(texts(&Groups::open(root.path()).unwrap(), "g"), ["after"]);
    }
}

/// A line that has room in a young group, once.
fn large() -> String {
    "x".repeat(LOG_YOUNG_BYTES - 1024)
}

#[test]
fn a_damaged_group_goes_on_with_a_folder() {
    let root = tempfile::tempdir().unwrap();
    let groups = Groups::open(root.path()).unwrap();
    append(&groups, "g", &["1"], 5);
    settle(&groups, "g").unwrap();
    fs::write(folder(root.path(), "g").join("group.json"), b"{").unwrap();
    let groups = Groups::open(root.path()).unwrap();
    append(&groups, "g", &["2"], 6);
    assert_eq!(texts(&Groups::open(root.path()).unwrap(), "g"), ["1", "2"]);
}

/// Groups with [`large`] lines, as many as the newer shared file has room for.
fn fill(groups: &Groups, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    let has_room = || {
        let files = groups.nursery().lock();
        let bytes = files.shared.back().map_or(0, |file| file.bytes);
        bytes + LOG_YOUNG_BYTES as u64 <= LOG_YOUNG_FILE_BYTES
    };
    while names.is_empty() || has_room() {
        let name = format!("{prefix}{}", names.len());
        append(groups, &name, &[&large()], 5);
        assert!(is_young(groups, &name), "{name}");
        names.push(name);
    }
    names
}

#[test]
fn the_groups_of_a_full_file_settle_and_it_goes() {
    let root = tempfile::tempdir().unwrap();
    let groups = Groups::open(root.path()).unwrap();
    let large = large();
    let old = fill(&groups, "old");
    assert!(!groups.settle_some().unwrap(), "nothing has to go yet");
    append(&groups, "new", &[&large], 5);
    append(&groups, "small", &["small"], 5);
    assert_eq!(shared(root.path()).len(), 2);
    let before = shared(root.path());
    // In the file that is to go nothing more is written.
    append(&groups, &old[0], &["more"], 6);
    assert!(!is_young(&groups, &old[0]));
    assert!(groups.settle_some().unwrap());
    assert_eq!(old.iter().filter(|name| !is_young(&groups, name)).count(), 1 + LOG_YOUNG_SETTLED);
    let groups = Groups::open(root.path()).unwrap();
    // A settled one that a crash kept from leaving must not keep the file from going.
    let first = shared(root.path()).remove(0);
    let bytes = fs::read(&first).unwrap();
    settle(&groups, &old[3]).unwrap();
    fs::write(&first, bytes).unwrap();
    let groups = Groups::open(root.path()).unwrap();
    while groups.settle_some().unwrap() {}
    assert_eq!(shared(root.path()), before[1..]);
    assert!(old.iter().all(|name| !is_young(&groups, name)) && is_young(&groups, "small"));
    assert_eq!(texts(&groups, &old[0]), [large.as_str(), "more"]);
    assert_eq!(texts(&groups, &old[1]), [large.as_str()]);
    assert_eq!(texts(&groups, "small"), ["small"]);
}

#[test]
fn an_old_file_goes_with_the_lines_of_deleted_groups() {
    let root = tempfile::tempdir().unwrap();
    let groups = Groups::open(root.path()).unwrap();
    append(&groups, "g", &["1"], 5);
    append(&groups, "deleted", &["2"], 5);
    groups.delete("deleted").unwrap();
    let old = shared(root.path());
    let age_ms = LOG_YOUNG_FILE_AGE.as_millis() as i64;
    groups.tidy(4 + age_ms);
    assert_eq!(shared(root.path()), old);
    groups.tidy(5 + age_ms);
    while groups.settle_some().unwrap() {}
    assert_eq!(shared(root.path()).len(), 1);
    assert_ne!(shared(root.path()), old);
    assert!(!is_young(&groups, "g"));
    // One without lines is no older for that.
    groups.tidy(5 + 3 * age_ms);
    assert_eq!(shared(root.path()).len(), 1);
    assert_eq!(texts(&Groups::open(root.path()).unwrap(), "g"), ["1"]);
}

#[test]
fn with_two_full_files_new_groups_have_folders_at_once() {
    let root = tempfile::tempdir().unwrap();
    let groups = Groups::open(root.path()).unwrap();
    fill(&groups, "a");
    fill(&groups, "b");
    append(&groups, "c", &[&large()], 5);
    assert!(!is_young(&groups, "c"));
    assert_eq!(shared(root.path()).len(), 2);
    assert_eq!(texts(&groups, "c").len(), 1);
}

#[derive(Clone, Debug)]
enum Step {
    Append(usize, usize),
    Read(usize),
    Delete(usize),
    Create(usize),
    SettleSome,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let group = 0..4_usize;
    prop_oneof![
        6 => (group.clone(), prop_oneof![4 => 1..200_usize, 1 => 10_000..40_000_usize]).prop_map(|(g, n)| Step::Append(g, n)),
        1 => group.clone().prop_map(Step::Read),
        1 => group.clone().prop_map(Step::Delete),
        1 => group.prop_map(Step::Create),
        1 => Just(Step::SettleSome),
        2 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn groups_have_what_was_appended_since_they_were_made(steps in prop::collection::vec(step(), 1..40)) {
        let root = tempfile::tempdir().unwrap();
        let mut groups = Groups::open(root.path()).unwrap();
        let mut model: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        for (now_ms, step) in (1..).zip(steps) {
            match step {
                Step::Append(group, length) => {
                    let (name, text) = (format!("g{group}"), format!("{now_ms}{}", "x".repeat(length)));
                    let sequences = append(&groups, &name, &[&text, "second"], now_ms);
                    let before = last.insert(name.clone(), sequences[1]);
                    prop_assert!(before.is_none_or(|before| before < sequences[0]));
                    model.entry(name).or_default().extend([text, "second".to_owned()]);
                }
                Step::Read(group) => {
                    let name = format!("g{group}");
                    prop_assert_eq!(texts(&groups, &name), model.get(&name).cloned().unwrap_or_default());
                }
                Step::Delete(group) => {
                    let name = format!("g{group}");
                    prop_assert_eq!(groups.delete(&name).is_ok(), model.remove(&name).is_some());
                }
                Step::Create(group) => {
                    let name = format!("g{group}");
                    let is_new = !model.contains_key(&name);
                    prop_assert_eq!(groups.create(About::new(&name, now_ms)).is_ok(), is_new);
                    model.entry(name).or_default();
                }
                Step::SettleSome => drop(groups.settle_some().unwrap()),
                Step::Restart => {
                    drop(groups);
                    groups = Groups::open(root.path()).unwrap();
                }
            }
        }
        let mut names = Vec::new();
        groups.each(None, |kept| {
            names.push(kept.info().name.to_string());
            true
        });
        prop_assert_eq!(&names, &model.keys().cloned().collect::<Vec<_>>());
        for (name, expected) in &model {
            prop_assert_eq!(&texts(&groups, name), expected);
        }
    }
}
