//! Identifiers as IAM makes them: a prefix that says the kind, and random characters.

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Random bytes of an identifier.
pub const ID_BYTES: usize = 16;

/// What an identifier is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IdKind {
    /// A long-lived access key: `AKIA` and 16 more.
    AccessKey,
    /// A session's access key: `ASIA` and 16 more.
    SessionKey,
    /// A user: `AIDA` and 17 more.
    User,
    /// A role: `AROA` and 17 more.
    Role,
    /// A managed policy: `ANPA` and 17 more.
    Policy,
}

/// A new identifier, of random bytes.
#[must_use]
pub fn new_id(kind: IdKind, random: [u8; ID_BYTES]) -> String {
    let (prefix, length) = match kind {
        IdKind::AccessKey => ("AKIA", 16),
        IdKind::SessionKey => ("ASIA", 16),
        IdKind::User => ("AIDA", 17),
        IdKind::Role => ("AROA", 17),
        IdKind::Policy => ("ANPA", 17),
    };
    let mut bits = u128::from_le_bytes(random);
    let mut id = prefix.to_owned();
    for _ in 0..length {
        id.push(char::from(ALPHABET[(bits % 32) as usize]));
        bits /= 32;
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_have_iams_shape() {
        assert_eq!(new_id(IdKind::AccessKey, [0; ID_BYTES]), "AKIAAAAAAAAAAAAAAAAA");
        assert_eq!(new_id(IdKind::Role, [255; ID_BYTES]).len(), 21);
        assert_ne!(new_id(IdKind::User, [1; ID_BYTES]), new_id(IdKind::User, [2; ID_BYTES]));
    }
}
