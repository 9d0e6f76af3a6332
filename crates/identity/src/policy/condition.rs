//! Conditions: operators, their modifiers, and how values compare.

use std::cmp::Ordering;
use std::net::IpAddr;

use serde_json::{Map, Value};

use super::parse::{Malformed, syntax};
use super::pattern::{Pattern, Syntax, Unresolved};
use super::{ArnPattern, Context};

/// One key under one operator.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    /// In lower case.
    key: String,
    modifier: Modifier,
    /// Whether an absent key is good.
    if_exists: bool,
    test: Test,
}

/// Which of a key's values count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Modifier {
    /// It has one.
    Single,
    All,
    Any,
}

#[derive(Clone, Debug)]
enum Test {
    /// `Null`: whether the key must be absent.
    Absent(bool),
    /// One of these fits, or, `negated`, none.
    Fits { wanted: Vec<Wanted>, negated: bool },
}

#[derive(Clone, Debug)]
enum Wanted {
    Text(Pattern),
    Arn(ArnPattern),
    Number(Relation, f64),
    /// Milliseconds since 1970.
    Date(Relation, i64),
    Bool(bool),
    /// Address and the bits of it that count.
    Ip(IpAddr, u8),
}

/// How the request's value must stand to the policy's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Relation {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What an operator's name says.
#[derive(Clone, Copy)]
enum Operator {
    Null,
    Text { wildcards: bool, folds: bool, negated: bool },
    Arn { negated: bool },
    Number { relation: Relation, negated: bool },
    Date { relation: Relation, negated: bool },
    Bool,
    Ip { negated: bool },
}

impl Condition {
    /// Reads a Condition element.
    pub(super) fn parse_all(operators: &Map<String, Value>, has_variables: bool) -> Result<Vec<Self>, Malformed> {
        let mut all = Vec::new();
        for (name, keys) in operators {
            let (modifier, if_exists, operator) = operator(name)?;
            for (key, values) in keys.as_object().ok_or_else(syntax)? {
                if !key.contains(':') {
                    let text = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.";
                    return Err(Malformed::new(text));
                }
                let test = test(operator, &scalars(values)?, has_variables)?;
                all.push(Self { key: key.to_ascii_lowercase(), modifier, if_exists, test });
            }
        }
        Ok(all)
    }

    pub(super) fn holds(&self, context: &Context) -> Result<bool, Unresolved> {
        let values = context.values(&self.key);
        let (wanted, negated) = match &self.test {
            Test::Absent(absent) => return Ok(values.is_empty() == *absent),
            Test::Fits { wanted, negated } => (wanted, *negated),
        };
        let mut fitting = 0;
        for value in values {
            let mut fits = false;
            for wanted in wanted {
                // What a variable without a value excludes is not known.
                fits |= if negated { wanted.fits(value, context)? } else { wanted.fits(value, context) == Ok(true) };
            }
            fitting += usize::from(fits != negated);
        }
        Ok(match self.modifier {
            Modifier::All => fitting == values.len(),
            _ if values.is_empty() => self.if_exists || (negated && self.modifier == Modifier::Single),
            Modifier::Any => fitting > 0,
            // Of a key with many values a negated operator must hold for each.
            Modifier::Single if negated => fitting == values.len(),
            Modifier::Single => fitting > 0,
        })
    }
}

impl Wanted {
    fn fits(&self, value: &str, context: &Context) -> Result<bool, Unresolved> {
        Ok(match self {
            Self::Text(pattern) => pattern.matches(value, context)?,
            Self::Arn(pattern) => pattern.matches(value, context)?,
            Self::Number(relation, wanted) => value
                .parse::<f64>()
                .ok()
                .and_then(|found| found.partial_cmp(wanted))
                .is_some_and(|o| relation.allows(o)),
            Self::Date(relation, wanted) => date(value).is_some_and(|found| relation.allows(found.cmp(wanted))),
            Self::Bool(wanted) => truth(value) == Some(*wanted),
            Self::Ip(network, bits) => value.parse().is_ok_and(|address| is_in(address, *network, *bits)),
        })
    }
}

impl Relation {
    fn allows(self, found: Ordering) -> bool {
        match self {
            Self::Equal => found == Ordering::Equal,
            Self::Less => found == Ordering::Less,
            Self::LessOrEqual => found != Ordering::Greater,
            Self::Greater => found == Ordering::Greater,
            Self::GreaterOrEqual => found != Ordering::Less,
        }
    }
}

/// `ForAllValues:StringLikeIfExists` taken apart. Names are the same whatever their case.
fn operator(name: &str) -> Result<(Modifier, bool, Operator), Malformed> {
    let unknown = || Malformed::new(format!("Invalid Condition type : {name}"));
    let folded = name.to_ascii_lowercase();
    let (modifier, rest) = match folded.split_once(':') {
        None => (Modifier::Single, &*folded),
        Some(("forallvalues", rest)) => (Modifier::All, rest),
        Some(("foranyvalue", rest)) => (Modifier::Any, rest),
        Some(_) => return Err(unknown()),
    };
    let (rest, if_exists) = rest.strip_suffix("ifexists").map_or((rest, false), |rest| (rest, true));
    let operator = simple_operator(rest).ok_or_else(unknown)?;
    if matches!(operator, Operator::Null) && (if_exists || modifier != Modifier::Single) {
        return Err(unknown());
    }
    Ok((modifier, if_exists, operator))
}

fn simple_operator(name: &str) -> Option<Operator> {
    let text = |wildcards, folds, negated| Some(Operator::Text { wildcards, folds, negated });
    match name {
        "null" => Some(Operator::Null),
        "stringequals" => text(false, false, false),
        "stringnotequals" => text(false, false, true),
        "stringequalsignorecase" => text(false, true, false),
        "stringnotequalsignorecase" => text(false, true, true),
        "stringlike" => text(true, false, false),
        "stringnotlike" => text(true, false, true),
        // Texts in base64 that stand for the same bytes are the same texts.
        "binaryequals" => text(false, false, false),
        "arnequals" | "arnlike" => Some(Operator::Arn { negated: false }),
        "arnnotequals" | "arnnotlike" => Some(Operator::Arn { negated: true }),
        "bool" => Some(Operator::Bool),
        "ipaddress" => Some(Operator::Ip { negated: false }),
        "notipaddress" => Some(Operator::Ip { negated: true }),
        _ => {
            if let Some(rest) = name.strip_prefix("numeric") {
                return relation(rest).map(|(relation, negated)| Operator::Number { relation, negated });
            }
            let (relation, negated) = relation(name.strip_prefix("date")?)?;
            Some(Operator::Date { relation, negated })
        }
    }
}

fn relation(name: &str) -> Option<(Relation, bool)> {
    Some(match name {
        "equals" => (Relation::Equal, false),
        "notequals" => (Relation::Equal, true),
        "lessthan" => (Relation::Less, false),
        "lessthanequals" => (Relation::LessOrEqual, false),
        "greaterthan" => (Relation::Greater, false),
        "greaterthanequals" => (Relation::GreaterOrEqual, false),
        _ => return None,
    })
}

fn test(operator: Operator, values: &[String], has_variables: bool) -> Result<Test, Malformed> {
    let all = |negated: bool, read: &dyn Fn(&str) -> Option<Wanted>| {
        let wanted: Option<Vec<Wanted>> = values.iter().map(|value| read(value)).collect();
        wanted.map(|wanted| Test::Fits { wanted, negated }).ok_or_else(syntax)
    };
    match operator {
        Operator::Null => match values {
            [value] => Ok(Test::Absent(truth(value).ok_or_else(syntax)?)),
            _ => Err(syntax()),
        },
        Operator::Text { wildcards, folds, negated } => {
            let syntax = Syntax { wildcards, variables: has_variables, folds };
            all(negated, &|value| Pattern::parse(value, syntax).ok().map(Wanted::Text))
        }
        Operator::Arn { negated } => {
            all(negated, &|value| ArnPattern::parse(value, has_variables).ok().map(Wanted::Arn))
        }
        Operator::Number { relation, negated } => {
            let number = |value: &str| value.parse().ok().filter(|number: &f64| number.is_finite());
            all(negated, &|value| number(value).map(|number| Wanted::Number(relation, number)))
        }
        Operator::Date { relation, negated } => {
            all(negated, &|value| date(value).map(|date| Wanted::Date(relation, date)))
        }
        Operator::Bool => all(false, &|value| truth(value).map(Wanted::Bool)),
        Operator::Ip { negated } => all(negated, &|value| network(value).map(|(ip, bits)| Wanted::Ip(ip, bits))),
    }
}

/// One value, or a list that is not empty; numbers and truths as texts.
fn scalars(value: &Value) -> Result<Vec<String>, Malformed> {
    let text = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(truth) => Ok(truth.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(syntax()),
    };
    match value {
        Value::Array(values) if values.is_empty() => Err(syntax()),
        Value::Array(values) => values.iter().map(text).collect(),
        one => Ok(vec![text(one)?]),
    }
}

fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// ISO 8601, or seconds since 1970; in milliseconds.
fn date(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<i64>() {
        return seconds.checked_mul(1000);
    }
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        return Some(moment.as_millisecond());
    }
    let date: jiff::civil::Date = text.parse().ok()?;
    Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond())
}

/// `10.0.0.0/8`, or one address.
fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Some(most), |bits| bits.parse().ok())?;
    (bits <= most).then_some((address, bits))
}

fn is_in(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let same = |a: u128, b: u128, length: u32| {
        let shift = length - u32::from(bits);
        bits == 0 || a >> shift == b >> shift
    };
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(u32::from(a).into(), u32::from(b).into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.into(), b.into(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(condition: Value, context: &Context) -> bool {
        let all = Condition::parse_all(condition.as_object().unwrap(), true).unwrap();
        all.iter().all(|condition| condition.holds(context) == Ok(true))
    }

    fn one(operator: &str, wanted: Value, found: &str) -> bool {
        holds(serde_json::json!({ operator: { "a:K": wanted } }), &Context::default().with("a:k", found))
    }

    #[test]
    fn operators_compare_as_their_names_say() {
        let good = [
            ("StringEquals", "a*", "a*"),
            ("StringNotEquals", "a", "A"),
            ("StringEqualsIgnoreCase", "a", "A"),
            ("StringLike", "a*", "abc"),
            ("StringNotLike", "a*", "bc"),
            ("NumericLessThan", "10", "9.5"),
            ("NumericGreaterThanEquals", "10", "10"),
            ("NumericNotEquals", "10", "11"),
            ("DateGreaterThan", "2024-01-01T00:00:00Z", "2024-01-01T00:00:01Z"),
            ("DateLessThan", "2024-01-01", "1704067199"),
            ("Bool", "true", "TRUE"),
            ("IpAddress", "10.1.0.0/16", "10.1.255.1"),
            ("NotIpAddress", "10.1.0.0/16", "10.2.0.1"),
            ("IpAddress", "2001:db8::/32", "2001:db8:1::1"),
            ("IpAddress", "0.0.0.0/0", "1.2.3.4"),
            ("ArnLike", "arn:aws:s3:::b*", "arn:aws:s3:::bucket"),
            ("ArnEquals", "arn:aws:s3:::b*", "arn:aws:s3:::bucket"),
            ("ArnNotLike", "arn:aws:s3:::c*", "arn:aws:s3:::bucket"),
            ("Null", "false", "x"),
            ("stringequals", "a", "a"),
        ];
        for (operator, wanted, found) in good {
            assert!(one(operator, wanted.into(), found), "{operator} {wanted} {found}");
        }
        let bad = [
            ("StringEquals", "a", "A"),
            ("StringLike", "a?", "a"),
            ("NumericLessThan", "10", "ten"),
            ("Bool", "true", "maybe"),
            ("IpAddress", "10.0.0.0/8", "::1"),
            ("IpAddress", "10.0.0.1", "10.0.0.2"),
            ("Null", "true", "x"),
        ];
        for (operator, wanted, found) in bad {
            assert!(!one(operator, wanted.into(), found), "{operator} {wanted} {found}");
        }
        assert!(one("StringEquals", serde_json::json!(["a", "b"]), "b"));
        assert!(!one("StringNotEquals", serde_json::json!(["a", "b"]), "b"));
        assert!(one("NumericEquals", serde_json::json!(5), "5") && one("Bool", serde_json::json!(true), "true"));
    }

    #[test]
    fn an_absent_key_is_good_only_where_that_is_said() {
        let absent = |operator: &str| holds(serde_json::json!({ operator: { "a:k": "1" } }), &Context::default());
        assert!(!absent("StringEquals") && !absent("NumericEquals") && !absent("ForAnyValue:StringEquals"));
        assert!(absent("StringEqualsIfExists") && absent("StringNotEquals") && absent("ForAllValues:StringEquals"));
        assert!(holds(serde_json::json!({"Null": {"a:k": true}}), &Context::default()));
        assert!(!absent("ForAnyValue:StringNotEquals"));
    }

    #[test]
    fn sets_are_compared_by_all_or_any() {
        let mut context = Context::default();
        context.set_all("a:k", ["x".to_owned(), "y".to_owned()]);
        let sets = |operator: &str, wanted: Value| holds(serde_json::json!({ operator: { "a:k": wanted } }), &context);
        assert!(sets("ForAllValues:StringEquals", serde_json::json!(["x", "y", "z"])));
        assert!(!sets("ForAllValues:StringEquals", serde_json::json!(["x"])));
        assert!(sets("ForAnyValue:StringEquals", serde_json::json!(["x"])));
        assert!(!sets("ForAnyValue:StringEquals", serde_json::json!(["z"])));
        assert!(sets("ForAllValues:StringNotEquals", serde_json::json!(["z"])));
        assert!(!sets("ForAllValues:StringNotEquals", serde_json::json!(["x"])));
        assert!(sets("ForAnyValue:StringNotEquals", serde_json::json!(["x"])));
    }

    #[test]
    fn what_no_operator_can_compare_is_refused() {
        for condition in [
            serde_json::json!({"NumericEquals": {"a:k": "ten"}}),
            serde_json::json!({"DateEquals": {"a:k": "tomorrow"}}),
            serde_json::json!({"Bool": {"a:k": "maybe"}}),
            serde_json::json!({"IpAddress": {"a:k": "10.0.0.0/33"}}),
            serde_json::json!({"Null": {"a:k": ["true", "false"]}}),
            serde_json::json!({"NullIfExists": {"a:k": "true"}}),
            serde_json::json!({"ForSomeValues:StringEquals": {"a:k": "x"}}),
            serde_json::json!({"StringEquals": {"a:k": []}}),
            serde_json::json!({"StringEquals": {"a:k": {"x": 1}}}),
            serde_json::json!({"StringEquals": {"k": "x"}}),
            serde_json::json!({"StringLike": {"a:k": "${x"}}),
            serde_json::json!({"StringEquals": "x"}),
        ] {
            assert!(Condition::parse_all(condition.as_object().unwrap(), true).is_err(), "{condition}");
        }
    }
}
