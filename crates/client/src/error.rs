//! How a request can fail.

use thiserror::Error;

/// The server did not answer: nobody is there, its certificate is not trusted, it was too slow. The text says which.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{0}")]
pub struct Unreached(pub(crate) String);

/// An answer's body could not be read to its end.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Unread {
    /// It is longer than the caller takes.
    #[error("the answer is longer than {most} bytes")]
    TooLarge {
        /// Bytes.
        most: usize,
    },
    /// It broke off, or stalled.
    #[error("the answer breaks off: {0}")]
    Broken(String),
}

/// A call of an AWS service came to nothing.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum CallError {
    /// The service answered an error.
    #[error("{code}: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// `ResourceNotFoundException`, ...; without the name space that may stand before it.
        code: String,
        /// What it says to that; may be empty.
        message: String,
    },
    /// It did not answer.
    #[error("{0}")]
    Unreached(#[from] Unreached),
    /// Its answer could not be read.
    #[error("{0}")]
    Unread(#[from] Unread),
    /// What it answered is not what its protocol says, or the request cannot be written down.
    #[error("{0}")]
    Unfit(String),
}

impl CallError {
    /// The error's code, where the service named one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }
}

/// What is at the bottom of an error: `Connection refused`, not that a client could not connect.
pub(crate) fn root_of(error: &dyn std::error::Error) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}
