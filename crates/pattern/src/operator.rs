//! The operators of a list of alternatives: `{"prefix": "a"}` and its like.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::cidr::Cidr;
use crate::glob::Glob;
use crate::number::{Number, millionths};
use crate::{Dialect, PatternError};

/// What is asked of one value of the event; `exists` is no test of a value and is not here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Operator {
    Prefix(String),
    Suffix(String),
    /// The three ignoring case hold small letters.
    PrefixIgnoringCase(String),
    SuffixIgnoringCase(String),
    EqualsIgnoringCase(String),
    Numeric {
        least: Option<Bound>,
        most: Option<Bound>,
    },
    Cidr(Cidr),
    Wildcard(Glob),
    /// None of these values.
    NotTexts(BTreeSet<String>),
    NotNumbers(BTreeSet<Number>),
    /// Whatever none of these finds.
    Not(Vec<Operator>),
}

/// An end of a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bound {
    /// The number, in millionths.
    at: i64,
    /// Whether the number itself is within.
    within: bool,
}

/// The names of all operators: an object with one of these as key is no branch of an `$or`.
pub(crate) const NAMES: [&str; 8] =
    ["exists", "prefix", "suffix", "equals-ignore-case", "anything-but", "numeric", "cidr", "wildcard"];

/// # Errors
/// On names that are none, and operands that do not fit.
pub(crate) fn parse(name: &str, operand: &Value, dialect: Dialect) -> Result<Operator, PatternError> {
    match name {
        "prefix" => affix(name, operand, Operator::Prefix, Operator::PrefixIgnoringCase),
        "suffix" => affix(name, operand, Operator::Suffix, Operator::SuffixIgnoringCase),
        "equals-ignore-case" => text(name, operand).map(|text| Operator::EqualsIgnoringCase(small(text))),
        "numeric" => numeric(operand),
        "anything-but" => anything_but(operand, dialect),
        "cidr" if dialect == Dialect::Whole => Cidr::parse(text(name, operand)?).map(Operator::Cidr),
        "wildcard" if dialect == Dialect::Whole => Glob::parse(text(name, operand)?).map(Operator::Wildcard),
        _ => Err(PatternError(format!("Unrecognized match type {name}"))),
    }
}

fn text<'a>(name: &str, operand: &'a Value) -> Result<&'a str, PatternError> {
    operand.as_str().ok_or_else(|| PatternError(format!("{name} match pattern must be a string")))
}

/// A text, or one whose case does not count.
fn affix(
    name: &str,
    operand: &Value,
    exact: fn(String) -> Operator,
    ignoring_case: fn(String) -> Operator,
) -> Result<Operator, PatternError> {
    match operand {
        Value::Object(inner) => match only(inner)? {
            ("equals-ignore-case", inner) => text("equals-ignore-case", inner).map(|text| ignoring_case(small(text))),
            (other, _) => Err(PatternError(format!("Unsupported {name} pattern: {other}"))),
        },
        _ => text(name, operand).map(|text| exact(text.to_owned())),
    }
}

pub(crate) fn only(object: &Map<String, Value>) -> Result<(&str, &Value), PatternError> {
    let mut members = object.iter();
    match (members.next(), members.next()) {
        (Some((name, operand)), None) => Ok((name, operand)),
        (None, _) => Err(PatternError::new("Empty objects are not allowed")),
        (Some(_), Some(_)) => Err(PatternError::new("Only one key allowed in match expression")),
    }
}

fn anything_but(operand: &Value, dialect: Dialect) -> Result<Operator, PatternError> {
    match operand {
        Value::String(text) => Ok(Operator::NotTexts([text.clone()].into())),
        Value::Number(number) => Ok(Operator::NotNumbers([Number::of(number)].into())),
        Value::Array(values) => anything_but_list(values),
        Value::Object(inner) => anything_but_like(only(inner)?, dialect),
        Value::Null | Value::Bool(_) => {
            Err(PatternError::new("Value of anything-but must be an array or single string/number value."))
        }
    }
}

fn anything_but_list(values: &[Value]) -> Result<Operator, PatternError> {
    let (mut texts, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    for value in values {
        match value {
            Value::String(text) => _ = texts.insert(text.clone()),
            Value::Number(number) => _ = numbers.insert(Number::of(number)),
            _ => {
                return Err(PatternError::new("Inside anything but list, start|null|boolean is not supported."));
            }
        }
    }
    match (texts.is_empty(), numbers.is_empty()) {
        (true, true) => Err(PatternError::new("Empty arrays are not allowed")),
        (false, false) => Err(PatternError::new(
            "Inside anything but list, either all values are number or string, mixed type is not supported",
        )),
        (false, true) => Ok(Operator::NotTexts(texts)),
        (true, false) => Ok(Operator::NotNumbers(numbers)),
    }
}

/// `{"anything-but": {"prefix": ...}}` and its like, with one text or several.
fn anything_but_like((name, operand): (&str, &Value), dialect: Dialect) -> Result<Operator, PatternError> {
    if !matches!(name, "prefix" | "suffix" | "equals-ignore-case" | "wildcard") {
        return Err(PatternError(format!("Unsupported anything-but pattern: {name}")));
    }
    let several = match operand {
        Value::Array(all) if all.is_empty() => return Err(PatternError::new("Empty arrays are not allowed")),
        Value::Array(all) => all.as_slice(),
        one => std::slice::from_ref(one),
    };
    let each = several.iter().map(|one| {
        if matches!(name, "prefix" | "suffix") && text(name, one)?.is_empty() {
            return Err(PatternError(format!("Null {name} not allowed")));
        }
        parse(name, one, dialect)
    });
    Ok(Operator::Not(each.collect::<Result<_, _>>()?))
}

/// `["=", 5]`, `["<", 5]`, `[">", 0, "<=", 5]`.
fn numeric(operand: &Value) -> Result<Operator, PatternError> {
    let Value::Array(terms) = operand else {
        return Err(PatternError::new("Value of numeric must be an array."));
    };
    let mut terms = terms.iter();
    let sign = sign(terms.next())?;
    let at = bound(sign, terms.next())?;
    let (least, most) = match sign {
        "=" => (Some(Bound { at, within: true }), Some(Bound { at, within: true })),
        "<" | "<=" => (None, Some(Bound { at, within: sign == "<=" })),
        ">" | ">=" => (Some(Bound { at, within: sign == ">=" }), upper(&mut terms)?),
        other => return Err(PatternError(format!("Unrecognized numeric range operator: {other}"))),
    };
    if terms.next().is_some() {
        return Err(PatternError::new("Too many terms in numeric range expression"));
    }
    match (least, most) {
        (Some(least), Some(most)) if sign != "=" && least.at >= most.at => {
            Err(PatternError::new("Bottom must be less than top"))
        }
        _ => Ok(Operator::Numeric { least, most }),
    }
}

fn upper(terms: &mut std::slice::Iter<'_, Value>) -> Result<Option<Bound>, PatternError> {
    let Some(next) = terms.next() else { return Ok(None) };
    match sign(Some(next))? {
        sign @ ("<" | "<=") => Ok(Some(Bound { at: bound(sign, terms.next())?, within: sign == "<=" })),
        other => Err(PatternError(format!("Bad numeric range operator: {other}"))),
    }
}

fn sign(term: Option<&Value>) -> Result<&str, PatternError> {
    match term {
        Some(Value::String(sign)) => Ok(sign),
        Some(other) => Err(PatternError(format!("Invalid member in numeric match: {other}"))),
        None => Err(PatternError::new("Invalid member in numeric match: ]")),
    }
}

fn bound(sign: &str, term: Option<&Value>) -> Result<i64, PatternError> {
    let name = if sign == "=" { "equals" } else { sign };
    let Some(Value::Number(number)) = term else {
        return Err(PatternError(format!("Value of {name} must be numeric")));
    };
    millionths(number).ok_or_else(|| PatternError::new("Value must be between -5.0E9 and 5.0E9, inclusive"))
}

impl Operator {
    /// Whether a value of the event, which is no array and no object, is so.
    pub(crate) fn matches(&self, value: &Value) -> bool {
        match (self, value) {
            (Operator::NotTexts(texts), Value::String(text)) => !texts.contains(text),
            (Operator::NotNumbers(numbers), Value::Number(number)) => !numbers.contains(&Number::of(number)),
            (Operator::NotTexts(_) | Operator::NotNumbers(_), _) => true,
            (Operator::Not(unwanted), value) => !unwanted.iter().any(|operator| operator.matches(value)),
            (Operator::Numeric { least, most }, Value::Number(number)) => {
                millionths(number).is_some_and(|number| is_between(number, *least, *most))
            }
            (operator, Value::String(text)) => operator.matches_text(text),
            _ => false,
        }
    }

    fn matches_text(&self, text: &str) -> bool {
        match self {
            Operator::Prefix(prefix) => text.starts_with(prefix.as_str()),
            Operator::Suffix(suffix) => text.ends_with(suffix.as_str()),
            Operator::PrefixIgnoringCase(prefix) => begins(prefix.chars(), folded(text)),
            Operator::SuffixIgnoringCase(suffix) => begins(suffix.chars().rev(), folded(text).rev()),
            Operator::EqualsIgnoringCase(whole) => folded(text).eq(whole.chars()),
            Operator::Cidr(block) => block.contains(text),
            Operator::Wildcard(glob) => glob.matches(text),
            Operator::Numeric { .. } | Operator::NotTexts(_) | Operator::NotNumbers(_) | Operator::Not(_) => false,
        }
    }
}

fn is_between(number: i64, least: Option<Bound>, most: Option<Bound>) -> bool {
    let above = least.is_none_or(|least| number > least.at || (least.within && number == least.at));
    let below = most.is_none_or(|most| number < most.at || (most.within && number == most.at));
    above && below
}

fn small(text: &str) -> String {
    folded(text).collect()
}

/// Character by character, so that beginnings and ends stay such.
fn folded(text: &str) -> impl DoubleEndedIterator<Item = char> {
    text.chars().flat_map(char::to_lowercase)
}

fn begins(mut wanted: impl Iterator<Item = char>, mut found: impl Iterator<Item = char>) -> bool {
    wanted.all(|character| found.next() == Some(character))
}
