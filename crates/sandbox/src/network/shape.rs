//! What goes through a link at most: a token bucket, which the kernel has as a kind of queue (`tbf`). It holds back what is
//! sent by the link; for both directions each end needs one.

use super::link::Link;
use super::netlink::Message;
use crate::error::{Done, Failure};

const NEW_QUEUE: u16 = 36;
const CREATE: u16 = 0x400 | 0x200;
/// The queue that all packets pass, and its own number.
const ROOT: u32 = 0xFFFF_FFFF;
const HANDLE: u32 = 1 << 16;

/// Names of the kernel's attributes.
const KIND: u16 = 1;
const OPTIONS: u16 = 2;
const PARAMETERS: u16 = 1;
const BURST: u16 = 6;

/// What may go at once after a silence: so much time's worth, and no less than a few of the largest packets that the kernel
/// passes along unsplit.
const BURST_MS: u32 = 10;
const BURST_MIN_BYTES: u32 = 256 * 1024;
/// How long a packet may wait in the queue before it is dropped.
const QUEUE_MS: u32 = 25;

/// Bytes a second of so many megabits.
fn bytes_per_second(mbit: u32) -> u32 {
    mbit.saturating_mul(125_000)
}

impl Link<'_> {
    /// Lets so many megabits a second out by this link, at most 34,000.
    pub(super) fn limit(&self, mbit: u32) -> Done {
        let rate = bytes_per_second(mbit);
        let of_time = |ms: u32| (u64::from(rate) * u64::from(ms) / 1000) as u32;
        let burst = of_time(BURST_MS).max(BURST_MIN_BYTES);
        let what = format!("limiting the link {} to {mbit} Mbit/s", self.name);
        // `struct tcmsg`.
        let head = [[0; 4], self.index()?.to_ne_bytes(), HANDLE.to_ne_bytes(), ROOT.to_ne_bytes(), [0; 4]].concat();
        let message = Message::new(NEW_QUEUE, CREATE, &head).text(KIND, "tbf").nested(OPTIONS, |options| {
            let parameters = parameters(rate, burst.saturating_add(of_time(QUEUE_MS)));
            options.bytes(PARAMETERS, &parameters).number(BURST, burst)
        });
        self.netlink.ask(&message, &what).map_err(|failure| match failure.errno {
            libc::ENOENT => Failure::new(libc::ENOENT, format!("{what}: this kernel has no tbf (CONFIG_NET_SCH_TBF)")),
            _ => failure,
        })
    }
}

/// `struct tc_tbf_qopt`: rate, no peak rate, bytes that may wait; the burst is said apart, in bytes.
fn parameters(rate: u32, waiting: u32) -> Vec<u8> {
    const ETHERNET: u8 = 1;
    let rate = [[0, ETHERNET, 0, 0], [0; 4], rate.to_ne_bytes()].concat();
    [rate, vec![0; 12], waiting.to_ne_bytes().to_vec(), vec![0; 8]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lambdas_own_is_78_megabytes() {
        assert_eq!(bytes_per_second(625), 78_125_000);
        assert_eq!(parameters(1, 2).len(), 36);
    }
}
