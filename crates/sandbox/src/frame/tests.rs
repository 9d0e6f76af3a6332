use super::*;

pub(crate) fn survives<F: Frame + PartialEq + std::fmt::Debug>(frame: F) {
    assert_eq!(F::decode(&frame.encode()).as_ref(), Some(&frame));
}

#[test]
fn every_frame_survives_the_wire() {
    survives(Request::Make { id: u64::MAX, tmp: TmpChoice::New { mb: 512 }, ahead: true });
    survives(Request::Make { id: 1, tmp: TmpChoice::Kept { volume: u64::MAX }, ahead: false });
    survives(Request::Start { slot: 3, root: u32::MAX });
    survives(Request::Launch { slot: 3 });
    survives(Request::Roots);
    for layers in 0..=LAYERS {
        let layers = (0..layers).map(|layer| CodeDigest([layer as u8 + 1; 32])).collect();
        let code = CodeDigest([0xAB; 32]);
        survives(Request::Assign { slot: u64::MAX, code, layers, memory_mb: 10_240, beside: 11, role: Role::Restored });
    }
    survives(Request::Go { slot: 4 });
    survives(Request::Write { slot: 4 });
    survives(Order::Write);
    survives(Event::Written { bytes: u64::MAX });
    survives(Event::NotWritten(Failure::new(95, "an open pipe")));
    for (process, signal) in [(Process::Runtime, Signal::Kill), (Process::Beside(7), Signal::Terminate)] {
        survives(Request::Signal { slot: 4, process, signal });
        survives(Order::Name { process, signal });
        survives(Note::Named { signal });
    }
    survives(Request::Read { order: 2, staging: None });
    survives(Request::Read { order: u32::MAX, staging: Some(u64::MAX) });
    survives(Request::Destroy { id: 5, slot: 6, keep_tmp: true });
    survives(Request::Socket { id: u64::MAX, slot: 6 });
    survives(Answer::Socket { id: u64::MAX });
    survives(Request::Answer { id: u64::MAX });
    survives(Answer::Answered { id: u64::MAX });
    survives(Answer::Disk(Disk { short: true, ended: u64::MAX }));
    let failure = Failure::new(1, "x".repeat(FAILURE_TEXT_BYTES));
    survives(Answer::Unkept { promise: Promise::TmpThroughput, failure });
    survives(Answer::Hello { cgroup_v2: true });
    survives(Answer::Made { id: 1, slot: 2 });
    survives(Answer::Destroyed { id: 1, volume: None });
    survives(Answer::Destroyed { id: 1, volume: Some((2, 512)) });
    survives(Answer::Failed { id: 9, failure: Failure::new(28, "x".repeat(FAILURE_TEXT_BYTES)) });
    survives(Event::Exited(Process::Runtime, Exit::Code(255)));
    survives(Event::Exited(Process::Beside(10), Exit::Signal(9)));
    survives(Event::Failed(Failure::new(2, "no such thing")));
    survives(Event::NotExecutable(Failure::new(8, "/var/task/bootstrap")));
    for event in [Event::Ready, Event::Started, Event::Running { since: Since(7) }, Event::Gone] {
        survives(event);
    }
    survives(Order::Start);
    survives(Order::Launch);
    for role in [Role::Usual, Role::Template, Role::Restored] {
        survives(Order::Assign { memory_mb: 128, beside: 1, role });
    }
    survives(Order::Go);
    survives(Order::Read { order: u32::MAX });
    survives(Note::Made { loop_number: Some(7) });
    survives(Note::Made { loop_number: None });
}

#[test]
fn a_long_text_is_cut_at_a_character() {
    let long = Failure::new(5, "ä".repeat(FAILURE_TEXT_BYTES));
    let Some(Event::Failed(cut)) = Event::decode(&Event::Failed(long).encode()) else { panic!("no failure") };
    assert_eq!(cut.what, "ä".repeat(FAILURE_TEXT_BYTES / 2));
}

#[test]
fn what_is_not_exact_is_refused() {
    let mut unknown = [0; FRAME_BYTES];
    unknown[0] = 200;
    assert_eq!(Request::decode(&unknown), None);
    let mut trailing = Request::Start { slot: 1, root: 1 }.encode();
    trailing[FRAME_BYTES - 1] = 1;
    assert_eq!(Request::decode(&trailing), None);
    let mut no_bool = Request::Destroy { id: 1, slot: 1, keep_tmp: false }.encode();
    no_bool[20] = 2;
    assert_eq!(Request::decode(&no_bool), None);
    let assign = Request::Assign {
        slot: 1,
        code: CodeDigest([1; 32]),
        layers: Vec::new(),
        memory_mb: 128,
        beside: 0,
        role: Role::Usual,
    };
    let mut too_many = assign.encode();
    too_many[48] = LAYERS as u8 + 1;
    assert_eq!(Request::decode(&too_many), None);
}
