//! Function names, qualifiers and ARNs as Lambda takes and gives them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::FUNCTION_NAME_CHARS;

/// A function's bare name: 1 to 64 of `[a-zA-Z0-9-_]`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FunctionName(String);

/// A text that is no function name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is not a function name: 1 to 64 of a-z A-Z 0-9 - _ are")]
pub struct InvalidName(pub String);

impl FunctionName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for FunctionName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        let fits = (1..=FUNCTION_NAME_CHARS).contains(&text.len()) && text.bytes().all(is_name_byte);
        if fits { Ok(Self(text)) } else { Err(InvalidName(text)) }
    }
}

impl From<FunctionName> for String {
    fn from(name: FunctionName) -> Self {
        name.0
    }
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// What a qualifier can name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Qualifier {
    /// `$LATEST`.
    Latest,
    /// A published version's number.
    Version(u64),
    /// Anything else that the pattern lets through.
    Alias(String),
}

impl From<&str> for Qualifier {
    fn from(text: &str) -> Self {
        if text == "$LATEST" {
            return Self::Latest;
        }
        // `007` is a name that nothing can have: no version is called so, and no alias is a number.
        let digits = !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits => Self::Version(number),
            _ => Self::Alias(text.to_owned()),
        }
    }
}

impl fmt::Display for Qualifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("$LATEST"),
            Self::Version(number) => number.fmt(f),
            Self::Alias(name) => f.write_str(name),
        }
    }
}

/// A full function ARN.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct FunctionArn {
    /// Where.
    pub region: String,
    /// 12 digits.
    pub account: String,
    /// The bare name.
    pub name: String,
    /// As asked for, if asked for.
    pub qualifier: Option<String>,
}

impl fmt::Display for FunctionArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arn:aws:lambda:{}:{}:function:{}", self.region, self.account, self.name)?;
        self.qualifier.as_ref().map_or(Ok(()), |qualifier| write!(f, ":{qualifier}"))
    }
}

/// A FunctionName member taken apart: a name, a partial or a full ARN.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FunctionRef {
    /// The region, where the text names one.
    pub region: Option<String>,
    /// The account, where the text names one.
    pub account: Option<String>,
    /// The bare name; longer than 64 and with dots where the member's pattern allows it.
    pub name: String,
    /// The part behind the name.
    pub qualifier: Option<String>,
}

impl FunctionRef {
    /// Takes apart what has already passed the member's pattern
    /// `(arn:PARTITION:lambda:)?(REGION:)?(ACCOUNT:)?(function:)?NAME(:QUALIFIER)?`.
    ///
    /// An ARN without a name, `arn:aws:lambda:R:A:function`, is the function named `function` (observed).
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut parts: Vec<&str> = text.split(':').collect();
        if parts.len() > 3 && parts[0] == "arn" && parts[2] == "lambda" {
            parts.drain(..3);
        }
        let mut parts = parts.as_slice();
        let region = take_if(&mut parts, is_region);
        let account = take_if(&mut parts, |p| p.len() == 12 && p.bytes().all(|b| b.is_ascii_digit()));
        take_if(&mut parts, |p| p == "function");
        Self {
            region,
            account,
            name: parts.first().copied().unwrap_or_default().to_owned(),
            qualifier: parts.get(1).map(|q| (*q).to_owned()),
        }
    }
}

/// Takes the first part away where it fits and is not the last one (which is the name).
fn take_if(parts: &mut &[&str], fits: impl Fn(&str) -> bool) -> Option<String> {
    match parts {
        [first, rest @ ..] if !rest.is_empty() && fits(first) => {
            *parts = rest;
            Some((*first).to_owned())
        }
        _ => None,
    }
}

/// `(eusc-)?[a-z]{2}(-gov|-iso[a-z]?)?-[a-z]+-[0-9]`, no more: `orders-api-1:prod` is a function and its qualifier.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.strip_prefix("eusc-").unwrap_or(text).split('-').collect();
    let letters = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    let is_kind = |part: &str| part == "gov" || (part.starts_with("iso") && part.len() <= 4 && letters(part));
    let (country, place, number) = match parts.as_slice() {
        [country, place, number] => (country, place, number),
        [country, kind, place, number] if is_kind(kind) => (country, place, number),
        _ => return false,
    };
    let is_digit = number.len() == 1 && number.bytes().all(|b| b.is_ascii_digit());
    country.len() == 2 && letters(country) && letters(place) && is_digit
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Option<String>, Option<String>, String, Option<String>) {
        let r = FunctionRef::parse(text);
        (r.region, r.account, r.name, r.qualifier)
    }

    #[test]
    fn takes_names_partial_and_full_arns() {
        let some = |s: &str| Some(s.to_owned());
        assert_eq!(parsed("f"), (None, None, "f".into(), None));
        assert_eq!(parsed("f:7"), (None, None, "f".into(), some("7")));
        assert_eq!(parsed("function:f:$LATEST"), (None, None, "f".into(), some("$LATEST")));
        assert_eq!(parsed("123456789012:function:f:p"), (None, some("123456789012"), "f".into(), some("p")));
        assert_eq!(
            parsed("arn:aws:lambda:us-east-1:123456789012:function:f:p"),
            (some("us-east-1"), some("123456789012"), "f".into(), some("p"))
        );
        assert_eq!(
            parsed("arn:aws:lambda:us-east-1:123456789012:function"),
            (some("us-east-1"), some("123456789012"), "function".into(), None)
        );
        assert_eq!(parsed("function"), (None, None, "function".into(), None));
    }

    #[test]
    fn tells_regions_from_names() {
        let some = |s: &str| Some(s.to_owned());
        for region in ["us-east-1", "us-gov-west-1", "us-iso-east-1", "us-isob-east-1", "eusc-de-east-1"] {
            let text = format!("{region}:123456789012:function:f");
            assert_eq!(parsed(&text), (some(region), some("123456789012"), "f".into(), None), "{text}");
        }
        for name in ["orders-api-1", "us-east-10", "us-east-west-1", "us-1", "a-b-1", "us-EAST-1"] {
            assert_eq!(parsed(&format!("{name}:prod")), (None, None, name.into(), some("prod")), "{name}");
        }
    }

    #[test]
    fn tells_qualifiers_apart() {
        assert_eq!(Qualifier::from("$LATEST"), Qualifier::Latest);
        assert_eq!(Qualifier::from("12"), Qualifier::Version(12));
        assert_eq!(Qualifier::from("012"), Qualifier::Alias("012".into()));
        assert_eq!(Qualifier::from(""), Qualifier::Alias(String::new()));
        assert_eq!(Qualifier::from("2024-01-02"), Qualifier::Alias("2024-01-02".into()));
    }
}
