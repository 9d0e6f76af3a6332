//! The processes of an environment, by their task; with the numbers that frames have for them.

/// A process of an environment that is known by its task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Process {
    /// The function's runtime.
    Runtime,
    /// The program beside it with this number, from 0.
    Beside(u32),
}

impl Process {
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Runtime => 0,
            Self::Beside(number) => number + 1,
        }
    }

    pub(crate) fn of(number: u32) -> Self {
        number.checked_sub(1).map_or(Self::Runtime, Self::Beside)
    }
}

/// A signal that the server may send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// SIGTERM: it should end.
    Terminate,
    /// SIGKILL: it ends.
    Kill,
}

impl Signal {
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Terminate => 1,
            Self::Kill => 2,
        }
    }

    pub(crate) fn of(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Terminate),
            2 => Some(Self::Kill),
            _ => None,
        }
    }
}

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Exit {
    /// It exited with this status.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}
