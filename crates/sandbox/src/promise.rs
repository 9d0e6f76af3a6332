//! What is promised of environments, and which of it this machine cannot keep. The spawner finds out by doing; what cannot
//! be kept and is not among the following leaves no environment at all.

use crate::error::{Failure, SandboxError};

/// One thing that is promised of every environment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Promise {
    /// Its processes reach nothing of the machine, the platform or another environment: users, namespaces, root and system
    /// calls of its own.
    Confined,
    /// Hard limits of memory, tasks and CPU, of its own; idle it is frozen, and nothing outlives it.
    Limited,
    /// /tmp is a disk of its size, which does not count as memory.
    TmpOnDisk,
    /// /tmp is no faster than was set.
    TmpThroughput,
    /// No other function's process has its hash seed, or its memory where this one has it.
    OwnLayout,
}

/// How much is promised, by what it is worth; each level has all promises of those before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// [`Promise::Confined`] and [`Promise::Limited`].
    Limits,
    /// [`Promise::TmpOnDisk`] and [`Promise::TmpThroughput`].
    Disk,
    /// All.
    Full,
}

impl Promise {
    /// All, those of lower levels first.
    pub const ALL: [Self; 5] = [Self::Confined, Self::Limited, Self::TmpOnDisk, Self::TmpThroughput, Self::OwnLayout];

    /// The lowest level that has it.
    #[must_use]
    pub fn level(self) -> Level {
        match self {
            Self::Confined | Self::Limited => Level::Limits,
            Self::TmpOnDisk | Self::TmpThroughput => Level::Disk,
            Self::OwnLayout => Level::Full,
        }
    }

    /// For people.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Confined => "functions reach nothing of the machine, the platform or each other",
            Self::Limited => "hard limits of memory, tasks and CPU; idle environments are frozen",
            Self::TmpOnDisk => "/tmp is a disk of its size and counts as no memory",
            Self::TmpThroughput => "/tmp is no faster than --tmp-throughput",
            Self::OwnLayout => "functions have neither hash seed nor memory layout in common",
        }
    }

    pub(crate) fn number(self) -> u32 {
        self as u32
    }

    pub(crate) fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|promise| promise.number() == number)
    }
}

impl Level {
    /// The highest that needs none of what is not kept; none where not even the lowest can be.
    #[must_use]
    pub fn without<'a>(broken: impl IntoIterator<Item = &'a Promise>) -> Option<Self> {
        match broken.into_iter().map(|promise| promise.level()).min() {
            None => Some(Self::Full),
            Some(Self::Full) => Some(Self::Disk),
            Some(Self::Disk) => Some(Self::Limits),
            Some(Self::Limits) => None,
        }
    }

    /// As the command line has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Limits => "limits",
            Self::Disk => "disk",
            Self::Full => "full",
        }
    }
}

/// A promise that is not kept here.
#[derive(Debug)]
pub struct Broken {
    /// Which.
    pub promise: Promise,
    /// Why, and how to get it.
    pub why: SandboxError,
}

/// The same between processes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Unkept {
    pub(crate) promise: Promise,
    pub(crate) failure: Failure,
}

impl From<Unkept> for Broken {
    fn from(unkept: Unkept) -> Self {
        Self { promise: unkept.promise, why: unkept.failure.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_what_is_kept() {
        assert_eq!(Level::without([]), Some(Level::Full));
        assert_eq!(Level::without([&Promise::TmpThroughput]), Some(Level::Limits));
        assert_eq!(Level::without([&Promise::TmpOnDisk, &Promise::Limited]), None);
        assert_eq!(Level::without([&Promise::OwnLayout]), Some(Level::Disk));
        assert!(Level::Full > Level::Disk && Level::Disk > Level::Limits);
    }

    #[test]
    fn promises_have_numbers() {
        for promise in Promise::ALL {
            assert_eq!(Promise::from_number(promise.number()), Some(promise));
        }
        assert_eq!(Promise::from_number(5), None);
    }
}
