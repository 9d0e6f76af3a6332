//! Packet rules of others that stand in the way: what one table drops, no other can let through.

use super::netlink::{Message, Netlink};
use crate::error::Done;

const GET_CHAINS: u16 = 10 << 8 | 4;
const DUMP: u16 = 0x300;

/// Names of the kernel's attributes of a chain.
const TABLE: u16 = 1;
const NAME: u16 = 3;
const HOOK: u16 = 4;
const POLICY: u16 = 5;
/// And of its hook.
const HOOK_NUMBER: u16 = 1;

const FORWARD: u32 = 2;
const DROP: u32 = 0;
const FAMILIES: [u8; 2] = [1, 2];

/// Chains that drop what is passed on unless a rule of theirs lets it through: `table chain`, without those of `ours`.
pub(super) fn forward_drops(rules: &Netlink, ours: &str) -> Done<Vec<String>> {
    let chains = rules.list(&Message::new(GET_CHAINS, DUMP, &[0; 4]), "listing packet rules")?;
    let found = chains.iter().filter_map(|chain| dropping(chain)).filter(|(table, _)| table != ours);
    Ok(found.map(|(table, chain)| format!("{table} {chain}")).collect())
}

/// Table and name, where the chain is asked about what is passed on and drops what no rule of it decides on.
fn dropping(message: &[u8]) -> Option<(String, String)> {
    let (head, rest) = message.split_first_chunk::<4>()?;
    let attributes = attributes(rest);
    let find = |kind: u16| attributes.iter().find(|(k, _)| *k == kind).map(|(_, value)| *value);
    let text = |kind| Some(String::from_utf8_lossy(find(kind)?).trim_end_matches('\0').to_owned());
    let hook = self::attributes(find(HOOK)?);
    let hook = hook.iter().find(|(kind, _)| *kind == HOOK_NUMBER).and_then(|(_, value)| number(value))?;
    let drops = FAMILIES.contains(&head[0]) && hook == FORWARD && number(find(POLICY)?)? == DROP;
    drops.then(|| Some((text(TABLE)?, text(NAME)?)))?
}

fn number(value: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(value.try_into().ok()?))
}

/// Kind and value of each attribute.
fn attributes(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut all = Vec::new();
    while let Some((head, _)) = bytes.split_first_chunk::<4>() {
        let length = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        let Some(value) = bytes.get(4..length) else { break };
        all.push((u16::from_ne_bytes([head[2], head[3]]) & 0x3FFF, value));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(family: u8, hook: u32, policy: u32) -> Vec<u8> {
        let message = Message::new(0, 0, &[family, 0, 0, 0]).text(TABLE, "filter").text(NAME, "FORWARD");
        let message = message.nested(HOOK, |m| m.big_endian(HOOK_NUMBER, hook).big_endian(2, 0));
        message.big_endian(POLICY, policy).into_body()
    }

    #[test]
    fn only_what_drops_forwarded_packets_is_found() {
        assert_eq!(dropping(&chain(2, FORWARD, DROP)), Some(("filter".to_owned(), "FORWARD".to_owned())));
        for other in [chain(2, FORWARD, 1), chain(2, 1, DROP), chain(10, FORWARD, DROP), Vec::new(), vec![0; 7]] {
            assert_eq!(dropping(&other), None);
        }
        let whole = chain(2, FORWARD, DROP);
        for end in 0..whole.len() - 4 {
            assert_eq!(dropping(&whole[..end]), None, "{end}");
        }
    }
}
