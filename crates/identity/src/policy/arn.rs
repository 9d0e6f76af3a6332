//! ARNs with wildcards: each of the six parts is compared by itself, so that no `*` crosses a colon before the last one.

use super::Context;
use super::pattern::{Part, Pattern, Syntax, Unfinished, Unresolved};

const PARTS: usize = 6;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum ArnPattern {
    /// `*`, or what is no whole ARN: compared as one text.
    Text(Pattern),
    Parts(Vec<Pattern>),
}

impl ArnPattern {
    pub(super) fn parse(text: &str, has_variables: bool) -> Result<Self, Unfinished> {
        let syntax = Syntax { wildcards: true, variables: has_variables, folds: false };
        let whole = Pattern::parse(text, syntax)?;
        let mut parts: Vec<Vec<Part>> = vec![Vec::new()];
        for part in whole.parts() {
            let count = parts.len();
            match (part, parts.last_mut()) {
                (Part::Char(':'), _) if count < PARTS => parts.push(Vec::new()),
                (part, Some(last)) => last.push(part.clone()),
                (_, None) => {}
            }
        }
        if parts.len() < PARTS {
            return Ok(Self::Text(whole));
        }
        Ok(Self::Parts(parts.into_iter().map(|parts| Pattern::of(parts, false)).collect()))
    }

    pub(super) fn matches(&self, arn: &str, context: &Context) -> Result<bool, Unresolved> {
        match self {
            Self::Text(pattern) => pattern.matches(arn, context),
            Self::Parts(patterns) => {
                let parts: Vec<&str> = arn.splitn(PARTS, ':').collect();
                if parts.len() != patterns.len() {
                    return Ok(false);
                }
                let mut all = true;
                for (pattern, part) in patterns.iter().zip(parts) {
                    all &= pattern.matches(part, context)?;
                }
                Ok(all)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stay_within_their_part() {
        let matches = |pattern: &str, arn: &str| {
            ArnPattern::parse(pattern, true).unwrap().matches(arn, &Context::default()).unwrap()
        };
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:f:prod";
        for pattern in [
            "*",
            "arn:aws:lambda:*:*:function:f:prod",
            "arn:aws:lambda:us-east-1:000000000000:function:f:*",
            "arn:aws:lambda:us-east-1:000000000000:function:*",
            "arn:*:lambda:us-*-1:0000????0000:*",
            "arn:aws:lambda:*",
        ] {
            assert!(matches(pattern, arn), "{pattern}");
        }
        for pattern in [
            "arn:aws:lambda:us-east-1:000000000000:function:f",
            "arn:aws:lambda:*:function:f:prod:x",
            "arn:aws:lambda:us-east-1*:function:f:prod:",
            "arn:aws:s3:*",
        ] {
            assert!(!matches(pattern, arn), "{pattern}");
        }
    }
}
