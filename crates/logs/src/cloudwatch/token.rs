//! Ids of events and tokens that lead from page to page: 56 digits, as the service's.

use hearth_types::CodeDigest;

use crate::search::Position;

/// What the service still shows where it once counted uploads; nothing depends on it.
pub(super) const SEQUENCE_TOKEN: &str = "49039859630000000000000000000000000000000000000000000000";

const TIME_DIGITS: usize = 17;
const SEQUENCE_DIGITS: usize = 20;
const OWNER_DIGITS: usize = 19;

/// Tells what a token belongs to from what it does not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Owner(u64);

impl Owner {
    /// Of all these texts together.
    pub(super) fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut all = Vec::new();
        for text in texts {
            all.extend_from_slice(text.as_bytes());
            all.push(0);
        }
        let [a, b, c, d, e, f, g, h, ..] = CodeDigest::of(&all).0;
        // 63 bits have 19 digits at most.
        Self(u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1)
    }

    /// A position in what it belongs to.
    pub(super) fn token(self, position: Position) -> String {
        let time = position.timestamp_ms.max(0);
        format!("{time:0TIME_DIGITS$}{:0SEQUENCE_DIGITS$}{:0OWNER_DIGITS$}", position.sequence, self.0)
    }

    /// The position back; none for a token of something else.
    pub(super) fn position(self, token: &str) -> Option<Position> {
        let is_whole = token.len() == TIME_DIGITS + SEQUENCE_DIGITS + OWNER_DIGITS;
        let is_digits = token.bytes().all(|byte| byte.is_ascii_digit());
        if !is_whole || !is_digits {
            return None;
        }
        let (time, rest) = token.split_at(TIME_DIGITS);
        let (sequence, owner) = rest.split_at(SEQUENCE_DIGITS);
        let position = Position { timestamp_ms: time.parse().ok()?, sequence: sequence.parse().ok()? };
        (owner.parse() == Ok(self.0)).then_some(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_back_only_where_it_came_from() {
        let owner = Owner::of(["g", "s"]);
        let position = Position { timestamp_ms: 1_795_276_800_000, sequence: u64::MAX };
        let token = owner.token(position);
        assert_eq!((token.len(), owner.position(&token)), (56, Some(position)));
        assert_eq!(Owner::of(["gs"]).position(&token), None);
        assert_eq!(Owner::of(["g", "t"]).position(&token), None);
        let large = "9".repeat(56);
        for other in ["", "x", &token[1..], &large, &format!("é{}", &token[2..])] {
            assert_eq!(owner.position(other), None, "{other}");
        }
    }
}
