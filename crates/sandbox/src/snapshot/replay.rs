//! The table of system calls that makes a process what another was, and the ELF file around it.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;

use super::proc::Map;
use super::tracee::Rest;
use super::{IMAGE, PAGE, refused};
use crate::error::{Done, During, Failure};

/// The end of what a process may map.
const TOP: u64 = 0x7fff_ffff_f000;
/// Where nothing may be mapped.
const BOTTOM: u64 = 0x1_0000;
/// Between them a snapshot's own instructions may lie: above what programs without a choice use, below all else.
const OWN: std::ops::Range<u64> = 0x1000_0000_0000..0x5000_0000_0000;
/// Behind the instructions: where the vDSO waits while everything else goes.
const ASIDE: u64 = 0x100_0000;
/// The most bytes that instructions, table and its data may take.
const TABLE_BYTES: u64 = ASIDE;

const RELATIVE: u64 = 1;
const MAY_FAIL: u64 = 2;
const STORE: u64 = 4;
const STACK: u64 = 8;

const HEADER_BYTES: u64 = 64;
const SEGMENT_BYTES: u64 = 56;

/// An argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Arg {
    Is(u64),
    /// The address of what lies there in the data.
    At(usize),
}

struct Row {
    call: u64,
    args: [Arg; 6],
    flags: u64,
}

/// Numbers in the data that become addresses.
struct Link {
    at: usize,
    to: usize,
}

/// What a snapshot does, in its order.
pub(super) struct Replay {
    base: u64,
    rows: Vec<Row>,
    data: Vec<u8>,
    links: Vec<Link>,
}

impl Replay {
    pub(super) fn new(maps: &[Map]) -> Done<Self> {
        let mut random = [0; 8];
        let drawn = File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut random));
        drawn.during("drawing an address")?;
        let room = 2 * ASIDE;
        let base = OWN.start + u64::from_le_bytes(random) % (OWN.end - OWN.start - room) / PAGE * PAGE;
        if maps.iter().any(|map| map.start < base + room && base < map.end) {
            return Err(Failure::new(libc::EAGAIN, "finding room for a snapshot's instructions"));
        }
        Ok(Self { base, rows: Vec::new(), data: Vec::new(), links: Vec::new() })
    }

    fn row<const N: usize>(&mut self, call: i64, given: [Arg; N], flags: u64) {
        let mut args = [Arg::Is(0); 6];
        args.iter_mut().zip(given).for_each(|(to, from)| *to = from);
        self.rows.push(Row { call: call as u64, args, flags });
    }

    /// A call that must succeed.
    pub(super) fn call<const N: usize>(&mut self, call: i64, args: [Arg; N]) {
        self.row(call, args, 0);
    }

    /// A call that may fail.
    pub(super) fn try_call<const N: usize>(&mut self, call: i64, args: [Arg; N]) {
        self.row(call, args, MAY_FAIL);
    }

    /// A call with an address as its argument, to which its result, of 32 bits, is written.
    pub(super) fn call_and_store(&mut self, call: i64, address: u64) {
        let mut args = [Arg::Is(0); 6];
        (args[0], args[5]) = (Arg::Is(address), Arg::Is(address));
        self.row(call, args, STORE);
    }

    /// Bytes that a call refers to, at a multiple of 64.
    pub(super) fn data(&mut self, bytes: &[u8]) -> Arg {
        self.data.resize(self.data.len().next_multiple_of(64), 0);
        let at = self.data.len();
        self.data.extend_from_slice(bytes);
        Arg::At(at)
    }

    /// The layout of a process, completed by where its auxiliary vector is.
    pub(super) fn data_with_address(&mut self, layout: &[u8], auxv: Arg, length: u64) -> Arg {
        let at = self.data(layout);
        if let (Arg::At(at), Arg::At(to)) = (at, auxv) {
            let field = at + layout.len() - 16;
            self.links.push(Link { at: field, to });
            self.data[field + 8..field + 12].copy_from_slice(&(length as u32).to_le_bytes());
        }
        at
    }

    pub(super) fn move_vdso_aside(&mut self, maps: &[Map]) {
        let Some(vdso) = vdso(maps) else { return };
        for map in of_kernel(maps) {
            let from = map.start.wrapping_sub(vdso.start);
            self.remap(from, map, self.aside(map, vdso), RELATIVE);
        }
    }

    pub(super) fn move_vdso_back(&mut self, maps: &[Map]) {
        let Some(vdso) = vdso(maps) else { return };
        for map in of_kernel(maps) {
            self.remap(self.aside(map, vdso), map, map.start, 0);
        }
    }

    fn aside(&self, map: &Map, vdso: &Map) -> u64 {
        // What belongs to it lies around it, within some pages.
        (self.base + ASIDE + ASIDE / 2).wrapping_add(map.start.wrapping_sub(vdso.start))
    }

    fn remap(&mut self, from: u64, map: &Map, to: u64, flags: u64) {
        let length = Arg::Is(map.end - map.start);
        let how = Arg::Is((libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED) as u64);
        self.row(libc::SYS_mremap, [Arg::Is(from), length, length, how, Arg::Is(to)], flags);
    }

    /// What the program was executed with goes: its stack above all.
    pub(super) fn unmap_all_else(&mut self) {
        let (begin, end) = (self.base, self.base + 2 * ASIDE);
        self.call(libc::SYS_munmap, [Arg::Is(BOTTOM), Arg::Is(begin - BOTTOM)]);
        self.call(libc::SYS_munmap, [Arg::Is(end), Arg::Is(TOP - end)]);
    }

    /// Closes the file and goes on where the process was.
    pub(super) fn go_on(&mut self, rest: &Rest) {
        let registers = self.data(&rest.floating);
        let frame = self.data(&rest.frame);
        if let (Arg::At(at), Arg::At(to)) = (frame, registers) {
            self.links.push(Link { at: at + super::tracee::FLOATING_AT, to });
        }
        self.row(libc::SYS_rt_sigreturn, [frame], STACK);
    }

    /// Writes the instructions at `offset` of the file, and the header that leads to them. Returns the file's length.
    pub(super) fn write(mut self, file: &File, offset: u64) -> Done<u64> {
        let code = super::stub::code();
        let table = code.len() + self.rows.len() * super::stub::ROW;
        let start = self.base + table as u64;
        let address = |arg: &Arg| match arg {
            Arg::Is(value) => *value,
            Arg::At(at) => start + *at as u64,
        };
        let mut bytes = code.to_vec();
        for row in &self.rows {
            let numbers = std::iter::once(row.call).chain(row.args.iter().map(address)).chain([row.flags]);
            numbers.for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
        }
        for Link { at, to } in &self.links {
            let to = start + *to as u64;
            self.data[*at..*at + 8].copy_from_slice(&to.to_le_bytes());
        }
        bytes.extend_from_slice(&self.data);
        let length = bytes.len() as u64;
        if length > TABLE_BYTES {
            return Err(refused("a process with this many mappings cannot be written down"));
        }
        let what = "writing a snapshot";
        file.write_all_at(&bytes, offset).during(what)?;
        file.write_all_at(&header(self.base, offset, length), 0).during(what)?;
        Ok(offset + length)
    }
}

impl Replay {
    /// Closes the snapshot's own file.
    pub(super) fn close_image(&mut self) {
        self.call(libc::SYS_close, [Arg::Is(IMAGE as u64)]);
    }
}

/// An executable of one segment, to be read and executed, at a fixed address.
fn header(base: u64, offset: u64, length: u64) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    let short = |bytes: &mut Vec<u8>, values: &[u16]| values.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
    let word = |bytes: &mut Vec<u8>, values: &[u32]| values.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
    let long = |bytes: &mut Vec<u8>, values: &[u64]| values.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
    short(&mut bytes, &[2, 62]); // ET_EXEC, x86-64
    word(&mut bytes, &[1]);
    long(&mut bytes, &[base, HEADER_BYTES, 0]);
    word(&mut bytes, &[0]);
    short(&mut bytes, &[HEADER_BYTES as u16, SEGMENT_BYTES as u16, 2, 0, 0, 0]);
    word(&mut bytes, &[1, 5]); // PT_LOAD, readable and executable
    long(&mut bytes, &[offset, base, base, length, length, PAGE]);
    word(&mut bytes, &[0x6474_e551, 6]); // PT_GNU_STACK, not executable
    long(&mut bytes, &[0, 0, 0, 0, 0, 16]);
    bytes
}

fn vdso(maps: &[Map]) -> Option<&Map> {
    maps.iter().find(|map| map.path == "[vdso]")
}

/// The kernel's own mappings in a process, which move with the vDSO.
fn of_kernel(maps: &[Map]) -> impl Iterator<Item = &Map> {
    maps.iter().filter(|map| map.is_of_kernel())
}

impl Map {
    pub(super) fn is_of_kernel(&self) -> bool {
        self.path == "[vdso]" || self.path.starts_with("[vvar")
    }
}
