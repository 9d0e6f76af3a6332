//! Chains of invokes: each function that a trace went through is counted in its header, which clients inside functions send
//! on. A function that comes again too often is in a loop.

use std::fmt;
use std::sync::Arc;

use hearth_api::ApiError;
use hearth_api::error::modelled;
use hearth_types::CodeDigest;
use hearth_types::function::RecursiveLoop;
use hearth_types::limits::RECURSIVE_INVOKES;

use crate::dispatcher::Dispatcher;
use crate::environments::Environments;

/// Between the rest of a trace header and its lineage: the last of its parts.
const LINEAGE: &str = ";Lineage=";
/// Functions that a lineage tells; the one that came first goes first.
const FUNCTIONS: usize = 8;

/// What a function is called in lineages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LineName(u32);

impl LineName {
    pub(crate) fn of(function_arn: &str) -> Self {
        let digest = CodeDigest::of(function_arn.as_bytes()).to_string();
        Self(u32::from_str_radix(&digest[..8], 16).unwrap_or_default())
    }
}

impl fmt::Display for LineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// The header with one more invoke of this function, and the how many-th of the chain that is.
fn passed(trace_id: &str, own: &str) -> (String, u32) {
    // Most are the first of their chain, and need no more than this.
    let Some((head, lineage)) = trace_id.split_once(LINEAGE) else {
        return (format!("{trace_id}{LINEAGE}{own}:1"), 1);
    };
    let counts = lineage.split('|').filter_map(|part| part.rsplit_once(':'));
    let mut known: Vec<(&str, u32)> = counts.map(|(name, count)| (name, count.parse().unwrap_or(0))).collect();
    let before = known.iter().position(|(name, _)| *name == own).map_or(0, |at| known.remove(at).1);
    let count = before.saturating_add(1);
    known.push((own, count));
    let told = known.len().saturating_sub(FUNCTIONS);
    let parts: Vec<String> = known[told..].iter().map(|(name, count)| format!("{name}:{count}")).collect();
    (format!("{head}{LINEAGE}{}", parts.join("|")), count)
}

impl<W: Environments> Dispatcher<W> {
    /// The header that an invoke of this function goes on with.
    ///
    /// # Errors
    /// Where the function is in a loop, and such are to be ended.
    pub(crate) fn in_line(&self, function: &str, trace_id: &str) -> Result<Arc<str>, ApiError> {
        let Some(entry) = self.functions().get(function) else { return Ok(trace_id.into()) };
        let (trace_id, count) = passed(trace_id, &entry.lineage.to_string());
        if count > RECURSIVE_INVOKES && entry.recursive_loop == RecursiveLoop::Terminate {
            return Err(ApiError::new(
                &modelled::RECURSIVE_INVOCATION,
                "Lambda has detected your function being invoked in a recursive loop and stopped it.",
            ));
        }
        Ok(trace_id.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "Root=1-65f0a1b2-0123456789abcdef01234567;Parent=0123456789abcdef;Sampled=0";

    #[test]
    fn each_function_is_counted_by_itself() {
        let (first, count) = passed(HEAD, "aaaaaaaa");
        assert_eq!((first.as_str(), count), (format!("{HEAD};Lineage=aaaaaaaa:1").as_str(), 1));
        let (second, count) = passed(&first, "bbbbbbbb");
        assert_eq!((second.as_str(), count), (format!("{HEAD};Lineage=aaaaaaaa:1|bbbbbbbb:1").as_str(), 1));
        let (third, count) = passed(&second, "aaaaaaaa");
        assert_eq!((third.as_str(), count), (format!("{HEAD};Lineage=bbbbbbbb:1|aaaaaaaa:2").as_str(), 2));
    }

    #[test]
    fn a_lineage_stays_short_and_what_is_no_count_is_none() {
        let mut trace = format!("{HEAD};Lineage=x|cccccccc:many");
        for n in 0..40 {
            trace = passed(&trace, &format!("{n:08x}")).0;
        }
        assert!(trace.len() < 200 && trace.ends_with("|00000027:1"), "{trace}");
    }
}
