//! From a table of verdicts to a filter program: a binary search over the call's number. A chain of comparisons, as
//! filter libraries make it, is long, and the kernel runs it for every call there is when a process loads it: with some
//! 400 calls listed that alone takes 0.8 ms of a cold start, this here 0.1 ms.

use std::collections::BTreeMap;

use seccompiler::sock_filter;

/// What is answered to a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It is made.
    Allow,
    /// It fails with this error number.
    Errno(u16),
    /// The process is killed.
    Kill,
    /// It fails with this error number where a case holds, and is made otherwise.
    ErrnoIf(u16, Vec<Case>),
}

/// Conditions that must all hold.
pub(super) type Case = Vec<Condition>;

/// A condition on an argument, of which the lower 32 bits are looked at: all such arguments are 32-bit ones in the
/// kernel, which ignores the upper half.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Condition {
    pub(super) argument: u8,
    pub(super) test: Test,
}

/// What an argument is compared with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Test {
    Is(u32),
    IsNot(u32),
    /// The bits of the mask have this value.
    Masked {
        mask: u32,
        value: u32,
    },
}

/// The identity of this architecture's system call interface.
#[cfg(target_arch = "x86_64")]
const AUDIT_ARCH: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const AUDIT_ARCH: u32 = 0xC000_00B7;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
const GO: u16 = (libc::BPF_JMP | libc::BPF_JA) as u16;
const IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const IF_AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// Compiles the verdicts on calls by number, and the one on all others. Calls through another architecture's interface
/// kill the process.
pub(super) fn compile(verdicts: &BTreeMap<u32, Verdict>, others: &Verdict) -> Vec<sock_filter> {
    let mut program = vec![plain(LOAD, ARCH), jump(IF_EQUAL, AUDIT_ARCH, 1, 0), ret(libc::SECCOMP_RET_KILL_PROCESS)];
    program.push(plain(LOAD, NUMBER));
    program.extend(search(&ranges(verdicts, others)));
    program
}

/// Where a verdict begins to hold, in ascending order; the first is 0.
fn ranges<'a>(verdicts: &'a BTreeMap<u32, Verdict>, others: &'a Verdict) -> Vec<(u32, &'a Verdict)> {
    let mut ranges = vec![(0, others)];
    for (number, verdict) in verdicts {
        ranges.push((*number, verdict));
        ranges.push((number + 1, others));
    }
    // Of two that begin at one number the later counts; one that goes on as the one before it is none of its own.
    let mut merged: Vec<(u32, &Verdict)> = Vec::new();
    for (start, verdict) in ranges {
        if merged.last().is_some_and(|last| last.0 == start) {
            merged.pop();
        }
        if merged.last().is_none_or(|last| last.1 != verdict) {
            merged.push((start, verdict));
        }
    }
    merged
}

/// With the number loaded.
fn search(ranges: &[(u32, &Verdict)]) -> Vec<sock_filter> {
    if let [(_, verdict)] = ranges {
        return decide(verdict);
    }
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let (below, above) = (search(low), search(high));
    let mut program = match u8::try_from(below.len()) {
        Ok(distance) => vec![jump(IF_AT_LEAST, high[0].0, distance, 0)],
        // Conditional jumps reach no further than 255 instructions.
        Err(_) => vec![jump(IF_AT_LEAST, high[0].0, 0, 1), plain(GO, below.len() as u32)],
    };
    program.extend(below);
    program.extend(above);
    program
}

fn decide(verdict: &Verdict) -> Vec<sock_filter> {
    match verdict {
        Verdict::Allow => vec![ret(libc::SECCOMP_RET_ALLOW)],
        Verdict::Errno(errno) => vec![ret(libc::SECCOMP_RET_ERRNO | u32::from(*errno))],
        Verdict::Kill => vec![ret(libc::SECCOMP_RET_KILL_PROCESS)],
        Verdict::ErrnoIf(errno, cases) => {
            let refusal = ret(libc::SECCOMP_RET_ERRNO | u32::from(*errno));
            let mut program: Vec<_> = cases.iter().flat_map(|case| examine(case, refusal.clone())).collect();
            program.push(ret(libc::SECCOMP_RET_ALLOW));
            program
        }
    }
}

/// Ends in `refusal` where the case holds, and behind itself where not. A case has a few conditions only.
fn examine(case: &Case, refusal: sock_filter) -> Vec<sock_filter> {
    let mut program = vec![refusal];
    for condition in case.iter().rev() {
        let rest = program.len() as u8;
        let load = plain(LOAD, ARGUMENTS + 8 * u32::from(condition.argument));
        let steps = match condition.test {
            Test::Is(value) => vec![load, jump(IF_EQUAL, value, 0, rest)],
            Test::IsNot(value) => vec![load, jump(IF_EQUAL, value, rest, 0)],
            Test::Masked { mask, value } => vec![load, plain(AND, mask), jump(IF_EQUAL, value, 0, rest)],
        };
        program.splice(0..0, steps);
    }
    program
}

fn plain(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

fn jump(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

fn ret(action: u32) -> sock_filter {
    plain(RETURN, action)
}

/// Runs programs as the kernel does, for tests.
#[cfg(test)]
pub(super) mod machine {
    use super::*;

    /// What the program returns for a call.
    pub(in super::super) fn run(program: &[sock_filter], arch: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let load = |offset: u32| match offset {
            NUMBER => number,
            ARCH => arch,
            _ => arguments[((offset - ARGUMENTS) / 8) as usize] as u32,
        };
        let (mut at, mut a) = (0, 0);
        loop {
            let step = &program[at];
            at += 1;
            let branch = |holds: bool| usize::from(if holds { step.jt } else { step.jf });
            match step.code {
                LOAD => a = load(step.k),
                AND => a &= step.k,
                GO => at += step.k as usize,
                IF_EQUAL => at += branch(a == step.k),
                IF_AT_LEAST => at += branch(a >= step.k),
                RETURN => return step.k,
                code => panic!("instruction {code:#x}"),
            }
        }
    }

    /// As [`run`], for this architecture.
    pub(in super::super) fn call(program: &[sock_filter], number: u32, arguments: [u64; 6]) -> u32 {
        run(program, AUDIT_ARCH, number, arguments)
    }
}

#[cfg(test)]
mod tests {
    use super::machine::{call, run};
    use super::*;

    const EPERM: u32 = libc::SECCOMP_RET_ERRNO | 1;
    const NOSYS: u32 = libc::SECCOMP_RET_ERRNO | 38;

    #[test]
    fn every_number_gets_its_verdict() {
        // Long enough that jumps get far.
        let verdict = |n: u32| match n % 5 {
            0 => Some((Verdict::Allow, libc::SECCOMP_RET_ALLOW)),
            1 => Some((Verdict::Errno(1), EPERM)),
            2 => Some((Verdict::Kill, libc::SECCOMP_RET_KILL_PROCESS)),
            _ => None,
        };
        let verdicts = (0..500).filter_map(|n| Some((n, verdict(n)?.0))).collect();
        let program = compile(&verdicts, &Verdict::Errno(38));
        for n in 0..500 {
            assert_eq!(call(&program, n, [0; 6]), verdict(n).map_or(NOSYS, |v| v.1), "{n}");
        }
        assert_eq!(call(&program, 0x4000_0000, [0; 6]), NOSYS);
        assert_eq!(run(&program, 0x4000_0003, 0, [0; 6]), libc::SECCOMP_RET_KILL_PROCESS, "another interface");
    }

    #[test]
    fn arguments_are_examined() {
        let is = |argument, value| Condition { argument, test: Test::Is(value) };
        let is_not = |argument, value| Condition { argument, test: Test::IsNot(value) };
        let masked = Condition { argument: 1, test: Test::Masked { mask: 0xF, value: 3 } };
        let cases = vec![vec![is(0, 2), masked], vec![is_not(0, 1), is_not(0, 2)]];
        let program = compile(&BTreeMap::from([(7, Verdict::ErrnoIf(1, cases))]), &Verdict::Kill);
        for (arguments, answer) in [
            ([1, 3], libc::SECCOMP_RET_ALLOW),
            ([2, 2], libc::SECCOMP_RET_ALLOW),
            ([2, 3], EPERM),
            ([2, 0x80003], EPERM),
            ([3, 0], EPERM),
            ([1 << 32 | 1, 0], libc::SECCOMP_RET_ALLOW),
        ] {
            assert_eq!(call(&program, 7, [arguments[0], arguments[1], 0, 0, 0, 0]), answer, "{arguments:?}");
        }
    }
}
