//! The instructions of a snapshot: no stack, no data of their own, position-independent. They follow the table behind them.

use std::arch::global_asm;

/// Bytes of a row of the table: a call's number, six arguments, flags.
pub(super) const ROW: usize = 64;

// A row's flags: 1 the first argument counts from the vDSO, 2 it may fail, 4 its result goes, as 32 bits, where the last
// argument points, 8 the stack pointer is the first argument. r12 holds the table, r13 the vDSO; calls keep both.
global_asm!(
    ".pushsection .rodata.hearth_snapshot, \"a\"",
    ".balign 64",
    ".globl hearth_snapshot_begin",
    ".globl hearth_snapshot_end",
    "hearth_snapshot_begin:",
    "cld",
    "mov rsi, rsp",
    "lodsq",
    "2: lodsq",
    "test rax, rax",
    "jnz 2b",
    "3: lodsq",
    "test rax, rax",
    "jnz 3b",
    "4: lodsq",
    "mov rcx, rax",
    "lodsq",
    "cmp rcx, 33", // AT_SYSINFO_EHDR
    "je 5f",
    "test rcx, rcx",
    "jnz 4b",
    "5: mov r13, rax",
    "lea r12, [rip + hearth_snapshot_end]",
    "6: mov rax, [r12]",
    "mov rdi, [r12 + 8]",
    "mov rsi, [r12 + 16]",
    "mov rdx, [r12 + 24]",
    "mov r10, [r12 + 32]",
    "mov r8, [r12 + 40]",
    "mov r9, [r12 + 48]",
    "mov rbx, [r12 + 56]",
    "add r12, 64",
    "test bl, 1",
    "jz 7f",
    "add rdi, r13",
    "7: test bl, 8",
    "jz 8f",
    "mov rsp, rdi",
    "8: syscall",
    "cmp rax, -4095",
    "jae 9f",
    "test bl, 4",
    "jz 6b",
    "mov [r9], eax",
    "jmp 6b",
    "9: test bl, 2",
    "jnz 6b",
    "mov edi, 125",
    "mov eax, 231", // exit_group
    "syscall",
    "ud2",
    ".balign 64",
    "hearth_snapshot_end:",
    ".popsection",
);

unsafe extern "C" {
    static hearth_snapshot_begin: u8;
    static hearth_snapshot_end: u8;
}

/// The instructions.
pub(super) fn code() -> &'static [u8] {
    // SAFETY: both are labels of the constant bytes above, the second one behind the last of them.
    unsafe {
        let (begin, end) = (&raw const hearth_snapshot_begin, &raw const hearth_snapshot_end);
        std::slice::from_raw_parts(begin, end as usize - begin as usize)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_follows_the_code() {
        assert!(!super::code().is_empty() && super::code().len().is_multiple_of(super::ROW));
    }
}
