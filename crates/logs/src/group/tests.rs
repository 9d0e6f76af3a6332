use super::*;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn make(root: &Path) -> Group {
    Group::create(root, About::new("/aws/lambda/f", 5)).unwrap()
}

fn open(root: &Path) -> Group {
    Group::open(folder(root, "/aws/lambda/f")).unwrap().unwrap()
}

fn write(group: &mut Group, stream: &str, times_ms: &[i64]) {
    for timestamp_ms in times_ms {
        let message = Bytes::from(format!("{timestamp_ms}"));
        let stream: Arc<str> = stream.into();
        let new =
            NewLine { stream: &stream, timestamp_ms: *timestamp_ms, ingested_ms: *timestamp_ms, message: &message };
        group.push(&new, *timestamp_ms).unwrap();
    }
    group.flush().unwrap();
}

fn texts(group: &mut Group, now_ms: i64) -> Vec<String> {
    let lines = crate::search::last(&group.view(now_ms).unwrap(), 1000).unwrap();
    lines.iter().map(|line| String::from_utf8_lossy(&line.message).into_owned()).collect()
}

fn names(group: &mut Group, now_ms: i64) -> Vec<String> {
    group.streams(now_ms).unwrap().into_iter().map(|stream| stream.name).collect()
}

#[test]
fn goes_on_after_a_restart_and_cuts_a_torn_end() {
    let root = tempfile::tempdir().unwrap();
    let mut group = make(root.path());
    write(&mut group, "s", &[10, 20]);
    let first = crate::search::last(&group.view(30).unwrap(), 1).unwrap()[0].sequence;
    let segment = group.segments[0].path(&group.folder);
    let mut bytes = fs::read(&segment).unwrap();
    bytes.extend_from_slice(&[40, 0, 0, 0, 1, 2]);
    fs::write(&segment, bytes).unwrap();
    let mut group = open(root.path());
    assert_eq!(texts(&mut group, 30), ["10", "20"]);
    write(&mut group, "s", &[30]);
    assert_eq!(texts(&mut open(root.path()), 30), ["10", "20", "30"]);
    assert_eq!(crate::search::last(&group.view(30).unwrap(), 1).unwrap()[0].sequence, first + 1);
}

#[test]
fn a_group_that_begins_anew_counts_on() {
    let root = tempfile::tempdir().unwrap();
    let last = |group: &mut Group| crate::search::last(&group.view(30).unwrap(), 1).unwrap()[0].sequence;
    let mut group = make(root.path());
    write(&mut group, "s", &[10, 20]);
    let before = last(&mut group);
    group.remove(&root.path().join("+aside")).unwrap();
    assert!(Group::open(folder(root.path(), "/aws/lambda/f")).unwrap().is_none());
    let mut group = make(root.path());
    write(&mut group, "s", &[30]);
    assert!(last(&mut group) > before);
}

#[test]
fn the_oldest_files_go() {
    let root = tempfile::tempdir().unwrap();
    let mut group = make(root.path());
    let (message, stream) = (Bytes::from(vec![b'x'; 200_000]), "s".into());
    let lines = LOG_GROUP_BYTES * 2 / message.len() as u64;
    for timestamp_ms in 0..lines as i64 {
        group
            .push(&NewLine { stream: &stream, timestamp_ms, ingested_ms: timestamp_ms, message: &message }, 0)
            .unwrap();
        group.flush().unwrap();
    }
    let on_disk = |root: &Path| -> u64 {
        segment::list(&folder(root, "/aws/lambda/f")).unwrap().iter().map(|segment| segment.bytes).sum()
    };
    assert_eq!(on_disk(root.path()), group.bytes());
    assert!(group.bytes() <= LOG_GROUP_BYTES, "{} bytes are left", group.bytes());
    let mut last = |limit| -> Vec<i64> {
        let lines = crate::search::last(&group.view(0).unwrap(), limit).unwrap();
        lines.iter().map(|line| line.timestamp_ms).collect()
    };
    assert_eq!(last(1), [lines as i64 - 1]);
    // Over the bounds of files.
    assert_eq!(last(60), (lines as i64 - 60..lines as i64).collect::<Vec<_>>());
    assert!(group.remove_oldest().unwrap());
    assert_eq!(on_disk(root.path()), group.bytes());
}

#[test]
fn streams_are_known_by_their_lines_or_because_they_were_made() {
    let root = tempfile::tempdir().unwrap();
    let mut group = make(root.path());
    write(&mut group, "b", &[20, 10]);
    group.create_stream("a", 30).unwrap();
    assert!(matches!(group.create_stream("b", 30), Err(Refused::StreamExists)));
    assert!(matches!(group.create_stream("a", 30), Err(Refused::StreamExists)));
    for group in [&mut group, &mut open(root.path())] {
        let events = Some(Events { first_ms: 10, last_ms: 20, ingested_ms: 20 });
        let expected = [
            StreamInfo { name: "a".to_owned(), created_ms: 30, events: None },
            StreamInfo { name: "b".to_owned(), created_ms: 10, events },
        ];
        assert_eq!(group.streams(40).unwrap(), expected);
    }
}

#[test]
fn a_deleted_stream_stays_deleted_and_can_begin_anew() {
    let root = tempfile::tempdir().unwrap();
    let mut group = make(root.path());
    write(&mut group, "a", &[10]);
    write(&mut group, "b", &[20]);
    group.delete_stream("a", 30).unwrap();
    assert!(matches!(group.delete_stream("a", 30), Err(Refused::NoStream)));
    for group in [&mut group, &mut open(root.path())] {
        assert_eq!((texts(group, 30), names(group, 30)), (vec!["20".to_owned()], vec!["b".to_owned()]));
    }
    write(&mut group, "a", &[40]);
    for group in [&mut group, &mut open(root.path())] {
        assert_eq!(texts(group, 50), ["20", "40"]);
        assert_eq!(group.streams(50).unwrap()[0].events.unwrap().first_ms, 40);
    }
}

#[test]
fn what_is_older_than_the_retention_is_gone_and_its_files_go() {
    let root = tempfile::tempdir().unwrap();
    let mut group = make(root.path());
    group.change(|about| about.retention_days = Some(1)).unwrap();
    write(&mut group, "old", &[0, 1]);
    write(&mut group, "new", &[DAY_MS + 10]);
    assert_eq!(group.segments.len(), 2);
    assert_eq!(texts(&mut group, DAY_MS - 1), ["0", "1", &(DAY_MS + 10).to_string()]);
    assert_eq!(texts(&mut group, DAY_MS + 2), [(DAY_MS + 10).to_string()]);
    assert_eq!(names(&mut group, DAY_MS + 2), ["new"]);
    group.expire(DAY_MS + 2).unwrap();
    assert_eq!(segment::list(&group.folder).unwrap().len(), 1);
    // Also the file that is written to; and the group goes on behind where it was.
    let next = group.next;
    group.expire(3 * DAY_MS).unwrap();
    assert_eq!((segment::list(&group.folder).unwrap().len(), group.next), (0, next));
    write(&mut group, "new", &[3 * DAY_MS]);
    assert_eq!(texts(&mut group, 3 * DAY_MS), [(3 * DAY_MS).to_string()]);
}

#[test]
fn lines_of_long_ago_that_come_now_share_a_file() {
    let root = tempfile::tempdir().unwrap();
    let mut group = make(root.path());
    group.change(|about| about.retention_days = Some(3650)).unwrap();
    for timestamp_ms in 0..100 {
        let message = Bytes::from_static(b"old");
        let new = NewLine { stream: &"s".into(), timestamp_ms, ingested_ms: 10 * DAY_MS, message: &message };
        group.push(&new, 10 * DAY_MS).unwrap();
    }
    group.flush().unwrap();
    assert_eq!(segment::list(&group.folder).unwrap().len(), 1);
}

#[test]
fn a_note_beside_a_full_file_tells_the_same_as_the_file() {
    let root = tempfile::tempdir().unwrap();
    let mut group = make(root.path());
    group.change(|about| about.retention_days = Some(3650)).unwrap();
    write(&mut group, "a", &[0, 5]);
    write(&mut group, "b", &[2 * DAY_MS]);
    let streams = group.streams(0).unwrap();
    let note = folder(root.path(), "/aws/lambda/f").join(format!("{:020}.json", group.segments[0].first));
    assert_eq!(open(root.path()).streams(0).unwrap(), streams);
    fs::write(&note, b"{").unwrap();
    assert_eq!(open(root.path()).streams(0).unwrap(), streams);
}

#[test]
fn names_of_groups_stay_inside_the_store() {
    let root = Path::new("/r");
    for name in ["..", ".", "/", "a/../../b", "\0", "%2e", "+deleted-1", &"/".repeat(512)] {
        let folder = folder(root, name);
        assert_eq!(folder.parent(), Some(root), "{name:?}");
        assert!(
            folder.file_name().is_some_and(|f| f.len() <= 255 && !f.to_string_lossy().starts_with('+')),
            "{name:?}"
        );
    }
    assert_ne!(folder(root, "a/b"), folder(root, "a%2fb"));
}
