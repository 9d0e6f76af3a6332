//! A pattern's list of alternatives.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::number::Number;
use crate::operator::{self, Operator};
use crate::{Dialect, PatternError};

/// What may be at a place of the event: one of all this.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Alternatives {
    /// Nothing may: `{"exists": false}`.
    pub(crate) absent: bool,
    /// Any value may: `{"exists": true}`.
    present: bool,
    null: bool,
    booleans: BTreeSet<bool>,
    texts: BTreeSet<String>,
    numbers: BTreeSet<Number>,
    operators: Vec<Operator>,
}

impl Alternatives {
    /// # Errors
    /// On an empty list, and on what is no alternative.
    pub(crate) fn parse(list: &[Value], dialect: Dialect) -> Result<Alternatives, PatternError> {
        if list.is_empty() {
            return Err(PatternError::new("Empty arrays are not allowed"));
        }
        let mut all = Alternatives::default();
        for one in list {
            all.add(one, dialect)?;
        }
        Ok(all)
    }

    fn add(&mut self, one: &Value, dialect: Dialect) -> Result<(), PatternError> {
        match one {
            Value::Null => self.null = true,
            Value::Bool(boolean) => _ = self.booleans.insert(*boolean),
            Value::Number(number) => _ = self.numbers.insert(Number::of(number)),
            Value::String(text) => _ = self.texts.insert(text.clone()),
            Value::Object(operator) => match operator::only(operator)? {
                ("exists", Value::Bool(true)) => self.present = true,
                ("exists", Value::Bool(false)) => self.absent = true,
                ("exists", _) => {
                    return Err(PatternError::new("exists match pattern must be either true or false."));
                }
                (name, operand) => self.operators.push(operator::parse(name, operand, dialect)?),
            },
            Value::Array(_) => {
                return Err(PatternError::new("Match value must be String, number, true, false, or null"));
            }
        }
        Ok(())
    }

    /// How many there are, as filter policies count them.
    pub(crate) fn count(&self) -> usize {
        let flags = [self.absent, self.present, self.null].into_iter().filter(|flag| *flag).count();
        flags + self.booleans.len() + self.texts.len() + self.numbers.len() + self.operators.len()
    }

    /// Whether a value of the event, which is no array and no object, is one of these.
    pub(crate) fn matches(&self, value: &Value) -> bool {
        let itself = match value {
            Value::Null => self.null,
            Value::Bool(boolean) => self.booleans.contains(boolean),
            Value::Number(number) => !self.numbers.is_empty() && self.numbers.contains(&Number::of(number)),
            Value::String(text) => self.texts.contains(text),
            Value::Array(_) | Value::Object(_) => return false,
        };
        itself || self.present || self.operators.iter().any(|operator| operator.matches(value))
    }
}
