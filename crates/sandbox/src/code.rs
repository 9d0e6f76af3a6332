//! The memory that a program's own code takes.

use std::fs;
use std::ops::Range;

use crate::sys;

/// Lets this program's code go from this process's memory: what is needed from now on comes back from the page cache, page
/// by page. So a process that has started holds what it uses, not what its start used. Where it cannot be done, it stays.
pub fn let_code_go() {
    let (Ok(maps), Ok(program)) = (fs::read_to_string("/proc/self/maps"), fs::read_link("/proc/self/exe")) else {
        return;
    };
    let Some(program) = program.to_str() else { return };
    code_of(&maps, program).for_each(sys::let_code_go);
}

/// Where the code of `program` is mapped.
fn code_of<'a>(maps: &'a str, program: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
    maps.lines().filter_map(move |line| {
        let (addresses, rest) = line.split_once(' ')?;
        let is_code = rest.starts_with("r-xp ") && rest.ends_with(&format!(" {program}"));
        let (start, end) = addresses.split_once('-').filter(|_| is_code)?;
        Some(usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_programs_own_code_is_found() {
        let maps = "1000-2000 r--p 00000000 08:01 7  /usr/bin/hearth\n\
                    2000-5000 r-xp 00001000 08:01 7  /usr/bin/hearth\n\
                    5000-6000 r--p 00004000 08:01 7  /usr/bin/hearth\n\
                    6000-7000 rw-p 00005000 08:01 7  /usr/bin/hearth\n\
                    7000-9000 r-xp 00000000 08:01 8  /usr/lib/libc.so.6\n\
                    9000-a000 r-xp 00000000 00:00 0\n";
        let mut found = code_of(maps, "/usr/bin/hearth");
        assert_eq!((found.next(), found.next()), (Some(0x2000..0x5000), None));
    }

    #[test]
    fn the_program_goes_on() {
        let_code_go();
        assert_eq!("still here".len(), 10);
    }
}
