//! How many runtimes of a name are always to wait for functions, because whoever runs the server said so.

use std::str::FromStr;

use hearth_types::limits::{AHEAD_MAX, MEMORY_MAX_MB, MEMORY_MIN_MB};

use crate::ahead::{Ahead, usual};
use crate::{Catalogue, Missing};

/// `python3.11=1000`, `nodejs20.x:512=50`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stock {
    /// The runtime's name.
    pub runtime: String,
    /// Of the functions that it is for: a Node.js gets the size of its heap when it is started. Of others it does not matter.
    pub memory_mb: u32,
    /// How many, at most [`AHEAD_MAX`].
    pub count: usize,
}

impl FromStr for Stock {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (which, count) = text.split_once('=').ok_or("it looks like python3.11=1000, or nodejs20.x:512=50")?;
        let (runtime, memory) =
            which.split_once(':').map_or((which, None), |(runtime, memory)| (runtime, Some(memory)));
        let memory_mb = memory.map_or(Some(MEMORY_MIN_MB), |memory| memory.parse().ok());
        let memory_mb = memory_mb.filter(|mb| (MEMORY_MIN_MB..=MEMORY_MAX_MB).contains(mb));
        let memory_mb = memory_mb.ok_or_else(|| {
            format!("{:?} MB: a function has {MEMORY_MIN_MB} to {MEMORY_MAX_MB}", memory.unwrap_or_default())
        })?;
        let count = count.parse::<u64>().ok().filter(|count| *count <= AHEAD_MAX);
        let count = count.and_then(|count| usize::try_from(count).ok());
        let count = count.ok_or_else(|| format!("so many runtimes can wait: 0 to {AHEAD_MAX}"))?;
        Ok(Self { runtime: runtime.to_owned(), memory_mb, count })
    }
}

impl std::fmt::Display for Stock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { runtime, memory_mb, count } = self;
        write!(f, "{runtime}:{memory_mb}={count}")
    }
}

impl Catalogue {
    /// The kinds of starts that a stock is of. What several ask for of one kind comes together.
    ///
    /// # Errors
    /// One cannot run here: what is missing and how to get it.
    pub fn stock(&self, all: &[Stock]) -> Result<Vec<(Ahead, usize)>, Missing> {
        let mut kinds: Vec<(Ahead, usize)> = Vec::new();
        for Stock { runtime, memory_mb, count } in all {
            let kind = usual(self.find(runtime, None)?, *memory_mb);
            match kinds.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, known)) => *known += count,
                None => kinds.push((kind, *count)),
            }
        }
        Ok(kinds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_memory_and_count_are_read_and_written() {
        let of = |text: &str| text.parse::<Stock>().unwrap();
        assert_eq!(of("python3.11=7"), Stock { runtime: "python3.11".into(), memory_mb: 128, count: 7 });
        assert_eq!(of("nodejs20.x:512=50").memory_mb, 512);
        assert_eq!(of(&of("nodejs20.x:512=50").to_string()), of("nodejs20.x:512=50"));
    }

    #[test]
    fn what_is_no_stock_says_why() {
        let why = |text: &str| text.parse::<Stock>().unwrap_err();
        assert!(why("python3.11").contains("looks like"));
        for text in ["python3.11=x", "python3.11=-1", "python3.11=99999"] {
            assert!(why(text).contains("0 to 2048"), "{text}");
        }
        assert!(why("nodejs20.x:1=5").contains("128 to 10240") && why("nodejs20.x:=5").contains("128 to"));
    }

    #[test]
    fn a_stock_is_of_what_the_machine_has() {
        let cache = tempfile::tempdir().unwrap();
        let catalogue = crate::discover(cache.path(), &[]);
        let of = |all: &[&str]| catalogue.stock(&all.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>());
        let [(_, count)] = &of(&["provided.al2023=2", "provided.al2023:512=3"]).unwrap()[..] else {
            panic!("memory is nothing that such a process is told")
        };
        assert_eq!(*count, 5);
        assert!(of(&["cobol1=2"]).unwrap_err().what.contains("cobol1"));
    }
}
