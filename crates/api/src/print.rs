//! Values and constraints as validation messages show them: the service prints like Java.

use std::fmt::{self, Write as _};

use hearth_types::limits::MESSAGE_VALUE_CHARS;

use crate::schema::{Kind, Shape};
use crate::value::Value;

/// `Value 'V'`; `Value` alone where it must not show.
pub(crate) fn subject(shape: &Shape, value: &Value) -> String {
    if shape.sensitive {
        return "Value".to_owned();
    }
    let mut out = Bounded { text: "Value '".to_owned(), left: MESSAGE_VALUE_CHARS };
    // A full buffer ends the writing early; that is no failure.
    let _ = write_value(&mut out, shape, value);
    out.text.push('\'');
    out.text
}

/// Takes no more than a number of characters.
struct Bounded {
    text: String,
    left: usize,
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            self.left = self.left.checked_sub(1).ok_or(fmt::Error)?;
            self.text.push(c);
        }
        Ok(())
    }
}

fn write_value(out: &mut Bounded, shape: &Shape, value: &Value) -> fmt::Result {
    match (value, &shape.kind) {
        _ if shape.sensitive => Ok(()),
        (Value::Boolean(value), _) => write!(out, "{value}"),
        (Value::Integer(value), _) => write!(out, "{value}"),
        (Value::Double(value), _) => out.write_str(&double(*value)),
        (Value::Text(text) | Value::Unreadable(text), _) => out.write_str(text),
        (Value::Blob(bytes), _) => write!(out, "({} bytes)", bytes.len()),
        (Value::Timestamp(time), _) => write!(out, "{}", time.0),
        (Value::List(items), Kind::List { member, .. }) => {
            write_joined(out, ['[', ']'], items, |out, item| write_optional(out, member, item.as_ref()))
        }
        (Value::Map(entries), Kind::Map { value: shape, .. }) => {
            write_joined(out, ['{', '}'], entries, |out, (key, value)| {
                write!(out, "{key}=")?;
                write_optional(out, shape, value.as_ref())
            })
        }
        (Value::Structure(values), Kind::Structure { name, members }) => {
            out.write_str(name)?;
            let pairs: Vec<_> = members.iter().zip(&values.0).collect();
            write_joined(out, ['(', ')'], &pairs, |out, (member, value)| {
                write!(out, "{}=", member.printed)?;
                write_optional(out, member.shape, value.as_ref())
            })
        }
        (Value::List(_) | Value::Map(_) | Value::Structure(_), _) => Ok(()),
    }
}

fn write_optional(out: &mut Bounded, shape: &Shape, value: Option<&Value>) -> fmt::Result {
    match value {
        Some(value) => write_value(out, shape, value),
        None => out.write_str("null"),
    }
}

fn write_joined<T>(
    out: &mut Bounded,
    brackets: [char; 2],
    items: &[T],
    each: impl Fn(&mut Bounded, &T) -> fmt::Result,
) -> fmt::Result {
    out.write_char(brackets[0])?;
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.write_str(", ")?;
        }
        each(out, item)?;
    }
    out.write_char(brackets[1])
}

/// As Java prints a double: always with a fraction, with an exponent from ten million on and below a thousandth.
pub(crate) fn double(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-3..1e7).contains(&size) {
        let text = format!("{value:E}");
        return match text.split_once('E') {
            Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
            _ => text,
        };
    }
    format!("{value:?}")
}

/// `Member must ...` for each constraint of a shape, in the service's order.
pub(crate) fn constraints(shape: &Shape) -> Vec<String> {
    let mut out = Vec::new();
    let mut bound = |what: &str, max: Option<String>, min: Option<String>| {
        out.extend(max.map(|max| at_most(what, &max)));
        out.extend(min.map(|min| at_least(what, &min)));
    };
    let text = |n: usize| n.to_string();
    match &shape.kind {
        Kind::Text { length, pattern, values } => {
            bound("length", length.max.map(text), length.min.map(text));
            out.extend(pattern.map(|pattern| must_match(pattern.text())));
            if !values.is_empty() {
                out.extend([must_be_one_of(values), NOT_NULL.to_owned()]);
            }
        }
        Kind::Integer { value } | Kind::Long { value } => {
            bound("value", value.max.map(|n| n.to_string()), value.min.map(|n| n.to_string()));
            out.push(NOT_NULL.to_owned());
        }
        Kind::Double { value } => {
            bound("value", value.max.map(double), value.min.map(double));
            out.push(NOT_NULL.to_owned());
        }
        Kind::List { length, member } => {
            bound("length", length.max.map(text), length.min.map(text));
            out.push(format!("Member must satisfy constraint: [{}]", constraints(member).join(", ")));
        }
        Kind::Blob { length } | Kind::Map { length, .. } => {
            bound("length", length.max.map(text), length.min.map(text));
        }
        Kind::Boolean | Kind::Timestamp | Kind::Structure { .. } => {}
    }
    out
}

/// What an absent member breaks.
pub(crate) const NOT_NULL: &str = "Member must not be null";

/// `what` is `length` or `value`.
pub(crate) fn at_most(what: &str, max: &str) -> String {
    format!("Member must have {what} less than or equal to {max}")
}

/// `what` is `length` or `value`.
pub(crate) fn at_least(what: &str, min: &str) -> String {
    format!("Member must have {what} greater than or equal to {min}")
}

pub(crate) fn must_match(pattern: &str) -> String {
    format!("Member must satisfy regular expression pattern: {pattern}")
}

pub(crate) fn must_be_one_of(values: &[&str]) -> String {
    format!("Member must satisfy enum value set: [{}]", values.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_printed_as_java_does() {
        let printed: Vec<String> = [2.0, -1.0, 0.5, 0.0, 1e7, 1.5e-4, 1_234_567.5].map(double).into();
        assert_eq!(printed, ["2.0", "-1.0", "0.5", "0.0", "1.0E7", "1.5E-4", "1234567.5"]);
    }
}
