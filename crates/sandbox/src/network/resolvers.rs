//! Whom the machine asks for names.

use std::net::{IpAddr, SocketAddr};

const CONFIGURATION: &str = "/etc/resolv.conf";
const DNS_PORT: u16 = 53;
/// The resolver's own bound (`MAXNS`).
const MOST: usize = 3;

/// The machine's name servers as they are now, the first one first; itself where it names none.
#[must_use]
pub fn name_servers() -> Vec<SocketAddr> {
    parse(&std::fs::read_to_string(CONFIGURATION).unwrap_or_default())
}

fn parse(text: &str) -> Vec<SocketAddr> {
    let mut found: Vec<SocketAddr> = text.lines().filter_map(server).take(MOST).collect();
    if found.is_empty() {
        found.push((std::net::Ipv4Addr::LOCALHOST, DNS_PORT).into());
    }
    found
}

/// The address of a line `nameserver ADDRESS`. One with a zone (`fe80::1%eth0`) is passed over.
fn server(line: &str) -> Option<SocketAddr> {
    let mut words = line.split_ascii_whitespace();
    let address: IpAddr = (words.next()? == "nameserver").then(|| words.next())??.parse().ok()?;
    Some((address, DNS_PORT).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_in_order() {
        let text =
            "# nameserver 9.9.9.9\nsearch x\nnameserver 192.0.2.1 # first\n nameserver ::1\nnameserver fe80::1%eth0\n";
        assert_eq!(parse(text), ["192.0.2.1:53".parse().unwrap(), "[::1]:53".parse().unwrap()]);
        assert_eq!(parse(""), ["127.0.0.1:53".parse().unwrap()]);
        let many = "nameserver 192.0.2.1\n".repeat(9);
        assert_eq!(parse(&many).len(), MOST);
    }
}
