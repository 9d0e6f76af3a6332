//! JSON bodies, read along their shape: what the model does not know is passed over without being kept, and a blob
//! goes from its base64 straight to bytes.

use std::collections::HashSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hearth_types::limits::JSON_DEPTH;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use crate::error::ApiError;
use crate::schema::{Kind, Member, Place, Shape};
use crate::value::{Members, Timestamp, Value};

/// Reads a body of which `shape` is the type; `null` is absent.
///
/// # Errors
/// `SerializationException` for what is no JSON or does not fit the shape.
pub(crate) fn read(shape: &'static Shape, body: &[u8]) -> Result<Option<Value>, ApiError> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = Of(shape).deserialize(&mut deserializer).map_err(|error| refusal(&error))?;
    deserializer.end().map_err(|error| refusal(&error))?;
    Ok(value)
}

fn refusal(error: &serde_json::Error) -> ApiError {
    let text = error.to_string();
    match error.classify() {
        Category::Data => {
            ApiError::serialization(text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message))
        }
        _ => ApiError::serialization(format!("Could not parse request body into json: {text}")),
    }
}

/// Reads one value of a shape; none for null.
#[derive(Clone, Copy)]
struct Of(&'static Shape);

impl<'de> DeserializeSeed<'de> for Of {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Of {
    /// What was found, in a place of another type.
    fn mismatch<E: Error>(self, found: &str) -> E {
        let wanted = match self.0.kind {
            Kind::Text { .. } => "a String",
            Kind::Integer { .. } => "an Integer",
            Kind::Long { .. } => "a Long",
            Kind::Double { .. } => "a Double",
            Kind::Boolean => "a Boolean",
            Kind::Blob { .. } => "a Blob",
            Kind::Timestamp => "a Timestamp",
            Kind::List { .. } => return E::custom("Expected list or null"),
            Kind::Map { .. } | Kind::Structure { .. } => return E::custom("Expected structure or map or null"),
        };
        E::custom(format_args!("{found} can not be converted to {wanted}"))
    }

    fn number<E: Error>(self, value: f64) -> Result<Option<Value>, E> {
        #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
        match self.0.kind {
            Kind::Double { .. } => Ok(Some(Value::Double(value))),
            Kind::Timestamp => {
                let time = Timestamp::from_seconds(value).ok_or_else(|| self.mismatch("NUMBER_VALUE"))?;
                Ok(Some(Value::Timestamp(time)))
            }
            Kind::Integer { .. } | Kind::Long { .. } if value.fract() == 0.0 && value.abs() < 9e15 => {
                self.integer(value as i64)
            }
            Kind::Integer { .. } | Kind::Long { .. } => Err(self.mismatch("DECIMAL_VALUE")),
            _ => Err(self.mismatch("NUMBER_VALUE")),
        }
    }

    fn integer<E: Error>(self, value: i64) -> Result<Option<Value>, E> {
        match self.0.kind {
            Kind::Integer { .. } if i32::try_from(value).is_err() => Err(self.mismatch("NUMBER_VALUE")),
            Kind::Integer { .. } | Kind::Long { .. } => Ok(Some(Value::Integer(value))),
            #[expect(clippy::cast_precision_loss, reason = "a double was asked for")]
            _ => self.number(value as f64),
        }
    }
}

impl<'de> Visitor<'de> for Of {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        match self.0.kind {
            Kind::Boolean => Ok(Some(Value::Boolean(value))),
            _ => Err(self.mismatch(if value { "TRUE_VALUE" } else { "FALSE_VALUE" })),
        }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        match i64::try_from(value) {
            Ok(value) => self.integer(value),
            Err(_) => Err(self.mismatch("NUMBER_VALUE")),
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        self.integer(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        self.number(value)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(match self.0.kind {
            Kind::Text { .. } => Value::Text(owned(text)?),
            Kind::Blob { .. } => {
                let bytes = STANDARD.decode(text).map_err(|error| {
                    E::custom(format_args!("STRING_VALUE can not be converted to a Blob: no base64: {error}"))
                })?;
                Value::Blob(bytes.into())
            }
            Kind::Timestamp => {
                Value::Timestamp(Timestamp::from_text(text).ok_or_else(|| self.mismatch("STRING_VALUE"))?)
            }
            _ => return Err(self.mismatch("STRING_VALUE")),
        }))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let Kind::List { member, .. } = self.0.kind else {
            return Err(A::Error::custom("Start of list found where not expected"));
        };
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Of(member))? {
            list.push(item);
        }
        Ok(Some(Value::List(list)))
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Self::Value, A::Error> {
        match self.0.kind {
            Kind::Structure { members, .. } => structure(members, entries).map(Some),
            Kind::Map { value, .. } => map(value, entries).map(Some),
            _ => Err(A::Error::custom("Start of structure or map found where not expected.")),
        }
    }
}

/// Text as it may be kept: a NUL has no place in any name, description or variable.
fn owned<E: Error>(text: &str) -> Result<String, E> {
    if text.contains('\0') {
        return Err(E::custom("A string must not contain the character NUL"));
    }
    Ok(text.to_owned())
}

fn structure<'de, A: MapAccess<'de>>(members: &'static [Member], mut entries: A) -> Result<Value, A::Error> {
    let mut values = vec![None; members.len()];
    while let Some(index) = entries.next_key_seed(Key(members))? {
        match index {
            Some(index) => values[index] = entries.next_value_seed(Of(members[index].shape))?,
            None => entries.next_value_seed(Ignored { depth: 0 })?,
        }
    }
    Ok(Value::Structure(Members(values)))
}

fn map<'de, A: MapAccess<'de>>(shape: &'static Shape, mut entries: A) -> Result<Value, A::Error> {
    let mut pairs: Vec<(String, Option<Value>)> = Vec::new();
    while let Some(key) = entries.next_key::<String>()? {
        pairs.push((owned(&key)?, entries.next_value_seed(Of(shape))?));
    }
    Ok(Value::Map(last_of_each(pairs)))
}

/// Of a key given twice the last one counts.
fn last_of_each(pairs: Vec<(String, Option<Value>)>) -> Vec<(String, Option<Value>)> {
    let mut seen = HashSet::new();
    let mut keep: Vec<bool> = pairs.iter().rev().map(|(key, _)| seen.insert(key.as_str())).collect();
    drop(seen);
    pairs.into_iter().filter(|_| keep.pop().unwrap_or(true)).collect()
}

/// Reads a key as the index of the body's member of that name.
struct Key(&'static [Member]);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|member| member.place == Place::Body && member.name == key))
    }
}

/// Passes over a value that the model does not know, down to a depth.
struct Ignored {
    depth: usize,
}

impl Ignored {
    fn deeper<E: Error>(&self) -> Result<Self, E> {
        if self.depth >= JSON_DEPTH {
            return Err(E::custom(format_args!("JSON is nested more than {JSON_DEPTH} levels deep")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Ignored {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Ignored {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self.deeper()?)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while entries.next_key_seed(Ignored { depth: self.depth })?.is_some() {
            entries.next_value_seed(self.deeper()?)?;
        }
        Ok(())
    }
}
