//! Blocks of addresses.

use std::net::IpAddr;

use crate::PatternError;

/// The addresses that begin with the same bits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Cidr {
    /// An address among them; its family is theirs.
    address: IpAddr,
    /// How many bits are the same.
    bits: u32,
}

impl Cidr {
    /// # Errors
    /// Where it is not `address/bits`.
    pub(crate) fn parse(text: &str) -> Result<Cidr, PatternError> {
        let (address, bits) =
            text.split_once('/').ok_or_else(|| PatternError::new("Malformed CIDR, one '/' required"))?;
        if bits.contains('/') {
            return Err(PatternError::new("Malformed CIDR, one '/' required"));
        }
        let bits: u32 = bits.parse().map_err(|_| PatternError::new("Malformed CIDR, mask bits must be an integer"))?;
        let address: IpAddr = address.parse().map_err(|_| PatternError::new("Malformed IP address"))?;
        let (family, width) = if address.is_ipv4() { ("IPv4", 32) } else { ("IPv6", 128) };
        if bits > width {
            return Err(PatternError(format!("{family} mask bits must be < {}", width + 1)));
        }
        Ok(Cidr { address, bits })
    }

    /// Whether the text is one of these addresses.
    pub(crate) fn contains(&self, text: &str) -> bool {
        match (self.address, text.parse()) {
            (IpAddr::V4(own), Ok(IpAddr::V4(other))) => {
                same(own.to_bits().into(), other.to_bits().into(), 32 - self.bits)
            }
            (IpAddr::V6(own), Ok(IpAddr::V6(other))) => same(own.to_bits(), other.to_bits(), 128 - self.bits),
            _ => false,
        }
    }
}

/// Whether they differ in their last bits at most.
fn same(one: u128, other: u128, last: u32) -> bool {
    (one ^ other).checked_shr(last).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_and_out() {
        let block = Cidr::parse("10.1.2.0/24").unwrap();
        assert!(block.contains("10.1.2.0") && block.contains("10.1.2.255"));
        assert!(!block.contains("10.1.3.0") && !block.contains("x") && !block.contains("::1"));
        assert!(Cidr::parse("0.0.0.0/0").unwrap().contains("255.255.255.255"));
        assert!(Cidr::parse("10.0.0.1/32").unwrap().contains("10.0.0.1"));
        assert!(!Cidr::parse("10.0.0.1/32").unwrap().contains("10.0.0.2"));
        let six = Cidr::parse("2001:db8::/32").unwrap();
        assert!(six.contains("2001:db8:1::5") && six.contains("2001:0db8::1") && !six.contains("2001:db9::"));
        assert!(Cidr::parse("::/0").unwrap().contains("ff::1"));
    }

    #[test]
    fn what_is_none() {
        for (text, reason) in [
            ("10.0.0.0", "Malformed CIDR, one '/' required"),
            ("10.0.0.0/8/8", "Malformed CIDR, one '/' required"),
            ("10.0.0.0/x", "Malformed CIDR, mask bits must be an integer"),
            ("10.0.0.0/-1", "Malformed CIDR, mask bits must be an integer"),
            ("10.0.0/8", "Malformed IP address"),
            ("10.0.0.0/33", "IPv4 mask bits must be < 33"),
            ("::/129", "IPv6 mask bits must be < 129"),
        ] {
            assert_eq!(Cidr::parse(text).unwrap_err().to_string(), reason, "{text}");
        }
    }
}
