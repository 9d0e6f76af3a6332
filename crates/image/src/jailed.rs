//! Reading in a jail: the few bytes in which the order goes in and the outcome comes out. The server believes what comes
//! out no more than it would believe the archive: it may say that a package is fine, refuse it with a short text, or
//! claim a size within the bounds.

use std::borrow::Cow;
use std::io;
use std::os::fd::BorrowedFd;

use hearth_types::limits::{UNZIPPED_BYTES, ZIP_ENTRIES};

use crate::PackageError;
use crate::reading::{Unpacked, Wanted, Work, read};

/// Bytes of a text in a report.
const TEXT_BYTES: usize = 256;

/// The order for [`read_in_jail`]: what is wanted, as a number.
#[must_use]
pub fn order(wanted: Wanted<'_>) -> u32 {
    Work::of(wanted) as u32
}

/// The jail's side: reads as ordered, and puts the outcome in words that [`outcome`] understands.
#[must_use]
pub fn read_in_jail(zip: &[u8], order: u32, folder: Option<BorrowedFd<'_>>) -> Vec<u8> {
    let work = Work::ALL.into_iter().find(|work| *work as u32 == order);
    let work = work.ok_or_else(|| PackageError::disk("reading an order")(io::ErrorKind::InvalidInput));
    report(&work.and_then(|work| read(zip, work, folder)))
}

/// The server's side: what a jail reported.
///
/// # Errors
/// What is wrong with the package; or that the report is none.
pub fn outcome(report: &[u8]) -> Result<Unpacked, PackageError> {
    parse(report).unwrap_or_else(|| Err(PackageError::disk("hearing from the reader")(io::ErrorKind::InvalidData)))
}

fn report(outcome: &Result<Unpacked, PackageError>) -> Vec<u8> {
    let write = |kind: u8, numbers: [u64; 2], texts: &[&str]| {
        let mut bytes = vec![kind];
        numbers.iter().for_each(|number| bytes.extend(number.to_le_bytes()));
        for text in texts {
            let text = &text.as_bytes()[..text.floor_char_boundary(TEXT_BYTES)];
            bytes.extend((text.len() as u16).to_le_bytes());
            bytes.extend(text);
        }
        bytes
    };
    match outcome {
        Ok(unpacked) => write(0, [unpacked.bytes, unpacked.entries as u64], &[]),
        Err(PackageError::Malformed(why)) => write(1, [0; 2], &[why]),
        Err(PackageError::Empty) => write(2, [0; 2], &[]),
        Err(PackageError::TooLarge) => write(3, [0; 2], &[]),
        Err(PackageError::Entry { name, why }) => write(4, [0; 2], &[name, why]),
        Err(PackageError::TooMany(_)) => write(5, [0; 2], &[]),
        Err(PackageError::Disk { what, cause }) => {
            let errno = cause.raw_os_error().unwrap_or(rustix::io::Errno::IO.raw_os_error());
            write(6, [errno.unsigned_abs().into(), 0], &[what])
        }
    }
}

fn parse(report: &[u8]) -> Option<Result<Unpacked, PackageError>> {
    let (kind, rest) = report.split_first()?;
    let (first, rest) = rest.split_first_chunk()?;
    let (second, rest) = rest.split_first_chunk()?;
    let numbers = [first, second].map(|bytes| u64::from_le_bytes(*bytes));
    let mut texts = Texts(rest);
    let outcome = match kind {
        0 => {
            let unpacked = Unpacked { bytes: numbers[0], entries: usize::try_from(numbers[1]).ok()? };
            let possible = unpacked.bytes <= UNZIPPED_BYTES && (1..=ZIP_ENTRIES).contains(&unpacked.entries);
            Ok(possible.then_some(unpacked)?)
        }
        1 => Err(PackageError::Malformed(Cow::Owned(texts.next()?))),
        2 => Err(PackageError::Empty),
        3 => Err(PackageError::TooLarge),
        4 => Err(PackageError::Entry { name: texts.next()?, why: Cow::Owned(texts.next()?) }),
        5 => Err(PackageError::TooMany(ZIP_ENTRIES)),
        6 => {
            let cause = io::Error::from_raw_os_error(i32::try_from(numbers[0]).ok()?);
            Err(PackageError::Disk { what: Cow::Owned(texts.next()?), cause })
        }
        _ => return None,
    };
    texts.0.is_empty().then_some(outcome)
}

/// Texts, each behind its length.
struct Texts<'a>(&'a [u8]);

impl Iterator for Texts<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let (length, rest) = self.0.split_first_chunk()?;
        let length = usize::from(u16::from_le_bytes(*length));
        let (text, rest) = rest.split_at_checked(length).filter(|_| length <= TEXT_BYTES)?;
        self.0 = rest;
        Some(String::from_utf8_lossy(text).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Result<Unpacked, PackageError>> {
        vec![
            Ok(Unpacked { bytes: UNZIPPED_BYTES, entries: 1 }),
            Err(PackageError::malformed("a header is cut off")),
            Err(PackageError::Empty),
            Err(PackageError::TooLarge),
            Err(PackageError::entry("é\n".as_bytes(), "is there twice")),
            Err(PackageError::TooMany(ZIP_ENTRIES)),
            Err(PackageError::disk("making a file")(io::Error::from_raw_os_error(28))),
        ]
    }

    #[test]
    fn every_outcome_survives_the_report() {
        for given in all() {
            assert_eq!(format!("{:?}", outcome(&report(&given))), format!("{given:?}"));
        }
    }

    #[test]
    fn what_is_no_report_is_this_machines_failure() {
        let refused = |bytes: &[u8]| outcome(bytes).is_err_and(|error| !error.is_callers());
        for given in all() {
            let whole = report(&given);
            assert!((0..whole.len()).all(|end| refused(&whole[..end])), "{given:?}");
            assert!(refused(&[&whole[..], &[0]].concat()), "{given:?}");
        }
        let claim = |bytes, entries| report(&Ok(Unpacked { bytes, entries }));
        assert!(refused(&claim(UNZIPPED_BYTES + 1, 1)) && refused(&claim(1, ZIP_ENTRIES + 1)));
        let long = report(&Err(PackageError::Malformed("x".repeat(5000).into())));
        assert!(long.len() < 1000 && !refused(&long));
        assert!(refused(&[7; 17]));
    }
}
