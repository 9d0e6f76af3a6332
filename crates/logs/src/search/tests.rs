use super::*;
use crate::about::About;
use crate::group::{Group, NewLine};
use bytes::Bytes;

/// A group with lines of these times, in this order, alternately of two streams.
fn group(root: &std::path::Path, times_ms: &[i64]) -> Group {
    let mut group = Group::create(root, About::new("g", 0)).unwrap();
    for (index, timestamp_ms) in times_ms.iter().enumerate() {
        let stream = if index % 2 == 0 { "even" } else { "odd" }.into();
        let message = Bytes::from(format!("{index}"));
        let new =
            NewLine { stream: &stream, timestamp_ms: *timestamp_ms, ingested_ms: *timestamp_ms, message: &message };
        group.push(&new, 1).unwrap();
    }
    group
}

fn query(direction: Direction, lines: usize) -> Query {
    Query { streams: Streams::All, from_ms: 0, to_ms: i64::MAX, direction, lines, bytes: 1 << 20 }
}

fn position(line: &LogLine) -> Position {
    Position { timestamp_ms: line.timestamp_ms, sequence: line.sequence }
}

/// All pages from one end to the other, their messages; the pages must say truly whether there are more.
fn pages(view: &View, mut query: Query) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    loop {
        let found = search(view, &query, |_| true).unwrap();
        pages.push(found.lines.iter().map(|line| String::from_utf8_lossy(&line.message).into_owned()).collect());
        if !found.more {
            return pages;
        }
        query.direction = match query.direction {
            Direction::Forward(_) => Direction::Forward(found.lines.last().map(position)),
            Direction::Backward(_) => Direction::Backward(found.lines.first().map(position)),
        };
    }
}

const TIMES: [i64; 7] = [30, 10, 10, 50, 20, 40, 10];

#[test]
fn lines_come_by_their_times_and_pages_leave_none_out() {
    let root = tempfile::tempdir().unwrap();
    let view = group(root.path(), &TIMES).view(0).unwrap();
    let all = ["1", "2", "6", "4", "0", "5", "3"];
    for size in 1..=8 {
        let forward = pages(&view, query(Direction::Forward(None), size));
        assert_eq!(forward.concat(), all, "{size} a page");
        assert!(forward.iter().rev().skip(1).all(|page| page.len() == size), "{forward:?}");
        let mut backward = pages(&view, query(Direction::Backward(None), size));
        backward.reverse();
        assert_eq!(backward.concat(), all, "{size} a page, backward");
    }
}

#[test]
fn only_what_is_wanted_is_found() {
    let root = tempfile::tempdir().unwrap();
    let view = group(root.path(), &TIMES).view(0).unwrap();
    let found = |query: Query| pages(&view, query).concat();
    let forward = query(Direction::Forward(None), 10);
    assert_eq!(found(Query { from_ms: 20, to_ms: 40, ..forward.clone() }), ["4", "0", "5"]);
    assert_eq!(found(Query { streams: Streams::Prefix("o".to_owned()), ..forward.clone() }), ["1", "5", "3"]);
    let named = Streams::Named(["even".to_owned()].into());
    assert_eq!(found(Query { streams: named, ..forward.clone() }), ["2", "6", "4", "0"]);
    let odd = search(&view, &query(Direction::Forward(None), 2), |message| message[0] % 2 == 1).unwrap();
    assert_eq!((odd.lines.len(), odd.more), (2, true));
    let none = search(&view, &query(Direction::Forward(None), 2), |_| false).unwrap();
    assert_eq!((none.lines.len(), none.more), (0, false));
}

#[test]
fn a_page_has_a_bound_in_bytes_but_always_a_line() {
    let root = tempfile::tempdir().unwrap();
    let view = group(root.path(), &TIMES).view(0).unwrap();
    let sizes = |bytes| -> Vec<usize> {
        let query = Query { bytes, ..query(Direction::Forward(None), 10) };
        pages(&view, query).iter().map(Vec::len).collect()
    };
    assert_eq!(sizes(3), [3, 3, 1]);
    assert_eq!(sizes(0), [1; 7]);
}
