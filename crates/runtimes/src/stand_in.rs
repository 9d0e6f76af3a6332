//! Interpreters that serve a runtime's name which is not their own, because whoever runs the server said so.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::{java, ruby};

/// `ruby3.3=/usr/bin/ruby3.1`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StandIn {
    /// The runtime's name.
    pub runtime: String,
    /// The interpreter's absolute path.
    pub program: PathBuf,
}

impl FromStr for StandIn {
    type Err = String;

    /// Only where the languages of two versions are one and packages hold sources: the compiled parts of Python's and
    /// Node.js's packages are made for one version alone.
    fn from_str(text: &str) -> Result<Self, String> {
        let (runtime, program) = text.split_once('=').ok_or("it looks like ruby3.3=/usr/bin/ruby3.1")?;
        let program = PathBuf::from(program);
        let rubies: Vec<_> = ruby::names().collect();
        let javas = java::JAVA_MAJORS.map(java::name);
        if rubies.iter().any(|name| name == runtime) {
            ruby::at(&program).ok_or_else(|| format!("{} is no Ruby with its library beside it", program.display()))?;
        } else if javas.iter().any(|name| name == runtime) {
            java::at(&program).ok_or_else(|| format!("{} is no Java with its library beside it", program.display()))?;
        } else {
            return Err(format!("{runtime} is none of {}, {}", rubies.join(", "), javas.join(", ")));
        }
        Ok(Self { runtime: runtime.to_owned(), program })
    }
}

/// The program that serves this name, if one was named. The last one counts.
pub(crate) fn of<'a>(all: &'a [StandIn], runtime: &str) -> Option<&'a Path> {
    all.iter().rev().find(|one| one.runtime == runtime).map(|one| one.program.as_path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_stand_in_says_why() {
        let why = |text: &str| text.parse::<StandIn>().unwrap_err();
        assert!(why("ruby3.3").contains("looks like"));
        assert!(why("python3.14=/usr/bin/python3.13").contains("none of ruby3.2"));
        assert!(why("ruby3.3=/bin/sh").contains("no Ruby") && why("java8.al2=/bin/sh").contains("no Java"));
    }
}
