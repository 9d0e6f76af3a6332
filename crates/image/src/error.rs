//! Why a package is not unpacked.

use std::borrow::Cow;
use std::io;

use hearth_types::limits::UNZIPPED_BYTES;

/// Why a package is not unpacked. Nothing of it is left then.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// Not a zip, a damaged one, or one that two readers could understand differently.
    #[error("the package is not a sound zip: {0}")]
    Malformed(Cow<'static, str>),
    /// A zip without entries.
    #[error("the package has no entries")]
    Empty,
    /// More bytes than a function may have.
    #[error("the package is larger than {UNZIPPED_BYTES} bytes unpacked")]
    TooLarge,
    /// An entry that may not be unpacked.
    #[error("the package's entry {name:?} {why}")]
    Entry {
        /// Its name, cut where it is long.
        name: String,
        /// What is wrong with it.
        why: Cow<'static, str>,
    },
    /// More entries, their folders included, than we take.
    #[error("the package has more than {0} files and folders")]
    TooMany(usize),
    /// Our side failed.
    #[error("unpacking failed while {what}: {cause}")]
    Disk {
        /// What was being done.
        what: Cow<'static, str>,
        /// What the system says.
        cause: io::Error,
    },
}

/// What Lambda says of a zip that it cannot read.
const UNREADABLE: &str = "Could not unzip uploaded file. Please check your file, then try to upload again.";
/// Bytes of an entry's name that an error repeats.
const SHOWN_NAME_BYTES: usize = 200;

impl PackageError {
    /// The text for the client: that of Lambda, with the entry where one is to blame.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Malformed(_) => UNREADABLE.to_owned(),
            Self::Empty => "Uploaded file must be a non-empty zip".to_owned(),
            Self::TooLarge => format!("Unzipped size must be smaller than {UNZIPPED_BYTES} bytes"),
            Self::Entry { .. } | Self::TooMany(_) => format!("{UNREADABLE} ({self})"),
            Self::Disk { .. } => "The package could not be unpacked.".to_owned(),
        }
    }

    /// Whether the package is to blame, not this machine.
    #[must_use]
    pub fn is_callers(&self) -> bool {
        !matches!(self, Self::Disk { .. })
    }

    pub(crate) const fn malformed(why: &'static str) -> Self {
        Self::Malformed(Cow::Borrowed(why))
    }

    pub(crate) fn entry(name: &[u8], why: &'static str) -> Self {
        let shown = String::from_utf8_lossy(&name[..name.len().min(SHOWN_NAME_BYTES)]).into_owned();
        Self::Entry { name: shown, why: Cow::Borrowed(why) }
    }

    /// For `map_err`.
    pub(crate) fn disk<E: Into<io::Error>>(what: &'static str) -> impl Fn(E) -> Self {
        move |cause| Self::Disk { what: Cow::Borrowed(what), cause: cause.into() }
    }
}
