//! A process that is stopped and looked into, by another of its user.

use std::io;
use std::os::unix::fs::FileExt;

use super::proc::{Proc, Status};
use super::{PAGE, refused};
use crate::error::{Done, During, Failure};

pub(super) const ARCH_SET_FS: u64 = 0x1002;

/// A process that waits in an interrupted call does it again.
const RESTART: std::ops::RangeInclusive<i64> = -514..=-512;
/// In these a process waits for an answer.
const ANSWERS_COME_BY: [i64; 2] = [libc::SYS_recvfrom, libc::SYS_read];
/// Begins and ends of calls from asking to waiting, at most.
const CALLS_TO_WAIT: usize = 256;
/// Bytes below the stack pointer that belong to the function that runs.
const RED_ZONE: u64 = 128;
/// Where calls put what they return, below that.
const ANSWERS: u64 = 1024;
/// `syscall`.
const INSTRUCTION: [u8; 2] = [0x0f, 0x05];
const SIGNALS: u64 = 64;
const SIGACTION_BYTES: usize = 32;
/// The C library keeps the number of a thread so far before its robust list (glibc, x86-64).
const NUMBER_BEFORE_LIST: u64 = 16;

/// A frame as a signal handler has it, from its `ucontext` on.
const FRAME_BYTES: usize = 304;
const REGISTERS_AT: usize = 40;
const SEGMENTS_AT: usize = REGISTERS_AT + 18 * 8;
/// Where its pointer to the floating-point registers is.
pub(super) const FLOATING_AT: usize = 224;
const MASK_AT: usize = 296;
/// `UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS`.
const STRICT: u64 = 6;
const CODE_SEGMENT: u16 = 0x33;
const STACK_SEGMENT: u16 = 0x2b;

/// A stopped process of one thread that waits in a system call.
pub(super) struct Tracee {
    pid: i32,
    registers: libc::user_regs_struct,
    memory: std::fs::File,
}

/// Where it goes on.
pub(super) struct Rest {
    /// As `rt_sigreturn` takes it.
    pub(super) frame: Vec<u8>,
    /// As `fxrstor` takes it.
    pub(super) floating: Vec<u8>,
    /// The descriptor that it reads from.
    pub(super) waits_at: i32,
}

/// What the C library has told the kernel of the thread.
pub(super) struct Thread {
    pub(super) fs_base: u64,
    pub(super) robust_list: Option<(u64, u64)>,
    /// Where its number is kept.
    pub(super) number_at: Option<u64>,
    pub(super) rseq: Option<(u64, u64, u64)>,
}

impl Tracee {
    /// Stops it.
    pub(super) fn stop(pid: i32) -> Done<Self> {
        let proc = Proc { pid };
        if proc.list("task")?.len() != 1 {
            return Err(refused("a process of several threads cannot be written down"));
        }
        ptrace(libc::PTRACE_SEIZE, pid, 0, libc::PTRACE_O_TRACESYSGOOD as u64).during("stopping the process")?;
        ptrace(libc::PTRACE_INTERRUPT, pid, 0, 0).during("stopping the process")?;
        wait(pid)?;
        let mut registers = registers(pid)?;
        if !waits(&registers) {
            registers = at_its_wait(pid)?;
        }
        let tracee = Self { pid, registers, memory: proc.open("mem")? };
        let mut instruction = [0; 2];
        let read = tracee.memory.read_exact_at(&mut instruction, tracee.registers.rip.wrapping_sub(2));
        if read.is_err() || instruction != INSTRUCTION || !waits(&tracee.registers) {
            return Err(refused("the process does not wait in a system call"));
        }
        Ok(tracee)
    }

    pub(super) fn stack_pointer(&self) -> u64 {
        self.registers.rsp
    }

    /// Has the process make a call.
    fn call<const N: usize>(&self, number: i64, given: [u64; N]) -> Done<u64> {
        let mut args = [0; 6];
        args.iter_mut().zip(given).for_each(|(to, from)| *to = from);
        let mut registers = self.registers;
        registers.rip = registers.rip.wrapping_sub(2);
        (registers.rax, registers.orig_rax) = (number as u64, u64::MAX);
        [registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9] = args;
        let what = "having the process make a call";
        // SAFETY: the pointer is to a whole set of registers, which the call only reads.
        unsafe { ptrace_raw(libc::PTRACE_SETREGS, self.pid, 0, (&raw const registers) as u64) }.during(what)?;
        for _ in ["its begin", "its end"] {
            ptrace(libc::PTRACE_SYSCALL, self.pid, 0, 0).during(what)?;
            if wait(self.pid)? != libc::SIGTRAP | 0x80 {
                return Err(refused("the process was disturbed by a signal"));
            }
        }
        let result = self::registers(self.pid)?.rax;
        if (-4095..0).contains(&(result as i64)) {
            return Err(io::Error::from_raw_os_error(-(result as i64) as i32)).during(what);
        }
        Ok(result)
    }

    /// Room in the process for what a call returns.
    fn room(&self) -> u64 {
        (self.registers.rsp - RED_ZONE - ANSWERS) & !63
    }

    fn read<const N: usize>(&self, at: u64) -> Done<[u8; N]> {
        let mut bytes = [0; N];
        self.memory.read_exact_at(&mut bytes, at).during("reading the process's memory")?;
        Ok(bytes)
    }

    /// What it does at signals, where that is not the usual.
    pub(super) fn signal_actions(&self, status: &Status) -> Done<Vec<(u64, [u8; SIGACTION_BYTES])>> {
        let set = |name| status.hexadecimal(name).unwrap_or(0);
        let set = set("SigIgn") | set("SigCgt");
        let mut all = Vec::new();
        for signal in (1..=SIGNALS).filter(|signal| set & 1 << (signal - 1) != 0) {
            self.call(libc::SYS_rt_sigaction, [signal, 0, self.room(), 8])?;
            all.push((signal, self.read(self.room())?));
        }
        Ok(all)
    }

    /// `struct prctl_mm_map`; where the auxiliary vector is, and its length, come later.
    pub(super) fn layout(&self, proc: &Proc) -> Done<Vec<u8>> {
        let field = proc.stat()?;
        let end = self.call(libc::SYS_brk, [0])?;
        // Code, data, data segment, stack, arguments, variables: each begin and end, but of the stack.
        let all = [26, 27, 45, 46, 47].map(&field).into_iter().chain([end]).chain([28, 48, 49, 50, 51].map(&field));
        let mut bytes: Vec<u8> = all.flat_map(u64::to_le_bytes).collect();
        bytes.extend_from_slice(&0_u64.to_le_bytes());
        bytes.extend_from_slice(&0_u32.to_le_bytes());
        bytes.extend_from_slice(&u32::MAX.to_le_bytes()); // No other program.
        Ok(bytes)
    }

    pub(super) fn thread(&self, proc: &Proc) -> Done<Thread> {
        let (mut head, mut length) = (0_u64, 0_u64);
        // SAFETY: both pointers are to numbers of the size that the call writes.
        let found = unsafe { libc::syscall(libc::SYS_get_robust_list, self.pid, &raw mut head, &raw mut length) } == 0;
        let robust_list = (found && head != 0).then_some((head, length));
        let number_at = robust_list.map(|(head, _)| head.wrapping_sub(NUMBER_BEFORE_LIST));
        let own = |address: &u64| self.read::<4>(*address).is_ok_and(|bytes| i32::from_le_bytes(bytes) == proc.pid);
        Ok(Thread { fs_base: self.registers.fs_base, robust_list, number_at: number_at.filter(own), rseq: self.rseq() })
    }

    /// Address, length and signature.
    fn rseq(&self) -> Option<(u64, u64, u64)> {
        let mut bytes = [0_u8; 24];
        // SAFETY: the pointer is to as many bytes as the call may write.
        unsafe { ptrace_raw(PTRACE_GET_RSEQ_CONFIGURATION, self.pid, 24, bytes.as_mut_ptr() as u64) }.ok()?;
        let address = u64::from_le_bytes(bytes[..8].try_into().ok()?);
        let length = u32::from_le_bytes(bytes[8..12].try_into().ok()?);
        let signature = u32::from_le_bytes(bytes[12..16].try_into().ok()?);
        (address != 0).then_some((address, length.into(), signature.into()))
    }

    /// Where it goes on: at the call that it waits in, which it makes once more.
    pub(super) fn rest(&self) -> Done<Rest> {
        let r = &self.registers;
        if !ANSWERS_COME_BY.contains(&(r.orig_rax as i64)) {
            return Err(refused(format!("the process waits in system call {}, not for an answer", r.orig_rax)));
        }
        let mut floating = vec![0; size_of::<libc::user_fpregs_struct>()];
        // SAFETY: the pointer is to as many bytes as the call writes.
        unsafe { ptrace_raw(libc::PTRACE_GETFPREGS, self.pid, 0, floating.as_mut_ptr() as u64) }
            .during("reading registers")?;
        // What the kernel keeps for itself there says that nothing follows.
        floating[464..].fill(0);
        let mut mask = 0_u64;
        // SAFETY: the pointer is to a set of the size given.
        unsafe { ptrace_raw(PTRACE_GETSIGMASK, self.pid, 8, (&raw mut mask) as u64) }
            .during("reading a signal mask")?;
        let stack = self.call(libc::SYS_sigaltstack, [0, self.room()]).and_then(|_| self.read::<24>(self.room()))?;
        let registers = [
            r.r8,
            r.r9,
            r.r10,
            r.r11,
            r.r12,
            r.r13,
            r.r14,
            r.r15,
            r.rdi,
            r.rsi,
            r.rbp,
            r.rbx,
            r.rdx,
            r.orig_rax,
            r.rcx,
            r.rsp,
            r.rip.wrapping_sub(2),
            r.eflags,
        ];
        let mut frame = vec![0; FRAME_BYTES];
        frame[..8].copy_from_slice(&STRICT.to_le_bytes());
        frame[16..REGISTERS_AT].copy_from_slice(&stack);
        for (number, register) in registers.iter().enumerate() {
            frame[REGISTERS_AT + number * 8..][..8].copy_from_slice(&register.to_le_bytes());
        }
        for (number, segment) in [CODE_SEGMENT, 0, 0, STACK_SEGMENT].iter().enumerate() {
            frame[SEGMENTS_AT + number * 2..][..2].copy_from_slice(&segment.to_le_bytes());
        }
        frame[MASK_AT..].copy_from_slice(&mask.to_le_bytes());
        Ok(Rest { frame, floating, waits_at: r.rdi as i32 })
    }
}

const PTRACE_GET_RSEQ_CONFIGURATION: libc::c_uint = 0x420f;
const PTRACE_GETSIGMASK: libc::c_uint = 0x420a;

fn registers(pid: i32) -> Done<libc::user_regs_struct> {
    // SAFETY: all zeros is a valid set of registers.
    let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a whole set, which the call writes.
    unsafe { ptrace_raw(libc::PTRACE_GETREGS, pid, 0, (&raw mut registers) as u64) }.during("reading registers")?;
    Ok(registers)
}

/// Whether it waits in a system call.
fn waits(registers: &libc::user_regs_struct) -> bool {
    registers.orig_rax as i64 >= 0 && RESTART.contains(&(registers.rax as i64))
}

/// What has asked may be on its way still to the call in which it waits for the answer. It goes there call by call, and is
/// stopped in it.
fn at_its_wait(pid: i32) -> Done<libc::user_regs_struct> {
    let what = "letting the process come to its wait";
    for _ in 0..CALLS_TO_WAIT {
        ptrace(libc::PTRACE_SYSCALL, pid, 0, 0).during(what)?;
        if wait(pid)? != libc::SIGTRAP | 0x80 {
            return Err(refused("the process was disturbed by a signal"));
        }
        let now = registers(pid)?;
        let begins = now.rax as i64 == -i64::from(libc::ENOSYS);
        if begins && ANSWERS_COME_BY.contains(&(now.orig_rax as i64)) {
            // The stop comes once the call has been begun.
            ptrace(libc::PTRACE_INTERRUPT, pid, 0, 0).during(what)?;
            ptrace(libc::PTRACE_CONT, pid, 0, 0).during(what)?;
            wait(pid)?;
            return registers(pid);
        }
    }
    Err(refused("the process does not wait for an answer"))
}

/// A request that takes no pointers.
fn ptrace(request: libc::c_uint, pid: i32, address: u64, data: u64) -> io::Result<()> {
    // SAFETY: both arguments are numbers to the requests that are made through here.
    unsafe { ptrace_raw(request, pid, address, data) }
}

/// # Safety
/// Where the request takes `data` as a pointer, it must be to what the request reads or writes.
unsafe fn ptrace_raw(request: libc::c_uint, pid: i32, address: u64, data: u64) -> io::Result<()> {
    // SAFETY: as the caller has made sure.
    let result = unsafe { libc::syscall(libc::SYS_ptrace, u64::from(request), pid, address, data) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Waits until it stops; the signal, or what stands for one.
fn wait(pid: i32) -> Done<i32> {
    let mut status = 0;
    // SAFETY: the pointer is to a number.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) };
    if waited < 0 {
        return Err(io::Error::last_os_error()).during("waiting for the process to stop");
    }
    if libc::WIFSTOPPED(status) {
        return Ok(libc::WSTOPSIG(status));
    }
    Err(Failure::new(libc::ESRCH, "the process ended while it was written down"))
}

const _: () = assert!(PAGE == 4096 && size_of::<libc::user_fpregs_struct>() == 512);
