//! What the kernel tells the spawner of, and the number that each goes by.

/// What an event of the kernel is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// A request, or the server's end.
    Control,
    /// The server has closed this slot's channel.
    Channel(u64),
    /// This slot's init is dead.
    Process(u64),
    /// This slot's init says something.
    Orders(u64),
    /// The server has let this kept volume go.
    Lease(u64),
    /// The machine's routes have changed.
    Routes,
    /// This reader of an archive has ended.
    Reader(u64),
    /// The server does not wait for this reader's report any more.
    Report(u64),
    /// It is time to look at the machine's disk.
    Room,
}

impl Source {
    pub(super) fn token(self) -> u64 {
        match self {
            Self::Control => 0,
            Self::Channel(id) => id << 3 | 1,
            Self::Process(id) => id << 3 | 2,
            Self::Orders(id) => id << 3 | 3,
            Self::Lease(id) => id << 3 | 4,
            Self::Routes => 5,
            Self::Room => 1 << 3 | 5,
            Self::Reader(id) => id << 3 | 6,
            Self::Report(id) => id << 3 | 7,
        }
    }

    pub(super) fn from_token(token: u64) -> Self {
        let id = token >> 3;
        match token & 7 {
            1 => Self::Channel(id),
            2 => Self::Process(id),
            3 => Self::Orders(id),
            4 => Self::Lease(id),
            5 if id == 0 => Self::Routes,
            5 => Self::Room,
            6 => Self::Reader(id),
            7 => Self::Report(id),
            _ => Self::Control,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Source;

    #[test]
    fn tokens_tell_sources_apart() {
        let sources = [
            Source::Control,
            Source::Channel(7),
            Source::Process(7),
            Source::Orders(7),
            Source::Lease(u64::MAX >> 3),
            Source::Routes,
            Source::Reader(8),
            Source::Report(8),
            Source::Room,
        ];
        for source in sources {
            assert_eq!(Source::from_token(source.token()), source);
        }
    }
}
