//! Conditions on the members of messages that are JSON.

use hearth_types::limits::LOG_PATTERN_DEPTH;
use serde_json::Value;

use super::Malformed;
use super::cursor::Cursor;
use super::value::Comparison;

#[derive(Debug)]
pub(super) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Field { path: Vec<Step>, test: Test },
}

/// One step from a value to a member of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Member(String),
    Item(usize),
    AnyItem,
}

#[derive(Debug)]
pub(super) enum Test {
    Compare(Comparison),
    IsNull,
    Is(bool),
    NotExists,
}

impl Condition {
    pub(super) fn matches(&self, value: &Value) -> bool {
        match self {
            Self::All(conditions) => conditions.iter().all(|condition| condition.matches(value)),
            Self::Any(conditions) => conditions.iter().any(|condition| condition.matches(value)),
            Self::Field { path, test: Test::NotExists } => !is_at(value, path, &|_| true),
            Self::Field { path, test } => is_at(value, path, &|found| test.fits(found)),
        }
    }
}

/// Whether what is at the end of the path is so; with any item, whether one is.
fn is_at(value: &Value, path: &[Step], is_so: &dyn Fn(&Value) -> bool) -> bool {
    let Some((step, rest)) = path.split_first() else { return is_so(value) };
    match step {
        Step::Member(name) => value.get(name).is_some_and(|value| is_at(value, rest, is_so)),
        Step::Item(index) => value.get(index).is_some_and(|value| is_at(value, rest, is_so)),
        Step::AnyItem => value.as_array().is_some_and(|items| items.iter().any(|item| is_at(item, rest, is_so))),
    }
}

impl Test {
    fn fits(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::NotExists, _) => false,
            (Self::IsNull, value) => value.is_null(),
            (Self::Is(wanted), value) => value.as_bool() == Some(*wanted),
            (Self::Compare(comparison), Value::String(text)) => comparison.fits_text(text),
            (Self::Compare(comparison), Value::Number(number)) => {
                number.as_f64().is_some_and(|value| comparison.fits_number(value, &number.to_string()))
            }
            (Self::Compare(comparison), Value::Bool(truth)) => comparison.fits_text(&truth.to_string()),
            (Self::Compare(_), Value::Null | Value::Array(_) | Value::Object(_)) => false,
        }
    }
}

pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Condition, Malformed> {
    cursor.need("{")?;
    let condition = any(cursor, 0)?;
    cursor.need("}")?;
    Ok(condition)
}

fn any(cursor: &mut Cursor<'_>, depth: usize) -> Result<Condition, Malformed> {
    let mut conditions = vec![all(cursor, depth)?];
    while cursor.take("||") {
        conditions.push(all(cursor, depth)?);
    }
    Ok(single(conditions, Condition::Any))
}

fn all(cursor: &mut Cursor<'_>, depth: usize) -> Result<Condition, Malformed> {
    let mut conditions = vec![one(cursor, depth)?];
    while cursor.take("&&") {
        conditions.push(one(cursor, depth)?);
    }
    Ok(single(conditions, Condition::All))
}

fn single(mut conditions: Vec<Condition>, many: impl Fn(Vec<Condition>) -> Condition) -> Condition {
    match (conditions.len(), conditions.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            conditions.extend(last);
            many(conditions)
        }
    }
}

fn one(cursor: &mut Cursor<'_>, depth: usize) -> Result<Condition, Malformed> {
    if cursor.take("(") {
        if depth >= LOG_PATTERN_DEPTH {
            return Err(Malformed("Invalid filter pattern: it is nested too deep".to_owned()));
        }
        let inner = any(cursor, depth + 1)?;
        cursor.need(")")?;
        return Ok(inner);
    }
    let path = path(cursor)?;
    Ok(Condition::Field { path, test: test(cursor)? })
}

fn test(cursor: &mut Cursor<'_>) -> Result<Test, Malformed> {
    if cursor.take_word("IS") {
        for (word, test) in [("NULL", Test::IsNull), ("TRUE", Test::Is(true)), ("FALSE", Test::Is(false))] {
            if cursor.take_word(word) {
                return Ok(test);
            }
        }
        return Err(cursor.unexpected("NULL, TRUE or FALSE is missing"));
    }
    if cursor.take_word("NOT") {
        return if cursor.take_word("EXISTS") {
            Ok(Test::NotExists)
        } else {
            Err(cursor.unexpected("EXISTS is missing"))
        };
    }
    Comparison::parse(cursor).map(Test::Compare)
}

/// `$.a.b[0]['c d'][*].e`
fn path(cursor: &mut Cursor<'_>) -> Result<Vec<Step>, Malformed> {
    cursor.need("$")?;
    let mut steps = Vec::new();
    loop {
        if cursor.take_here("[") {
            steps.push(item(cursor)?);
        } else if cursor.take_here(".") {
            let name = cursor.while_of(|c| c.is_alphanumeric() || "_-@#:/".contains(c));
            match (name, cursor.peek_here()) {
                // `$.['a']`
                ("", Some('[')) => {}
                ("", _) => return Err(cursor.unexpected("a name is missing")),
                (name, _) => steps.push(Step::Member(name.to_owned())),
            }
        } else if steps.is_empty() {
            return Err(cursor.unexpected("a name is missing"));
        } else {
            return Ok(steps);
        }
    }
}

fn item(cursor: &mut Cursor<'_>) -> Result<Step, Malformed> {
    let step = match cursor.peek() {
        Some(quote @ ('"' | '\'')) => Step::Member(cursor.quoted(quote)?),
        _ if cursor.take("*") => Step::AnyItem,
        _ => match cursor.while_of(|c| c.is_ascii_digit()).parse() {
            Ok(index) => Step::Item(index),
            Err(_) => return Err(cursor.unexpected("an index is missing")),
        },
    };
    cursor.need("]")?;
    Ok(step)
}
