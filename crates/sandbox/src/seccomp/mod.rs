//! System call filters. A function gets two: one allows what is on a list and answers `ENOSYS` to everything else, so
//! that a C library that tries a newer call falls back to an older one; the other, loaded last and so the one whose
//! answer counts, says `EPERM` to what is refused on purpose. Calls of another architecture's interface kill.

mod calls;

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use crate::error::{Done, Failure};

/// Compiled filters; loaded in this order.
pub(crate) struct Filters {
    allow: BpfProgram,
    refuse: BpfProgram,
    init: BpfProgram,
}

impl Filters {
    /// Compiles for this machine's architecture.
    pub(crate) fn compile() -> Done<Self> {
        let allow = calls::allowed().map(|call| (call, vec![])).collect();
        let refuse = refused_always().chain(refused_by_argument()?).collect();
        let init = calls::INIT.iter().map(|call| (*call, vec![])).collect();
        let (errno, nosys) = (SeccompAction::Errno(libc::EPERM as u32), SeccompAction::Errno(libc::ENOSYS as u32));
        Ok(Self {
            allow: program(allow, nosys, SeccompAction::Allow)?,
            refuse: program(refuse, SeccompAction::Allow, errno)?,
            init: program(init, SeccompAction::KillProcess, SeccompAction::Allow)?,
        })
    }

    /// Filters this process and all it will start, as a function.
    pub(crate) fn confine_function(&self) -> Done {
        load(&self.allow)?;
        load(&self.refuse)
    }

    /// Filters this process as an init that waits for the function's end.
    pub(crate) fn confine_init(&self) -> Done {
        load(&self.init)
    }
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn program(rules: Rules, otherwise: SeccompAction, matched: SeccompAction) -> Done<BpfProgram> {
    let arch = std::env::consts::ARCH.try_into().map_err(wrong)?;
    SeccompFilter::new(rules, otherwise, matched, arch).and_then(TryInto::try_into).map_err(wrong)
}

fn load(program: &BpfProgram) -> Done {
    seccompiler::apply_filter(program)
        .map_err(|error| Failure::new(libc::EINVAL, format!("loading a system call filter: {error}")))
}

fn wrong(error: impl std::fmt::Display) -> Failure {
    Failure::new(libc::EINVAL, format!("compiling the system call filters: {error}"))
}

fn refused_always() -> impl Iterator<Item = (i64, Vec<SeccompRule>)> {
    calls::refused().map(|call| (call, vec![]))
}

/// Calls that are refused with certain arguments only; each rule is one such case.
fn refused_by_argument() -> Done<Vec<(i64, Vec<SeccompRule>)>> {
    let mut rules = vec![
        (libc::SYS_clone, calls::NAMESPACE_FLAGS.iter().map(|flag| has(0, *flag)).collect::<Done<_>>()?),
        (libc::SYS_personality, vec![none_of(0, &[calls::PERSONALITY_LINUX, calls::PERSONALITY_QUERY])?]),
        (libc::SYS_socket, refused_sockets()?),
        (libc::SYS_socketpair, vec![none_of(0, &[libc::AF_UNIX as u64])?]),
        (libc::SYS_ioctl, calls::REFUSED_IOCTLS.iter().map(|request| is(1, *request)).collect::<Done<_>>()?),
        (libc::SYS_mknodat, devices(2)?),
    ];
    #[cfg(target_arch = "x86_64")]
    rules.push((libc::SYS_mknod, devices(1)?));
    Ok(rules)
}

/// Families beyond the usual four; of netlink all but routing; of the Internet's all that need no port.
fn refused_sockets() -> Done<Vec<SeccompRule>> {
    let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK].map(|family| family as u64);
    let mut rules = vec![none_of(0, &families)?];
    rules.push(all([eq(0, libc::AF_NETLINK as u64)?, ne(2, libc::NETLINK_ROUTE as u64)?])?);
    for family in [libc::AF_INET, libc::AF_INET6] {
        for kind in [libc::SOCK_RAW, calls::SOCK_PACKET] {
            rules.push(all([eq(0, family as u64)?, masked(1, calls::SOCKET_TYPE_MASK, kind as u64)?])?);
        }
    }
    Ok(rules)
}

/// Character and block devices in the mode argument.
fn devices(mode: u8) -> Done<Vec<SeccompRule>> {
    let format = u64::from(libc::S_IFMT);
    [libc::S_IFCHR, libc::S_IFBLK].into_iter().map(|kind| all([masked(mode, format, u64::from(kind))?])).collect()
}

fn is(argument: u8, value: u64) -> Done<SeccompRule> {
    all([eq(argument, value)?])
}

fn has(argument: u8, bits: u64) -> Done<SeccompRule> {
    all([masked(argument, bits, bits)?])
}

fn none_of(argument: u8, values: &[u64]) -> Done<SeccompRule> {
    let conditions = values.iter().map(|value| ne(argument, *value)).collect::<Done<_>>()?;
    SeccompRule::new(conditions).map_err(wrong)
}

fn all<const N: usize>(conditions: [SeccompCondition; N]) -> Done<SeccompRule> {
    SeccompRule::new(conditions.into()).map_err(wrong)
}

fn eq(argument: u8, value: u64) -> Done<SeccompCondition> {
    condition(argument, SeccompCmpOp::Eq, value)
}

fn ne(argument: u8, value: u64) -> Done<SeccompCondition> {
    condition(argument, SeccompCmpOp::Ne, value)
}

fn masked(argument: u8, mask: u64, value: u64) -> Done<SeccompCondition> {
    condition(argument, SeccompCmpOp::MaskedEq(mask), value)
}

/// All arguments that are looked at are 32-bit ones in the kernel, which ignores the upper half.
fn condition(argument: u8, op: SeccompCmpOp, value: u64) -> Done<SeccompCondition> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, op, value).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn filters_compile() {
        assert!(Filters::compile().is_ok());
    }

    #[test]
    fn no_call_is_both_allowed_and_always_refused() {
        let allowed: BTreeSet<_> = calls::allowed().collect();
        let both: Vec<_> = calls::refused().filter(|call| allowed.contains(call)).collect();
        assert_eq!(both, [] as [i64; 0]);
    }

    #[test]
    fn calls_refused_by_argument_are_allowed_with_others() {
        let allowed: BTreeSet<_> = calls::allowed().collect();
        for (call, _) in refused_by_argument().unwrap() {
            assert!(allowed.contains(&call), "{call}");
        }
    }
}
